//! Signs with a card over PKCS #11, as `sote-client organisation verify --card` does, and judges the signature as the server
//! does: `card_signature MODULE TOKEN CERTIFICATE ROOT`. The PIN comes from the environment, `CARD_PIN`. Driven by
//! `conformance/cards/run` with SoftHSM as the card. Exit status 0 only if the signature proves.

use std::path::Path;
use std::process::ExitCode;

use sote_acme::acme::card_signature::CardSignature;
use sote_acme::acme::jwk::Thumbprint;
use sote_acme::client::{CardClaim, signature_answer};
use sote_acme::pkcs11::{Choice, Module};
use sote_acme::time::{Clock as _, SystemClock};
use sote_acme::x509::path::{PathRequirements, validated};
use sote_acme::x509::{Certificate, KeyUsage, KeyUsages};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("card_signature: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, token, certificate, root] = &arguments[..] else {
        return Err("usage: card_signature MODULE TOKEN CERTIFICATE ROOT".into());
    };
    let pin = std::env::var("CARD_PIN")?;
    let module = Module::open(Path::new(module))?;
    let choice = Choice { token: Some(token.clone()), certificate: Some(certificate.clone()) };
    if module.card(&choice, &format!("{pin}0").into()).is_ok() {
        return Err("the card took a wrong PIN".into());
    }
    let card = module.card(&choice, &pin.into())?;
    let now = SystemClock.now();
    let claim = CardClaim {
        organisation: &"NTRFI-9990001-6".parse()?,
        account: "https://ca.test/acme/account/a",
        thumbprint: &Thumbprint::from_bytes([7; 32]),
        challenge: "https://ca.test/acme/challenge/c",
        token: "q3",
        directory: "https://ca.test/organisation/directory",
    };
    let answer = signature_answer(&card, &claim.statement(now))?;
    let signature = CardSignature::parse(answer["signature"].as_str().ok_or("no signature")?)?;
    let anchors = Certificate::parse_pem_chain(&std::fs::read_to_string(root)?)?;
    let requirements = PathRequirements {
        key_usage: KeyUsages::from(KeyUsage::NonRepudiation),
        extended_key_usage: None,
        policies: Vec::new(),
    };
    let path = validated(signature.certificates(), &anchors, &requirements, now)?;
    signature.verify(path.signer().public_key())?;
    let (subject, key) = (path.signer().subject(), path.signer().public_key());
    let (algorithm, sent) = (signature.algorithm().name(), signature.certificates().len());
    Ok(format!("{subject}: {key}, {algorithm}, {sent} certificates sent"))
}

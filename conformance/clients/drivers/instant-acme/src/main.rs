//! The commands of the client runner (`harness/library.py`) with the library instant-acme.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use base64ct::{Base64UrlUnpadded, Encoding};
use instant_acme::{
    Account, AccountCredentials, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, ChallengeType,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy, RevocationReason,
    RevocationRequest,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const ACCOUNT: &str = "account";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["register", email] => register(email).await,
        ["order", kind, files, names @ .., "--replaces", certificate] => {
            let certificate = leaf(certificate)?;
            order(kind, files, names, Some(CertificateIdentifier::try_from(&certificate)?)).await
        }
        ["order", kind, files, names @ ..] => order(kind, files, names, None).await,
        ["renewal-info", certificate] => renewal_info(certificate).await,
        ["revoke", certificate] => revoke(certificate).await,
        ["update", email] => Ok(account().await?.update_contacts(&[&format!("mailto:{email}")]).await?),
        ["key-change"] => keep(&account().await?.update_key().await?),
        ["deactivate"] => Ok(account().await?.deactivate().await?),
        _ => Err("unknown command".into()),
    }
}

fn given(name: &str) -> Outcome<String> {
    Ok(env::var(format!("DRIVER_{name}"))?)
}

async fn account() -> Outcome<Account> {
    let credentials: AccountCredentials = serde_json::from_str(&fs::read_to_string(ACCOUNT)?)?;
    Ok(Account::builder_with_root(given("TLS_ROOT")?)?.from_credentials(credentials).await?)
}

fn keep(credentials: &AccountCredentials) -> Outcome {
    Ok(fs::write(ACCOUNT, serde_json::to_string(credentials)?)?)
}

async fn register(email: &str) -> Outcome {
    let key = Base64UrlUnpadded::decode_vec(&given("EAB_HMAC_KEY")?).map_err(|fault| fault.to_string())?;
    let binding = ExternalAccountKey::new(given("EAB_KID")?, &key);
    let contact = format!("mailto:{email}");
    let wanted = NewAccount { contact: &[&contact], terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_root(given("TLS_ROOT")?)?;
    let (_, credentials) = builder.create(&wanted, given("DIRECTORY")?, Some(&binding)).await?;
    keep(&credentials)
}

async fn order(kind: &str, files: &str, names: &[&str], replaces: Option<CertificateIdentifier<'_>>) -> Outcome {
    let account = account().await?;
    let identifiers: Vec<Identifier> = names.iter().map(|name| Identifier::Dns((*name).to_owned())).collect();
    let mut wanted = NewOrder::new(&identifiers);
    if let Some(replaced) = replaces {
        wanted = wanted.replaces(replaced);
    }
    let mut order = account.new_order(&wanted).await?;
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Pending {
            answers.push(prove(kind, &mut authorization).await?);
        }
    }
    let patience = RetryPolicy::default();
    let status = order.poll_ready(&patience).await?;
    for answer in &answers {
        answer.remove()?;
    }
    if status != OrderStatus::Ready {
        return Err(format!("the order is {status:?}").into());
    }
    fs::write(format!("{files}.key"), order.finalize().await?)?;
    Ok(fs::write(format!("{files}.pem"), order.poll_certificate(&patience).await?)?)
}

/// What stands ready for the server's look, and how it is taken away.
enum Answer {
    File(PathBuf),
    Record { name: String, value: String },
}

impl Answer {
    fn remove(&self) -> Outcome {
        match self {
            Self::File(path) => Ok(fs::remove_file(path)?),
            Self::Record { name, value } => record("remove", name, value),
        }
    }
}

async fn prove<'a>(kind: &str, authorization: &'a mut AuthorizationHandle<'a>) -> Outcome<Answer> {
    let wanted = match kind {
        "http-01" => ChallengeType::Http01,
        "dns-01" => ChallengeType::Dns01,
        "tls-alpn-01" => ChallengeType::TlsAlpn01,
        _ => return Err(format!("unknown challenge type {kind}").into()),
    };
    let Identifier::Dns(name) = authorization.identifier().identifier.clone() else {
        return Err("the authorization is for no dns name".into());
    };
    let mut challenge = authorization.challenge(wanted.clone()).ok_or("the challenge is not offered")?;
    let key_authorization = challenge.key_authorization();
    let answer = match wanted {
        ChallengeType::Http01 => {
            let path = PathBuf::from(given("WEBROOT")?).join(&challenge.token);
            fs::write(&path, key_authorization.as_str())?;
            Answer::File(path)
        }
        ChallengeType::Dns01 => {
            let (name, value) = (format!("_acme-challenge.{name}"), key_authorization.dns_value());
            record("add", &name, &value)?;
            Answer::Record { name, value }
        }
        _ => Answer::File(responder(name, key_authorization.digest().as_ref())?),
    };
    challenge.set_ready().await?;
    Ok(answer)
}

/// RFC 8737 §3: a self-signed certificate with the digest in a critical extension.
fn responder(name: String, digest: &[u8]) -> Outcome<PathBuf> {
    let key = KeyPair::generate()?;
    let mut wanted = CertificateParams::new(vec![name.clone()])?;
    wanted.custom_extensions.push(CustomExtension::new_acme_identifier(digest));
    let folder = PathBuf::from(given("ALPN")?);
    fs::write(folder.join(format!("{name}.key.pem")), key.serialize_pem())?;
    let path = folder.join(format!("{name}.crt.pem"));
    fs::write(&path, wanted.self_signed(&key)?.pem())?;
    Ok(path)
}

fn record(action: &str, name: &str, value: &str) -> Outcome {
    let ended = Command::new(given("DNS")?).args([action, name, value]).status()?;
    if ended.success() { Ok(()) } else { Err(format!("the hook failed: {ended}").into()) }
}

fn leaf(path: &str) -> Outcome<CertificateDer<'static>> {
    Ok(CertificateDer::from_pem_file(path)?)
}

async fn renewal_info(path: &str) -> Outcome {
    let certificate = leaf(path)?;
    let id = CertificateIdentifier::try_from(&certificate)?;
    let (info, again) = account().await?.renewal_info(&id).await?;
    println!(
        "window {} to {}, ask again in {} s",
        info.suggested_window.start,
        info.suggested_window.end,
        again.as_secs()
    );
    Ok(())
}

async fn revoke(path: &str) -> Outcome {
    let wanted = RevocationRequest { certificate: &leaf(path)?, reason: Some(RevocationReason::Superseded) };
    Ok(account().await?.revoke(&wanted).await?)
}

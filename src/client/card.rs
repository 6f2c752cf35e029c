//! Signing for an organisation: what a card signs to answer org-signature-01, and the answer made of it. The card is a PKCS #11
//! token; what it signs is shown to its holder first.

use serde_json::{Value, json};

use super::error::{Error, Result};
use crate::acme::authority_token::LocalName;
use crate::acme::card_signature::{CardSignature, CardStatement, PURPOSE};
use crate::acme::compact::EvidenceAlgorithm;
use crate::acme::identifier::RawIdentifier;
use crate::acme::jwk::Thumbprint;
use crate::acme::jws_signing::AccountKey;
use crate::acme::key_authorization::KeyAuthorization;
use crate::names::OrganisationIdentifier;
use crate::public_key::PublicKey;
use crate::time::Timestamp;
use crate::x509::Certificate;

/// For how many seconds a signature holds.
const LIFETIME: i64 = 600;

/// Something that signs with the key of a certificate: a card, or what stands in for one.
pub trait CardSigner {
    /// The certificate and the authorities above it, DER, the card's own first.
    fn chain(&self) -> Vec<Vec<u8>>;

    /// The certified key.
    fn public_key(&self) -> PublicKey;

    /// The signature over `message` in the form of JWS (RFC 7518 §3).
    ///
    /// # Errors
    /// `Local` with what the card says.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

/// What an account claims, for a card to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardClaim<'a> {
    /// The organisation.
    pub organisation: &'a OrganisationIdentifier,
    /// The account's URL.
    pub account: &'a str,
    /// The thumbprint of the account's key.
    pub thumbprint: &'a Thumbprint,
    /// The challenge's URL.
    pub challenge: &'a str,
    /// The challenge's token.
    pub token: &'a str,
    /// The organisation directory's URL.
    pub directory: &'a str,
}

impl CardClaim<'_> {
    /// What the card is to sign at `now`.
    pub fn statement(&self, now: Timestamp) -> CardStatement {
        let (organisation, account) = (self.organisation, self.account);
        let (server, key) = (self.directory, self.thumbprint);
        CardStatement {
            key_authorization: KeyAuthorization::new(self.token, self.thumbprint).as_str().to_owned(),
            identifier: RawIdentifier { kind: "organization-id".to_owned(), value: organisation.to_string() },
            account: account.to_owned(),
            challenge: self.challenge.to_owned(),
            audience: server.to_owned(),
            purpose: PURPOSE.to_owned(),
            statement: LocalName {
                fi: Some(format!(
                    "Valtuutan tilin {account} (avain {key}) toimimaan organisaation {organisation} puolesta palvelussa {server}."
                )),
                sv: Some(format!(
                    "Jag befullmäktigar kontot {account} (nyckel {key}) att handla för organisationen {organisation} i tjänsten {server}."
                )),
            },
            issued_at: now,
            expires: now.plus(LIFETIME),
        }
    }
}

/// The payload that answers org-signature-01: `statement`, signed by `card`.
///
/// # Errors
/// `Local` if the card has a key that cannot sign this, or does not sign.
pub fn signature_answer(card: &dyn CardSigner, statement: &CardStatement) -> Result<Value> {
    let key = card.public_key();
    let algorithm = EvidenceAlgorithm::for_key(&key)
        .ok_or_else(|| Error::local(format!("a card with a key of type {key} cannot sign this")))?;
    let signature = CardSignature::signed(statement, algorithm, &card.chain(), |input| card.sign(input))?;
    Ok(json!({ "signature": signature }))
}

/// What stands in for a card: a certificate and its key in files, such as an organisation's seal that is kept in software.
pub struct SoftCard {
    chain: Vec<Vec<u8>>,
    key: AccountKey,
}

impl SoftCard {
    /// The card with this chain (PEM, its own certificate first) and this key (PKCS #8 PEM).
    ///
    /// # Errors
    /// `Local` if one of them cannot be read, or the key is another certificate's.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self> {
        let chain = certificates(chain)?;
        let key = AccountKey::from_pkcs8_pem(key)
            .map_err(|error| Error::local(format!("the key of the card's certificate: {error}")))?;
        match chain.first() {
            Some(own) if own.public_key() == key.jwk().public_key() => {
                Ok(SoftCard { chain: chain.iter().map(|certificate| certificate.der().to_vec()).collect(), key })
            }
            Some(_) | None => Err(Error::local("the key does not belong to the first certificate of the card's file")),
        }
    }
}

impl CardSigner for SoftCard {
    fn chain(&self) -> Vec<Vec<u8>> {
        self.chain.clone()
    }

    fn public_key(&self) -> PublicKey {
        self.key.jwk().public_key().clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.key.signature(message).map_err(|error| Error::local(format!("the card's key: {error}")))
    }
}

/// A card together with authorities above it that it does not carry itself.
pub struct WithIssuers {
    card: Box<dyn CardSigner>,
    issuers: Vec<Vec<u8>>,
}

impl WithIssuers {
    /// The card, and the certificates in `issuers` (PEM) after its own chain.
    ///
    /// # Errors
    /// `Local` if the certificates cannot be read.
    pub fn new(card: Box<dyn CardSigner>, issuers: &str) -> Result<Self> {
        let issuers = certificates(issuers)?.iter().map(|certificate| certificate.der().to_vec()).collect();
        Ok(WithIssuers { card, issuers })
    }
}

impl CardSigner for WithIssuers {
    fn chain(&self) -> Vec<Vec<u8>> {
        let mut chain = self.card.chain();
        let further: Vec<_> = self.issuers.iter().filter(|issuer| !chain.contains(issuer)).cloned().collect();
        chain.extend(further);
        chain
    }

    fn public_key(&self) -> PublicKey {
        self.card.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.card.sign(message)
    }
}

fn certificates(pem: &str) -> Result<Vec<Certificate>> {
    Certificate::parse_pem_chain(pem).map_err(|error| Error::local(format!("the card's certificates: {error}")))
}

#[cfg(feature = "pkcs11")]
impl CardSigner for crate::pkcs11::Card {
    fn chain(&self) -> Vec<Vec<u8>> {
        self.chain().to_vec()
    }

    fn public_key(&self) -> PublicKey {
        self.certificate().public_key().clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.sign(message).map_err(|error| Error::local(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::jws_algorithm::JwsAlgorithm;

    /// A self-signed certificate and its key.
    fn soft_card() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["card.test".to_owned()]).unwrap().self_signed(&key);
        (certificate.unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn what_a_card_signs_says_everything_that_the_server_compares() {
        let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
        let (chain, card_key) = soft_card();
        let card = SoftCard::from_pem(&chain, &card_key).unwrap();
        let claim = CardClaim {
            organisation: &"NTRFI-0245437-2".parse().unwrap(),
            account: "https://ca.test/acme/account/a",
            thumbprint: &key.thumbprint(),
            challenge: "https://ca.test/acme/challenge/c",
            token: "q3",
            directory: "https://ca.test/organisation/directory",
        };
        let statement = claim.statement(Timestamp::from_seconds(1_795_000_000));
        let answer = signature_answer(&card, &statement).unwrap();
        let read = CardSignature::parse(answer["signature"].as_str().unwrap()).unwrap();
        assert_eq!(read.statement(), &statement);
        assert!(read.verify(&card.public_key()).is_ok());
        assert_eq!(read.statement().key_authorization, format!("q3.{}", key.thumbprint()));
        assert!(statement.statement.fi.unwrap().contains("NTRFI-0245437-2"));
    }
    #[test]
    fn a_soft_card_has_the_key_of_its_certificate_and_brings_its_issuers_once() {
        let ((chain, key), (other_chain, other_key)) = (soft_card(), soft_card());
        assert!(SoftCard::from_pem(&chain, &other_key).is_err() && SoftCard::from_pem("", &key).is_err());
        let card = Box::new(SoftCard::from_pem(&chain, &key).unwrap());
        let own = card.chain();
        let card = WithIssuers::new(card, &format!("{other_chain}{chain}")).unwrap();
        assert_eq!((card.chain().len(), &card.chain()[0]), (2, &own[0]));
    }
}

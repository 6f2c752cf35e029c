//! Card signatures (challenge type `org-signature-01`): a compact JWS by which an organisation's or a professional's card signs
//! what an account claims, in words that its holder can read. Read strictly, and made, for the client. Whether a signature is
//! to be believed is decided elsewhere.

use serde_json::{Value, json};

use super::authority_token::LocalName;
use super::compact::{Compact, Payload, signed, sound_text, whole_seconds};
pub use super::compact::{EvidenceAlgorithm, EvidenceFormError};
use super::identifier::RawIdentifier;
use crate::public_key::{BadSignature, PublicKey};
use crate::time::Timestamp;

/// The `typ` of the header. RFC 8725 §3.11: an explicit type, so that a signature made for this serves nowhere else, and none
/// made elsewhere serves here.
pub const SIGNATURE_TYPE: &str = "acme-org-signature+jws";
/// The purpose that the payload names.
pub const PURPOSE: &str = "acme-organization-verification";

/// The longest URL in a payload, in octets.
const LONGEST_TEXT: usize = 512;
/// The longest sentence that a card's holder is shown, in octets.
const LONGEST_STATEMENT: usize = 4096;
/// The members of a payload. What a card signs is read by a person, so that nothing may hide among it.
const MEMBERS: [&str; 9] =
    ["keyAuthorization", "identifier", "account", "challenge", "aud", "purpose", "statement", "iat", "exp"];

/// A card signature of sound form that was not verified.
#[derive(Debug, Clone)]
pub struct CardSignature {
    jws: Compact,
    statement: CardStatement,
}

/// What a card signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardStatement {
    /// The challenge's token and the account key's thumbprint (RFC 8555 §8.1).
    pub key_authorization: String,
    /// The organisation that is claimed.
    pub identifier: RawIdentifier,
    /// The account's URL.
    pub account: String,
    /// The challenge's URL.
    pub challenge: String,
    /// The directory of the server that it is for.
    pub audience: String,
    /// What the signature is for.
    pub purpose: String,
    /// The sentence that the holder agreed to, by language.
    pub statement: LocalName,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// From when it does not hold any more.
    pub expires: Timestamp,
}

impl CardSignature {
    /// Reads a signature in the compact serialization.
    ///
    /// # Errors
    /// What is wrong with its form, which is all that is judged here.
    pub fn parse(text: &str) -> Result<Self, EvidenceFormError> {
        let jws = Compact::parse(text, &["iat"])?;
        let statement = statement(&Payload(&jws.payload))?;
        let in_header = jws.header.get("iat").map(|iat| whole_seconds(iat).ok_or(EvidenceFormError::HeaderType("iat")));
        match in_header.transpose()? {
            Some(iat) if iat != statement.issued_at.seconds() => Err(EvidenceFormError::TwoTimes),
            Some(_) | None => Ok(CardSignature { jws, statement }),
        }
    }

    /// A card's signature over this. `sign` gets the signing input and gives the signature in the form of JWS (RFC 7518 §3).
    ///
    /// # Errors
    /// Those of `sign`.
    pub fn signed<E>(
        statement: &CardStatement,
        algorithm: EvidenceAlgorithm,
        certificates: &[Vec<u8>],
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<String, E> {
        let iat = statement.issued_at.seconds().into();
        signed(SIGNATURE_TYPE, algorithm, certificates, &[("iat", iat)], &statement.to_json(), sign)
    }

    /// What was signed. Nobody vouches for it before [`CardSignature::verify`] has.
    pub fn statement(&self) -> &CardStatement {
        &self.statement
    }

    /// The header's `typ`.
    pub fn typ(&self) -> &str {
        &self.jws.typ
    }

    /// The header's `alg`.
    pub fn algorithm(&self) -> EvidenceAlgorithm {
        self.jws.algorithm
    }

    /// The certificates of the header in DER, the card's first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.jws.certificates
    }

    /// SHA-256 of the whole text.
    pub fn hash(&self) -> &[u8; 32] {
        &self.jws.hash
    }

    /// SHA-256 of what was signed: by this a signature is known again, whatever its own octets are.
    pub fn signed_hash(&self) -> &[u8; 32] {
        &self.jws.signed_hash
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// If `key` did not sign this by the header's algorithm.
    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        self.jws.verify(key)
    }
}

fn statement(payload: &Payload<'_>) -> Result<CardStatement, EvidenceFormError> {
    if let Some(name) = payload.0.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(EvidenceFormError::Unknown(name.chars().filter(|c| !c.is_control()).take(64).collect()));
    }
    let identifier = payload.object("identifier")?;
    let words = payload.object("statement")?;
    let sentence = |language: &str| match words.0.get(language) {
        None => Ok(None),
        Some(text) => sound_text(text, LONGEST_STATEMENT)
            .map(Some)
            .ok_or(EvidenceFormError::Member("statement", "a sentence in fi or sv")),
    };
    let statement = LocalName { fi: sentence("fi")?, sv: sentence("sv")? };
    if statement.any().is_none() {
        return Err(EvidenceFormError::Member("statement", "a sentence in fi or sv"));
    }
    Ok(CardStatement {
        key_authorization: payload.text("keyAuthorization", LONGEST_TEXT)?,
        identifier: RawIdentifier {
            kind: identifier.text("type", 64)?,
            value: identifier.text("value", LONGEST_TEXT)?,
        },
        account: payload.text("account", LONGEST_TEXT)?,
        challenge: payload.text("challenge", LONGEST_TEXT)?,
        audience: payload.text("aud", LONGEST_TEXT)?,
        purpose: payload.text("purpose", 128)?,
        statement,
        issued_at: Timestamp::from_seconds(payload.seconds("iat")?),
        expires: Timestamp::from_seconds(payload.seconds("exp")?),
    })
}

impl CardStatement {
    fn to_json(&self) -> Value {
        json!({
            "keyAuthorization": self.key_authorization,
            "identifier": self.identifier,
            "account": self.account,
            "challenge": self.challenge,
            "aud": self.audience,
            "purpose": self.purpose,
            "statement": self.statement,
            "iat": self.issued_at.seconds(),
            "exp": self.expires.seconds(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::compact::assembled;
    use crate::acme::jws_algorithm::JwsAlgorithm;
    use crate::acme::jws_signing::AccountKey;

    fn sample() -> CardStatement {
        CardStatement {
            key_authorization: "Zk.NzbLsXh8".into(),
            identifier: RawIdentifier { kind: "organization-id".into(), value: "NTRFI-0245437-2".into() },
            account: "https://ca.example.fi/acme/account/a".into(),
            challenge: "https://ca.example.fi/acme/challenge/c".into(),
            audience: "https://ca.example.fi/organisation/directory".into(),
            purpose: PURPOSE.into(),
            statement: LocalName { fi: Some("Valtuutan tilin".into()), sv: None },
            issued_at: Timestamp::from_seconds(1_795_000_000),
            expires: Timestamp::from_seconds(1_795_000_600),
        }
    }

    fn refusal(header: &Value, payload: &Value) -> EvidenceFormError {
        let text = assembled(header, payload, |_| Ok::<_, ()>(vec![0; 64])).unwrap();
        CardSignature::parse(&text).unwrap_err()
    }

    fn header() -> Value {
        json!({ "typ": SIGNATURE_TYPE, "alg": "ES256", "x5c": ["AQID"], "iat": 1_795_000_000 })
    }

    #[test]
    fn a_signature_reads_back_as_it_was_made() {
        let key = AccountKey::generate(JwsAlgorithm::Rs256).unwrap();
        let text = CardSignature::signed(&sample(), EvidenceAlgorithm::Rs256, &[vec![1]], |input| key.signature(input));
        let read = CardSignature::parse(&text.unwrap()).unwrap();
        assert_eq!((read.statement(), read.typ()), (&sample(), SIGNATURE_TYPE));
        assert!(read.verify(key.jwk().public_key()).is_ok());
    }

    #[test]
    fn every_member_is_needed_and_no_other_may_stand_there() {
        for name in MEMBERS {
            let mut payload = sample().to_json();
            payload.as_object_mut().unwrap().remove(name);
            assert_eq!(refusal(&header(), &payload), EvidenceFormError::Missing(name));
            payload[name] = json!([]);
            assert!(matches!(refusal(&header(), &payload), EvidenceFormError::Member(found, _) if found == name));
        }
        let mut payload = sample().to_json();
        payload["amount"] = json!(1);
        assert_eq!(refusal(&header(), &payload), EvidenceFormError::Unknown("amount".into()));
        payload = sample().to_json();
        payload["statement"] = json!({ "en": "I agree" });
        assert!(matches!(refusal(&header(), &payload), EvidenceFormError::Member("statement", _)));
    }

    #[test]
    fn the_header_tells_no_other_time_than_the_payload() {
        let mut header = header();
        header["iat"] = json!(1_795_000_001);
        assert_eq!(refusal(&header, &sample().to_json()), EvidenceFormError::TwoTimes);
        header["iat"] = json!("1795000000");
        assert_eq!(refusal(&header, &sample().to_json()), EvidenceFormError::HeaderType("iat"));
    }
}

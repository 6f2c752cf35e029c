//! The external account binding (RFC 8555 §7.3.4): an inner JWS by which newAccount proves that its key belongs to whom the CA gave
//! a MAC key. It is not a request: it has no nonce, and a MAC instead of a signature.

use aws_lc_rs::hmac;
use serde_json::Value;

use super::flattened::{self, Flattened};
use super::json;
use super::jwk::Jwk;
use super::problem::Problem;

/// The MAC algorithms of a binding (RFC 7518 §3.2). Stock clients use HS256 unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// A binding in the right form, for this request and this key. Its MAC is not verified yet.
#[derive(Debug, Clone)]
pub struct ExternalAccountBinding {
    algorithm: MacAlgorithm,
    kid: String,
    flattened: Flattened,
    original: Value,
}

/// A binding whose MAC was verified. Only [`ExternalAccountBinding::verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedBinding {
    kid: String,
    original: Value,
}

/// The MAC does not verify with the given key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the MAC of the external account binding does not verify")]
pub struct BadMac;

impl MacAlgorithm {
    /// Every algorithm.
    pub const ALL: &[MacAlgorithm] = &[MacAlgorithm::Hs256, MacAlgorithm::Hs384, MacAlgorithm::Hs512];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            MacAlgorithm::Hs256 => "HS256",
            MacAlgorithm::Hs384 => "HS384",
            MacAlgorithm::Hs512 => "HS512",
        }
    }

    /// The algorithm of this registered name.
    pub fn from_name(name: &str) -> Option<Self> {
        MacAlgorithm::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            MacAlgorithm::Hs256 => hmac::HMAC_SHA256,
            MacAlgorithm::Hs384 => hmac::HMAC_SHA384,
            MacAlgorithm::Hs512 => hmac::HMAC_SHA512,
        }
    }
}

impl ExternalAccountBinding {
    /// Reads the binding of a newAccount request that was sent to `url` and signed by `key`.
    ///
    /// # Errors
    /// `malformed` if the form is wrong, or if the binding was made for another URL or another key.
    pub fn parse(binding: &Value, url: &str, key: &Jwk) -> Result<Self, Problem> {
        let members = binding.as_object().ok_or_else(|| malformed("it must be a JWS object"))?;
        let flattened = flattened::protected(members)
            .and_then(|header| Flattened::new(members, header))
            .map_err(|problem| malformed(problem.detail))?;
        let header = &flattened.header;
        // RFC 8555 §7.3.4: the alg is MAC-based, the nonce is absent, the url is the outer one, the kid is the CA's.
        let algorithm = header.algorithm().map_err(inner)?;
        let algorithm =
            MacAlgorithm::from_name(algorithm).ok_or_else(|| malformed("its alg must be HS256, HS384 or HS512"))?;
        if header.nonce().is_some() {
            return Err(malformed("it may not have a nonce"));
        }
        if header.has_jwk() {
            return Err(malformed("its header may not have \"jwk\": the key is the payload"));
        }
        if header.url().map_err(inner)? != url {
            return Err(malformed("its url is not the url of the request"));
        }
        let kid = match header.kid() {
            Some(kid) if !kid.is_empty() => kid.to_owned(),
            Some(_) | None => {
                return Err(malformed("its header has no \"kid\": use the key identifier of the invitation"));
            }
        };
        refuse_other_key(&flattened.payload, key)?;
        Ok(ExternalAccountBinding { algorithm, kid, flattened, original: binding.clone() })
    }

    /// The key identifier that the CA gave out. Nothing says yet that the sender holds its key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The MAC algorithm.
    pub fn algorithm(&self) -> MacAlgorithm {
        self.algorithm
    }

    /// Checks the MAC, in a time that does not depend on how much of it is right.
    pub fn verify(self, mac_key: &[u8]) -> Result<VerifiedBinding, BadMac> {
        let key = hmac::Key::new(self.algorithm.hmac(), mac_key);
        hmac::verify(&key, &self.flattened.signing_input, &self.flattened.signature).map_err(|_| BadMac)?;
        Ok(VerifiedBinding { kid: self.kid, original: self.original })
    }
}

// RFC 8555 §7.3.4: the payload is the account key, the same as in the outer header.
fn refuse_other_key(payload: &[u8], key: &Jwk) -> Result<(), Problem> {
    let members = json::members(payload).map_err(|error| malformed(format!("its payload is refused: {error}")))?;
    let bound = Jwk::parse_unjudged(&Value::Object(members)).map_err(|error| malformed(error.to_string()))?;
    if bound == *key {
        Ok(())
    } else {
        Err(malformed("its payload is another key than the one that signs the request"))
    }
}

impl VerifiedBinding {
    /// The key identifier whose MAC key the sender holds.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The binding as it came, for the account object (RFC 8555 §7.3.4: "the same value").
    pub fn original(&self) -> &Value {
        &self.original
    }
}

fn malformed(text: impl std::fmt::Display) -> Problem {
    Problem::malformed(format!("the externalAccountBinding is refused: {text}"))
}

fn inner(problem: Problem) -> Problem {
    malformed(problem.detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::flattened::assembled;
    use crate::acme::jws_algorithm::JwsAlgorithm;
    use crate::acme::jws_signing::AccountKey;
    use crate::acme::problem::ProblemKind;
    use crate::names::base64url;
    use serde_json::json;

    const URL: &str = "https://ca.example/acme/new-account";
    const MAC_KEY: [u8; 64] = [7; 64];

    fn key() -> AccountKey {
        AccountKey::generate(JwsAlgorithm::Es256).unwrap()
    }

    fn header() -> Value {
        json!({ "alg": "HS256", "kid": "kid-1", "url": URL })
    }

    fn bound(header: &Value, payload: &str) -> Value {
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, &MAC_KEY);
        let text =
            assembled(&header.to_string(), payload.as_bytes(), |input| hmac::sign(&mac_key, input).as_ref().to_vec());
        serde_json::from_str(&text).unwrap()
    }

    fn refused(binding: &Value, key: &AccountKey) -> bool {
        matches!(ExternalAccountBinding::parse(binding, URL, key.jwk()),
            Err(problem) if problem.kind == ProblemKind::Malformed && problem.detail.contains("externalAccountBinding"))
    }

    #[test]
    fn a_binding_by_every_mac_algorithm_verifies_and_keeps_its_value() {
        let key = key();
        for algorithm in MacAlgorithm::ALL {
            let binding = key.bind_external(*algorithm, "kid-1", &MAC_KEY, URL).unwrap();
            let parsed = ExternalAccountBinding::parse(&binding, URL, key.jwk()).unwrap();
            assert_eq!((parsed.kid(), parsed.algorithm()), ("kid-1", *algorithm));
            let verified = parsed.verify(&MAC_KEY).unwrap();
            assert_eq!((verified.kid(), verified.original()), ("kid-1", &binding));
        }
    }

    #[test]
    fn another_mac_key_or_a_changed_mac_does_not_verify() {
        let key = key();
        let binding = key.bind_external(MacAlgorithm::Hs256, "kid-1", &MAC_KEY, URL).unwrap();
        let parse = |binding: &Value| ExternalAccountBinding::parse(binding, URL, key.jwk()).unwrap();
        assert_eq!(parse(&binding).verify(&[8; 64]), Err(BadMac));
        let mut cut = binding.clone();
        cut["signature"] = base64url::encode(&[0; 16]).into();
        assert_eq!(parse(&cut).verify(&MAC_KEY), Err(BadMac));
    }

    #[test]
    fn rows_a31_a32_each_part_of_the_inner_header_is_checked() {
        let key = key();
        let payload = key.jwk().to_json().to_string();
        assert!(ExternalAccountBinding::parse(&bound(&header(), &payload), URL, key.jwk()).is_ok());
        for (name, value) in [
            ("alg", json!("ES256")),
            ("alg", json!("none")),
            ("alg", json!(null)),
            ("url", json!("https://ca.example/organisation/new-account")),
            ("url", json!(1)),
            ("kid", json!("")),
            ("kid", json!(1)),
            ("nonce", json!("bm9uY2U")),
            ("jwk", key.jwk().to_json()),
            ("crit", json!(["b64"])),
        ] {
            let mut spoiled = header();
            spoiled[name] = value;
            assert!(refused(&bound(&spoiled, &payload), &key), "{spoiled}");
        }
        for name in ["alg", "url", "kid"] {
            let mut spoiled = header();
            spoiled.as_object_mut().unwrap().remove(name);
            assert!(refused(&bound(&spoiled, &payload), &key), "{spoiled}");
        }
    }

    #[test]
    fn row_a33_the_payload_is_the_public_key_of_the_request() {
        let key = key();
        assert!(refused(&bound(&header(), &self::key().jwk().to_json().to_string()), &key));
        let mut private = key.jwk().to_json();
        private["d"] = "AQ".into();
        for payload in [private.to_string().as_str(), "", "{}", "[]", "null"] {
            assert!(refused(&bound(&header(), payload), &key), "{payload}");
        }
        let twice = key.jwk().to_json().to_string().replace('}', ",\"kty\":\"EC\"}");
        assert!(refused(&bound(&header(), &twice), &key));
    }

    #[test]
    fn what_is_no_flattened_jws_is_no_binding() {
        for binding in [json!("text"), json!({}), json!([]), json!({ "protected": "e30" })] {
            assert!(refused(&binding, &key()), "{binding}");
        }
    }
}

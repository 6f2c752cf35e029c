//! The form of a flattened JWS (RFC 7515 §7.2.2): three base64url texts, of which the first is a JSON object. Requests, external
//! account bindings and key changes have it in common; what their headers must say is theirs.

use josekit::JoseHeader;
use josekit::jws::JwsHeader;
use serde_json::{Map, Value};

use super::json;
use super::jwk::Jwk;
use super::problem::Problem;
use crate::names::base64url;

/// Header parameters that would bring a key from elsewhere or change how the rest is read.
// RFC 8555 §6.2 names where a key comes from (jwk, kid), and forbids the unencoded payload of RFC 7797; RFC 7515 §4.1.11: a
// recipient that does not know an extension named by crit must refuse, and this one knows none.
const FORBIDDEN_PARAMETERS: [&str; 5] = ["crit", "b64", "jku", "x5u", "x5c"];

/// A flattened JWS whose parts were decoded. Nothing in it is verified.
#[derive(Debug, Clone)]
pub(super) struct Flattened {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// What the signature covers: `protected || '.' || payload`, exactly as received.
    pub(super) signing_input: Vec<u8>,
}

/// A protected header without forbidden parameters.
#[derive(Debug, Clone)]
pub(super) struct Header(JwsHeader);

impl Flattened {
    /// The JWS with these members and this header, which was decoded from `protected`.
    pub(super) fn new(members: &Map<String, Value>, header: Map<String, Value>) -> Result<Self, Problem> {
        // RFC 8555 §6.2: flattened serialization, one signature, no unprotected header, no detached payload.
        if members.contains_key("signatures") {
            return Err(Problem::malformed(
                "the JWS must be in the flattened JSON form: it may not have \"signatures\"",
            ));
        }
        if members.contains_key("header") {
            return Err(Problem::malformed("the JWS may not have an unprotected \"header\""));
        }
        let (protected, payload) = (text(members, "protected")?, text(members, "payload")?);
        Ok(Flattened {
            payload: decoded(payload, "payload")?,
            signature: decoded(text(members, "signature")?, "signature")?,
            signing_input: [protected.as_bytes(), b".", payload.as_bytes()].concat(),
            header: Header::new(header)?,
        })
    }
}

/// The members of the protected header, before any rule but that they are JSON.
pub(super) fn protected(members: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let text = decoded(text(members, "protected")?, "protected")?;
    json::members(&text).map_err(|error| Problem::malformed(format!("the protected header is refused: {error}")))
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, Problem> {
    match members.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Problem::malformed(format!("the JWS member \"{name}\" must be a string"))),
        None => Err(Problem::malformed(format!("the JWS has no member \"{name}\""))),
    }
}

fn decoded(text: &str, what: &str) -> Result<Vec<u8>, Problem> {
    base64url::decode(text).map_err(|error| Problem::malformed(format!("the JWS member \"{what}\" is {error}")))
}

impl Header {
    fn new(members: Map<String, Value>) -> Result<Self, Problem> {
        if let Some(name) = FORBIDDEN_PARAMETERS.iter().find(|name| members.contains_key(**name)) {
            return Err(Problem::malformed(format!("the protected header may not have \"{name}\"")));
        }
        for name in ["alg", "kid", "url", "nonce"] {
            if members.get(name).is_some_and(|value| !value.is_string()) {
                return Err(Problem::malformed(format!("\"{name}\" in the protected header must be a string")));
            }
        }
        // RFC 8555 §6.5.2: a nonce is base64url, and one that is not is malformed rather than bad.
        if let Some(nonce) = members.get("nonce").and_then(Value::as_str) {
            base64url::decode(nonce)
                .map_err(|error| Problem::malformed(format!("the nonce in the protected header is {error}")))?;
        }
        JwsHeader::from_map(members)
            .map(Header)
            .map_err(|_| Problem::malformed("a member of the protected header is not of its registered type"))
    }

    /// The algorithm's name, which every JWS has.
    pub(super) fn algorithm(&self) -> Result<&str, Problem> {
        self.0.algorithm().ok_or_else(|| missing("alg"))
    }

    /// The URL that the request is for, which every JWS of ACME has.
    pub(super) fn url(&self) -> Result<&str, Problem> {
        self.0.url().ok_or_else(|| missing("url"))
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.0.key_id()
    }

    /// The nonce as it was sent.
    pub(super) fn nonce(&self) -> Option<&str> {
        self.0.claim("nonce").and_then(Value::as_str)
    }

    pub(super) fn has_jwk(&self) -> bool {
        self.0.claim("jwk").is_some()
    }

    /// The key in the header; its strength is not judged yet.
    pub(super) fn jwk(&self) -> Result<Option<Jwk>, Problem> {
        self.0.claim("jwk").map(Jwk::parse_unjudged).transpose().map_err(Problem::from)
    }
}

fn missing(name: &str) -> Problem {
    Problem::malformed(format!("the protected header has no \"{name}\""))
}

/// A flattened JWS of any header text and signature, for tests.
#[cfg(test)]
pub(super) fn assembled(header: &str, payload: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload));
    let (protected, payload) = input.split_once('.').unwrap();
    let signature = base64url::encode(&sign(input.as_bytes()));
    format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::external_account::ExternalAccountBinding;
    use crate::acme::jws::{KeySource, UnverifiedJws};
    use crate::acme::jws_algorithm::JwsAlgorithm;
    use crate::acme::jws_signing::AccountKey;
    use proptest::prelude::*;

    /// Texts of every kind that a header may hold, right and wrong.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("ES256".to_owned()),
            Just("RS256".to_owned()),
            Just("EdDSA".to_owned()),
            Just("EC".to_owned()),
            Just("RSA".to_owned()),
            Just("OKP".to_owned()),
            Just("P-256".to_owned()),
            Just("Ed25519".to_owned()),
            proptest::collection::vec(any::<u8>(), 0..70).prop_map(|octets| base64url::encode(&octets)),
            ".*",
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let name = prop_oneof![
                proptest::sample::select(vec![
                    "alg", "jwk", "kid", "url", "nonce", "crit", "kty", "crv", "x", "y", "n", "e", "use", "key_ops",
                    "typ", "x5t",
                ])
                .prop_map(str::to_owned),
                ".{0,4}",
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((name, inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn read(body: &[u8]) {
        if let Ok(jws) = UnverifiedJws::parse(body) {
            let KeySource::Jwk(key) = jws.header().key.clone() else { return };
            assert!(jws.verify(&key).is_err(), "nobody signed this");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_reading_a_request_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            read(&body);
        }

        #[test]
        fn no_header_makes_reading_a_request_panic(header in value(), payload in any::<[u8; 8]>(), signature in any::<[u8; 64]>()) {
            read(assembled(&header.to_string(), &payload, |_| signature.to_vec()).as_bytes());
        }

        #[test]
        fn no_members_make_reading_a_binding_panic(binding in value()) {
            let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
            let _ = ExternalAccountBinding::parse(&binding, "https://ca.example/", key.jwk());
        }

        #[test]
        fn one_changed_octet_of_a_request_never_verifies_otherwise(at in 0usize..500, octet in any::<u8>()) {
            let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
            let body = key.sign(crate::acme::jws_signing::Identity::Jwk, "bm9uY2U", "https://ca.example/x", b"{}").unwrap();
            let mut changed = body.clone().into_bytes();
            let at = at % changed.len();
            changed[at] = octet;
            if let Ok(jws) = UnverifiedJws::parse(&changed) {
                let verified = jws.verify(key.jwk());
                // Where it still verifies, the change made no difference: the octet is the same.
                prop_assert!(verified.is_err() || changed == body.as_bytes());
            }
        }
    }
}

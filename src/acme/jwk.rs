//! The public key of an account as a JWK (RFC 7517, RFC 7518 §6, RFC 8037). A [`Jwk`] holds the parsed key, so that equal keys
//! are equal whatever text they came in; its JSON and its thumbprint are always made anew from the key.

use std::sync::Arc;

use josekit::jws::JwsVerifier;
use serde_json::{Map, Value};

use super::jws_algorithm::JwsAlgorithm;
use super::problem::Problem;
pub use super::thumbprint::Thumbprint;
use super::verifier::Verifier;
use crate::names::base64url;
use crate::public_key::{Curve, KeyPolicy, PublicKey};

/// Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// An account's public key. Cheap to clone.
#[derive(Clone)]
pub struct Jwk(Arc<Inner>);

struct Inner {
    key: PublicKey,
    algorithm: JwsAlgorithm,
    thumbprint: Thumbprint,
}

/// Why a JWK is refused. The messages are written for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is no JWK at all.
    #[error("the jwk is malformed: {0}")]
    Malformed(String),
    /// It is a key that the server does not accept.
    #[error("the key is not accepted: {0}")]
    BadPublicKey(String),
}

impl From<JwkError> for Problem {
    fn from(error: JwkError) -> Self {
        match &error {
            JwkError::Malformed(_) => Problem::malformed(error.to_string()),
            JwkError::BadPublicKey(_) => Problem::bad_public_key(error.to_string()),
        }
    }
}

impl Jwk {
    /// The key of a JWK that a client sent: its form and its strength are checked.
    pub fn parse(value: &Value) -> Result<Self, JwkError> {
        let jwk = Jwk::parse_unjudged(value)?;
        jwk.judge()?;
        Ok(jwk)
    }

    /// The key of a JWK whose strength was judged before, as records hold it, or is judged later: only its form is checked.
    pub fn parse_unjudged(value: &Value) -> Result<Self, JwkError> {
        let members = value.as_object().ok_or_else(|| malformed("it must be an object"))?;
        refuse_private_members(members)?;
        refuse_other_uses(members)?;
        let key = match text(members, "kty")? {
            "EC" => ec(members),
            "RSA" => rsa(members),
            "OKP" => okp(members),
            other => Err(bad(format!("key type \"{}\" is not supported: use EC, RSA or OKP", shortened(other)))),
        }?;
        let jwk = Jwk::try_from(key)?;
        jwk.refuse_other_algorithm(members)?;
        Ok(jwk)
    }

    /// Refuses a weak key. For RSA this costs some hundred microseconds, so it comes after the nonce.
    pub fn judge(&self) -> Result<(), JwkError> {
        self.0.key.judge(&KeyPolicy::account()).map_err(|error| bad(error.to_string()))
    }

    /// The key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.key
    }

    /// The one algorithm that signs with this key.
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.0.algorithm
    }

    /// The thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    /// The canonical public JSON: the members that RFC 7638 hashes, in its order, nothing else.
    pub fn to_json(&self) -> Value {
        Value::Object(canonical(&self.0.key))
    }

    /// The key as josekit's type.
    pub fn to_josekit(&self) -> josekit::jwk::Jwk {
        josekit::jwk::Jwk::from_map(canonical(&self.0.key)).expect("the canonical members are a JWK")
    }

    /// A verifier of this key's signatures, computed by AWS-LC behind josekit's trait.
    ///
    /// # Errors
    /// `BadPublicKey` if `algorithm` needs another kind of key (RFC 8555 §6.2: supported algorithm, unsupported key).
    pub fn verifier(&self, algorithm: JwsAlgorithm) -> Result<Box<dyn JwsVerifier>, JwkError> {
        if algorithm != self.0.algorithm {
            return Err(bad(format!(
                "{algorithm} does not go with a key of type {}, which signs by {}",
                self.0.key, self.0.algorithm
            )));
        }
        Ok(Box::new(Verifier::new(self.clone())))
    }

    fn refuse_other_algorithm(&self, members: &Map<String, Value>) -> Result<(), JwkError> {
        match members.get("alg") {
            None => Ok(()),
            Some(Value::String(name)) if JwsAlgorithm::from_name(name) == Some(self.0.algorithm) => Ok(()),
            Some(_) => Err(bad(format!("its alg is not {}, the algorithm of such a key", self.0.algorithm))),
        }
    }
}

impl TryFrom<PublicKey> for Jwk {
    type Error = JwkError;

    fn try_from(key: PublicKey) -> Result<Self, JwkError> {
        let algorithm = JwsAlgorithm::for_key(&key)
            .ok_or_else(|| bad(format!("{key} is not supported; use P-256, P-384, RSA or Ed25519")))?;
        let thumbprint = Thumbprint::of(&key);
        Ok(Jwk(Arc::new(Inner { key, algorithm, thumbprint })))
    }
}

fn refuse_private_members(members: &Map<String, Value>) -> Result<(), JwkError> {
    // RFC 7517 §9.2: a private key must not be sent to another party.
    match PRIVATE_MEMBERS.iter().find(|name| members.contains_key(**name)) {
        Some(name) => {
            Err(bad(format!("it has the private member \"{name}\": make a new key, send its public part only")))
        }
        None => Ok(()),
    }
}

fn refuse_other_uses(members: &Map<String, Value>) -> Result<(), JwkError> {
    // RFC 7517 §4.2 and §4.3: a key that says what it is for must be for signatures.
    if members.get("use").is_some_and(|purpose| purpose != "sig") {
        return Err(bad("its use is not \"sig\""));
    }
    let verifies = |operations: &Value| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    };
    if members.get("key_ops").is_some_and(|operations| !verifies(operations)) {
        return Err(bad("its key_ops do not contain \"verify\""));
    }
    Ok(())
}

fn ec(members: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    let curve = match text(members, "crv")? {
        "P-256" => Curve::P256,
        "P-384" => Curve::P384,
        other => return Err(bad(format!("curve \"{}\" is not supported: use P-256 or P-384", shortened(other)))),
    };
    let mut point = vec![4];
    for name in ["x", "y"] {
        // RFC 7518 §6.2.1.2: "The length of this octet string MUST be the full size of a coordinate". Another split of the
        // same point would give one key two thumbprints.
        let coordinate = octets(members, name)?;
        let length = curve.coordinate_length();
        if coordinate.len() != length {
            return Err(bad(format!("{name} must have {length} octets, it has {}", coordinate.len())));
        }
        point.extend_from_slice(&coordinate);
    }
    PublicKey::ec(curve, &point).map_err(|error| bad(error.to_string()))
}

fn rsa(members: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    PublicKey::rsa(&octets(members, "n")?, &octets(members, "e")?).map_err(|error| bad(error.to_string()))
}

fn okp(members: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    match text(members, "crv")? {
        "Ed25519" => {
            let point = octets(members, "x")?;
            let found = point.len();
            let point = point.try_into().map_err(|_| bad(format!("x must have 32 octets, it has {found}")))?;
            PublicKey::ed25519(point).map_err(|error| bad(error.to_string()))
        }
        other => Err(bad(format!("curve \"{}\" is not supported: use Ed25519", shortened(other)))),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, JwkError> {
    match members.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(malformed(format!("{name} must be a string"))),
        None => Err(malformed(format!("{name} is missing"))),
    }
}

fn octets(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwkError> {
    base64url::decode(text(members, name)?).map_err(|error| malformed(format!("{name} is {error}")))
}

fn canonical(key: &PublicKey) -> Map<String, Value> {
    let encode = base64url::encode;
    let members = match key {
        PublicKey::Ec(key) => {
            let (x, y) = key.coordinates();
            vec![("crv", key.curve().name().to_owned()), ("kty", "EC".to_owned()), ("x", encode(x)), ("y", encode(y))]
        }
        PublicKey::Rsa(key) => {
            vec![("e", encode(key.exponent())), ("kty", "RSA".to_owned()), ("n", encode(key.modulus()))]
        }
        PublicKey::Ed25519(key) => {
            vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", encode(key.point()))]
        }
    };
    members.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

fn malformed(text: impl Into<String>) -> JwkError {
    JwkError::Malformed(text.into())
}

fn bad(text: impl Into<String>) -> JwkError {
    JwkError::BadPublicKey(text.into())
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

impl PartialEq for Jwk {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Jwk {}

impl std::hash::Hash for Jwk {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.thumbprint.hash(state);
    }
}

impl std::fmt::Debug for Jwk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jwk({}, {})", self.0.key, self.0.thumbprint)
    }
}

impl serde::Serialize for Jwk {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// Reads what [`Serialize`](serde::Serialize) wrote, without judging the key's strength again; a client's key goes through
/// [`Jwk::parse`].
impl<'de> serde::Deserialize<'de> for Jwk {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Jwk::parse_unjudged(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vectors(of: &str) -> Vec<Value> {
        let all: Value = serde_json::from_str(include_str!("../../tests/vectors/jose.json")).unwrap();
        all[of].as_array().unwrap().clone()
    }

    fn p256() -> Value {
        vectors("signatures")[0]["jwk"].clone()
    }

    fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
        jwk[name] = value.into();
        jwk
    }

    fn bad_public_key(jwk: &Value) -> bool {
        matches!(Jwk::parse(jwk), Err(JwkError::BadPublicKey(_)))
    }

    fn is_malformed(jwk: &Value) -> bool {
        matches!(Jwk::parse(jwk), Err(JwkError::Malformed(_)))
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        for vector in vectors("thumbprints") {
            let thumbprint = Jwk::parse(&vector["jwk"]).unwrap().thumbprint();
            assert_eq!(thumbprint.to_string(), vector["thumbprint"].as_str().unwrap(), "{}", vector["source"]);
            assert_eq!(thumbprint.to_string().parse::<Thumbprint>().unwrap(), thumbprint);
        }
    }

    #[test]
    fn signatures_of_the_rfcs_verify_and_changed_ones_do_not() {
        for vector in vectors("signatures") {
            let jwk = Jwk::parse(&vector["jwk"]).unwrap();
            let algorithm = JwsAlgorithm::from_name(vector["algorithm"].as_str().unwrap()).unwrap();
            let verifier = jwk.verifier(algorithm).unwrap();
            let input = vector["input"].as_str().unwrap().as_bytes();
            let mut signature = base64url::decode(vector["signature"].as_str().unwrap()).unwrap();
            assert!(verifier.verify(input, &signature).is_ok(), "{}", vector["source"]);
            assert!(verifier.verify(&input[1..], &signature).is_err());
            signature[40] ^= 1;
            assert!(verifier.verify(input, &signature).is_err());
        }
    }

    #[test]
    fn the_canonical_json_reads_back_and_drops_what_is_not_the_key() {
        let jwk = Jwk::parse(&with(with(p256(), "kid", "mine"), "use", "sig")).unwrap();
        let json = serde_json::to_string(&jwk).unwrap();
        assert!(!json.contains("mine") && !json.contains("sig"));
        assert_eq!(serde_json::from_str::<Jwk>(&json).unwrap(), jwk);
        assert_eq!(jwk.to_josekit().key_type(), "EC");
    }

    #[test]
    fn a_private_or_symmetric_key_is_refused() {
        for name in PRIVATE_MEMBERS {
            assert!(bad_public_key(&with(p256(), name, "AQ")), "{name}");
        }
        assert!(bad_public_key(&json!({ "kty": "oct", "k": "AQ" })));
        assert!(bad_public_key(&json!({ "kty": "oct" })));
    }

    #[test]
    fn coordinates_have_the_full_length_of_their_field() {
        let x = base64url::decode(p256()["x"].as_str().unwrap()).unwrap();
        let y = base64url::decode(p256()["y"].as_str().unwrap()).unwrap();
        let long = with(p256(), "x", base64url::encode(&[&[0][..], &x].concat()));
        assert!(bad_public_key(&long));
        // One octet moved from y to x: the same point to a reader that joins them.
        let moved = with(p256(), "x", base64url::encode(&[&x[..], &y[..1]].concat()));
        assert!(bad_public_key(&with(moved, "y", base64url::encode(&y[1..]))));
        assert!(bad_public_key(&with(p256(), "crv", "P-384")));
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        assert!(bad_public_key(&with(p256(), "y", p256()["x"].clone())));
    }

    #[test]
    fn other_curves_and_key_types_are_refused_as_keys() {
        for jwk in [
            with(p256(), "crv", "P-521"),
            with(p256(), "crv", "secp256k1"),
            json!({ "kty": "OKP", "crv": "Ed448", "x": "AQ" }),
            json!({ "kty": "OKP", "crv": "X25519", "x": base64url::encode(&[9; 32]) }),
            json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&[9; 31]) }),
            json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&[0; 32]) }),
            json!({ "kty": "AKP" }),
        ] {
            assert!(bad_public_key(&jwk), "{jwk}");
        }
    }

    #[test]
    fn weak_rsa_keys_are_refused_as_keys() {
        let rsa = |n: &[u8], e: &[u8]| json!({ "kty": "RSA", "n": base64url::encode(n), "e": base64url::encode(e) });
        let good = vectors("thumbprints")[0]["jwk"].clone();
        let n = base64url::decode(good["n"].as_str().unwrap()).unwrap();
        assert!(Jwk::parse(&rsa(&n, &[1, 0, 1])).is_ok());
        assert!(bad_public_key(&rsa(&n, &[3])), "a small exponent");
        assert!(bad_public_key(&rsa(&n, &[1])), "no exponent at all");
        assert!(bad_public_key(&rsa(&n[128..], &[1, 0, 1])), "half the bits");
        assert!(bad_public_key(&rsa(&[&[0][..], &n].concat(), &[1, 0, 1])), "a leading zero");
        assert!(bad_public_key(&rsa(&[0xff; 513], &[1, 0, 1])), "above 4096 bits");
        assert!(bad_public_key(&rsa(&[0xff; 100_000], &[1, 0, 1])), "huge");
    }

    #[test]
    fn what_is_no_jwk_is_malformed() {
        for jwk in [
            json!("text"),
            json!([]),
            json!({}),
            json!({ "kty": 1 }),
            json!({ "kty": "EC" }),
            with(p256(), "x", 1),
            with(p256(), "x", "AQ=="),
            with(p256(), "x", "a+/b"),
            with(p256(), "crv", Value::Null),
        ] {
            assert!(is_malformed(&jwk), "{jwk}");
        }
    }

    #[test]
    fn a_key_for_another_use_or_algorithm_is_refused() {
        assert!(bad_public_key(&with(p256(), "use", "enc")));
        assert!(bad_public_key(&with(p256(), "key_ops", json!(["sign"]))));
        assert!(Jwk::parse(&with(p256(), "key_ops", json!(["verify"]))).is_ok());
        assert!(bad_public_key(&with(p256(), "alg", "ES384")));
        assert!(Jwk::parse(&with(p256(), "alg", "ES256")).is_ok());
        let refused = Jwk::parse(&p256()).unwrap().verifier(JwsAlgorithm::Rs256);
        assert!(matches!(refused, Err(JwkError::BadPublicKey(_))));
    }
}

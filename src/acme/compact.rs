//! A compact JWS (RFC 7515 §7.1) that brings its signer's certificates along: the form of authority tokens and of card
//! signatures. Only the form is judged here; whether the certificates are worth anything is another layer's question, and
//! nothing is ever fetched.

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding};
use serde_json::{Map, Value};

use super::json::{self, JsonError};
use crate::names::base64url;
use crate::public_key::{BadSignature, Curve, Hash, PublicKey, SignatureAlgorithm};

/// The longest text that is looked at, in octets: five certificates of the greatest size and room for the rest.
pub const LONGEST_EVIDENCE: usize = 112 * 1024;
/// The most certificates that a header may bring.
pub const MOST_CERTIFICATES: usize = 5;
/// The largest of them, in octets of DER.
pub const LARGEST_CERTIFICATE: usize = 16 * 1024;

/// Header parameters that every kind of evidence may have.
const HEADER: [&str; 5] = ["typ", "alg", "x5c", "kid", "x5t#S256"];

/// Why a text has not the form of an authority token or a card signature. Every one is answered with 400 `malformed`, and
/// the challenge stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFormError {
    /// Longer than [`LONGEST_EVIDENCE`].
    #[error("the compact JWS has more than {LONGEST_EVIDENCE} octets")]
    TooLong,
    /// Not three parts with a dot between them.
    #[error("a compact JWS has three parts with a dot between them, this text has {0}")]
    Parts(usize),
    /// A part is not base64url.
    #[error("the {0} of the compact JWS is not base64url without padding")]
    Base64url(&'static str),
    /// A part is not a JSON object, or names a member twice.
    #[error("the {0} of the compact JWS is refused: {1}")]
    Json(&'static str, JsonError),
    /// The header names a place to fetch certificates from.
    #[error("the header has \"x5u\": this server fetches no certificates, send them in \"x5c\"")]
    CertificateUrl,
    /// The header has a parameter that this kind of evidence does not have.
    #[error("the header has \"{0}\", which this kind of evidence does not have")]
    UnknownHeader(String),
    /// The header lacks something.
    #[error("the header has no \"{0}\"")]
    MissingHeader(&'static str),
    /// A header parameter of the wrong type.
    #[error("\"{0}\" in the header is not of its type")]
    HeaderType(&'static str),
    /// An algorithm that is not supported.
    #[error("\"alg\" is not supported; supported are ES256, ES384, RS256 and PS256")]
    Algorithm,
    /// No certificate, or too many.
    #[error("\"x5c\" has {0} certificates; 1 to {MOST_CERTIFICATES} are allowed")]
    CertificateCount(usize),
    /// A certificate that is too large.
    #[error("a certificate in \"x5c\" has more than {LARGEST_CERTIFICATE} octets")]
    CertificateSize,
    /// A certificate that is not base64.
    #[error("a certificate in \"x5c\" is not base64 (the alphabet with + and /, padded, in one piece)")]
    CertificateBase64,
    /// `x5t#S256` is another certificate's hash.
    #[error("\"x5t#S256\" is not the SHA-256 hash of the first certificate in \"x5c\"")]
    CertificateHash,
    /// The payload lacks something.
    #[error("the payload has no \"{0}\"")]
    Missing(&'static str),
    /// A member of the payload of the wrong type or form.
    #[error("\"{0}\" in the payload is not {1}")]
    Member(&'static str, &'static str),
    /// The payload has a member that must not be there.
    #[error("the payload has \"{0}\", which this kind of evidence does not have")]
    Unknown(String),
    /// The time in the header is another one than in the payload.
    #[error("\"iat\" in the header differs from \"iat\" in the payload")]
    TwoTimes,
}

/// A JWS algorithm by which evidence may be signed (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EvidenceAlgorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl EvidenceAlgorithm {
    const ALL: [EvidenceAlgorithm; 4] =
        [EvidenceAlgorithm::Es256, EvidenceAlgorithm::Es384, EvidenceAlgorithm::Rs256, EvidenceAlgorithm::Ps256];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            EvidenceAlgorithm::Es256 => "ES256",
            EvidenceAlgorithm::Es384 => "ES384",
            EvidenceAlgorithm::Rs256 => "RS256",
            EvidenceAlgorithm::Ps256 => "PS256",
        }
    }

    /// The algorithm that signers with such a key use; none for a kind of key that cannot sign evidence.
    pub fn for_key(key: &PublicKey) -> Option<Self> {
        match key {
            PublicKey::Ec(key) => match key.curve() {
                Curve::P256 => Some(EvidenceAlgorithm::Es256),
                Curve::P384 => Some(EvidenceAlgorithm::Es384),
                Curve::P521 => None,
            },
            PublicKey::Rsa(_) => Some(EvidenceAlgorithm::Rs256),
            PublicKey::Ed25519(_) => None,
        }
    }

    /// Whether `key` can have made a signature of this kind.
    // RFC 8725 §3.1: the key decides the algorithm, never the message alone.
    pub fn fits(self, key: &PublicKey) -> bool {
        match self {
            EvidenceAlgorithm::Es256 | EvidenceAlgorithm::Es384 => Self::for_key(key) == Some(self),
            EvidenceAlgorithm::Rs256 | EvidenceAlgorithm::Ps256 => matches!(key, PublicKey::Rsa(_)),
        }
    }

    const fn verification(self) -> SignatureAlgorithm {
        match self {
            EvidenceAlgorithm::Es256 => SignatureAlgorithm::EcdsaFixed(Hash::Sha256),
            EvidenceAlgorithm::Es384 => SignatureAlgorithm::EcdsaFixed(Hash::Sha384),
            EvidenceAlgorithm::Rs256 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            EvidenceAlgorithm::Ps256 => SignatureAlgorithm::RsaPss(Hash::Sha256),
        }
    }
}

/// A compact JWS of sound form. Nothing in it is verified.
#[derive(Debug, Clone)]
pub(super) struct Compact {
    pub(super) typ: String,
    pub(super) algorithm: EvidenceAlgorithm,
    /// The certificates in DER, the signer's first.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) header: Map<String, Value>,
    pub(super) payload: Map<String, Value>,
    /// SHA-256 of the whole text.
    pub(super) hash: [u8; 32],
    /// SHA-256 of what the signature covers. Two signatures over it are one proof: ECDSA lets anyone make a twin.
    pub(super) signed_hash: [u8; 32],
    signing_input: Vec<u8>,
    signature: Vec<u8>,
}

impl Compact {
    /// Reads a text whose header has no other parameters than the common ones and `further`.
    pub(super) fn parse(text: &str, further: &[&str]) -> Result<Self, EvidenceFormError> {
        if text.len() > LONGEST_EVIDENCE {
            return Err(EvidenceFormError::TooLong);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [protected, payload, signature] = parts[..] else { return Err(EvidenceFormError::Parts(parts.len())) };
        let header = object(protected, "header")?;
        let certificates = certificates(&header, further)?;
        let signing_input = [protected.as_bytes(), b".", payload.as_bytes()].concat();
        Ok(Compact {
            typ: text_of(&header, "typ")?.to_owned(),
            algorithm: algorithm(&header)?,
            certificates,
            payload: object(payload, "payload")?,
            header,
            hash: sha256(text.as_bytes()),
            signed_hash: sha256(&signing_input),
            signing_input,
            signature: decoded(signature, "signature")?,
        })
    }

    /// Checks the signature with a key that came from a certificate which is trusted.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        key.verify(self.algorithm.verification(), &self.signing_input, &self.signature)
    }
}

/// SHA-256.
pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    hash
}

fn object(part: &str, what: &'static str) -> Result<Map<String, Value>, EvidenceFormError> {
    json::members(&decoded(part, what)?).map_err(|error| EvidenceFormError::Json(what, error))
}

fn decoded(part: &str, what: &'static str) -> Result<Vec<u8>, EvidenceFormError> {
    base64url::decode(part).map_err(|_| EvidenceFormError::Base64url(what))
}

fn text_of<'a>(header: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, EvidenceFormError> {
    let value = header.get(name).ok_or(EvidenceFormError::MissingHeader(name))?;
    value.as_str().ok_or(EvidenceFormError::HeaderType(name))
}

fn algorithm(header: &Map<String, Value>) -> Result<EvidenceAlgorithm, EvidenceFormError> {
    let name = text_of(header, "alg")?;
    let known = EvidenceAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
    known.ok_or(EvidenceFormError::Algorithm)
}

/// The certificates of a header, after its parameters were judged by their names.
fn certificates(header: &Map<String, Value>, further: &[&str]) -> Result<Vec<Vec<u8>>, EvidenceFormError> {
    // Departs from RFC 9447 §4, where x5u is one of the two ways: no URL that a client names is ever fetched.
    if header.contains_key("x5u") {
        return Err(EvidenceFormError::CertificateUrl);
    }
    let known = |name: &str| HEADER.contains(&name) || further.contains(&name);
    if let Some(name) = header.keys().find(|name| !known(name)) {
        return Err(EvidenceFormError::UnknownHeader(name.chars().filter(|c| !c.is_control()).take(64).collect()));
    }
    if header.get("kid").is_some_and(|kid| !kid.is_string()) {
        return Err(EvidenceFormError::HeaderType("kid"));
    }
    let list = header.get("x5c").ok_or(EvidenceFormError::MissingHeader("x5c"))?;
    let list = list.as_array().ok_or(EvidenceFormError::HeaderType("x5c"))?;
    if list.is_empty() || list.len() > MOST_CERTIFICATES {
        return Err(EvidenceFormError::CertificateCount(list.len()));
    }
    let certificates: Vec<Vec<u8>> = list.iter().map(certificate).collect::<Result<_, _>>()?;
    match (header.get("x5t#S256"), certificates.first()) {
        (Some(named), Some(first)) if named.as_str() != Some(&base64url::encode(&sha256(first))) => {
            Err(EvidenceFormError::CertificateHash)
        }
        (Some(_) | None, _) => Ok(certificates),
    }
}

// RFC 7515 §4.1.6: base64, not base64url, of the DER.
fn certificate(value: &Value) -> Result<Vec<u8>, EvidenceFormError> {
    let text = value.as_str().ok_or(EvidenceFormError::HeaderType("x5c"))?;
    if text.len() > LARGEST_CERTIFICATE.div_ceil(3) * 4 {
        return Err(EvidenceFormError::CertificateSize);
    }
    let der = Base64::decode_vec(text).map_err(|_| EvidenceFormError::CertificateBase64)?;
    if der.len() > LARGEST_CERTIFICATE { Err(EvidenceFormError::CertificateSize) } else { Ok(der) }
}

/// The members of a payload, each asked for by its name and type.
pub(super) struct Payload<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Payload<'a> {
    pub(super) fn needed(&self, name: &'static str) -> Result<&'a Value, EvidenceFormError> {
        self.0.get(name).ok_or(EvidenceFormError::Missing(name))
    }

    /// A text of 1 to `longest` octets without control characters.
    pub(super) fn text(&self, name: &'static str, longest: usize) -> Result<String, EvidenceFormError> {
        sound_text(self.needed(name)?, longest).ok_or(EvidenceFormError::Member(name, "a short text"))
    }

    /// A time as whole seconds since 1970 (RFC 7519 §2, NumericDate without a fraction).
    pub(super) fn seconds(&self, name: &'static str) -> Result<i64, EvidenceFormError> {
        whole_seconds(self.needed(name)?).ok_or(EvidenceFormError::Member(name, "a whole number of seconds since 1970"))
    }

    pub(super) fn object(&self, name: &'static str) -> Result<Payload<'a>, EvidenceFormError> {
        self.needed(name)?.as_object().map(Payload).ok_or(EvidenceFormError::Member(name, "an object"))
    }
}

/// The seconds of a NumericDate, at most those of the year 9999.
pub(super) fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().filter(|seconds| (0..=253_402_207_200).contains(seconds))
}

/// A text of 1 to `longest` octets without control characters.
pub(super) fn sound_text(value: &Value, longest: usize) -> Option<String> {
    let text = value.as_str()?;
    let sound = (1..=longest).contains(&text.len()) && !text.chars().any(char::is_control);
    sound.then(|| text.to_owned())
}

/// A compact JWS with this header's type and payload, signed by `sign`, which gives the signature in the JWS form.
pub(super) fn signed<E>(
    typ: &str,
    algorithm: EvidenceAlgorithm,
    certificates: &[Vec<u8>],
    further: &[(&str, Value)],
    payload: &Value,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, E> {
    let mut header = Map::new();
    header.insert("typ".to_owned(), typ.into());
    header.insert("alg".to_owned(), algorithm.name().into());
    let certificates: Vec<Value> = certificates.iter().map(|der| Base64::encode_string(der).into()).collect();
    header.insert("x5c".to_owned(), certificates.into());
    for (name, value) in further {
        header.insert((*name).to_owned(), value.clone());
    }
    assembled(&Value::Object(header), payload, sign)
}

/// A compact JWS of any header.
pub(super) fn assembled<E>(
    header: &Value,
    payload: &Value,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, E> {
    let encode = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = base64url::encode(&sign(input.as_bytes())?);
    Ok(format!("{input}.{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::jws_algorithm::JwsAlgorithm;
    use crate::acme::jws_signing::AccountKey;
    use proptest::prelude::*;
    use serde_json::json;

    fn header() -> Value {
        json!({ "typ": "JWT", "alg": "ES256", "x5c": ["AQID"] })
    }

    fn text(header: &Value) -> String {
        assembled(header, &json!({}), |_| Ok::<_, ()>(vec![0; 64])).unwrap()
    }

    fn refusal(header: &Value) -> EvidenceFormError {
        Compact::parse(&text(header), &[]).unwrap_err()
    }

    fn with(name: &str, value: impl Into<Value>) -> Value {
        let mut header = header();
        header[name] = value.into();
        header
    }

    fn without(name: &str) -> Value {
        let mut header = header();
        header.as_object_mut().unwrap().remove(name);
        header
    }

    #[test]
    fn what_was_signed_reads_back_and_verifies_by_its_key_alone() {
        let (key, other) =
            (AccountKey::generate(JwsAlgorithm::Es256).unwrap(), AccountKey::generate(JwsAlgorithm::Es256).unwrap());
        let certificates = vec![vec![1, 2, 3], vec![4]];
        let text =
            signed("JWT", EvidenceAlgorithm::Es256, &certificates, &[], &json!({"a": 1}), |input| key.signature(input))
                .unwrap();
        let read = Compact::parse(&text, &[]).unwrap();
        assert_eq!((read.typ.as_str(), &read.certificates), ("JWT", &certificates));
        assert_eq!(read.payload["a"], 1);
        assert!(read.verify(key.jwk().public_key()).is_ok());
        assert!(read.verify(other.jwk().public_key()).is_err());
    }

    #[test]
    fn a_compact_jws_has_three_parts_of_strict_base64url() {
        let sound = text(&header());
        assert!(Compact::parse(&sound, &[]).is_ok());
        assert_eq!(Compact::parse(&sound.replace('.', ""), &[]).unwrap_err(), EvidenceFormError::Parts(1));
        assert_eq!(Compact::parse(&format!("{sound}."), &[]).unwrap_err(), EvidenceFormError::Parts(4));
        for spoiled in [format!("{sound}="), format!("{sound}\n"), format!(" {sound}"), sound.replacen('.', "=.", 1)] {
            assert!(matches!(Compact::parse(&spoiled, &[]).unwrap_err(), EvidenceFormError::Base64url(_)));
        }
        let long = "A".repeat(LONGEST_EVIDENCE + 1);
        assert_eq!(Compact::parse(&long, &[]).unwrap_err(), EvidenceFormError::TooLong);
    }

    #[test]
    fn a_member_named_twice_is_refused_in_header_and_payload() {
        let twice = |part: &str| base64url::encode(part.as_bytes());
        let header = twice(r#"{"typ":"JWT","typ":"JWT","alg":"ES256","x5c":["AQID"]}"#);
        assert!(matches!(
            Compact::parse(&format!("{header}.e30.AA"), &[]).unwrap_err(),
            EvidenceFormError::Json("header", _)
        ));
        let header = twice(&self::header().to_string());
        let payload = twice(r#"{"a":1,"a":2}"#);
        assert!(matches!(
            Compact::parse(&format!("{header}.{payload}.AA"), &[]).unwrap_err(),
            EvidenceFormError::Json("payload", _)
        ));
    }

    #[test]
    fn row_x10_a_header_names_no_place_to_fetch_certificates_from() {
        assert_eq!(refusal(&with("x5u", "https://authority.example.fi/cert")), EvidenceFormError::CertificateUrl);
        let only = json!({ "typ": "JWT", "alg": "ES256", "x5u": "https://authority.example.fi/cert" });
        assert_eq!(refusal(&only), EvidenceFormError::CertificateUrl);
    }

    #[test]
    fn a_header_has_the_listed_parameters_and_no_others() {
        for name in ["crit", "b64", "jku", "jwk", "nonce", "url", "iat"] {
            assert_eq!(refusal(&with(name, json!(["x"]))), EvidenceFormError::UnknownHeader(name.into()));
        }
        assert!(Compact::parse(&text(&with("iat", 1)), &["iat"]).is_ok());
        for name in ["typ", "alg", "x5c"] {
            assert_eq!(refusal(&without(name)), EvidenceFormError::MissingHeader(name));
            assert_eq!(refusal(&with(name, 1)), EvidenceFormError::HeaderType(name));
        }
        for name in ["none", "HS256", "EdDSA", "ES512", "es256", "RS1", ""] {
            assert_eq!(refusal(&with("alg", name)), EvidenceFormError::Algorithm, "{name}");
        }
        assert_eq!(refusal(&with("kid", 1)), EvidenceFormError::HeaderType("kid"));
        assert_eq!(refusal(&with("x5t#S256", "AA")), EvidenceFormError::CertificateHash);
        assert!(Compact::parse(&text(&with("x5t#S256", base64url::encode(&sha256(&[1, 2, 3])))), &[]).is_ok());
    }

    #[test]
    fn certificates_are_few_and_small_and_in_base64() {
        assert_eq!(refusal(&with("x5c", json!([]))), EvidenceFormError::CertificateCount(0));
        assert_eq!(refusal(&with("x5c", json!(vec!["AQID"; 6]))), EvidenceFormError::CertificateCount(6));
        assert_eq!(refusal(&with("x5c", json!([1]))), EvidenceFormError::HeaderType("x5c"));
        for text in ["AQI-", "AQID ", "AQ", "-_-_"] {
            assert_eq!(refusal(&with("x5c", json!([text]))), EvidenceFormError::CertificateBase64, "{text}");
        }
        let large = Base64::encode_string(&vec![0; LARGEST_CERTIFICATE + 1]);
        assert_eq!(refusal(&with("x5c", json!([large]))), EvidenceFormError::CertificateSize);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_evidence_panic(text in "[-A-Za-z0-9_.]{0,300}") {
            let _ = Compact::parse(&text, &[]);
        }
    }
}

//! A request's way in: bytes to [`UnverifiedJws`] to [`VerifiedJws`] (RFC 8555 §6.2). Everything that can be said about the form
//! is said by [`UnverifiedJws::parse`]; the nonce, the account and the URL are compared by the caller between the two.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::flattened::{self, Flattened};
use super::json;
use super::jwk::Jwk;
use super::jws_algorithm::JwsAlgorithm;
use super::problem::Problem;
pub use super::protected_header::{KeySource, ProtectedHeader};
use crate::names::base64url;

/// A request in the form that RFC 8555 §6.2 demands, not yet verified. Its payload cannot be read.
#[derive(Debug, Clone)]
pub struct UnverifiedJws {
    header: ProtectedHeader,
    flattened: Flattened,
}

/// Why a request is refused before anything is known about its sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct JwsError {
    /// The answer.
    pub problem: Box<Problem>,
    /// The nonce that the refused request showed. RFC 8555 §6.5: it is spent all the same.
    pub nonce: Option<String>,
}

/// A request whose signature was verified with [`signer`](VerifiedJws::signer). Only [`UnverifiedJws::verify`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedJws {
    header: ProtectedHeader,
    payload: Vec<u8>,
    signer: Jwk,
}

impl UnverifiedJws {
    /// Reads a request's body.
    pub fn parse(body: &[u8]) -> Result<Self, JwsError> {
        let without_nonce = |problem: Problem| JwsError { problem: Box::new(problem), nonce: None };
        let members = json::members(body)
            .map_err(|error| without_nonce(Problem::malformed(format!("the body is not a JWS in JSON: {error}"))))?;
        let header = flattened::protected(&members).map_err(without_nonce)?;
        // RFC 8555 §6.5: a nonce that appeared in a request is spent, also when a later rule refuses the request.
        let nonce = nonce_in(&header);
        Self::from_parts(&members, header).map_err(|problem| JwsError { problem: Box::new(problem), nonce })
    }

    fn from_parts(members: &Map<String, Value>, header: Map<String, Value>) -> Result<Self, Problem> {
        let flattened = Flattened::new(members, header)?;
        Ok(UnverifiedJws { header: ProtectedHeader::new(&flattened.header)?, flattened })
    }

    /// The header.
    pub fn header(&self) -> &ProtectedHeader {
        &self.header
    }

    /// Checks the signature with `key`: the account's, or the header's own after it was judged.
    ///
    /// # Errors
    /// `malformed` if the signature does not verify, `badPublicKey` if the key does not go with the algorithm or is weak.
    pub fn verify(self, key: &Jwk) -> Result<VerifiedJws, Problem> {
        let verifier = key.verifier(self.header.algorithm)?;
        if let KeySource::Jwk(own) = &self.header.key {
            own.judge()?;
            // The key of an account is never checked against a request that names another.
            if own != key {
                return Err(Problem::malformed("the request is signed by another key than its \"jwk\""));
            }
        }
        verifier
            .verify(&self.flattened.signing_input, &self.flattened.signature)
            .map_err(|_| bad_signature(self.header.algorithm, self.flattened.signature.len()))?;
        Ok(VerifiedJws { header: self.header, payload: self.flattened.payload, signer: key.clone() })
    }
}

fn nonce_in(header: &Map<String, Value>) -> Option<String> {
    let nonce = header.get("nonce")?.as_str()?;
    (!nonce.is_empty() && base64url::decode(nonce).is_ok()).then(|| nonce.to_owned())
}

/// `malformed`, with a hint where the length already tells what went wrong.
pub(super) fn bad_signature(algorithm: JwsAlgorithm, length: usize) -> Problem {
    let expected = match algorithm {
        // RFC 7518 §3.4: r and s of fixed length, never DER.
        JwsAlgorithm::Es256 | JwsAlgorithm::EdDsa => Some(64),
        JwsAlgorithm::Es384 => Some(96),
        JwsAlgorithm::Rs256 => None,
    };
    Problem::malformed(match expected {
        Some(expected) if expected != length => {
            format!("the signature has {length} octets; {algorithm} has {expected}, not in DER")
        }
        Some(_) | None => "the signature does not verify".to_owned(),
    })
}

impl VerifiedJws {
    /// The header.
    pub fn header(&self) -> &ProtectedHeader {
        &self.header
    }

    /// The key that signed.
    pub fn signer(&self) -> &Jwk {
        &self.signer
    }

    /// Whether the payload is empty, which makes the request a POST-as-GET (RFC 8555 §6.3). `{}` is not empty.
    pub fn is_post_as_get(&self) -> bool {
        self.payload.is_empty()
    }

    /// The payload's octets, for what is no single message; see [`VerifiedJws::object`].
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as a message. Unknown members are ignored, members named twice are refused.
    ///
    /// # Errors
    /// `malformed` if it is empty, no JSON object, or not a `T`.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.is_post_as_get() {
            return Err(Problem::malformed("the payload is empty where a JSON object is needed"));
        }
        json::object(&self.payload).map_err(|error| Problem::malformed(format!("the payload is refused: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::flattened::assembled;
    use crate::acme::jws_signing::{AccountKey, Identity};
    use crate::acme::problem::ProblemKind;
    use serde_json::json;

    const URL: &str = "https://ca.example/acme/new-order";
    const NONCE: &str = "bm9uY2U";

    fn key() -> AccountKey {
        AccountKey::generate(JwsAlgorithm::Es256).unwrap()
    }

    /// A sound header, to be spoiled.
    fn header(key: &AccountKey) -> Value {
        json!({ "alg": key.jwk().algorithm().name(), "jwk": key.jwk().to_json(), "nonce": NONCE, "url": URL })
    }

    fn without(mut header: Value, name: &str) -> Value {
        header.as_object_mut().unwrap().remove(name);
        header
    }

    fn with(mut header: Value, name: &str, value: impl Into<Value>) -> Value {
        header[name] = value.into();
        header
    }

    fn signed(key: &AccountKey, header: &str, payload: &[u8]) -> String {
        assembled(header, payload, |input| key.signature(input).unwrap())
    }

    fn verified(key: &AccountKey, body: &str) -> Result<VerifiedJws, Problem> {
        UnverifiedJws::parse(body.as_bytes()).map_err(|error| *error.problem)?.verify(key.jwk())
    }

    fn outcome(header: &Value) -> Result<UnverifiedJws, JwsError> {
        UnverifiedJws::parse(signed(&key(), &header.to_string(), b"{}").as_bytes())
    }

    fn kind(header: &Value) -> ProblemKind {
        outcome(header).unwrap_err().problem.kind
    }

    fn is_malformed(body: &str) -> bool {
        UnverifiedJws::parse(body.as_bytes()).is_err_and(|error| error.problem.kind == ProblemKind::Malformed)
    }

    #[test]
    fn every_supported_algorithm_verifies_by_jwk_and_by_kid() {
        for algorithm in JwsAlgorithm::ALL {
            let key = AccountKey::generate(*algorithm).unwrap();
            for identity in [Identity::Jwk, Identity::Kid("https://ca.example/acme/account/1")] {
                let body = key.sign(identity, NONCE, URL, br#"{"a":1}"#).unwrap();
                let jws = verified(&key, &body).unwrap();
                assert_eq!((jws.header().nonce.as_str(), jws.header().url.as_str()), (NONCE, URL));
                assert_eq!(jws.object::<Value>().unwrap(), json!({ "a": 1 }));
                assert_eq!(jws.signer(), key.jwk());
            }
        }
    }

    #[test]
    fn row_j01_a_body_that_is_no_jws_is_malformed() {
        for body in ["", "{}", "{\"a\":1}", "[]", "null", "\"eyJ\"", "eyJhbGciOiJFUzI1NiJ9.e30.AA", "\u{feff}{}", "{"] {
            assert!(is_malformed(body), "{body}");
        }
        assert!(UnverifiedJws::parse(b"{\"protected\":\"\xff\"}").is_err());
    }

    #[test]
    fn rows_j02_j03_the_general_form_and_several_signatures_are_refused() {
        let body = signed(&key(), &header(&key()).to_string(), b"{}");
        assert!(is_malformed(&body.replace("{\"protected\"", "{\"signatures\":[],\"protected\"")));
        let general = json!({ "payload": "e30", "signatures": [{ "protected": "e30", "signature": "AA" }] });
        assert!(is_malformed(&general.to_string()));
    }

    #[test]
    fn row_j04_an_unencoded_payload_is_refused() {
        assert_eq!(kind(&with(header(&key()), "b64", false)), ProblemKind::Malformed);
        let critical = with(with(header(&key()), "b64", false), "crit", json!(["b64"]));
        assert_eq!(kind(&critical), ProblemKind::Malformed);
    }

    #[test]
    fn row_j05_an_unprotected_header_is_refused_also_when_empty() {
        let body = signed(&key(), &header(&key()).to_string(), b"{}");
        for unprotected in ["{}", "{\"kid\":\"x\"}", "null"] {
            let spoiled = body.replace("{\"protected\"", &format!("{{\"header\":{unprotected},\"protected\""));
            assert!(is_malformed(&spoiled), "{unprotected}");
        }
    }

    #[test]
    fn row_j06_a_missing_payload_is_refused_and_an_empty_one_is_post_as_get() {
        let key = key();
        let body = signed(&key, &header(&key).to_string(), b"");
        assert!(verified(&key, &body).unwrap().is_post_as_get());
        assert!(is_malformed(&body.replace("\"payload\":\"\",", "")));
        assert!(is_malformed(&body.replace("\"payload\":\"\"", "\"payload\":null")));
    }

    #[test]
    fn row_j07_each_part_of_the_header_is_needed() {
        let whole = header(&key());
        assert!(outcome(&whole).is_ok());
        assert_eq!(kind(&without(whole.clone(), "alg")), ProblemKind::Malformed);
        assert_eq!(kind(&without(whole.clone(), "url")), ProblemKind::Malformed);
        assert_eq!(kind(&without(whole.clone(), "jwk")), ProblemKind::Malformed);
        assert_eq!(kind(&without(whole, "nonce")), ProblemKind::BadNonce);
    }

    #[test]
    fn rows_j08_j14_other_algorithms_are_refused_with_the_list_of_supported_ones() {
        for name in ["none", "HS256", "HS384", "HS512", "ES256K", "RS1", "RS512", "PS256", "ES512", "foo", "", "es256"]
        {
            let problem = outcome(&with(header(&key()), "alg", name)).unwrap_err().problem;
            assert_eq!(problem.kind, ProblemKind::BadSignatureAlgorithm, "{name}");
            assert_eq!(problem.algorithms, ["ES256", "ES384", "EdDSA", "RS256"]);
        }
    }

    #[test]
    fn row_j11_a_key_and_a_key_identifier_together_are_refused() {
        assert_eq!(kind(&with(header(&key()), "kid", "https://ca.example/acme/account/1")), ProblemKind::Malformed);
        let empty = with(without(header(&key()), "jwk"), "kid", "");
        assert_eq!(kind(&empty), ProblemKind::Malformed);
    }

    #[test]
    fn row_j15_a_key_that_does_not_go_with_the_algorithm_is_a_bad_key() {
        let other = AccountKey::generate(JwsAlgorithm::Es384).unwrap();
        assert_eq!(kind(&with(header(&key()), "jwk", other.jwk().to_json())), ProblemKind::BadPublicKey);
        let ed448 = json!({ "kty": "OKP", "crv": "Ed448", "x": "AQ" });
        let header = with(with(header(&key()), "alg", "EdDSA"), "jwk", ed448);
        assert_eq!(kind(&header), ProblemKind::BadPublicKey);
    }

    #[test]
    fn row_j15_a_weak_key_is_a_bad_key() {
        let pair = josekit::jwk::alg::rsa::RsaKeyPair::generate(1024).unwrap();
        let public = josekit::jwk::KeyPair::to_jwk_public_key(&pair);
        let jwk: Value = serde_json::to_value(public.as_ref()).unwrap();
        let header = with(with(header(&key()), "alg", "RS256"), "jwk", jwk);
        let jws = outcome(&header).unwrap();
        let KeySource::Jwk(weak) = jws.header().key.clone() else { panic!("a jwk") };
        assert_eq!(jws.verify(&weak).unwrap_err().kind, ProblemKind::BadPublicKey);
    }

    #[test]
    fn row_j16_one_changed_bit_anywhere_is_noticed() {
        let key = key();
        let body = signed(&key, &header(&key).to_string(), b"{\"a\":1}");
        let members: Value = serde_json::from_str(&body).unwrap();
        for name in ["payload", "signature"] {
            let mut octets = base64url::decode(members[name].as_str().unwrap()).unwrap();
            octets[0] ^= 1;
            let spoiled = with(members.clone(), name, base64url::encode(&octets)).to_string();
            assert_eq!(verified(&key, &spoiled).unwrap_err().kind, ProblemKind::Malformed, "{name}");
        }
        let other_url = with(header(&key), "url", "https://ca.example/acme/new-account").to_string();
        let spoiled = with(members, "protected", base64url::encode(other_url.as_bytes())).to_string();
        assert_eq!(verified(&key, &spoiled).unwrap_err().kind, ProblemKind::Malformed);
    }

    #[test]
    fn row_j16_the_key_of_another_account_does_not_verify() {
        let (key, other) = (key(), self::key());
        let body = key.sign(Identity::Kid("https://ca.example/acme/account/1"), NONCE, URL, b"").unwrap();
        assert_eq!(verified(&other, &body).unwrap_err().kind, ProblemKind::Malformed);
        let by_jwk = key.sign(Identity::Jwk, NONCE, URL, b"").unwrap();
        assert_eq!(verified(&other, &by_jwk).unwrap_err().kind, ProblemKind::Malformed);
    }

    #[test]
    fn row_j16_a_signature_by_another_key_than_the_one_shown_is_refused_whoever_verifies_it() {
        let (shown, other) = (key(), key());
        let body = signed(&other, &header(&shown).to_string(), b"{}");
        assert_eq!(verified(&shown, &body).unwrap_err().kind, ProblemKind::Malformed);
        assert_eq!(verified(&other, &body).unwrap_err().kind, ProblemKind::Malformed);
    }

    #[test]
    fn row_j15_an_account_whose_key_is_of_another_kind_than_the_algorithm_is_told_so() {
        let (key, other) = (key(), AccountKey::generate(JwsAlgorithm::EdDsa).unwrap());
        let body = key.sign(Identity::Kid("https://ca.example/acme/account/1"), NONCE, URL, b"").unwrap();
        assert_eq!(verified(&other, &body).unwrap_err().kind, ProblemKind::BadPublicKey);
    }

    #[test]
    fn row_j20_the_url_is_a_string_in_the_protected_header() {
        for url in [json!(1), json!([URL]), json!(null), json!({})] {
            assert_eq!(kind(&with(header(&key()), "url", url)), ProblemKind::Malformed);
        }
    }

    #[test]
    fn row_j21_a_nonce_that_is_not_base64url_is_malformed_and_an_empty_one_is_bad() {
        for nonce in [json!("a+b/="), json!("a b"), json!("YR"), json!(1), json!(["bm9uY2U"])] {
            assert_eq!(kind(&with(header(&key()), "nonce", nonce.clone())), ProblemKind::Malformed, "{nonce}");
        }
        assert_eq!(kind(&with(header(&key()), "nonce", "")), ProblemKind::BadNonce);
    }

    #[test]
    fn row_j22_a_member_named_twice_is_refused_in_the_jws_in_its_header_and_in_its_payload() {
        let key = key();
        let header = header(&key).to_string();
        let body = signed(&key, &header, b"{}");
        assert!(is_malformed(&body.replace("{\"protected\"", "{\"payload\":\"e30\",\"protected\"")));
        let twice = header.replacen('{', "{\"alg\":\"ES256\",", 1);
        assert!(is_malformed(&signed(&key, &twice, b"{}")));
        let in_jwk = header.replace("\"kty\":\"EC\"", "\"kty\":\"EC\",\"kty\":\"EC\"");
        assert!(is_malformed(&signed(&key, &in_jwk, b"{}")));
        let payload = signed(&key, &header, br#"{"a":{"b":1,"b":1}}"#);
        assert_eq!(verified(&key, &payload).unwrap().object::<Value>().unwrap_err().kind, ProblemKind::Malformed);
    }

    #[test]
    fn row_j23_every_crit_is_refused() {
        for crit in [json!(["exp"]), json!([]), json!("exp"), json!(["alg"]), json!(null)] {
            assert_eq!(kind(&with(header(&key()), "crit", crit.clone())), ProblemKind::Malformed, "{crit}");
        }
    }

    #[test]
    fn keys_from_elsewhere_are_refused_and_harmless_members_ignored() {
        for name in ["jku", "x5u", "x5c"] {
            assert_eq!(kind(&with(header(&key()), name, "https://evil.example/")), ProblemKind::Malformed, "{name}");
        }
        assert!(outcome(&with(with(header(&key()), "typ", "JWT"), "odd", json!({ "a": 1 }))).is_ok());
        assert_eq!(kind(&with(header(&key()), "typ", 1)), ProblemKind::Malformed);
    }

    #[test]
    fn row_j24_an_ecdsa_signature_in_der_or_of_zeros_is_refused() {
        let key = key();
        let der = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &der::Document::from_pem(key.to_pkcs8_pem()).unwrap().1.into_vec(),
        )
        .unwrap();
        let random = aws_lc_rs::rand::SystemRandom::new();
        let header = header(&key).to_string();
        let body = assembled(&header, b"{}", |input| der.sign(&random, input).unwrap().as_ref().to_vec());
        let problem = verified(&key, &body).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Malformed);
        assert!(problem.detail.contains("DER"), "{}", problem.detail);
        assert!(verified(&key, &assembled(&header, b"{}", |_| vec![0; 64])).is_err());
        assert!(verified(&key, &assembled(&header, b"{}", |_| Vec::new())).is_err());
    }

    #[test]
    fn row_j25_other_spellings_of_base64_are_refused() {
        let members: Value = serde_json::from_str(&signed(&key(), &header(&key()).to_string(), b"a")).unwrap();
        for name in ["protected", "payload", "signature"] {
            let text = members[name].as_str().unwrap();
            for spoiled in
                [format!("{text}="), format!("{text}=="), format!(" {text}"), format!("{text}\n"), format!("{text}+/")]
            {
                assert!(is_malformed(&with(members.clone(), name, spoiled).to_string()), "{name}");
            }
            assert!(is_malformed(&with(members.clone(), name, json!([text])).to_string()), "{name}");
        }
        assert_eq!(members["payload"], "YQ");
        assert!(is_malformed(&with(members, "payload", "YR").to_string()), "trailing bits");
    }

    #[test]
    fn row_j26_a_private_or_symmetric_key_in_the_header_is_refused() {
        let private = with(key().jwk().to_json(), "d", "AQ");
        assert_eq!(kind(&with(header(&key()), "jwk", private)), ProblemKind::BadPublicKey);
        let symmetric = json!({ "kty": "oct", "k": "AQ" });
        assert_eq!(kind(&with(header(&key()), "jwk", symmetric)), ProblemKind::BadPublicKey);
        for no_key in [json!("text"), json!(null), json!([])] {
            assert_eq!(kind(&with(header(&key()), "jwk", no_key)), ProblemKind::Malformed);
        }
    }

    #[test]
    fn row_j27_a_payload_that_is_no_object_is_refused() {
        let key = key();
        for payload in ["[]", "null", "\"x\"", "1", "{} x", "{"] {
            let jws = verified(&key, &signed(&key, &header(&key).to_string(), payload.as_bytes())).unwrap();
            assert_eq!(jws.object::<Value>().unwrap_err().kind, ProblemKind::Malformed, "{payload}");
        }
        let empty = verified(&key, &signed(&key, &header(&key).to_string(), b"")).unwrap();
        assert_eq!(empty.object::<Value>().unwrap_err().kind, ProblemKind::Malformed);
    }

    #[test]
    fn row_j28_a_refused_request_still_tells_its_nonce() {
        let nonce = |header: &Value| outcome(header).unwrap_err().nonce;
        assert_eq!(nonce(&with(header(&key()), "alg", "none")).as_deref(), Some(NONCE));
        assert_eq!(nonce(&with(header(&key()), "kid", "x")).as_deref(), Some(NONCE));
        assert_eq!(nonce(&with(header(&key()), "crit", json!([]))).as_deref(), Some(NONCE));
        assert_eq!(nonce(&without(header(&key()), "url")).as_deref(), Some(NONCE));
        assert_eq!(nonce(&with(header(&key()), "nonce", "a+b")), None);
        let body = signed(&key(), &header(&key()).to_string(), b"{}").replace("\"payload\"", "\"other\"");
        assert_eq!(UnverifiedJws::parse(body.as_bytes()).unwrap_err().nonce.as_deref(), Some(NONCE));
    }

    #[test]
    fn unknown_outer_members_are_ignored() {
        // RFC 7515 §7.2.1: members that are not understood MUST be ignored.
        let key = key();
        let body = signed(&key, &header(&key).to_string(), b"{}").replace("{\"protected\"", "{\"odd\":1,\"protected\"");
        assert!(verified(&key, &body).is_ok());
    }
}

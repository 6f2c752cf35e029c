//! The change of an account's key (RFC 8555 §7.3.5): an inner JWS by the new key inside a request by the old one.

use super::flattened::{self, Flattened};
use super::json;
use super::jwk::Jwk;
use super::jws::{self, KeySource, VerifiedJws};
use super::messages::KeyChange;
use super::problem::Problem;
use super::protected_header;

/// Proof that the holder of an account's key and the holder of a new key both want the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKeyChange {
    new_key: Jwk,
}

impl VerifiedKeyChange {
    /// Checks the inner JWS of a verified request. The request's signer must be the account's present key.
    ///
    /// # Errors
    /// `malformed` for a wrong form, a wrong account or key, or a bad signature; `badSignatureAlgorithm` and `badPublicKey`
    /// as for a request.
    pub fn within(outer: &VerifiedJws) -> Result<Self, Problem> {
        let KeySource::Kid(account) = &outer.header().key else {
            return Err(Problem::malformed("a key change is signed by the account's present key, named by \"kid\""));
        };
        let (new_key, payload) = verified_inner(outer)?;
        let change: KeyChange = json::object(&payload).map_err(|error| malformed(format!("its payload: {error}")))?;
        // RFC 8555 §7.3.5, checks 7 to 9.
        if change.account != *account {
            return Err(malformed("its \"account\" is not the account of the request"));
        }
        if change.old_key != *outer.signer() {
            return Err(malformed("its \"oldKey\" is not the account's present key"));
        }
        Ok(VerifiedKeyChange { new_key })
    }

    /// The key that the account shall have.
    pub fn new_key(&self) -> &Jwk {
        &self.new_key
    }
}

fn verified_inner(outer: &VerifiedJws) -> Result<(Jwk, Vec<u8>), Problem> {
    let members = json::members(outer.payload()).map_err(malformed)?;
    let inner = flattened::protected(&members)
        .and_then(|header| Flattened::new(&members, header))
        .map_err(|problem| malformed(problem.detail))?;
    let header = &inner.header;
    let algorithm = protected_header::algorithm(header.algorithm().map_err(|problem| malformed(problem.detail))?)?;
    // RFC 8555 §7.3.5: the inner JWS has "jwk", the same "url" and no nonce.
    if header.kid().is_some() {
        return Err(malformed("its header may not have \"kid\""));
    }
    if header.nonce().is_some() {
        return Err(malformed("its header may not have a nonce"));
    }
    if header.url().map_err(|problem| malformed(problem.detail))? != outer.header().url {
        return Err(malformed("its url is not the url of the request"));
    }
    let key = header.jwk()?.ok_or_else(|| malformed("its header has no \"jwk\", the new key"))?;
    let verifier = key.verifier(algorithm)?;
    key.judge()?;
    verifier
        .verify(&inner.signing_input, &inner.signature)
        .map_err(|_| malformed(jws::bad_signature(algorithm, inner.signature.len()).detail))?;
    Ok((key, inner.payload))
}

fn malformed(text: impl std::fmt::Display) -> Problem {
    Problem::malformed(format!("the inner JWS of the key change is refused: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::flattened::assembled;
    use crate::acme::jws::UnverifiedJws;
    use crate::acme::jws_algorithm::JwsAlgorithm;
    use crate::acme::jws_signing::{AccountKey, Identity};
    use crate::acme::problem::ProblemKind;
    use serde_json::{Value, json};

    const ACCOUNT: &str = "https://ca.example/acme/account/1";
    const URL: &str = "https://ca.example/acme/key-change";
    const NONCE: &str = "bm9uY2U";

    fn key() -> AccountKey {
        AccountKey::generate(JwsAlgorithm::Es256).unwrap()
    }

    fn outcome(old: &AccountKey, inner: &str) -> Result<VerifiedKeyChange, Problem> {
        let body = old.sign(Identity::Kid(ACCOUNT), NONCE, URL, inner.as_bytes()).unwrap();
        let outer = UnverifiedJws::parse(body.as_bytes()).unwrap().verify(old.jwk()).unwrap();
        VerifiedKeyChange::within(&outer)
    }

    fn inner(new: &AccountKey, header: &Value, payload: &Value) -> String {
        assembled(&header.to_string(), payload.to_string().as_bytes(), |input| new.signature(input).unwrap())
    }

    fn header(new: &AccountKey) -> Value {
        json!({ "alg": "ES256", "jwk": new.jwk().to_json(), "url": URL })
    }

    fn payload(old: &AccountKey) -> Value {
        json!({ "account": ACCOUNT, "oldKey": old.jwk().to_json() })
    }

    #[test]
    fn a_change_signed_by_both_keys_is_verified() {
        let (old, new) = (key(), AccountKey::generate(JwsAlgorithm::EdDsa).unwrap());
        let inner = new.key_change(ACCOUNT, old.jwk(), URL).unwrap();
        assert_eq!(outcome(&old, &inner.to_string()).unwrap().new_key(), new.jwk());
    }

    #[test]
    fn rows_a40_a44_each_part_of_the_inner_header_is_checked() {
        let (old, new) = (key(), key());
        assert!(outcome(&old, &inner(&new, &header(&new), &payload(&old))).is_ok());
        for (name, value, kind) in [
            ("nonce", json!(NONCE), ProblemKind::Malformed),
            ("url", json!(ACCOUNT), ProblemKind::Malformed),
            ("kid", json!(ACCOUNT), ProblemKind::Malformed),
            ("jwk", json!(null), ProblemKind::Malformed),
            ("jwk", old.jwk().to_json(), ProblemKind::Malformed),
            ("crit", json!([]), ProblemKind::Malformed),
            ("alg", json!("HS256"), ProblemKind::BadSignatureAlgorithm),
            ("alg", json!("ES384"), ProblemKind::BadPublicKey),
        ] {
            let mut spoiled = header(&new);
            spoiled[name] = value;
            assert_eq!(outcome(&old, &inner(&new, &spoiled, &payload(&old))).unwrap_err().kind, kind, "{spoiled}");
        }
        for name in ["alg", "jwk", "url"] {
            let mut spoiled = header(&new);
            spoiled.as_object_mut().unwrap().remove(name);
            let problem = outcome(&old, &inner(&new, &spoiled, &payload(&old))).unwrap_err();
            assert_eq!(problem.kind, ProblemKind::Malformed, "{spoiled}");
        }
    }

    #[test]
    fn row_a41_the_payload_names_the_account_and_its_present_key() {
        let (old, new) = (key(), key());
        for spoiled in [
            json!({ "account": "https://ca.example/acme/account/2", "oldKey": old.jwk().to_json() }),
            json!({ "account": ACCOUNT, "oldKey": new.jwk().to_json() }),
            json!({ "account": ACCOUNT, "oldKey": {} }),
            json!({ "account": ACCOUNT }),
            json!({ "oldKey": old.jwk().to_json() }),
            json!([]),
        ] {
            let problem = outcome(&old, &inner(&new, &header(&new), &spoiled)).unwrap_err();
            assert_eq!(problem.kind, ProblemKind::Malformed, "{spoiled}");
        }
    }

    #[test]
    fn row_a44_a_weak_new_key_is_a_bad_key() {
        use josekit::jwk::KeyPair;
        let old = key();
        let pair = josekit::jwk::alg::rsa::RsaKeyPair::generate(1024).unwrap();
        let jwk = serde_json::to_value(pair.to_jwk_public_key().as_ref()).unwrap();
        let header = json!({ "alg": "RS256", "jwk": jwk, "url": URL });
        let inner = assembled(&header.to_string(), payload(&old).to_string().as_bytes(), |_| vec![1; 128]);
        assert_eq!(outcome(&old, &inner).unwrap_err().kind, ProblemKind::BadPublicKey);
    }

    #[test]
    fn row_a40_a_signature_by_another_key_than_the_new_one_is_refused() {
        let (old, new) = (key(), key());
        let inner = inner(&old, &header(&new), &payload(&old));
        assert_eq!(outcome(&old, &inner).unwrap_err().kind, ProblemKind::Malformed);
    }

    #[test]
    fn a_payload_that_is_no_inner_jws_is_malformed() {
        for inner in ["", "{}", "[]", r#"{"account":"a"}"#] {
            assert_eq!(outcome(&key(), inner).unwrap_err().kind, ProblemKind::Malformed, "{inner}");
        }
    }

    #[test]
    fn a_change_signed_by_jwk_outside_is_refused() {
        let (old, new) = (key(), key());
        let inner = new.key_change(ACCOUNT, old.jwk(), URL).unwrap().to_string();
        let body = old.sign(Identity::Jwk, NONCE, URL, inner.as_bytes()).unwrap();
        let outer = UnverifiedJws::parse(body.as_bytes()).unwrap().verify(old.jwk()).unwrap();
        assert_eq!(VerifiedKeyChange::within(&outer).unwrap_err().kind, ProblemKind::Malformed);
    }
}

//! The client's side: an account's private key, and the requests that it signs through josekit.

use josekit::JoseError;
use josekit::jwk::KeyPair;
use josekit::jws::{self, JwsHeaderSet, JwsSigner};
use serde_json::Value;
use zeroize::Zeroizing;

use super::external_account::MacAlgorithm;
use super::jwk::{Jwk, Thumbprint};
use super::jws_algorithm::JwsAlgorithm;
use super::messages::KeyChange;
use crate::public_key::PublicKey;

/// Bits of a new RSA account key.
const RSA_BITS: u32 = 2048;

/// An account's private key.
#[derive(Clone)]
pub struct AccountKey {
    signer: Box<dyn JwsSigner>,
    jwk: Jwk,
    pem: Zeroizing<String>,
}

/// How a request names the key that signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// By the key itself: newAccount, and revocation by the certificate's key.
    Jwk,
    /// By the account's URL: everything else.
    Kid(&'a str),
}

/// Why a key cannot be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SigningError(String);

impl From<JoseError> for SigningError {
    fn from(error: JoseError) -> Self {
        SigningError(error.to_string())
    }
}

impl AccountKey {
    /// A new key for this algorithm; RSA has 2048 bits.
    pub fn generate(algorithm: JwsAlgorithm) -> Result<Self, SigningError> {
        match algorithm {
            JwsAlgorithm::Es256 => Self::of(&jws::ES256.generate_key_pair()?, algorithm),
            JwsAlgorithm::Es384 => Self::of(&jws::ES384.generate_key_pair()?, algorithm),
            JwsAlgorithm::Rs256 => Self::of(&jws::RS256.generate_key_pair(RSA_BITS)?, algorithm),
            JwsAlgorithm::EdDsa => {
                Self::of(&jws::EdDSA.generate_key_pair(josekit::jwk::alg::ed::EdCurve::Ed25519)?, algorithm)
            }
        }
    }

    /// The key in a PKCS #8 PEM text, of any kind that an account may have.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, SigningError> {
        JwsAlgorithm::ALL.iter().find_map(|algorithm| Self::read(pem, *algorithm).ok()).ok_or_else(|| {
            SigningError("not a PKCS #8 PEM private key of type P-256, P-384, RSA or Ed25519".to_owned())
        })
    }

    fn read(pem: &str, algorithm: JwsAlgorithm) -> Result<Self, SigningError> {
        match algorithm {
            JwsAlgorithm::Es256 => Self::of(&jws::ES256.key_pair_from_pem(pem)?, algorithm),
            JwsAlgorithm::Es384 => Self::of(&jws::ES384.key_pair_from_pem(pem)?, algorithm),
            JwsAlgorithm::Rs256 => Self::of(&jws::RS256.key_pair_from_pem(pem)?, algorithm),
            JwsAlgorithm::EdDsa => Self::of(&jws::EdDSA.key_pair_from_pem(pem)?, algorithm),
        }
    }

    fn of(pair: &dyn KeyPair, algorithm: JwsAlgorithm) -> Result<Self, SigningError> {
        let key = PublicKey::from_spki_der(&pair.to_der_public_key()).map_err(|e| SigningError(e.to_string()))?;
        let jwk = Jwk::try_from(key).map_err(|error| SigningError(error.to_string()))?;
        jwk.judge().map_err(|error| SigningError(error.to_string()))?;
        let der = Zeroizing::new(pair.to_der_private_key());
        let signer: Box<dyn JwsSigner> = match algorithm {
            JwsAlgorithm::Es256 => Box::new(jws::ES256.signer_from_der(&*der)?),
            JwsAlgorithm::Es384 => Box::new(jws::ES384.signer_from_der(&*der)?),
            JwsAlgorithm::Rs256 => Box::new(jws::RS256.signer_from_der(&*der)?),
            JwsAlgorithm::EdDsa => Box::new(jws::EdDSA.signer_from_der(&*der)?),
        };
        let pem = String::from_utf8(pair.to_pem_private_key()).map_err(|error| SigningError(error.to_string()))?;
        Ok(AccountKey { signer, jwk, pem: Zeroizing::new(pem) })
    }

    /// The private key as PKCS #8 PEM.
    pub fn to_pkcs8_pem(&self) -> &str {
        &self.pem
    }

    /// The public key.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The public key's thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        self.jwk.thumbprint()
    }

    /// A signed request for `url`; an empty payload makes a POST-as-GET.
    pub fn sign(&self, identity: Identity<'_>, nonce: &str, url: &str, payload: &[u8]) -> Result<String, SigningError> {
        let mut header = self.header(identity, url);
        header.set_claim("nonce", Some(Value::String(nonce.to_owned())), true)?;
        Ok(jws::serialize_flattened_json(payload, &header, &*self.signer)?)
    }

    /// The binding of this key to an external account, for a newAccount request to `url` (RFC 8555 §7.3.4).
    ///
    /// # Errors
    /// If `mac_key` is shorter than the algorithm's hash (RFC 7518 §3.2).
    pub fn bind_external(
        &self,
        algorithm: MacAlgorithm,
        kid: &str,
        mac_key: &[u8],
        url: &str,
    ) -> Result<Value, SigningError> {
        let signer = match algorithm {
            MacAlgorithm::Hs256 => jws::HS256.signer_from_bytes(mac_key)?,
            MacAlgorithm::Hs384 => jws::HS384.signer_from_bytes(mac_key)?,
            MacAlgorithm::Hs512 => jws::HS512.signer_from_bytes(mac_key)?,
        };
        let mut header = JwsHeaderSet::new();
        header.set_key_id(kid, true);
        header.set_url(url, true);
        parsed(jws::serialize_flattened_json(self.jwk.to_json().to_string().as_bytes(), &header, &signer)?)
    }

    /// The payload of a keyChange request to `url` that gives `account` this key instead of `old` (RFC 8555 §7.3.5). The
    /// request itself is signed by the old key.
    pub fn key_change(&self, account: &str, old: &Jwk, url: &str) -> Result<Value, SigningError> {
        let payload = KeyChange { account: account.to_owned(), old_key: old.clone() };
        let payload = serde_json::to_vec(&payload).map_err(|error| SigningError(error.to_string()))?;
        let header = self.header(Identity::Jwk, url);
        parsed(jws::serialize_flattened_json(&payload, &header, &*self.signer)?)
    }

    /// The bare signature over `message`, for what is no request.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(self.signer.sign(message)?)
    }

    fn header(&self, identity: Identity<'_>, url: &str) -> JwsHeaderSet {
        let mut header = JwsHeaderSet::new();
        match identity {
            Identity::Jwk => header.set_jwk(self.jwk.to_josekit(), true),
            Identity::Kid(account) => header.set_key_id(account, true),
        }
        header.set_url(url, true);
        header
    }
}

fn parsed(jws: String) -> Result<Value, SigningError> {
    serde_json::from_str(&jws).map_err(|error| SigningError(error.to_string()))
}

/// The public part only.
impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountKey({:?})", self.jwk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_every_kind_survives_its_pem() {
        for algorithm in JwsAlgorithm::ALL {
            let key = AccountKey::generate(*algorithm).unwrap();
            let read = AccountKey::from_pkcs8_pem(key.to_pkcs8_pem()).unwrap();
            assert_eq!(read.jwk(), key.jwk());
            let signature = read.signature(b"message").unwrap();
            assert!(key.jwk().verifier(*algorithm).unwrap().verify(b"message", &signature).is_ok());
        }
    }

    #[test]
    fn other_texts_are_no_key() {
        for pem in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "text"] {
            assert!(AccountKey::from_pkcs8_pem(pem).is_err(), "{pem}");
        }
    }

    #[test]
    fn a_private_key_is_not_printed() {
        let key = AccountKey::generate(JwsAlgorithm::Es256).unwrap();
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}

//! The thumbprint of a key (RFC 7638), always computed from the parsed key.

use std::str::FromStr;

use aws_lc_rs::digest;

use crate::names::{NameError, base64url};
use crate::public_key::PublicKey;

/// SHA-256 thumbprint of a key (RFC 7638): what key authorizations carry and by which accounts are found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a public key, wherever it was found.
    // RFC 7638 §3.2 and RFC 8037 §2: the required members in lexicographic order, without white space. Written out by hand,
    // since the order of a JSON map's members is nobody's promise.
    pub fn of(key: &PublicKey) -> Self {
        let encode = base64url::encode;
        let text = match key {
            PublicKey::Ec(key) => {
                let (x, y) = key.coordinates();
                let curve = key.curve().name();
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y))
            }
            PublicKey::Rsa(key) => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(key.exponent()), encode(key.modulus()))
            }
            PublicKey::Ed25519(key) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(key.point())),
        };
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Thumbprint(hash)
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The thumbprint with these octets, as an index holds it.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Thumbprint(octets)
    }
}

/// base64url, as key authorizations carry it.
impl std::fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl std::fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        base64url::decode_array(text).map(Thumbprint)
    }
}

impl serde::Serialize for Thumbprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Thumbprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

//! The octets by which certificates, lists and OCSP answers name a key.

use aws_lc_rs::digest;

use super::der_element::{DerError, Element, SEQUENCE};
use crate::public_key::PublicKey;

/// A key identifier: 1 to 64 octets without a meaning of their own. Ours are made by [`KeyIdentifier::of`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIdentifier(Vec<u8>);

impl KeyIdentifier {
    /// The identifier that we give a key.
    // RFC 7093 §2, method 1: the leftmost 160 bits of the SHA-256 hash of the public key's bits.
    pub fn of(key: &PublicKey) -> Self {
        KeyIdentifier(digest::digest(&digest::SHA256, &public_key_bits(key)).as_ref()[..20].to_vec())
    }

    /// The identifier with these octets.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, DerError> {
        if (1..=64).contains(&octets.len()) {
            Ok(KeyIdentifier(octets.to_vec()))
        } else {
            Err(DerError("a key identifier has 1 to 64 octets"))
        }
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Hexadecimal with colons, as certificate viewers show it.
impl std::fmt::Display for KeyIdentifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, octet)| {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{octet:02X}")
        })
    }
}

impl std::fmt::Debug for KeyIdentifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyIdentifier({self})")
    }
}

/// The content of the key's subjectPublicKey BIT STRING, without the count of unused bits: what OCSP hashes.
pub(crate) fn public_key_bits(key: &PublicKey) -> Vec<u8> {
    let der = key.to_spki_der();
    let bits = Element::only(&der).and_then(|info| info.tagged(SEQUENCE)?.children()).and_then(|parts| {
        let bits = parts.get(1).ok_or(DerError("a key has an algorithm and bits"))?;
        bits.whole_bits().map(<[u8]>::to_vec)
    });
    bits.expect("an encoded key is an algorithm and a whole number of octets")
}

//! Public keys: parsing and judging them, for account keys (JWK) and certificate requests alike. Never a private key.
//! Whoever holds a [`PublicKey`] may trust its form (a point on its curve, a minimal integer); whether the key is strong
//! enough for a use is what [`PublicKey::judge`] tells. Start with [`PublicKey`].

mod ed25519;
mod judgement;
mod rsa_weakness;
mod signature;
mod spki_form;

pub use judgement::{KeyFamily, KeyPolicy};
pub use signature::{BadSignature, Hash, SignatureAlgorithm, fixed_from_asn1};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey, VerificationAlgorithm,
};

use crate::names::{NameError, base64url};

/// More octets than any modulus that is worth a look: 16384 bits. Larger ones are refused before any arithmetic.
const MODULUS_CEILING: usize = 2048;

/// A public key of a sound form. Two equal keys have equal values, whatever encoding they came in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PublicKey {
    /// An elliptic curve key.
    Ec(EcKey),
    /// An RSA key.
    Rsa(RsaKey),
    /// An Ed25519 key (RFC 8032).
    Ed25519(Ed25519Key),
}

/// A named curve (RFC 5480 §2.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// NIST P-256, secp256r1.
    P256,
    /// NIST P-384, secp384r1.
    P384,
    /// NIST P-521, secp521r1: read, so that it can be refused by its name.
    P521,
}

/// A point on a named curve.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EcKey {
    curve: Curve,
    point: Vec<u8>,
}

/// An RSA modulus and exponent, both positive.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RsaKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// The encoded point of an Ed25519 key: canonical, and not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ed25519Key([u8; 32]);

/// Why a key is refused. The message is written for the client that sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

impl KeyError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        KeyError(text.into())
    }
}

/// SHA-256 of a key's SubjectPublicKeyInfo: the form in which a key stands in a block list and in an index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl PublicKey {
    /// The key with this uncompressed SEC 1 point, which is checked to lie on `curve`.
    pub fn ec(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        EcKey::new(curve, point).map(PublicKey::Ec)
    }

    /// The key with these unsigned big-endian integers. Leading zero octets are refused: they would give one key two forms.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        RsaKey::new(modulus, exponent).map(PublicKey::Rsa)
    }

    /// The key with this encoded point.
    pub fn ed25519(point: [u8; 32]) -> Result<Self, KeyError> {
        ed25519::checked(&point)?;
        Ok(PublicKey::Ed25519(Ed25519Key(point)))
    }

    /// The key in a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), which must be in its one canonical form.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        spki_form::parsed(der)
    }

    /// The key as DER SubjectPublicKeyInfo.
    pub fn to_spki_der(&self) -> Vec<u8> {
        spki_form::encoded(self)
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn spki_sha256(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &self.to_spki_der()).as_ref());
        hash
    }

    /// The key's form in a block list.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.spki_sha256())
    }

    /// Refuses a key that `policy` does not allow or that is known to be weak.
    pub fn judge(&self, policy: &KeyPolicy) -> Result<(), KeyError> {
        judgement::judge(self, policy)
    }

    /// Checks a signature over `message`. `algorithm` must fit the key.
    pub fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        signature::verify(self, algorithm, message, signature)
    }
}

/// The key's kind and size, for messages: `P-256`, `RSA with 2048 bits`, `Ed25519`.
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PublicKey::Ec(key) => f.write_str(key.curve.name()),
            PublicKey::Rsa(key) => write!(f, "RSA with {} bits", key.bits()),
            PublicKey::Ed25519(_) => f.write_str("Ed25519"),
        }
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({self}, {})", self.fingerprint())
    }
}

impl Curve {
    /// The curve's name in a JWK (RFC 7518 §6.2.1.1) and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
            Curve::P521 => "P-521",
        }
    }

    /// Octets of one coordinate.
    pub const fn coordinate_length(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn any_algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED,
            Curve::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

impl EcKey {
    fn new(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        // RFC 5480 §2.2: the uncompressed form MUST be supported, others MAY be; one form per key keeps fingerprints unique.
        if point.len() != 1 + 2 * curve.coordinate_length() || point.first() != Some(&4) {
            return Err(KeyError::new(format!("a {} key must be an uncompressed point", curve.name())));
        }
        // Reading the key makes AWS-LC check both coordinates and the curve's equation.
        ParsedPublicKey::new(curve.any_algorithm(), point)
            .map_err(|_| KeyError::new(format!("the key's point does not lie on the curve {}", curve.name())))?;
        Ok(EcKey { curve, point: point.to_vec() })
    }

    /// The curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The uncompressed SEC 1 point: `04 || x || y`.
    pub fn point(&self) -> &[u8] {
        &self.point
    }

    /// The affine coordinates, each of the curve's full length.
    pub fn coordinates(&self) -> (&[u8], &[u8]) {
        self.point[1..].split_at(self.curve.coordinate_length())
    }
}

impl RsaKey {
    fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        for (integer, what) in [(modulus, "modulus"), (exponent, "exponent")] {
            match integer.first() {
                None => return Err(KeyError::new(format!("the RSA {what} is empty"))),
                Some(0) => return Err(KeyError::new(format!("the RSA {what} begins with a zero octet"))),
                Some(_) if integer.len() > MODULUS_CEILING => {
                    return Err(KeyError::new(format!("the RSA {what} has more than {} bits", MODULUS_CEILING * 8)));
                }
                Some(_) => {}
            }
        }
        Ok(RsaKey { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// The modulus: unsigned, big-endian, without leading zeros.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent: unsigned, big-endian, without leading zeros.
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// Significant bits of the modulus.
    pub fn bits(&self) -> usize {
        self.modulus.len() * 8 - self.modulus.first().map_or(0, |octet| octet.leading_zeros() as usize)
    }
}

impl Ed25519Key {
    /// The encoded point.
    pub fn point(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Fingerprint {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The fingerprint with these octets.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Fingerprint(octets)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        base64url::decode_array(text).map(Fingerprint)
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    fn point() -> Vec<u8> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        pair.public_key().as_ref().to_vec()
    }

    #[test]
    fn a_point_off_the_curve_is_no_key() {
        let mut wrong = point();
        assert!(PublicKey::ec(Curve::P256, &wrong).is_ok());
        wrong[64] ^= 1;
        assert!(PublicKey::ec(Curve::P256, &wrong).is_err());
        assert!(PublicKey::ec(Curve::P256, &[4; 65]).is_err());
        assert!(PublicKey::ec(Curve::P256, &[0]).is_err(), "the point at infinity");
    }

    #[test]
    fn a_compressed_point_and_a_point_of_another_length_are_no_keys() {
        let whole = point();
        let mut compressed = vec![2 + (whole[64] & 1)];
        compressed.extend_from_slice(&whole[1..33]);
        assert!(PublicKey::ec(Curve::P256, &compressed).is_err());
        assert!(PublicKey::ec(Curve::P384, &whole).is_err());
        assert!(PublicKey::ec(Curve::P256, &[]).is_err());
    }

    #[test]
    fn an_rsa_integer_has_one_form_only() {
        assert!(PublicKey::rsa(&[0, 0xff], &[3]).is_err());
        assert!(PublicKey::rsa(&[0xff], &[]).is_err());
        assert!(PublicKey::rsa(&[1; MODULUS_CEILING + 1], &[3]).is_err());
    }

    #[test]
    fn the_bits_of_a_modulus_are_its_significant_ones() {
        let PublicKey::Rsa(key) = PublicKey::rsa(&[0x01, 0xff], &[3]).unwrap() else { panic!("an RSA key") };
        assert_eq!(key.bits(), 9);
    }

    #[test]
    fn a_fingerprint_reads_back() {
        let fingerprint = PublicKey::ec(Curve::P256, &point()).unwrap().fingerprint();
        assert_eq!(fingerprint.to_string().parse::<Fingerprint>().unwrap(), fingerprint);
    }
}

//! Checking signatures by AWS-LC, for JWS (fixed-length ECDSA) and for certificate requests (ASN.1 ECDSA) alike.

use aws_lc_rs::signature::{
    self as lc, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::Decode;
use der::asn1::UintRef;

use super::{Curve, EcKey, PublicKey, RsaKey};

/// A hash function that signatures may use. SHA-1 and MD5 are missing on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a signature was made. The curve or modulus comes from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA with `r || s` of fixed length (RFC 7518 §3.4): P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512.
    EcdsaFixed(Hash),
    /// ECDSA with an ASN.1 signature (RFC 5758 §3.2): any of the hashes with any curve.
    EcdsaAsn1(Hash),
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2), modulus of 2048 to 8192 bits.
    RsaPkcs1(Hash),
    /// RSASSA-PSS (RFC 8017 §8.1) with MGF1 of the same hash and a salt of its length, modulus of 2048 to 8192 bits.
    RsaPss(Hash),
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// The signature does not fit the message, the key or the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

impl SignatureAlgorithm {
    /// The algorithm that a signatureAlgorithm of X.509 or PKCS #10 names; none if it is unknown or not trusted (SHA-1).
    pub fn from_oid(oid: &ObjectIdentifier) -> Option<Self> {
        let known = [
            (rfc5912::ECDSA_WITH_SHA_256, SignatureAlgorithm::EcdsaAsn1(Hash::Sha256)),
            (rfc5912::ECDSA_WITH_SHA_384, SignatureAlgorithm::EcdsaAsn1(Hash::Sha384)),
            (rfc5912::ECDSA_WITH_SHA_512, SignatureAlgorithm::EcdsaAsn1(Hash::Sha512)),
            (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, SignatureAlgorithm::RsaPkcs1(Hash::Sha256)),
            (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, SignatureAlgorithm::RsaPkcs1(Hash::Sha384)),
            (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, SignatureAlgorithm::RsaPkcs1(Hash::Sha512)),
            (rfc8410::ID_ED_25519, SignatureAlgorithm::Ed25519),
        ];
        known.into_iter().find(|(known, _)| known == oid).map(|(_, algorithm)| algorithm)
    }
}

pub(super) fn verify(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    match (key, algorithm) {
        (PublicKey::Ec(key), SignatureAlgorithm::EcdsaFixed(hash)) => {
            ecdsa(key, fixed(key.curve(), hash).ok_or(BadSignature)?, message, signature)
        }
        (PublicKey::Ec(key), SignatureAlgorithm::EcdsaAsn1(hash)) => {
            ecdsa(key, asn1(key.curve(), hash), message, signature)
        }
        (PublicKey::Rsa(key), SignatureAlgorithm::RsaPkcs1(hash)) => rsa(key, pkcs1(hash), message, signature),
        (PublicKey::Rsa(key), SignatureAlgorithm::RsaPss(hash)) => rsa(key, pss(hash), message, signature),
        (PublicKey::Ed25519(key), SignatureAlgorithm::Ed25519) => {
            UnparsedPublicKey::new(&lc::ED25519, key.point()).verify(message, signature).map_err(|_| BadSignature)
        }
        (PublicKey::Ec(_) | PublicKey::Rsa(_) | PublicKey::Ed25519(_), _) => Err(BadSignature),
    }
}

fn ecdsa(
    key: &EcKey,
    algorithm: &'static EcdsaVerificationAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(algorithm, key.point()).verify(message, signature).map_err(|_| BadSignature)
}

fn rsa(key: &RsaKey, parameters: &RsaParameters, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    RsaPublicKeyComponents { n: key.modulus(), e: key.exponent() }
        .verify(parameters, message, signature)
        .map_err(|_| BadSignature)
}

// RFC 7518 §3.4: each curve has its one hash.
fn fixed(curve: Curve, hash: Hash) -> Option<&'static EcdsaVerificationAlgorithm> {
    match (curve, hash) {
        (Curve::P256, Hash::Sha256) => Some(&lc::ECDSA_P256_SHA256_FIXED),
        (Curve::P384, Hash::Sha384) => Some(&lc::ECDSA_P384_SHA384_FIXED),
        (Curve::P521, Hash::Sha512) => Some(&lc::ECDSA_P521_SHA512_FIXED),
        (Curve::P256 | Curve::P384 | Curve::P521, Hash::Sha256 | Hash::Sha384 | Hash::Sha512) => None,
    }
}

fn asn1(curve: Curve, hash: Hash) -> &'static EcdsaVerificationAlgorithm {
    match (curve, hash) {
        (Curve::P256, Hash::Sha256) => &lc::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &lc::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Hash::Sha512) => &lc::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Hash::Sha256) => &lc::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &lc::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Hash::Sha512) => &lc::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Hash::Sha256) => &lc::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Hash::Sha384) => &lc::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Hash::Sha512) => &lc::ECDSA_P521_SHA512_ASN1,
    }
}

fn pkcs1(hash: Hash) -> &'static RsaParameters {
    match hash {
        Hash::Sha256 => &lc::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &lc::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &lc::RSA_PKCS1_2048_8192_SHA512,
    }
}

fn pss(hash: Hash) -> &'static RsaParameters {
    match hash {
        Hash::Sha256 => &lc::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 => &lc::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 => &lc::RSA_PSS_2048_8192_SHA512,
    }
}

/// RFC 3279 §2.2.3.
#[derive(der::Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// An ASN.1 ECDSA signature as `r || s` of the curve's length (RFC 7518 §3.4); none if it is no such signature.
pub fn fixed_from_asn1(curve: Curve, signature: &[u8]) -> Option<Vec<u8>> {
    let parts = EcdsaSignature::from_der(signature).ok()?;
    let length = curve.coordinate_length();
    let mut fixed = Vec::with_capacity(2 * length);
    for integer in [parts.r.as_bytes(), parts.s.as_bytes()] {
        fixed.resize(fixed.len() + length.checked_sub(integer.len())?, 0);
        fixed.extend_from_slice(integer);
    }
    Some(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    #[test]
    fn an_ecdsa_signature_verifies_only_in_its_own_form_and_under_its_own_hash() {
        let pair = EcdsaKeyPair::generate(&lc::ECDSA_P521_SHA384_ASN1_SIGNING).unwrap();
        let key = PublicKey::ec(Curve::P521, pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        let verify = |algorithm, message: &[u8]| key.verify(algorithm, message, signature.as_ref());
        assert!(verify(SignatureAlgorithm::EcdsaAsn1(Hash::Sha384), b"message").is_ok());
        assert!(verify(SignatureAlgorithm::EcdsaAsn1(Hash::Sha384), b"massage").is_err());
        assert!(verify(SignatureAlgorithm::EcdsaAsn1(Hash::Sha256), b"message").is_err());
        assert!(verify(SignatureAlgorithm::EcdsaFixed(Hash::Sha384), b"message").is_err());
        assert!(verify(SignatureAlgorithm::RsaPkcs1(Hash::Sha384), b"message").is_err());
    }

    #[test]
    fn an_asn1_signature_reads_the_same_in_its_fixed_form() {
        let pair = EcdsaKeyPair::generate(&lc::ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let key = PublicKey::ec(Curve::P384, pair.public_key().as_ref()).unwrap();
        for _ in 0..300 {
            let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
            let fixed = fixed_from_asn1(Curve::P384, signature.as_ref()).unwrap();
            assert!(key.verify(SignatureAlgorithm::EcdsaFixed(Hash::Sha384), b"message", &fixed).is_ok());
        }
        assert_eq!(fixed_from_asn1(Curve::P256, pair.sign(&SystemRandom::new(), b"m").unwrap().as_ref()), None);
        assert_eq!(fixed_from_asn1(Curve::P256, &[0x30, 0]), None);
    }

    #[test]
    fn a_pss_signature_verifies_as_pss_alone() {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let key: RsaPublicKeyComponents<Vec<u8>> = KeyPair::public_key(&pair).into();
        let key = PublicKey::rsa(&key.n, &key.e).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&lc::RSA_PSS_SHA256, &SystemRandom::new(), b"message", &mut signature).unwrap();
        assert!(key.verify(SignatureAlgorithm::RsaPss(Hash::Sha256), b"message", &signature).is_ok());
        assert!(key.verify(SignatureAlgorithm::RsaPss(Hash::Sha384), b"message", &signature).is_err());
        assert!(key.verify(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), b"message", &signature).is_err());
    }

    #[test]
    fn a_signature_of_zeros_never_verifies() {
        let pair = EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = PublicKey::ec(Curve::P256, pair.public_key().as_ref()).unwrap();
        assert!(key.verify(SignatureAlgorithm::EcdsaFixed(Hash::Sha256), b"", &[0; 64]).is_err());
    }

    #[test]
    fn an_ed25519_signature_with_s_plus_the_group_order_is_refused() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = PublicKey::ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
        let mut signature = pair.sign(b"m").as_ref().to_vec();
        assert!(key.verify(SignatureAlgorithm::Ed25519, b"m", &signature).is_ok());
        let order = num_bigint::BigUint::parse_bytes(
            b"7237005577332262213973186563042994240857116359379907606001950938285454250989",
            10,
        )
        .unwrap();
        let shifted = (num_bigint::BigUint::from_bytes_le(&signature[32..]) + order).to_bytes_le();
        signature[32..].fill(0);
        signature[32..32 + shifted.len()].copy_from_slice(&shifted);
        assert!(key.verify(SignatureAlgorithm::Ed25519, b"m", &signature).is_err());
    }

    #[test]
    fn sha_1_is_not_known() {
        assert_eq!(SignatureAlgorithm::from_oid(&rfc5912::SHA_1_WITH_RSA_ENCRYPTION), None);
        let ecdsa_with_sha_1 = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
        assert_eq!(SignatureAlgorithm::from_oid(&ecdsa_with_sha_1), None);
    }
}

//! SubjectPublicKeyInfo in and out: RSA (RFC 3279 §2.3.1), elliptic curves (RFC 5480), Ed25519 (RFC 8410).

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::{Curve, KeyError, PublicKey};

/// RFC 8017 §A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

pub(super) fn parsed(der: &[u8]) -> Result<PublicKey, KeyError> {
    let info = SubjectPublicKeyInfoRef::from_der(der)
        .map_err(|_| KeyError::new("the public key is not a DER SubjectPublicKeyInfo"))?;
    let bits = info
        .subject_public_key
        .as_bytes()
        .ok_or_else(|| KeyError::new("the public key's bit string does not end at an octet"))?;
    match info.algorithm.oid {
        rfc5912::RSA_ENCRYPTION => rsa(&info.algorithm, bits),
        rfc5912::ID_EC_PUBLIC_KEY => PublicKey::ec(curve(&info.algorithm)?, bits),
        rfc8410::ID_ED_25519 => ed25519(&info.algorithm, bits),
        other => Err(KeyError::new(format!("keys of type {other} are not supported: use EC P-256 or P-384, or RSA"))),
    }
}

fn rsa(algorithm: &AlgorithmIdentifierRef<'_>, bits: &[u8]) -> Result<PublicKey, KeyError> {
    // RFC 3279 §2.3.1: "The parameters field MUST have ASN.1 type NULL".
    if algorithm.parameters != Some(AnyRef::NULL) {
        return Err(KeyError::new("the parameters of an RSA key must be NULL"));
    }
    let key = RsaPublicKey::from_der(bits)
        .map_err(|_| KeyError::new("the RSA key is not a modulus and an exponent in DER"))?;
    PublicKey::rsa(key.modulus.as_bytes(), key.exponent.as_bytes())
}

fn curve(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Curve, KeyError> {
    // RFC 5480 §2.1.1: only namedCurve; explicit parameters would let the sender choose the group.
    let named = algorithm
        .parameters
        .and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok())
        .ok_or_else(|| KeyError::new("an EC key must name its curve"))?;
    match named {
        rfc5912::SECP_256_R_1 => Ok(Curve::P256),
        rfc5912::SECP_384_R_1 => Ok(Curve::P384),
        rfc5912::SECP_521_R_1 => Ok(Curve::P521),
        other => Err(KeyError::new(format!("the curve {other} is not supported: use P-256 or P-384"))),
    }
}

fn ed25519(algorithm: &AlgorithmIdentifierRef<'_>, bits: &[u8]) -> Result<PublicKey, KeyError> {
    // RFC 8410 §3: "the parameters MUST be absent".
    if algorithm.parameters.is_some() {
        return Err(KeyError::new("an Ed25519 key has no parameters"));
    }
    PublicKey::ed25519(bits.try_into().map_err(|_| KeyError::new("an Ed25519 key has 32 octets"))?)
}

pub(super) fn encoded(key: &PublicKey) -> Vec<u8> {
    match key {
        PublicKey::Ec(ec) => {
            let named = match ec.curve() {
                Curve::P256 => rfc5912::SECP_256_R_1,
                Curve::P384 => rfc5912::SECP_384_R_1,
                Curve::P521 => rfc5912::SECP_521_R_1,
            };
            info(rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(&named)), ec.point())
        }
        PublicKey::Rsa(rsa) => {
            let (modulus, exponent) = (UintRef::new(rsa.modulus()), UintRef::new(rsa.exponent()));
            let key = modulus.and_then(|modulus| RsaPublicKey { modulus, exponent: exponent? }.to_der());
            info(rfc5912::RSA_ENCRYPTION, Some(AnyRef::NULL), &key.expect("two integers of bounded length encode"))
        }
        PublicKey::Ed25519(key) => info(rfc8410::ID_ED_25519, None, key.point()),
    }
}

fn info(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, bits: &[u8]) -> Vec<u8> {
    BitStringRef::from_bytes(bits)
        .map(|subject_public_key| SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key,
        })
        .and_then(|info| info.to_der())
        .expect("a key of bounded length encodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys made by OpenSSL, so that both directions are checked against another implementation.
    fn made_by_openssl() -> Vec<Vec<u8>> {
        use josekit::jwk::KeyPair;
        use josekit::jwk::alg::{ec::EcCurve, ec::EcKeyPair, ed::EdCurve, ed::EdKeyPair, rsa::RsaKeyPair};
        let ec = |curve| EcKeyPair::generate(curve).unwrap().to_der_public_key();
        vec![
            p256_by_openssl(),
            ec(EcCurve::P384),
            ec(EcCurve::P521),
            RsaKeyPair::generate(2048).unwrap().to_der_public_key(),
            EdKeyPair::generate(EdCurve::Ed25519).unwrap().to_der_public_key(),
        ]
    }

    fn p256_by_openssl() -> Vec<u8> {
        use josekit::jwk::KeyPair;
        use josekit::jwk::alg::{ec::EcCurve, ec::EcKeyPair};
        EcKeyPair::generate(EcCurve::P256).unwrap().to_der_public_key()
    }

    #[test]
    fn a_key_of_every_kind_reads_and_writes_back_to_the_same_octets() {
        for der in made_by_openssl() {
            assert_eq!(PublicKey::from_spki_der(&der).unwrap().to_spki_der(), der);
        }
    }

    #[test]
    fn another_octet_behind_a_key_and_a_cut_key_are_refused() {
        for mut der in made_by_openssl() {
            assert!(PublicKey::from_spki_der(&der[..der.len() - 1]).is_err());
            der.push(0);
            assert!(PublicKey::from_spki_der(&der).is_err());
        }
    }

    #[test]
    fn curves_that_nobody_should_use_are_refused_by_their_name() {
        use josekit::jwk::KeyPair;
        use josekit::jwk::alg::{ec::EcCurve, ec::EcKeyPair};
        let der = EcKeyPair::generate(EcCurve::Secp256k1).unwrap().to_der_public_key();
        assert!(PublicKey::from_spki_der(&der).unwrap_err().to_string().contains("1.3.132.0.10"));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_reading_a_key_panic(der in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = PublicKey::from_spki_der(&der);
        }

        #[test]
        fn a_changed_key_is_refused_or_another_key(at in 0usize..91, octet in proptest::prelude::any::<u8>()) {
            let mut der = p256_by_openssl();
            let at = at % der.len();
            der[at] = octet;
            if let Ok(key) = PublicKey::from_spki_der(&der) {
                proptest::prop_assert_eq!(key.to_spki_der(), der);
            }
        }
    }
}

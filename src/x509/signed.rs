//! What certificates, lists and certificate requests share: `SEQUENCE { to be signed, algorithm, signature }`, taken apart
//! without encoding anything anew, and put together around the very octets that were signed.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::AnyRef;
use der::{Decode, Encode};
use spki::AlgorithmIdentifierRef;

use super::der_element::{BIT_STRING, DerError, Element, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, constructed, encoded};
use crate::public_key::{BadSignature, Curve, Hash, PublicKey, SignatureAlgorithm};

/// How a certificate authority signs. The curve belongs to it: a P-384 key signs with SHA-384 and never otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
}

impl SigningAlgorithm {
    /// The algorithm that a key signs with unless the configuration says otherwise; none for keys that no authority has.
    pub fn for_key(key: &PublicKey) -> Option<Self> {
        match key {
            PublicKey::Ec(key) => match key.curve() {
                Curve::P256 => Some(SigningAlgorithm::EcdsaP256Sha256),
                Curve::P384 => Some(SigningAlgorithm::EcdsaP384Sha384),
                Curve::P521 => None,
            },
            PublicKey::Rsa(_) => Some(SigningAlgorithm::RsaSha256),
            PublicKey::Ed25519(_) => None,
        }
    }

    /// Whether `key` can make signatures of this kind.
    pub fn fits(self, key: &PublicKey) -> bool {
        match self {
            SigningAlgorithm::EcdsaP256Sha256 => matches!(key, PublicKey::Ec(key) if key.curve() == Curve::P256),
            SigningAlgorithm::EcdsaP384Sha384 => matches!(key, PublicKey::Ec(key) if key.curve() == Curve::P384),
            SigningAlgorithm::RsaSha256 | SigningAlgorithm::RsaSha384 | SigningAlgorithm::RsaSha512 => {
                matches!(key, PublicKey::Rsa(_))
            }
        }
    }

    /// The AlgorithmIdentifier.
    // RFC 5758 §3.2: no parameters with ECDSA. RFC 4055 §5: NULL with RSA.
    pub fn identifier(self) -> AlgorithmIdentifierRef<'static> {
        let (oid, parameters) = match self {
            SigningAlgorithm::EcdsaP256Sha256 => (rfc5912::ECDSA_WITH_SHA_256, None),
            SigningAlgorithm::EcdsaP384Sha384 => (rfc5912::ECDSA_WITH_SHA_384, None),
            SigningAlgorithm::RsaSha256 => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
            SigningAlgorithm::RsaSha384 => (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
            SigningAlgorithm::RsaSha512 => (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
        };
        AlgorithmIdentifierRef { oid, parameters }
    }

    /// The AlgorithmIdentifier in DER.
    pub fn identifier_der(self) -> Vec<u8> {
        self.identifier().to_der().expect("an algorithm identifier of a few octets encodes")
    }

    /// How a signature of this kind is verified.
    pub const fn verification(self) -> SignatureAlgorithm {
        match self {
            SigningAlgorithm::EcdsaP256Sha256 => SignatureAlgorithm::EcdsaAsn1(Hash::Sha256),
            SigningAlgorithm::EcdsaP384Sha384 => SignatureAlgorithm::EcdsaAsn1(Hash::Sha384),
            SigningAlgorithm::RsaSha256 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            SigningAlgorithm::RsaSha384 => SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
            SigningAlgorithm::RsaSha512 => SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
        }
    }
}

/// The three parts of a signed object, as slices of what was received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    /// What was signed, with its identifier and length octets.
    pub tbs: &'a [u8],
    /// The AlgorithmIdentifier with its identifier and length octets.
    pub algorithm: &'a [u8],
    /// The signature's octets.
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub fn parse(der: &'a [u8]) -> Result<Self, DerError> {
        let parts = Element::only(der)?.tagged(SEQUENCE)?.children()?;
        let [tbs, algorithm, signature] = parts[..] else {
            return Err(DerError("a signed object has three parts"));
        };
        Ok(Signed {
            tbs: tbs.tagged(SEQUENCE)?.whole,
            algorithm: algorithm.tagged(SEQUENCE)?.whole,
            signature: signature.whole_bits()?,
        })
    }

    /// Checks the signature over the received octets. An algorithm that is unknown or not trusted (SHA-1) never verifies.
    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        verified(key, self.algorithm, self.tbs, self.signature)
    }
}

/// Checks a signature whose algorithm stands in DER beside it.
pub(crate) fn verified(key: &PublicKey, algorithm: &[u8], tbs: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    key.verify(trusted_algorithm(algorithm).ok_or(BadSignature)?, tbs, signature)
}

/// The algorithm that a DER AlgorithmIdentifier names; none if it is unknown, not trusted or has strange parameters.
pub(crate) fn trusted_algorithm(der: &[u8]) -> Option<SignatureAlgorithm> {
    let identifier = AlgorithmIdentifierRef::from_der(der).ok()?;
    if identifier.oid == rfc5912::ID_RSASSA_PSS {
        return pss(der);
    }
    let algorithm = SignatureAlgorithm::from_oid(&identifier.oid)?;
    let sound = match algorithm {
        SignatureAlgorithm::EcdsaAsn1(_) | SignatureAlgorithm::Ed25519 => identifier.parameters.is_none(),
        // RFC 4055 §5: NULL is written, absent is accepted.
        SignatureAlgorithm::RsaPkcs1(_) => identifier.parameters.is_none_or(|parameters| parameters == AnyRef::NULL),
        SignatureAlgorithm::EcdsaFixed(_) | SignatureAlgorithm::RsaPss(_) => false,
    };
    sound.then_some(algorithm)
}

/// RSASSA-PSS with the parameters that everyone writes: MGF1 of the same hash and a salt of the hash's length. All others
/// are not trusted.
fn pss(der: &[u8]) -> Option<SignatureAlgorithm> {
    [Hash::Sha256, Hash::Sha384, Hash::Sha512]
        .into_iter()
        .find(|hash| [true, false].iter().any(|with_null| pss_identifier(*hash, *with_null) == der))
        .map(SignatureAlgorithm::RsaPss)
}

// RFC 4055 §3.1; §2.1: implementations MUST accept the hash's parameters both absent and NULL.
fn pss_identifier(hash: Hash, with_null: bool) -> Vec<u8> {
    let (oid, salt) = match hash {
        Hash::Sha256 => (rfc5912::ID_SHA_256, 32),
        Hash::Sha384 => (rfc5912::ID_SHA_384, 48),
        Hash::Sha512 => (rfc5912::ID_SHA_512, 64),
    };
    let name = |oid: ObjectIdentifier| encoded(OBJECT_IDENTIFIER, &[oid.as_bytes()]);
    let hash = encoded(SEQUENCE, &[&name(oid), if with_null { &[0x05, 0x00][..] } else { &[] }]);
    let mask = encoded(SEQUENCE, &[&name(rfc5912::ID_MGF_1), &hash]);
    let parameters = encoded(
        SEQUENCE,
        &[
            &encoded(constructed(0), &[&hash]),
            &encoded(constructed(1), &[&mask]),
            &encoded(constructed(2), &[&[INTEGER, 1, salt]]),
        ],
    );
    encoded(SEQUENCE, &[&name(rfc5912::ID_RSASSA_PSS), &parameters])
}

/// The signed object around the octets that were signed.
pub(crate) fn assembled(tbs: &[u8], algorithm: SigningAlgorithm, signature: &[u8]) -> Vec<u8> {
    let bits = encoded(BIT_STRING, &[&[0], signature]);
    encoded(SEQUENCE, &[tbs, &algorithm.identifier_der(), &bits])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_together_comes_apart_into_the_same_octets() {
        let tbs = encoded(SEQUENCE, &[&[0x02, 0x01, 0x05]]);
        let der = assembled(&tbs, SigningAlgorithm::RsaSha256, &[1, 2, 3]);
        let signed = Signed::parse(&der).unwrap();
        assert_eq!((signed.tbs, signed.signature), (&tbs[..], &[1u8, 2, 3][..]));
        assert_eq!(signed.algorithm, SigningAlgorithm::RsaSha256.identifier_der());
    }

    #[test]
    fn sha_1_and_strange_parameters_are_not_trusted() {
        let sha1 = AlgorithmIdentifierRef { oid: rfc5912::SHA_1_WITH_RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
        assert_eq!(trusted_algorithm(&sha1.to_der().unwrap()), None);
        let odd = AlgorithmIdentifierRef { oid: rfc5912::ECDSA_WITH_SHA_256, parameters: Some(AnyRef::NULL) };
        assert_eq!(trusted_algorithm(&odd.to_der().unwrap()), None);
    }

    #[test]
    fn pss_is_trusted_with_a_salt_of_the_hashs_length_alone() {
        let mut identifier = pss_identifier(Hash::Sha256, true);
        assert_eq!(trusted_algorithm(&identifier), Some(SignatureAlgorithm::RsaPss(Hash::Sha256)));
        // The last octet is the salt's length.
        if let Some(salt) = identifier.last_mut() {
            *salt = 20;
        }
        assert_eq!(trusted_algorithm(&identifier), None);
    }
}

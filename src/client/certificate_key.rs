//! The private key of a certificate: signs the certificate's CSR, and its revocation. It is made here or read from a PKCS #8
//! file, and leaves only as PKCS #8.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use pkcs8::der::pem::PemLabel;
use zeroize::Zeroizing;

use super::error::{Error, Result};
use crate::acme::jws_signing::AccountKey;
use crate::public_key::{Curve, Hash, PublicKey, SignatureAlgorithm};

/// The kind of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// ECDSA on P-256, the usual choice.
    EcP256,
    /// ECDSA on P-384.
    EcP384,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// Ed25519, which this server does not certify.
    Ed25519,
}

/// A private key with its public half.
pub struct CertificateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
    pair: Pair,
}

/// The key as AWS-LC holds it.
enum Pair {
    Ec(EcdsaKeyPair, Hash),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl CertificateKey {
    /// A new key.
    ///
    /// # Errors
    /// `Local` if AWS-LC cannot make one.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        let failed = |_| Error::local("the cryptographic library could not make a key");
        let ec = |algorithm| EcdsaKeyPair::generate(algorithm).and_then(|pair| pair.to_pkcs8v1());
        let rsa = |size| RsaKeyPair::generate(size).and_then(|pair| aws_lc_rs::encoding::AsDer::as_der(&pair));
        let pkcs8 = match kind {
            KeyKind::EcP256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?.as_ref().to_vec(),
            KeyKind::EcP384 => {
                ec(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?.as_ref().to_vec()
            }
            KeyKind::Ed25519 => {
                Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).map_err(failed)?.as_ref().to_vec()
            }
            KeyKind::Rsa2048 => pkcs8_octets(&rsa(KeySize::Rsa2048).map_err(failed)?),
            KeyKind::Rsa3072 => pkcs8_octets(&rsa(KeySize::Rsa3072).map_err(failed)?),
            KeyKind::Rsa4096 => pkcs8_octets(&rsa(KeySize::Rsa4096).map_err(failed)?),
        };
        CertificateKey::from_pkcs8_der(&pkcs8)
    }

    /// The key in a PKCS #8 PEM text, `-----BEGIN PRIVATE KEY-----`.
    ///
    /// # Errors
    /// `Local` if it is no such text, or holds a key of another kind than [`KeyKind`] lists.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self> {
        let (label, document) = pkcs8::SecretDocument::from_pem(pem)
            .map_err(|error| Error::local(format!("the private key is not PKCS #8 PEM: {error}")))?;
        if label != pkcs8::PrivateKeyInfoRef::PEM_LABEL {
            return Err(Error::local(format!("the private key file holds \"{label}\", PKCS #8 PRIVATE KEY is needed")));
        }
        CertificateKey::from_pkcs8_der(document.as_bytes())
    }

    /// The key in a PKCS #8 DER document.
    ///
    /// # Errors
    /// `Local` if it holds a key of another kind than [`KeyKind`] lists.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self> {
        let (pair, public) = pair(pkcs8).ok_or_else(|| {
            Error::local("the private key is none of P-256, P-384, RSA (2048 to 4096 bits) and Ed25519 in PKCS #8")
        })?;
        Ok(CertificateKey { pkcs8: Zeroizing::new(pkcs8.to_vec()), public, pair })
    }

    /// The key as PKCS #8 PEM, for a file that only its owner may read.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let document = pkcs8::SecretDocument::try_from(self.pkcs8.as_slice()).expect("made from a DER document");
        document
            .to_pem(pkcs8::PrivateKeyInfoRef::PEM_LABEL, pkcs8::LineEnding::LF)
            .expect("the label and the document are fit for PEM")
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The same key as one that signs requests, to revoke its certificate (RFC 8555 §7.6).
    ///
    /// # Errors
    /// `Local` if no JWS algorithm goes with it.
    pub fn as_account_key(&self) -> Result<AccountKey> {
        AccountKey::from_pkcs8_pem(&self.to_pkcs8_pem()).map_err(|error| Error::local(error.to_string()))
    }

    /// A signature in the form of X.509 and PKCS #10, and how it was made.
    ///
    /// # Errors
    /// `Local` if the cryptographic library fails.
    pub fn sign(&self, message: &[u8]) -> Result<(SignatureAlgorithm, Vec<u8>)> {
        let failed = |_| Error::local("the cryptographic library could not sign");
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair, hash) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok((SignatureAlgorithm::EcdsaAsn1(*hash), signature.as_ref().to_vec()))
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok((SignatureAlgorithm::RsaPkcs1(Hash::Sha256), signature))
            }
            Pair::Ed25519(pair) => Ok((SignatureAlgorithm::Ed25519, pair.sign(message).as_ref().to_vec())),
        }
    }

    /// The key as PKCS #8 DER.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl std::fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CertificateKey({:?})", self.public)
    }
}

fn pkcs8_octets(document: &aws_lc_rs::encoding::Pkcs8V1Der<'_>) -> Vec<u8> {
    document.as_ref().to_vec()
}

/// Tries the kinds one after another: AWS-LC refuses a document of another kind.
fn pair(pkcs8: &[u8]) -> Option<(Pair, PublicKey)> {
    let curves = [
        (Curve::P256, &ECDSA_P256_SHA256_ASN1_SIGNING, Hash::Sha256),
        (Curve::P384, &ECDSA_P384_SHA384_ASN1_SIGNING, Hash::Sha384),
    ];
    for (curve, algorithm, hash) in curves {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8) {
            let public = PublicKey::ec(curve, pair.public_key().as_ref()).ok()?;
            return Some((Pair::Ec(pair, hash), public));
        }
    }
    if let Ok(pair) = RsaKeyPair::from_pkcs8(pkcs8) {
        let components = aws_lc_rs::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let public = PublicKey::rsa(&components.n, &components.e).ok()?;
        return Some((Pair::Rsa(pair), public));
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
    let public = PublicKey::ed25519(pair.public_key().as_ref().try_into().ok()?).ok()?;
    Some((Pair::Ed25519(pair), public))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [KeyKind; 4] = [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa2048, KeyKind::Ed25519];

    #[test]
    fn a_key_of_each_kind_signs_for_x509_and_for_requests() {
        for kind in KINDS {
            let key = CertificateKey::generate(kind).unwrap();
            let (algorithm, signature) = key.sign(b"message").unwrap();
            assert!(key.public_key().verify(algorithm, b"message", &signature).is_ok(), "{kind:?} for X.509");
            let account_key = key.as_account_key().unwrap();
            let algorithm = account_key.jwk().algorithm().signature_algorithm();
            let signature = account_key.signature(b"message").unwrap();
            assert!(key.public_key().verify(algorithm, b"message", &signature).is_ok(), "{kind:?} for requests");
        }
    }

    #[test]
    fn a_key_reads_back_from_its_pem() {
        for kind in KINDS {
            let key = CertificateKey::generate(kind).unwrap();
            let pem = key.to_pkcs8_pem();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
            assert_eq!(CertificateKey::from_pkcs8_pem(&pem).unwrap().public_key(), key.public_key(), "{kind:?}");
        }
    }

    #[test]
    fn another_file_is_refused_with_a_reason() {
        let refused = |pem: &str| CertificateKey::from_pkcs8_pem(pem).unwrap_err().to_string();
        assert!(refused("hello").contains("PKCS #8"));
        assert!(refused("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n").contains("CERTIFICATE"));
    }
}

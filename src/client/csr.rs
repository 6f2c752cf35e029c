//! Certificate requests (PKCS #10, RFC 2986) for certificate keys, with whatever the caller wants in them.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc4519, rfc5912, rfc8410};
use der::asn1::{Any, BitString, Ia5String, SetOfVec, Utf8StringRef};
use der::{Decode, Encode};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::{Attribute, AttributeTypeAndValue};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};

use super::certificate_key::CertificateKey;
use super::error::{Error, Result};
use crate::public_key::{Hash, SignatureAlgorithm};

/// A certificate request that is still being written.
#[derive(Debug, Clone, Default)]
pub struct CsrDraft {
    subject: Vec<(ObjectIdentifier, String)>,
    names: Vec<String>,
    extensions: Vec<Extension>,
}

/// The DER certificate request of `key` for these dns names, with an empty subject.
///
/// # Errors
/// `Local` if a name has no place in a certificate, or the key cannot sign.
pub fn certificate_request(key: &CertificateKey, names: &[impl AsRef<str>]) -> Result<Vec<u8>> {
    CsrDraft::of_names(names).signed(key)
}

impl CsrDraft {
    /// A request with these dns names as subject alternative names.
    pub fn of_names(names: &[impl AsRef<str>]) -> Self {
        CsrDraft { names: names.iter().map(|name| name.as_ref().to_owned()).collect(), ..CsrDraft::default() }
    }

    /// The same with a common name.
    pub fn common_name(self, name: &str) -> Self {
        self.subject_part(rfc4519::COMMON_NAME, name)
    }

    /// The same with one more part of the subject.
    pub fn subject_part(mut self, attribute: ObjectIdentifier, value: &str) -> Self {
        self.subject.push((attribute, value.to_owned()));
        self
    }

    /// The same with one more requested extension.
    ///
    /// # Errors
    /// `Local` if the extension cannot be encoded.
    pub fn extension(mut self, extension: impl ToExtension) -> Result<Self> {
        let subject = Name::default();
        let extension = extension.to_extension(&subject, &self.extensions).map_err(|_| unfit("an extension"))?;
        self.extensions.push(extension);
        Ok(self)
    }

    /// The DER request, signed by `key`.
    ///
    /// # Errors
    /// `Local` if a name has no place in a certificate, or the key cannot sign.
    pub fn signed(self, key: &CertificateKey) -> Result<Vec<u8>> {
        let info = self.info(key)?;
        let message = info.to_der().map_err(encoding)?;
        let (algorithm, signature) = key.sign(&message)?;
        let request = CertReq {
            info,
            algorithm: algorithm_identifier(algorithm),
            signature: BitString::from_bytes(&signature).map_err(encoding)?,
        };
        request.to_der().map_err(encoding)
    }

    fn info(mut self, key: &CertificateKey) -> Result<CertReqInfo> {
        if !self.names.is_empty() {
            let names = std::mem::take(&mut self.names);
            self = self.extension(&alternative_names(&names)?)?;
        }
        let mut attributes = SetOfVec::new();
        if !self.extensions.is_empty() {
            let attribute = Attribute::try_from(ExtensionReq(self.extensions)).map_err(encoding)?;
            attributes.insert(attribute).map_err(encoding)?;
        }
        let public_key =
            spki::SubjectPublicKeyInfoOwned::from_der(&key.public_key().to_spki_der()).map_err(encoding)?;
        Ok(CertReqInfo { version: Version::V1, subject: subject(&self.subject)?, public_key, attributes })
    }
}

fn subject(parts: &[(ObjectIdentifier, String)]) -> Result<Name> {
    let mut sequence = RdnSequence::default();
    for (oid, value) in parts {
        let value = Utf8StringRef::new(value).and_then(|text| Any::encode_from(&text)).map_err(encoding)?;
        let part = AttributeTypeAndValue { oid: *oid, value };
        sequence.push(RelativeDistinguishedName::from(SetOfVec::try_from([part]).map_err(encoding)?));
    }
    Ok(Name::hazmat_from_rdn_sequence(sequence))
}

pub(super) fn alternative_names(names: &[String]) -> Result<SubjectAltName> {
    let general = |name: &String| Ia5String::new(name).map(GeneralName::DnsName).map_err(|_| unfit(name));
    names.iter().map(general).collect::<Result<Vec<_>>>().map(SubjectAltName)
}

/// The AlgorithmIdentifier of a signature.
pub(super) fn algorithm_identifier(algorithm: SignatureAlgorithm) -> AlgorithmIdentifierOwned {
    let (oid, parameters) = match algorithm {
        SignatureAlgorithm::EcdsaAsn1(hash) | SignatureAlgorithm::EcdsaFixed(hash) => (ecdsa(hash), None),
        // RFC 4055 §5: the parameters of RSA signatures are NULL.
        SignatureAlgorithm::RsaPkcs1(hash) => (rsa(hash), Some(Any::null())),
        // No certificate key of this client signs so; RFC 4055 §3.1 takes parameters out of use by leaving them away.
        SignatureAlgorithm::RsaPss(_) => (rfc5912::ID_RSASSA_PSS, None),
        SignatureAlgorithm::Ed25519 => (rfc8410::ID_ED_25519, None),
    };
    AlgorithmIdentifierOwned { oid, parameters }
}

const fn ecdsa(hash: Hash) -> ObjectIdentifier {
    match hash {
        Hash::Sha256 => rfc5912::ECDSA_WITH_SHA_256,
        Hash::Sha384 => rfc5912::ECDSA_WITH_SHA_384,
        Hash::Sha512 => rfc5912::ECDSA_WITH_SHA_512,
    }
}

const fn rsa(hash: Hash) -> ObjectIdentifier {
    match hash {
        Hash::Sha256 => rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
        Hash::Sha384 => rfc5912::SHA_384_WITH_RSA_ENCRYPTION,
        Hash::Sha512 => rfc5912::SHA_512_WITH_RSA_ENCRYPTION,
    }
}

fn unfit(what: &str) -> Error {
    Error::local(format!("\"{what}\" has no place in a certificate request"))
}

fn encoding(error: impl std::fmt::Display) -> Error {
    Error::local(format!("cannot write the certificate request: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::certificate_key::KeyKind;
    use super::*;
    use crate::public_key::PublicKey;

    #[test]
    fn a_request_is_signed_by_its_own_key_and_carries_its_names() {
        for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa2048, KeyKind::Ed25519] {
            let key = CertificateKey::generate(kind).unwrap();
            let der = CsrDraft::of_names(&["a.test", "*.b.test"]).common_name("a.test").signed(&key).unwrap();
            let request = CertReq::from_der(&der).unwrap();
            let public = PublicKey::from_spki_der(&request.info.public_key.to_der().unwrap()).unwrap();
            let algorithm = SignatureAlgorithm::from_oid(&request.algorithm.oid).unwrap();
            let signature = request.signature.as_bytes().unwrap();
            assert!(public.verify(algorithm, &request.info.to_der().unwrap(), signature).is_ok(), "{kind:?}");
            assert_eq!(&public, key.public_key());
            assert_eq!(request.info.attributes.len(), 1);
        }
    }

    #[test]
    fn a_request_may_ask_for_nothing_at_all() {
        let key = CertificateKey::generate(KeyKind::EcP256).unwrap();
        let der = CsrDraft::default().signed(&key).unwrap();
        assert!(CertReq::from_der(&der).unwrap().info.attributes.is_empty());
    }
}

//! Certificate requests (PKCS #10, RFC 2986): read strictly, and their self-signature checked over the received octets.
//! What a request asks for is plain data here; [`super::csr_rules`] says what is refused.

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc5912};
use der::Decode;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::KeyUsages;
use super::alternative_name::{AlternativeName, dns_identifier};
use super::der_element::{self, DerError, Element, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, SET, constructed};
use super::extension::{self, TLS_FEATURE};
use super::name::{DistinguishedName, NameAttribute};
use super::signed::{Signed, trusted_algorithm};
use crate::acme::identifier::Identifier;
use crate::public_key::{KeyError, PublicKey};

/// The largest request that is looked at, in octets: an RSA 4096 key, a long subject and a hundred long dns names fit.
pub const LARGEST_REQUEST: usize = 64 * 1024;

/// More alternative names than any order may have.
const MOST_ALTERNATIVE_NAMES: usize = 1000;

/// Why octets are no usable certificate request. The message is written for the client that sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More octets than [`LARGEST_REQUEST`].
    #[error("the certificate request has more than {LARGEST_REQUEST} octets")]
    TooLarge,
    /// Not a PKCS #10 request in DER.
    #[error("the certificate request is not a PKCS #10 request in DER: {0}")]
    Malformed(#[from] DerError),
    /// The public key is malformed, unsupported or too weak to check a signature with.
    #[error("the certificate request's public key is refused: {0}")]
    Key(#[from] KeyError),
    /// The signature algorithm is unknown or not trusted.
    #[error(
        "the certificate request is signed with {0}, which is not accepted; sign it with ECDSA or RSA and SHA-256, SHA-384 \
         or SHA-512"
    )]
    Algorithm(String),
    /// The self-signature does not verify.
    #[error("the certificate request's signature does not verify with the public key in it")]
    Signature,
}

/// A certificate request whose self-signature has been checked: whoever sent it, or whoever they had it from, holds the
/// private key.
#[derive(Debug, Clone)]
pub struct CertificateRequest {
    der: Vec<u8>,
    subject: DistinguishedName,
    public_key: PublicKey,
    extensions: RequestedExtensions,
}

/// The extensions that a request asks for.
#[derive(Debug, Clone, Default)]
pub struct RequestedExtensions {
    /// The subject alternative names, in the request's order.
    pub alternative_names: Vec<AlternativeName>,
    /// basicConstraints, if requested.
    pub constraint: Option<RequestedConstraint>,
    /// keyUsage, if requested.
    pub key_usage: Option<KeyUsages>,
    /// extendedKeyUsage; empty if not requested.
    pub extended_key_usage: Vec<ObjectIdentifier>,
    /// Whether a TLS feature ("must staple") is requested.
    pub tls_feature: bool,
    /// The OIDs of all other requested extensions.
    pub others: Vec<ObjectIdentifier>,
}

/// What kind of certificate a request's basicConstraints asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedConstraint {
    /// CA:FALSE.
    EndEntity,
    /// CA:TRUE.
    Authority,
}

impl CertificateRequest {
    /// Reads a request and checks its self-signature. Nothing may follow it.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > LARGEST_REQUEST {
            return Err(CsrError::TooLarge);
        }
        der_element::canonical(der)?;
        let signed = Signed::parse(der)?;
        let info = Element::only(signed.tbs)?.children()?;
        // RFC 2986 §4: the attributes are not optional, yet some clients leave an empty set out.
        let (version, subject, key, attributes) = match info[..] {
            [version, subject, key] => (version, subject, key, None),
            [version, subject, key, attributes] => (version, subject, key, Some(attributes)),
            _ => return Err(DerError("a request has a version, a subject, a key and attributes").into()),
        };
        if version.tagged(INTEGER)?.content != [0] {
            return Err(DerError("the version is not 1").into());
        }
        let request = CertificateRequest {
            der: der.to_vec(),
            subject: DistinguishedName::from_der(subject.whole)?,
            public_key: PublicKey::from_spki_der(key.whole)?,
            extensions: requested_extensions(attributes)?,
        };
        self_signature_checked(&signed, &request.public_key)?;
        Ok(request)
    }

    /// The request as it was received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key that the request proves.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The subject that the request asks for.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// The subject's common names.
    pub fn common_names(&self) -> impl Iterator<Item = &str> {
        self.subject.values(NameAttribute::CommonName)
    }

    /// The subject's organizationIdentifier values (2.5.4.97).
    pub fn organisation_identifiers(&self) -> impl Iterator<Item = &str> {
        self.subject.values(NameAttribute::OrganisationIdentifier)
    }

    /// The extensions asked for.
    pub fn extensions(&self) -> &RequestedExtensions {
        &self.extensions
    }

    /// The identifiers that the request names, each once: alternative names that are dns names or addresses, and common
    /// names that are dns names of two labels or more. Other common names say nothing.
    // RFC 8555 §7.4: the identifiers may stand in the common name, in the alternative names, or in both.
    pub fn identifiers(&self) -> BTreeSet<Identifier> {
        let alternative = self.extensions.alternative_names.iter().filter_map(AlternativeName::identifier).cloned();
        alternative.chain(self.common_names().filter_map(dns_identifier)).collect()
    }
}

fn self_signature_checked(signed: &Signed<'_>, key: &PublicKey) -> Result<(), CsrError> {
    if trusted_algorithm(signed.algorithm).is_none() {
        return Err(CsrError::Algorithm(algorithm_name(signed.algorithm)));
    }
    if let PublicKey::Rsa(rsa) = key
        && !(2048..=8192).contains(&rsa.bits())
    {
        return Err(KeyError::new(format!("{key} is too small or too large; use 2048 to 4096 bits")).into());
    }
    signed.verify(key).map_err(|_| CsrError::Signature)
}

fn algorithm_name(der: &[u8]) -> String {
    match spki::AlgorithmIdentifierRef::from_der(der) {
        Ok(identifier) => match const_oid::db::DB.by_oid(&identifier.oid) {
            Some(name) => format!("{name} ({})", identifier.oid),
            None => identifier.oid.to_string(),
        },
        Err(_) => "a malformed algorithm".to_owned(),
    }
}

/// The extensions inside the attributes of a request. All other attributes (a challenge password, what Windows adds) say
/// nothing here.
fn requested_extensions(attributes: Option<Element<'_>>) -> Result<RequestedExtensions, DerError> {
    let mut found = None;
    let attributes = attributes.map(|attributes| attributes.tagged(constructed(0))?.children()).transpose()?;
    for attribute in attributes.unwrap_or_default() {
        let parts = attribute.tagged(SEQUENCE)?.children()?;
        let [oid, values] = parts[..] else {
            return Err(DerError("an attribute is a type and its values"));
        };
        let oid = ObjectIdentifier::from_der(oid.tagged(OBJECT_IDENTIFIER)?.whole)
            .map_err(|_| DerError("an attribute's type is no OID"))?;
        let values = values.tagged(SET)?.children()?;
        if oid != rfc5912::ID_EXTENSION_REQ {
            continue;
        }
        let [value] = values[..] else {
            return Err(DerError("an extension request has exactly one value"));
        };
        if found.replace(extension::parsed(value.whole)?).is_some() {
            return Err(DerError("extensions are requested twice"));
        }
    }
    interpreted(&found.unwrap_or_default())
}

fn interpreted(extensions: &[Extension]) -> Result<RequestedExtensions, DerError> {
    for extension in extensions {
        der_element::canonical(extension.extn_value.as_bytes())?;
    }
    let names: Option<Vec<GeneralName>> = extension::value(extensions, rfc5280::ID_CE_SUBJECT_ALT_NAME)?;
    let names = names.unwrap_or_default();
    if names.len() > MOST_ALTERNATIVE_NAMES {
        return Err(DerError("more than 1000 alternative names"));
    }
    let constraints: Option<BasicConstraints> = extension::value(extensions, rfc5280::ID_CE_BASIC_CONSTRAINTS)?;
    let key_usage: Option<KeyUsage> = extension::value(extensions, rfc5280::ID_CE_KEY_USAGE)?;
    let extended: Option<ExtendedKeyUsage> = extension::value(extensions, rfc5280::ID_CE_EXT_KEY_USAGE)?;
    Ok(RequestedExtensions {
        alternative_names: names.iter().map(AlternativeName::from_general_name).collect(),
        constraint: constraints
            .map(|found| if found.ca { RequestedConstraint::Authority } else { RequestedConstraint::EndEntity }),
        key_usage: key_usage.map(|usage| usage.0),
        extended_key_usage: extended.map(|usage| usage.0).unwrap_or_default(),
        tls_feature: extensions.iter().any(|extension| extension.extn_id == TLS_FEATURE),
        others: extensions.iter().map(|extension| extension.extn_id).filter(|oid| !INTERPRETED.contains(oid)).collect(),
    })
}

const INTERPRETED: [ObjectIdentifier; 5] = [
    rfc5280::ID_CE_SUBJECT_ALT_NAME,
    rfc5280::ID_CE_BASIC_CONSTRAINTS,
    rfc5280::ID_CE_KEY_USAGE,
    rfc5280::ID_CE_EXT_KEY_USAGE,
    TLS_FEATURE,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x509::tests::authority;

    const WITH_NAMES: &[u8] = include_bytes!("../../tests/vectors/x509/csr-ec-san.der");
    const EMPTY_SUBJECT: &[u8] = include_bytes!("../../tests/vectors/x509/csr-ec-empty-subject.der");
    const SHA_1: &[u8] = include_bytes!("../../tests/vectors/x509/csr-ec-sha1.der");
    const MUCH: &[u8] = include_bytes!("../../tests/vectors/x509/csr-rsa-much.der");
    const SMALL: &[u8] = include_bytes!("../../tests/vectors/x509/csr-rsa-1024.der");
    const ED25519: &[u8] = include_bytes!("../../tests/vectors/x509/csr-ed25519.der");

    fn identifiers(der: &[u8]) -> Vec<String> {
        CertificateRequest::parse(der).unwrap().identifiers().iter().map(Identifier::value).collect()
    }

    fn named(common_name: &str) -> Vec<u8> {
        authority::request(&authority::name(common_name), &[])
    }

    #[test]
    fn names_stand_in_the_common_name_and_in_the_alternative_names_and_count_once() {
        assert_eq!(identifiers(WITH_NAMES), ["a.example.fi", "*.b.example.fi"]);
        assert_eq!(identifiers(EMPTY_SUBJECT), ["a.example.fi"]);
        assert_eq!(identifiers(&named("B.Example.FI")), ["b.example.fi"]);
    }

    #[test]
    fn a_common_name_that_is_no_dns_name_of_two_labels_says_nothing() {
        for common_name in ["localhost", "Keskustan apteekki", "192.0.2.1", "a_b.example.fi"] {
            assert!(identifiers(&named(common_name)).is_empty(), "{common_name}");
        }
    }

    #[test]
    fn everything_that_a_request_asks_for_is_told() {
        let request = CertificateRequest::parse(MUCH).unwrap();
        let asked = request.extensions();
        assert_eq!(request.organisation_identifiers().collect::<Vec<_>>(), ["NTRFI-0245437-2"]);
        assert_eq!(asked.alternative_names[1], AlternativeName::Email("it@example.fi".to_owned()));
        assert_eq!(asked.extended_key_usage.len(), 2);
        assert!(asked.tls_feature && asked.key_usage.is_some() && asked.constraint.is_none());
    }

    #[test]
    fn ed25519_and_every_hash_of_sha_2_are_read() {
        assert!(CertificateRequest::parse(ED25519).is_ok());
        assert!(CertificateRequest::parse(EMPTY_SUBJECT).is_ok(), "P-256 with SHA-384");
    }

    #[test]
    fn sha_1_and_small_keys_are_refused_by_their_name() {
        let refusal = CertificateRequest::parse(SHA_1).unwrap_err();
        assert!(matches!(&refusal, CsrError::Algorithm(name) if name.contains("1.2.840.10045.4.1")), "{refusal}");
        let refusal = CertificateRequest::parse(SMALL).unwrap_err();
        assert!(matches!(&refusal, CsrError::Key(_)) && refusal.to_string().contains("1024"), "{refusal}");
    }

    #[test]
    fn a_request_for_another_key_or_with_octets_behind_it_is_refused() {
        let mut der = WITH_NAMES.to_vec();
        let subject = der.windows(8).position(|window| window == b"Apteekki").unwrap();
        der[subject] = b'a';
        assert_eq!(CertificateRequest::parse(&der).unwrap_err(), CsrError::Signature);
        let mut der = WITH_NAMES.to_vec();
        der.push(0);
        assert!(matches!(CertificateRequest::parse(&der), Err(CsrError::Malformed(_))));
        assert_eq!(CertificateRequest::parse(&vec![0x30; LARGEST_REQUEST + 1]).unwrap_err(), CsrError::TooLarge);
    }

    #[test]
    fn extensions_that_are_requested_twice_are_refused() {
        let staple = extension::extension(TLS_FEATURE, false, &vec![5u8]).unwrap();
        let once = authority::extension_request(std::slice::from_ref(&staple));
        let subject = authority::name("a.example.fi");
        assert!(CertificateRequest::parse(&authority::request(&subject, std::slice::from_ref(&once))).is_ok());
        let twice = authority::request(&subject, &[once.clone(), once]);
        assert!(matches!(CertificateRequest::parse(&twice), Err(CsrError::Malformed(_))));
        let same = authority::request(&subject, &[authority::extension_request(&[staple.clone(), staple])]);
        assert!(matches!(CertificateRequest::parse(&same), Err(CsrError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn a_spoiled_request_is_refused_and_never_panics(index in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut der = WITH_NAMES.to_vec();
            let index = index.index(der.len());
            prop_assume!(der[index] != octet);
            der[index] = octet;
            prop_assert!(CertificateRequest::parse(&der).is_err());
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(CertificateRequest::parse(&octets).is_err());
        }
    }
}

//! Reading certificates: ours, to check what was signed, and the chains that a client gets. Keeps the received octets.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::Decode;
use der::asn1::OctetString;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage,
};
use x509_cert::time::Time;

use super::alternative_name::AlternativeName;
use super::asn1_time::from_x509;
use super::der_element::{DerError, Element, INTEGER, SEQUENCE, constructed};
use super::extension::{self, ACCESS_ISSUER, ACCESS_OCSP};
use super::name::DistinguishedName;
use super::pem::{self, PemError};
use super::signed::{Signed, SigningAlgorithm};
use super::{KeyIdentifier, KeyUsages};
use crate::names::SerialNumber;
use crate::public_key::{BadSignature, KeyError, PublicKey};
use crate::time::Timestamp;

/// The largest certificate that is looked at, in octets.
const LARGEST_CERTIFICATE: usize = 128 * 1024;

/// Why octets or a text are no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not an X.509 version 3 certificate in DER.
    #[error("not a certificate: {0}")]
    Malformed(#[from] DerError),
    /// Not PEM, or not of certificates.
    #[error("not a PEM certificate: {0}")]
    Pem(#[from] PemError),
    /// A PEM text without a certificate.
    #[error("the PEM text holds no certificate")]
    Empty,
    /// The public key is malformed or of a kind that is not supported.
    #[error("the certificate's public key: {0}")]
    Key(#[from] KeyError),
}

/// An X.509 version 3 certificate. Nothing is said of its signature until [`Certificate::verify_signed_by`] is asked.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    serial: SerialNumber,
    issuer: DistinguishedName,
    subject: DistinguishedName,
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: PublicKey,
    extensions: Vec<Extension>,
    known: KnownExtensions,
}

/// The extensions that are read at once, so that a certificate with a malformed one is none.
#[derive(Debug, Clone, Default)]
struct KnownExtensions {
    alternative_names: Vec<AlternativeName>,
    authority_key: Option<KeyIdentifier>,
    subject_key: Option<KeyIdentifier>,
    key_usage: Option<KeyUsages>,
    extended_key_usage: Vec<ObjectIdentifier>,
    constraints: Option<BasicConstraints>,
    crl_url: Option<String>,
    ocsp_url: Option<String>,
    issuer_url: Option<String>,
}

impl Certificate {
    /// Reads a certificate in DER; nothing may follow it.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > LARGEST_CERTIFICATE {
            return Err(DerError("more than 128 KiB").into());
        }
        let signed = Signed::parse(der)?;
        let parts = Element::only(signed.tbs)?.children()?;
        let [version, serial, algorithm, issuer, validity, subject, key, rest @ ..] = &parts[..] else {
            return Err(DerError("a certificate has a version and six more parts").into());
        };
        if version.tagged(constructed(0))?.content != [INTEGER, 1, 2] {
            return Err(DerError("not of version 3").into());
        }
        // RFC 5280 §4.1.1.2: the algorithm inside and outside are the same.
        if algorithm.whole != signed.algorithm {
            return Err(DerError("the signature algorithms inside and outside differ").into());
        }
        let (not_before, not_after) = period(validity)?;
        let extensions = extensions(rest)?;
        Ok(Certificate {
            serial: serial_number(serial)?,
            issuer: DistinguishedName::from_der(issuer.whole)?,
            subject: DistinguishedName::from_der(subject.whole)?,
            not_before,
            not_after,
            public_key: PublicKey::from_spki_der(key.whole)?,
            known: known(&extensions)?,
            extensions,
            tbs: signed.tbs.to_vec(),
            algorithm: signed.algorithm.to_vec(),
            signature: signed.signature.to_vec(),
            der: der.to_vec(),
        })
    }

    /// Reads the certificates of a PEM text: at least one.
    pub fn parse_pem_chain(text: &str) -> Result<Vec<Self>, CertificateError> {
        let certificates: Vec<Self> =
            pem::decoded("CERTIFICATE", text)?.iter().map(|der| Certificate::parse(der)).collect::<Result<_, _>>()?;
        if certificates.is_empty() { Err(CertificateError::Empty) } else { Ok(certificates) }
    }

    /// The certificate as PEM.
    pub fn to_pem(&self) -> String {
        pem::encoded("CERTIFICATE", &self.der)
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The TBSCertificate: the very octets that were signed.
    pub fn tbs_der(&self) -> &[u8] {
        &self.tbs
    }

    /// The signature's octets.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether the certificate says that it was signed in this way.
    pub fn is_signed_with(&self, algorithm: SigningAlgorithm) -> bool {
        self.algorithm == algorithm.identifier_der()
    }

    /// The serial number.
    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    /// Who issued it.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// Whom it is for.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// The first second of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The certified key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The subject alternative names.
    pub fn alternative_names(&self) -> &[AlternativeName] {
        &self.known.alternative_names
    }

    /// The identifier of the issuer's key.
    pub fn authority_key(&self) -> Option<&KeyIdentifier> {
        self.known.authority_key.as_ref()
    }

    /// The identifier of the certified key.
    pub fn subject_key(&self) -> Option<&KeyIdentifier> {
        self.known.subject_key.as_ref()
    }

    /// The key usages; none if the extension is absent, which allows all.
    pub fn key_usage(&self) -> Option<KeyUsages> {
        self.known.key_usage
    }

    /// The extended key usages.
    pub fn extended_key_usage(&self) -> &[ObjectIdentifier] {
        &self.known.extended_key_usage
    }

    /// Whether it is an authority's (CA:TRUE).
    pub fn is_authority(&self) -> bool {
        self.known.constraints.as_ref().is_some_and(|constraints| constraints.ca)
    }

    /// How many authorities may stand below it, if it is an authority's and says so.
    pub fn path_length(&self) -> Option<u8> {
        self.known.constraints.as_ref().filter(|constraints| constraints.ca)?.path_len_constraint
    }

    /// Where the CRL that would list it stands.
    pub fn crl_url(&self) -> Option<&str> {
        self.known.crl_url.as_deref()
    }

    /// Where its status can be asked.
    pub fn ocsp_url(&self) -> Option<&str> {
        self.known.ocsp_url.as_deref()
    }

    /// Where its issuer's certificate stands.
    pub fn issuer_url(&self) -> Option<&str> {
        self.known.issuer_url.as_deref()
    }

    /// The extension with this OID: whether it is critical, and its value in DER.
    pub fn extension(&self, oid: &ObjectIdentifier) -> Option<(bool, &[u8])> {
        let found = self.extensions.iter().find(|extension| extension.extn_id == *oid)?;
        Some((found.critical, found.extn_value.as_bytes()))
    }

    /// What messages and logs call it: an authority's by its subject; any other without its name, which may be a person's.
    pub fn described(&self) -> String {
        match self.is_authority() {
            true => format!("the certificate \"{}\"", self.subject),
            false => "the signer's certificate".to_owned(),
        }
    }

    /// The OIDs of its critical extensions.
    pub fn critical_extensions(&self) -> impl Iterator<Item = ObjectIdentifier> {
        self.extensions.iter().filter(|extension| extension.critical).map(|extension| extension.extn_id)
    }

    /// Whether `time` lies within the validity, both ends included.
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// Checks the signature with the issuer's key. Names and validity are the caller's to compare.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), BadSignature> {
        super::signed::verified(issuer, &self.algorithm, &self.tbs, &self.signature)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

fn serial_number(element: &Element<'_>) -> Result<SerialNumber, DerError> {
    let content = element.tagged(INTEGER)?.content;
    // RFC 5280 §4.1.2.2: positive.
    if content.first().is_none_or(|octet| octet & 0x80 != 0) {
        return Err(DerError("the serial number is not positive"));
    }
    SerialNumber::from_bytes(content).map_err(|_| DerError("the serial number is zero or has more than 20 octets"))
}

fn period(validity: &Element<'_>) -> Result<(Timestamp, Timestamp), DerError> {
    let times = validity.tagged(SEQUENCE)?.children()?;
    let [not_before, not_after] = times[..] else {
        return Err(DerError("a validity has two ends"));
    };
    Ok((time(&not_before)?, time(&not_after)?))
}

/// A time of a certificate or a list.
pub(crate) fn time(element: &Element<'_>) -> Result<Timestamp, DerError> {
    Time::from_der(element.whole).map(from_x509).map_err(|_| DerError("a time is malformed"))
}

/// The extensions behind the public key. The unique identifiers before them were never used and are passed over.
fn extensions(rest: &[Element<'_>]) -> Result<Vec<Extension>, DerError> {
    match rest {
        [] => Ok(Vec::new()),
        [.., last] if last.tag == constructed(3) => extension::parsed(last.content),
        _ => Err(DerError("something other than extensions follows the key")),
    }
}

fn known(extensions: &[Extension]) -> Result<KnownExtensions, DerError> {
    let names: Option<Vec<GeneralName>> = extension::value(extensions, rfc5280::ID_CE_SUBJECT_ALT_NAME)?;
    let authority_key: Option<AuthorityKeyIdentifier> =
        extension::value(extensions, rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER)?;
    let subject_key: Option<OctetString> = extension::value(extensions, rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER)?;
    let key_usage: Option<KeyUsage> = extension::value(extensions, rfc5280::ID_CE_KEY_USAGE)?;
    let extended: Option<ExtendedKeyUsage> = extension::value(extensions, rfc5280::ID_CE_EXT_KEY_USAGE)?;
    let points: Option<Vec<DistributionPoint>> = extension::value(extensions, rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS)?;
    let access: Option<AuthorityInfoAccessSyntax> = extension::value(extensions, rfc5280::ID_PE_AUTHORITY_INFO_ACCESS)?;
    let access = access.unwrap_or_default();
    Ok(KnownExtensions {
        alternative_names: names.iter().flatten().map(AlternativeName::from_general_name).collect(),
        authority_key: authority_key
            .and_then(|found| found.key_identifier)
            .map(|octets| KeyIdentifier::from_bytes(octets.as_bytes()))
            .transpose()?,
        subject_key: subject_key.map(|octets| KeyIdentifier::from_bytes(octets.as_bytes())).transpose()?,
        key_usage: key_usage.map(|usage| usage.0),
        extended_key_usage: extended.map(|usage| usage.0).unwrap_or_default(),
        constraints: extension::value(extensions, rfc5280::ID_CE_BASIC_CONSTRAINTS)?,
        crl_url: points.iter().flatten().find_map(|point| full_name(point.distribution_point.as_ref())),
        ocsp_url: location(&access, ACCESS_OCSP),
        issuer_url: location(&access, ACCESS_ISSUER),
    })
}

/// The first URL of a distribution point.
pub(crate) fn full_name(point: Option<&DistributionPointName>) -> Option<String> {
    match point? {
        DistributionPointName::FullName(names) => names.iter().find_map(url),
        DistributionPointName::NameRelativeToCRLIssuer(_) => None,
    }
}

fn location(access: &AuthorityInfoAccessSyntax, method: ObjectIdentifier) -> Option<String> {
    access
        .0
        .iter()
        .filter(|description| description.access_method == method)
        .find_map(|found| url(&found.access_location))
}

fn url(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::OtherName(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DnsName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x509::KeyUsage;
    use crate::x509::tests::authority::{self, dns};

    #[test]
    fn what_was_meant_is_read_back() {
        let content = authority::server_content();
        let certificate = Certificate::parse(&authority::certificate(&content)).unwrap();
        assert_eq!(certificate.tbs_der(), content.tbs_der().unwrap());
        assert_eq!((certificate.serial(), certificate.subject()), (&content.serial, &content.subject));
        assert_eq!((certificate.not_before(), certificate.not_after()), (content.not_before, content.not_after));
        assert_eq!(certificate.alternative_names(), content.alternative_names);
        assert_eq!(certificate.authority_key(), content.issuer_key.as_ref());
        assert_eq!(certificate.subject_key(), Some(&KeyIdentifier::of(&authority::key(2))));
        assert_eq!(certificate.crl_url(), content.crl_url.as_deref());
        assert_eq!(certificate.ocsp_url(), content.ocsp_url.as_deref());
        assert_eq!(certificate.issuer_url(), content.issuer_url.as_deref());
        assert_eq!(certificate.extended_key_usage(), content.extended_key_usage);
        assert_eq!(certificate.key_usage(), Some(KeyUsage::DigitalSignature.into()));
        assert!(!certificate.is_authority() && certificate.is_signed_with(authority::ALGORITHM));
        let issuer = Certificate::parse(&authority::certificate(&authority::issuer_content())).unwrap();
        assert!(issuer.is_authority() && issuer.path_length() == Some(0));
        assert_eq!(issuer.not_after().to_string(), "2050-12-31T23:59:59Z");
    }

    #[test]
    fn a_signature_verifies_with_the_issuers_key_and_no_other() {
        let certificate = Certificate::parse(&authority::certificate(&authority::server_content())).unwrap();
        assert!(certificate.verify_signed_by(&authority::key(1)).is_ok());
        assert!(certificate.verify_signed_by(&authority::key(2)).is_err());
    }

    #[test]
    fn both_ends_belong_to_the_validity() {
        let certificate = Certificate::parse(&authority::certificate(&authority::server_content())).unwrap();
        let (begins, ends) = (certificate.not_before(), certificate.not_after());
        assert!(certificate.is_valid_at(begins) && certificate.is_valid_at(ends));
        assert!(!certificate.is_valid_at(begins.plus(-1)) && !certificate.is_valid_at(ends.plus(1)));
    }

    #[test]
    fn a_chain_reads_back_from_pem() {
        let chain =
            [authority::server_content(), authority::issuer_content()].map(|content| authority::certificate(&content));
        let text = pem::chain(chain.iter().map(Vec::as_slice));
        let read = Certificate::parse_pem_chain(&text).unwrap();
        assert_eq!(read.iter().map(Certificate::der).collect::<Vec<_>>(), chain);
        assert_eq!(Certificate::parse_pem_chain("").unwrap_err(), CertificateError::Empty);
    }

    #[test]
    fn addresses_and_critical_names_of_an_empty_subject_are_written() {
        let mut content = authority::server_content();
        content.subject = DistinguishedName::new::<&str>([]).unwrap();
        content.alternative_names = vec![dns("a.example.fi").into()];
        let certificate = Certificate::parse(&authority::certificate(&content)).unwrap();
        assert!(certificate.extension(&rfc5280::ID_CE_SUBJECT_ALT_NAME).unwrap().0);
    }

    #[test]
    fn a_content_that_cannot_be_said_is_an_error() {
        let mut content = authority::server_content();
        content.alternative_names = vec![AlternativeName::Uri("http://a.example.fi".to_owned())];
        assert!(content.tbs_der().is_err());
        let mut content = authority::server_content();
        content.crl_url = Some("http://å.example.fi/".to_owned());
        assert!(content.tbs_der().is_err());
        let mut content = authority::server_content();
        content.policies[0].notice = Some("a".repeat(201));
        assert!(content.tbs_der().is_err());
    }

    proptest! {
        #[test]
        fn a_spoiled_certificate_never_panics_and_never_verifies(
            index in any::<prop::sample::Index>(),
            octet in any::<u8>(),
        ) {
            let mut der = authority::certificate(&authority::server_content());
            let index = index.index(der.len());
            prop_assume!(der[index] != octet);
            der[index] = octet;
            let verified = Certificate::parse(&der).is_ok_and(|found| found.verify_signed_by(&authority::key(1)).is_ok());
            prop_assert!(!verified);
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Certificate::parse(&octets).is_err());
        }
    }
}

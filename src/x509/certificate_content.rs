//! What goes into a certificate, as plain data, and the TBSCertificate made of it. Root, issuing authority, OCSP responder
//! and end entity are all described by one struct; which extensions a kind of certificate has is the profile's choice, and
//! [`super::lint`] checks the outcome anew.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc5912};
use der::asn1::{Any, AnyRef, Ia5String, Null, OctetString};
use der::{Decode, Encode, Sequence};
use spki::AlgorithmIdentifierRef;
use x509_cert::certificate::Version;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::{DisplayText, PolicyInformation, PolicyQualifierInfo};
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::serial_number::SerialNumber as DerSerialNumber;
use x509_cert::time::Validity;

use super::alternative_name::AlternativeName;
use super::asn1_time::x509_time;
use super::extension::{ACCESS_ISSUER, ACCESS_OCSP, OCSP_NO_CHECK, extension};
use super::name::DistinguishedName;
use super::signed::{SigningAlgorithm, assembled};
use super::{KeyIdentifier, KeyUsages};
use crate::names::SerialNumber;
use crate::public_key::PublicKey;
use crate::time::Timestamp;

/// Everything that a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateContent {
    /// The serial number.
    pub serial: SerialNumber,
    /// The issuer's name: the subject of its own certificate.
    pub issuer: DistinguishedName,
    /// The issuer's key identifier; none in a self-signed certificate, which needs none (RFC 5280 §4.2.1.1).
    pub issuer_key: Option<KeyIdentifier>,
    /// The first second of the validity.
    pub not_before: Timestamp,
    /// The last second of the validity.
    pub not_after: Timestamp,
    /// Whom the certificate is for; may be empty, then the alternative names are critical.
    pub subject: DistinguishedName,
    /// The certified key.
    pub public_key: PublicKey,
    /// How the issuer will sign.
    pub algorithm: SigningAlgorithm,
    /// basicConstraints.
    pub constraints: Constraints,
    /// The key usages; an empty set leaves the extension out.
    pub key_usage: KeyUsages,
    /// The extended key usages; none leaves the extension out.
    pub extended_key_usage: Vec<ObjectIdentifier>,
    /// The policies; none leaves the extension out.
    pub policies: Vec<CertificatePolicy>,
    /// The alternative names; none leaves the extension out.
    pub alternative_names: Vec<AlternativeName>,
    /// Where the CRL that will list this certificate stands.
    pub crl_url: Option<String>,
    /// Where its status can be asked.
    pub ocsp_url: Option<String>,
    /// Where the issuer's certificate stands.
    pub issuer_url: Option<String>,
    /// Whether relying parties need not check it for revocation: for OCSP responders.
    pub ocsp_no_check: bool,
}

/// The basicConstraints of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraints {
    /// No extension: not an authority.
    Absent,
    /// CA:FALSE, written out, as the national service certificates have it.
    EndEntity,
    /// CA:TRUE, with at most so many authorities below it.
    Authority {
        /// pathLenConstraint; none for no limit.
        path_length: Option<u8>,
    },
}

/// A certificate policy and what relying parties are told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePolicy {
    /// The policy.
    pub oid: ObjectIdentifier,
    /// Where the practice statement stands.
    pub cps_url: Option<String>,
    /// A sentence for people, at most 200 characters (RFC 5280 §4.2.1.4).
    pub notice: Option<String>,
}

/// Why a content cannot become a certificate. Contents come from the configuration and from checked values, so this is a fault
/// of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be encoded: {0}")]
pub struct ContentError(pub(crate) String);

impl From<der::Error> for ContentError {
    fn from(error: der::Error) -> Self {
        ContentError(error.to_string())
    }
}

/// RFC 5280 §4.1.2.
#[derive(Sequence)]
struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial: DerSerialNumber,
    signature: AlgorithmIdentifierRef<'a>,
    issuer: AnyRef<'a>,
    validity: Validity,
    subject: AnyRef<'a>,
    public_key: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// RFC 5280 §4.2.1.4. x509-cert's type has a reference of the wrong type; we write no reference.
#[derive(Sequence)]
struct UserNotice {
    explicit_text: DisplayText,
}

impl CertificateContent {
    /// The TBSCertificate in DER: what is linted, stored and signed.
    pub fn tbs_der(&self) -> Result<Vec<u8>, ContentError> {
        let public_key = self.public_key.to_spki_der();
        let tbs = TbsCertificate {
            version: Version::V3,
            serial: DerSerialNumber::new(self.serial.as_bytes())?,
            signature: self.algorithm.identifier(),
            issuer: AnyRef::from_der(self.issuer.as_der())?,
            validity: Validity::new(x509_time(self.not_before), x509_time(self.not_after)),
            subject: AnyRef::from_der(self.subject.as_der())?,
            public_key: AnyRef::from_der(&public_key)?,
            extensions: self.extensions()?,
        };
        Ok(tbs.to_der()?)
    }

    fn extensions(&self) -> Result<Vec<Extension>, ContentError> {
        let all = [
            self.authority_key()?,
            self.subject_key()?,
            self.usage()?,
            self.extended_usage()?,
            self.policy_information()?,
            self.names()?,
            self.basic_constraints()?,
            self.distribution_point()?,
            self.access()?,
            self.ocsp_no_check.then(|| extension(OCSP_NO_CHECK, false, &Null)).transpose()?,
        ];
        Ok(all.into_iter().flatten().collect())
    }

    fn authority_key(&self) -> Result<Option<Extension>, ContentError> {
        let Some(key) = &self.issuer_key else { return Ok(None) };
        let value = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(key.as_bytes())?),
            ..AuthorityKeyIdentifier::default()
        };
        Ok(Some(extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &value)?))
    }

    fn subject_key(&self) -> Result<Option<Extension>, ContentError> {
        let value = SubjectKeyIdentifier(OctetString::new(KeyIdentifier::of(&self.public_key).as_bytes())?);
        Ok(Some(extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, &value)?))
    }

    fn usage(&self) -> Result<Option<Extension>, ContentError> {
        // RFC 5280 §4.2.1.3: at least one bit; "conforming CAs SHOULD mark this extension as critical".
        let set = !self.key_usage.is_empty();
        Ok(set.then(|| extension(rfc5280::ID_CE_KEY_USAGE, true, &KeyUsage(self.key_usage))).transpose()?)
    }

    fn extended_usage(&self) -> Result<Option<Extension>, ContentError> {
        let value = ExtendedKeyUsage(self.extended_key_usage.clone());
        Ok((!value.0.is_empty()).then(|| extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &value)).transpose()?)
    }

    fn policy_information(&self) -> Result<Option<Extension>, ContentError> {
        let policies = self.policies.iter().map(policy_information).collect::<Result<Vec<_>, _>>()?;
        let value = CertificatePolicies(policies);
        Ok((!value.0.is_empty()).then(|| extension(rfc5280::ID_CE_CERTIFICATE_POLICIES, false, &value)).transpose()?)
    }

    fn names(&self) -> Result<Option<Extension>, ContentError> {
        let name = |name: &AlternativeName| {
            name.to_general_name().ok_or_else(|| ContentError(format!("{name} is no name that is certified")))
        };
        let value = SubjectAltName(self.alternative_names.iter().map(name).collect::<Result<_, _>>()?);
        // RFC 5280 §4.2.1.6: critical when, and only when, the subject is empty.
        let critical = self.subject.is_empty();
        Ok((!value.0.is_empty()).then(|| extension(rfc5280::ID_CE_SUBJECT_ALT_NAME, critical, &value)).transpose()?)
    }

    fn basic_constraints(&self) -> Result<Option<Extension>, ContentError> {
        let value = match self.constraints {
            Constraints::Absent => return Ok(None),
            Constraints::EndEntity => BasicConstraints { ca: false, path_len_constraint: None },
            Constraints::Authority { path_length } => BasicConstraints { ca: true, path_len_constraint: path_length },
        };
        Ok(Some(extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &value)?))
    }

    fn distribution_point(&self) -> Result<Option<Extension>, ContentError> {
        let Some(url) = &self.crl_url else { return Ok(None) };
        let point = DistributionPoint {
            distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
            reasons: None,
            crl_issuer: None,
        };
        Ok(Some(extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, false, &CrlDistributionPoints(vec![point]))?))
    }

    fn access(&self) -> Result<Option<Extension>, ContentError> {
        let described = |(method, url): (ObjectIdentifier, &String)| -> Result<AccessDescription, ContentError> {
            Ok(AccessDescription { access_method: method, access_location: uri(url)? })
        };
        let ocsp = self.ocsp_url.iter().map(|url| (ACCESS_OCSP, url));
        let issuer = self.issuer_url.iter().map(|url| (ACCESS_ISSUER, url));
        let value = AuthorityInfoAccessSyntax(ocsp.chain(issuer).map(described).collect::<Result<_, _>>()?);
        Ok((!value.0.is_empty()).then(|| extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, false, &value)).transpose()?)
    }
}

/// The certificate around a signed TBSCertificate, whose octets stay as they are.
pub fn assembled_certificate(tbs_der: &[u8], algorithm: SigningAlgorithm, signature: &[u8]) -> Vec<u8> {
    assembled(tbs_der, algorithm, signature)
}

pub(crate) fn uri(url: &str) -> Result<GeneralName, ContentError> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?))
}

fn policy_information(policy: &CertificatePolicy) -> Result<PolicyInformation, ContentError> {
    let mut qualifiers = Vec::new();
    if let Some(url) = &policy.cps_url {
        let qualifier = Some(Any::encode_from(&Ia5String::new(url)?)?);
        qualifiers.push(PolicyQualifierInfo { policy_qualifier_id: rfc5912::ID_QT_CPS, qualifier });
    }
    if let Some(text) = &policy.notice {
        // RFC 5280 §4.2.1.4: at most 200 characters, as UTF8String.
        if text.is_empty() || text.chars().count() > 200 {
            return Err(ContentError("a policy's notice has 1 to 200 characters".to_owned()));
        }
        let notice = UserNotice { explicit_text: DisplayText::Utf8String(text.clone()) };
        let qualifier = Some(Any::encode_from(&notice)?);
        qualifiers.push(PolicyQualifierInfo { policy_qualifier_id: rfc5912::ID_QT_UNOTICE, qualifier });
    }
    Ok(PolicyInformation {
        policy_identifier: policy.oid,
        policy_qualifiers: (!qualifiers.is_empty()).then_some(qualifiers),
    })
}

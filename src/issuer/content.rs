//! What a certificate says: from the register, the profile, the order and the request's key, and from nothing else.

use super::{Issuer, Issuers};
use crate::model::issuance::{AuthorizedOrder, MatchedRequest};
use crate::names::SerialNumber;
use crate::public_key::PublicKey;
use crate::x509::lint::{CertificateKind, LintExpectations};
use crate::x509::{
    AlternativeName, CertificateContent, CertificatePolicy, Constraints, ContentError, DistinguishedName, KeyUsage,
    KeyUsages, NameAttribute, NameFault,
};

/// Why a certificate's content cannot be made. Orders are checked before, so this is a fault of register or profile.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ContentFault {
    /// A name does not fit a certificate.
    #[error("the subject: {0}")]
    Subject(#[from] NameFault),
    /// It cannot be encoded.
    #[error(transparent)]
    Encoding(#[from] ContentError),
    /// A policy of the profile is no OID.
    #[error("the profile's policy {0} is not an OID")]
    Policy(String),
}

impl Issuers {
    /// The content of the certificate that `order` gets for the matched key.
    pub(super) fn content(
        &self,
        issuer: &Issuer,
        order: &AuthorizedOrder,
        request: &MatchedRequest,
        serial: SerialNumber,
        shard: u16,
    ) -> Result<CertificateContent, ContentFault> {
        let validity = order.validity();
        let profile = order.profile();
        Ok(CertificateContent {
            serial,
            issuer: issuer.certificate.subject().clone(),
            issuer_key: issuer.certificate.subject_key().cloned(),
            not_before: validity.not_before,
            not_after: validity.not_after,
            subject: subject(order)?,
            public_key: request.key().clone(),
            algorithm: issuer.key.algorithm(),
            constraints: Constraints::EndEntity,
            key_usage: usages(request.key()),
            extended_key_usage: profile.extended_key_usage.iter().map(|usage| usage.oid()).collect(),
            policies: policies(order)?,
            alternative_names: order.order().identifiers.dns().cloned().map(AlternativeName::Identifier).collect(),
            crl_url: Some(self.crl_url(&issuer.name, shard)),
            ocsp_url: Some(self.ocsp_url(&issuer.name)),
            issuer_url: Some(self.issuer_url(&issuer.name)),
            ocsp_no_check: false,
        })
    }
}

/// What the lint shall find: from the order, the profile and the issuer's certificate; times and places from `content`.
pub(super) fn expectations(
    issuer: &Issuer,
    order: &AuthorizedOrder,
    request: &MatchedRequest,
    content: &CertificateContent,
) -> LintExpectations {
    LintExpectations {
        kind: CertificateKind::EndEntity,
        serial: content.serial.clone(),
        issuer: issuer.certificate.subject().clone(),
        issuer_key: issuer.certificate.subject_key().cloned(),
        algorithm: issuer.key.algorithm(),
        subject: content.subject.clone(),
        public_key: request.key().clone(),
        not_before: content.not_before,
        not_after: content.not_after,
        issuer_ends: Some(issuer.certificate.not_after()),
        identifiers: order.order().identifiers.dns().cloned().collect(),
        key_usage: usages(request.key()),
        extended_key_usage: order.profile().extended_key_usage.iter().map(|usage| usage.oid()).collect(),
        policies: content.policies.clone(),
        crl_url: content.crl_url.clone(),
        ocsp_url: content.ocsp_url.clone(),
        issuer_url: content.issuer_url.clone(),
    }
}

/// C, L, O, OU, serialNumber, CN: the order in which the national certificates have them.
fn subject(order: &AuthorizedOrder) -> Result<DistinguishedName, NameFault> {
    let subject = order.subject();
    let attributes = [
        (NameAttribute::Country, Some("FI")),
        (NameAttribute::Locality, subject.locality.as_deref()),
        (NameAttribute::Organisation, Some(subject.organisation.as_str())),
        (NameAttribute::OrganisationalUnit, subject.unit.as_deref()),
        (NameAttribute::SerialNumber, Some(subject.serial_number.as_str())),
        (NameAttribute::CommonName, subject.common_name.as_deref()),
    ];
    DistinguishedName::new(attributes.into_iter().filter_map(|(attribute, value)| Some((attribute, value?))))
}

/// digitalSignature; keyEncipherment with RSA, for peers without forward secrecy (RFC 5246 §7.4.2).
fn usages(key: &PublicKey) -> KeyUsages {
    match key {
        PublicKey::Rsa(_) => KeyUsage::DigitalSignature | KeyUsage::KeyEncipherment,
        PublicKey::Ec(_) | PublicKey::Ed25519(_) => KeyUsage::DigitalSignature.into(),
    }
}

fn policies(order: &AuthorizedOrder) -> Result<Vec<CertificatePolicy>, ContentFault> {
    let policy = |policy: &crate::model::profile::Policy| {
        let oid = policy.oid.parse().map_err(|_| ContentFault::Policy(policy.oid.clone()))?;
        Ok(CertificatePolicy { oid, cps_url: policy.cps.clone(), notice: None })
    };
    order.profile().policies.iter().map(policy).collect()
}

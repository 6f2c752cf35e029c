//! The last look before a signature: a TBSCertificate is read anew, with another reader than the one that wrote it, and held
//! against RFC 5280, the profile of Finnish service certificates and what was meant to be certified. Only a [`Linted`] is signed.

mod extension_rules;
mod rules;

use const_oid::ObjectIdentifier;

use super::{CertificatePolicy, DistinguishedName, KeyIdentifier, KeyUsages, SigningAlgorithm};
use crate::acme::identifier::Identifier;
use crate::names::SerialNumber;
use crate::public_key::PublicKey;
use crate::time::Timestamp;

/// What kind of certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// A server's or a system's.
    EndEntity,
    /// One that signs OCSP answers for its issuer.
    OcspResponder,
    /// An authority's. A root is its own issuer.
    Authority,
}

/// What a certificate was meant to say. Filled in from the order and the profile, not from the content that was encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintExpectations {
    /// The kind of certificate.
    pub kind: CertificateKind,
    /// The serial number that was recorded.
    pub serial: SerialNumber,
    /// The issuer's subject.
    pub issuer: DistinguishedName,
    /// The issuer's key identifier; none for a root, which needs none.
    pub issuer_key: Option<KeyIdentifier>,
    /// How the issuer signs.
    pub algorithm: SigningAlgorithm,
    /// The subject that follows from the register.
    pub subject: DistinguishedName,
    /// The key that the request proved.
    pub public_key: PublicKey,
    /// The first second of the validity.
    pub not_before: Timestamp,
    /// The last second of the validity.
    pub not_after: Timestamp,
    /// When the issuer's own certificate ends; none for a root.
    pub issuer_ends: Option<Timestamp>,
    /// The names that were authorized: exactly these.
    pub identifiers: Vec<Identifier>,
    /// The profile's key usages.
    pub key_usage: KeyUsages,
    /// The profile's extended key usages.
    pub extended_key_usage: Vec<ObjectIdentifier>,
    /// The profile's policies.
    pub policies: Vec<CertificatePolicy>,
    /// The URL of the CRL that will cover it.
    pub crl_url: Option<String>,
    /// The URL of the OCSP responder.
    pub ocsp_url: Option<String>,
    /// The URL of the issuer's certificate.
    pub issuer_url: Option<String>,
}

/// One thing that is wrong: the rule's source and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the rule comes from: `RFC 5280 §4.1.2.2`, `profile`.
    pub rule: &'static str,
    /// What is wrong.
    pub found: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.found, self.rule)
    }
}

/// Why a TBSCertificate is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is not fit to be signed: {}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("; "))]
pub struct LintError(pub Vec<Finding>);

/// A TBSCertificate that passed the lint. Whoever signs takes one of these, and signs exactly its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linted {
    tbs: Vec<u8>,
    algorithm: SigningAlgorithm,
}

impl Linted {
    /// Holds a TBSCertificate against every rule; all findings are reported together.
    pub fn check(tbs_der: Vec<u8>, expected: &LintExpectations) -> Result<Self, LintError> {
        let findings = findings(&tbs_der, expected);
        if findings.is_empty() {
            Ok(Linted { tbs: tbs_der, algorithm: expected.algorithm })
        } else {
            Err(LintError(findings))
        }
    }

    /// The octets to sign.
    pub fn tbs_der(&self) -> &[u8] {
        &self.tbs
    }

    /// How they are to be signed.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The octets to sign.
    pub fn into_tbs_der(self) -> Vec<u8> {
        self.tbs
    }
}

/// Everything that is wrong with a TBSCertificate; empty if nothing is.
pub fn findings(tbs_der: &[u8], expected: &LintExpectations) -> Vec<Finding> {
    let mut findings = Findings::default();
    rules::apply(tbs_der, expected, &mut findings);
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &'static str, found: impl Into<String>) {
        self.0.push(Finding { rule, found: found.into() });
    }

    fn require(&mut self, holds: bool, rule: &'static str, found: &str) {
        if !holds {
            self.add(rule, found);
        }
    }
}

//! The rules for the extensions of a TBSCertificate: which there are, which are critical, what they say.

use std::collections::{BTreeSet, HashSet};

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc5912};
use der::asn1::OctetString;
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage as KeyUsageExtension,
};

use super::rules::Tbs;
use super::{CertificateKind, Findings, LintExpectations};
use crate::public_key::PublicKey;
use crate::x509::der_element::{IA5_STRING, SEQUENCE, UTF8_STRING, canonical, encoded};
use crate::x509::extension::{ACCESS_ISSUER, ACCESS_OCSP, OCSP_NO_CHECK};
use crate::x509::{AlternativeName, CertificatePolicy, KeyIdentifier, KeyUsage};

const PROFILE: &str = "profile";

pub(super) fn apply(tbs: &Tbs, expected: &LintExpectations, findings: &mut Findings) {
    let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
    let look = Look { extensions, expected };
    look.inventory(findings);
    look.keys(findings);
    look.basic_constraints(findings);
    look.key_usage(findings);
    look.extended_key_usage(findings);
    look.policies(findings);
    look.alternative_names(tbs.subject().is_empty(), findings);
    look.crl_distribution_points(findings);
    look.authority_information(findings);
}

struct Look<'a> {
    extensions: &'a [Extension],
    expected: &'a LintExpectations,
}

/// Every extension that we write, and whether it is critical; none where that depends.
const KNOWN: [(ObjectIdentifier, Option<bool>); 10] = [
    (rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, Some(false)),
    (rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, Some(false)),
    (rfc5280::ID_CE_KEY_USAGE, Some(true)),
    (rfc5280::ID_CE_EXT_KEY_USAGE, Some(false)),
    (rfc5280::ID_CE_CERTIFICATE_POLICIES, Some(false)),
    (rfc5280::ID_CE_SUBJECT_ALT_NAME, None),
    (rfc5280::ID_CE_BASIC_CONSTRAINTS, Some(true)),
    (rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, Some(false)),
    (rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, Some(false)),
    (OCSP_NO_CHECK, Some(false)),
];

impl<'a> Look<'a> {
    fn inventory(&self, findings: &mut Findings) {
        let mut seen = HashSet::new();
        for extension in self.extensions {
            let oid = extension.extn_id;
            findings.require(seen.insert(oid), "RFC 5280 §4.2", &format!("the extension {oid} stands there twice"));
            if let Err(error) = canonical(extension.extn_value.as_bytes()) {
                findings.add("X.690 §10", format!("the extension {oid}: {error}"));
            }
            match KNOWN.iter().find(|(known, _)| *known == oid) {
                None => findings.add(PROFILE, format!("the unknown extension {oid} is present")),
                Some((_, Some(critical))) if extension.critical != *critical => {
                    findings.add("RFC 5280 §4.2.1", format!("the extension {oid} has the wrong criticality"));
                }
                Some(_) => {}
            }
        }
        let no_check = self.raw(OCSP_NO_CHECK).is_some();
        let is_responder = self.expected.kind == CertificateKind::OcspResponder;
        findings.require(
            no_check == is_responder,
            "RFC 6960 §4.2.2.2.1",
            "ocsp-nocheck is for OCSP responders, and for all",
        );
    }

    fn raw(&self, oid: ObjectIdentifier) -> Option<&'a Extension> {
        self.extensions.iter().find(|extension| extension.extn_id == oid)
    }

    /// The extension's value, which must be the canonical encoding of itself.
    fn value<T: Decode<'a> + Encode>(&self, oid: ObjectIdentifier, findings: &mut Findings) -> Option<T> {
        let octets = self.raw(oid)?.extn_value.as_bytes();
        match T::from_der(octets) {
            Ok(value) => {
                let same = value.to_der().is_ok_and(|again| again == octets);
                findings.require(same, "X.690 §10", &format!("the extension {oid} is not in its canonical encoding"));
                Some(value)
            }
            Err(_) => {
                findings.add("RFC 5280 §4.2.1", format!("the extension {oid} is malformed"));
                None
            }
        }
    }

    fn keys(&self, findings: &mut Findings) {
        let authority: Option<AuthorityKeyIdentifier> = self.value(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, findings);
        let found = authority.as_ref().and_then(|found| found.key_identifier.as_ref()).map(OctetString::as_bytes);
        let wanted = self.expected.issuer_key.as_ref().map(KeyIdentifier::as_bytes);
        findings.require(found == wanted, "RFC 5280 §4.2.1.1", "the authority key identifier is not the issuer's");
        let alone = authority
            .is_none_or(|found| found.authority_cert_issuer.is_none() && found.authority_cert_serial_number.is_none());
        findings.require(alone, PROFILE, "the authority key identifier names more than a key");
        let subject: Option<OctetString> = self.value(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, findings);
        let wanted = KeyIdentifier::of(&self.expected.public_key);
        let fits = subject.is_some_and(|found| found.as_bytes() == wanted.as_bytes());
        findings.require(fits, "RFC 5280 §4.2.1.2", "the subject key identifier is missing or not the key's");
    }

    fn basic_constraints(&self, findings: &mut Findings) {
        let found: Option<BasicConstraints> = self.value(rfc5280::ID_CE_BASIC_CONSTRAINTS, findings);
        let authority = found.as_ref().is_some_and(|constraints| constraints.ca);
        let limited = found.is_some_and(|constraints| constraints.path_len_constraint.is_some());
        let wanted = match self.expected.kind {
            CertificateKind::Authority => true,
            CertificateKind::EndEntity | CertificateKind::OcspResponder => false,
        };
        findings.require(authority == wanted, "RFC 5280 §4.2.1.9", "CA:TRUE is for authorities, and for all of them");
        findings.require(authority || !limited, "RFC 5280 §4.2.1.9", "a path length without CA:TRUE");
    }

    fn key_usage(&self, findings: &mut Findings) {
        let found: Option<KeyUsageExtension> = self.value(rfc5280::ID_CE_KEY_USAGE, findings);
        let found = found.map(|usage| usage.0).unwrap_or_default();
        findings.require(found == self.expected.key_usage, PROFILE, "the key usages are not the profile's");
        findings.require(!found.is_empty(), "RFC 5280 §4.2.1.3", "there is no key usage");
        let signs_certificates = found.contains(KeyUsage::KeyCertSign);
        match self.expected.kind {
            CertificateKind::Authority => {
                let both = signs_certificates && found.contains(KeyUsage::CRLSign);
                findings.require(both, "RFC 5280 §4.2.1.3", "an authority signs certificates and lists");
            }
            CertificateKind::EndEntity | CertificateKind::OcspResponder => {
                let neither = !signs_certificates && !found.contains(KeyUsage::CRLSign);
                findings.require(neither, "RFC 5280 §4.2.1.3", "the key usages are an authority's");
            }
        }
        // RFC 8813 §3: no encipherment with an EC key.
        let enciphers = found.contains(KeyUsage::KeyEncipherment) || found.contains(KeyUsage::DataEncipherment);
        match self.expected.public_key {
            PublicKey::Ec(_) | PublicKey::Ed25519(_) => {
                findings.require(!enciphers, "RFC 8813 §3", "an EC key cannot encipher");
            }
            PublicKey::Rsa(_) => {
                let agrees = found.contains(KeyUsage::KeyAgreement);
                findings.require(!agrees, "RFC 3279 §2.3.1", "an RSA key agrees on nothing");
            }
        }
    }

    fn extended_key_usage(&self, findings: &mut Findings) {
        let found: Option<ExtendedKeyUsage> = self.value(rfc5280::ID_CE_EXT_KEY_USAGE, findings);
        let found = found.map(|usage| usage.0).unwrap_or_default();
        let same = found.iter().collect::<BTreeSet<_>>() == self.expected.extended_key_usage.iter().collect();
        findings.require(same, PROFILE, "the extended key usages are not the profile's");
        let any = found.contains(&rfc5280::ANY_EXTENDED_KEY_USAGE);
        findings.require(!any, PROFILE, "anyExtendedKeyUsage is present");
        let signs_answers = found.contains(&rfc5280::ID_KP_OCSP_SIGNING);
        match self.expected.kind {
            CertificateKind::OcspResponder => {
                let alone = signs_answers && found.len() == 1;
                findings.require(alone, "RFC 6960 §4.2.2.2", "a responder has OCSPSigning and nothing else");
            }
            CertificateKind::EndEntity | CertificateKind::Authority => {
                findings.require(!signs_answers, PROFILE, "OCSPSigning is for OCSP responders");
            }
        }
    }

    fn policies(&self, findings: &mut Findings) {
        let found: Option<CertificatePolicies> = self.value(rfc5280::ID_CE_CERTIFICATE_POLICIES, findings);
        let found = found.map(|policies| policies.0).unwrap_or_default();
        let oids: Vec<ObjectIdentifier> = found.iter().map(|policy| policy.policy_identifier).collect();
        let wanted: Vec<ObjectIdentifier> = self.expected.policies.iter().map(|policy| policy.oid).collect();
        findings.require(oids == wanted, PROFILE, "the policies are not the profile's");
        let distinct = oids.iter().collect::<BTreeSet<_>>().len() == oids.len();
        findings.require(distinct, "RFC 5280 §4.2.1.4", "a policy stands there twice");
        let complete = found.iter().zip(&self.expected.policies).all(|(policy, wanted)| says(policy, wanted));
        findings.require(complete, PROFILE, "the policies have other qualifiers than the profile's");
        self.expected.policies.iter().filter_map(|policy| policy.cps_url.as_deref()).for_each(|url| {
            findings.require(is_web_url(url), "RFC 5280 §4.2.1.4", "the practice statement has no URL");
        });
        match self.expected.kind {
            CertificateKind::EndEntity => findings.require(!oids.is_empty(), PROFILE, "there is no policy"),
            CertificateKind::Authority | CertificateKind::OcspResponder => {}
        }
    }

    fn alternative_names(&self, subject_is_empty: bool, findings: &mut Findings) {
        let names: Option<Vec<GeneralName>> = self.value(rfc5280::ID_CE_SUBJECT_ALT_NAME, findings);
        let critical = self.raw(rfc5280::ID_CE_SUBJECT_ALT_NAME).map(|extension| extension.critical);
        let wanted_critical = critical.is_none_or(|critical| critical == subject_is_empty);
        findings.require(
            wanted_critical,
            "RFC 5280 §4.2.1.6",
            "alternative names are critical when the subject is empty",
        );
        findings.require(!subject_is_empty || critical.is_some(), "RFC 5280 §4.1.2.6", "there is no name at all");
        findings.require(
            names.as_ref().is_none_or(|names| !names.is_empty()),
            "RFC 5280 §4.2.1.6",
            "the alternative names are empty",
        );
        let found: Vec<AlternativeName> = names.iter().flatten().map(AlternativeName::from_general_name).collect();
        let mut identifiers = BTreeSet::new();
        for name in &found {
            match name {
                AlternativeName::Identifier(identifier) => {
                    // The wire form must be the canonical one: lower case, no final dot.
                    let written =
                        name.to_general_name().is_some_and(|again| names.iter().flatten().any(|raw| *raw == again));
                    findings.require(written, "RFC 5280 §4.2.1.6", &format!("{name} is not in its canonical form"));
                    findings.require(identifiers.insert(identifier), PROFILE, &format!("{name} stands there twice"));
                }
                AlternativeName::MalformedDns(_)
                | AlternativeName::Email(_)
                | AlternativeName::Uri(_)
                | AlternativeName::Other(_) => {
                    findings.add("RFC 5280 §4.2.1.6", format!("{name} is no name that is certified"));
                }
            }
        }
        let same = identifiers == self.expected.identifiers.iter().collect();
        findings.require(same, "RFC 8555 §7.4", "the alternative names are not the ones that were authorized");
    }

    fn crl_distribution_points(&self, findings: &mut Findings) {
        let found: Option<CrlDistributionPoints> = self.value(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, findings);
        let points = found.map(|points| points.0).unwrap_or_default();
        let whole = points.iter().all(|point| point.reasons.is_none() && point.crl_issuer.is_none());
        findings.require(whole, PROFILE, "a distribution point is for some reasons or of another issuer");
        let names: Vec<GeneralName> = points
            .into_iter()
            .filter_map(|point| match point.distribution_point {
                Some(DistributionPointName::FullName(names)) => Some(names),
                Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => None,
            })
            .flatten()
            .collect();
        self.url("CRL", names.iter(), self.expected.crl_url.as_deref(), findings);
    }

    fn authority_information(&self, findings: &mut Findings) {
        let found: Option<AuthorityInfoAccessSyntax> = self.value(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, findings);
        let access = found.map(|access| access.0).unwrap_or_default();
        let unknown = access.iter().any(|one| one.access_method != ACCESS_OCSP && one.access_method != ACCESS_ISSUER);
        findings.require(!unknown, PROFILE, "an unknown access method is present");
        let wanted = [
            ("OCSP", ACCESS_OCSP, self.expected.ocsp_url.as_deref()),
            ("issuer", ACCESS_ISSUER, self.expected.issuer_url.as_deref()),
        ];
        for (what, method, url) in wanted {
            let names = access.iter().filter(|one| one.access_method == method).map(|one| &one.access_location);
            self.url(what, names, url, findings);
        }
    }

    /// Exactly the wanted URL, over plain HTTP: whoever checks a certificate cannot check the certificate of an HTTPS server
    /// first (RFC 5280 §8).
    fn url<'n>(
        &self,
        what: &str,
        names: impl Iterator<Item = &'n GeneralName>,
        wanted: Option<&str>,
        findings: &mut Findings,
    ) {
        let found: Vec<String> = names
            .map(|name| match AlternativeName::from_general_name(name) {
                AlternativeName::Uri(url) => url,
                other => other.to_string(),
            })
            .collect();
        let same = found.iter().map(String::as_str).eq(wanted);
        findings.require(same, PROFILE, &format!("the {what} URL is not the configured one"));
        let plain = found.iter().all(|url| is_web_url(url) && url.starts_with("http://"));
        findings.require(plain, "RFC 5280 §8", &format!("the {what} URL is not an http URL"));
        let needed = match (self.expected.kind, what) {
            (CertificateKind::EndEntity, _) => true,
            (CertificateKind::Authority, "CRL" | "issuer") => self.expected.issuer_ends.is_some(),
            (CertificateKind::Authority | CertificateKind::OcspResponder, _) => false,
        };
        findings.require(!needed || !found.is_empty(), PROFILE, &format!("there is no {what} URL"));
    }
}

/// Whether a policy has exactly the qualifiers that are wanted, in our order, and they say what is wanted.
fn says(policy: &PolicyInformation, wanted: &CertificatePolicy) -> bool {
    let cps = wanted.cps_url.iter().map(|url| (rfc5912::ID_QT_CPS, encoded(IA5_STRING, &[url.as_bytes()])));
    let notice = wanted
        .notice
        .iter()
        .map(|text| (rfc5912::ID_QT_UNOTICE, encoded(SEQUENCE, &[&encoded(UTF8_STRING, &[text.as_bytes()])])));
    let found = policy.policy_qualifiers.iter().flatten().map(|qualifier| {
        let value = qualifier.qualifier.as_ref().and_then(|value| value.to_der().ok()).unwrap_or_default();
        (qualifier.policy_qualifier_id, value)
    });
    found.eq(cps.chain(notice))
}

fn is_web_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.bytes().all(|octet| octet.is_ascii_graphic())
}

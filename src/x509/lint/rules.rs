//! The rules for the fixed fields of a TBSCertificate.

use der::{Decode, Encode};
use x509_cert::certificate::{Raw, TbsCertificateInner, Version};
use x509_cert::time::Time;

use super::{CertificateKind, Findings, LintExpectations, extension_rules};
use crate::time::Timestamp;
use crate::x509::asn1_time::from_x509;
use crate::x509::der_element::{Element, canonical};
use crate::x509::{DistinguishedName, NameAttribute, NameEntry};

/// A TBSCertificate as x509-cert's reader sees it, with nothing checked or adjusted.
pub(super) type Tbs = TbsCertificateInner<Raw>;

const PROFILE: &str = "profile";
/// The service's rule: two years at most.
const LONGEST_YEARS: i32 = 2;

pub(super) fn apply(der: &[u8], expected: &LintExpectations, findings: &mut Findings) {
    if let Err(error) = canonical(der) {
        findings.add("X.690 §10", error.to_string());
    }
    let tbs = match Tbs::from_der(der) {
        Ok(tbs) => tbs,
        Err(error) => return findings.add("RFC 5280 §4.1", format!("not a TBSCertificate: {error}")),
    };
    // What a schema alone can see: a DEFAULT value that is written, a tail, a set out of order.
    let same = tbs.to_der().is_ok_and(|again| again == der);
    findings.require(same, "X.690 §10", "the encoding is not the canonical one");
    findings.require(tbs.version() == Version::V3, "RFC 5280 §4.1.2.1", "not of version 3");
    let unique = tbs.issuer_unique_id().is_some() || tbs.subject_unique_id().is_some();
    findings.require(!unique, "RFC 5280 §4.1.2.8", "unique identifiers are present");
    serial(&tbs, expected, findings);
    algorithm(&tbs, expected, findings);
    validity(&tbs, expected, findings);
    names(&tbs, expected, findings);
    let key = tbs.subject_public_key_info().to_der().unwrap_or_default();
    findings.require(key == expected.public_key.to_spki_der(), PROFILE, "the key is not the one that was proved");
    extension_rules::apply(&tbs, expected, findings);
}

// RFC 5280 §4.1.2.2: positive, at most 20 octets.
fn serial(tbs: &Tbs, expected: &LintExpectations, findings: &mut Findings) {
    let content = tbs.serial_number().as_bytes();
    let positive = content.first().is_some_and(|octet| octet & 0x80 == 0) && content.iter().any(|octet| *octet != 0);
    findings.require(positive, "RFC 5280 §4.1.2.2", "the serial number is not positive");
    findings.require(content.len() <= 20, "RFC 5280 §4.1.2.2", "the serial number has more than 20 octets");
    let recorded = content == expected.serial.der_content();
    findings.require(recorded, PROFILE, "the serial number is not the one that was recorded");
    // Baseline Requirements §7.1: 64 bits from a random source, beside the time in ours.
    findings.require(content.len() >= 8, "BR §7.1", "the serial number has less than 64 bits");
}

fn algorithm(tbs: &Tbs, expected: &LintExpectations, findings: &mut Findings) {
    let same = tbs.signature().to_der().is_ok_and(|der| der == expected.algorithm.identifier_der());
    findings.require(same, "RFC 5280 §4.1.2.3", "the signature algorithm is not the issuer's");
}

fn validity(tbs: &Tbs, expected: &LintExpectations, findings: &mut Findings) {
    let (begins, ends) = (tbs.validity().not_before, tbs.validity().not_after);
    for time in [begins, ends] {
        let form_fits = matches!(time, Time::UtcTime(_)) == (time.to_date_time().year() < 2050);
        findings.require(form_fits, "RFC 5280 §4.1.2.5", "a time has the form of the other half of the century");
    }
    let (begins, ends) = (from_x509(begins), from_x509(ends));
    findings.require(begins < ends, "RFC 5280 §4.1.2.5", "the validity ends before it begins");
    let asked = (begins, ends) == (expected.not_before, expected.not_after);
    findings.require(asked, PROFILE, "the validity is not the one that was decided");
    if let Some(issuer_ends) = expected.issuer_ends {
        findings.require(ends <= issuer_ends, PROFILE, "the certificate outlives its issuer");
    }
    match expected.kind {
        CertificateKind::EndEntity | CertificateKind::OcspResponder => {
            findings.require(ends <= last_second(begins), PROFILE, "the validity is longer than two years");
        }
        CertificateKind::Authority => {}
    }
}

// RFC 5280 §4.1.2.5: both ends belong to the validity, so two years end one second before the same time of day.
fn last_second(begins: Timestamp) -> Timestamp {
    begins.plus_years(LONGEST_YEARS).plus(-1)
}

fn names(tbs: &Tbs, expected: &LintExpectations, findings: &mut Findings) {
    let issuer = tbs.issuer().to_der().unwrap_or_default();
    findings.require(issuer == expected.issuer.as_der(), "RFC 5280 §4.1.2.4", "the issuer is not the issuer's subject");
    let subject = tbs.subject().to_der().unwrap_or_default();
    findings.require(subject == expected.subject.as_der(), PROFILE, "the subject is not the one that was decided");
    match DistinguishedName::from_der(&subject) {
        Ok(name) => subject_rules(&name, expected, findings),
        Err(error) => findings.add("RFC 5280 §4.1.2.6", format!("the subject: {error}")),
    }
}

fn subject_rules(subject: &DistinguishedName, expected: &LintExpectations, findings: &mut Findings) {
    let several = Element::only(subject.as_der())
        .and_then(|name| name.children())
        .is_ok_and(|sets| sets.iter().any(|set| set.children().is_ok_and(|members| members.len() > 1)));
    findings.require(!several, PROFILE, "a set of the subject has several attributes");
    subject.entries().for_each(|entry| attribute(entry, findings));
    for attribute in [NameAttribute::Country, NameAttribute::CommonName, NameAttribute::SerialNumber] {
        let several = subject.values(attribute).count() > 1;
        findings.require(!several, PROFILE, &format!("the subject has {} more than once", attribute.keyword()));
    }
    match expected.kind {
        CertificateKind::EndEntity => common_name(subject, expected, findings),
        // RFC 5280 §4.1.2.6: an authority's subject is never empty.
        CertificateKind::Authority | CertificateKind::OcspResponder => {
            findings.require(!subject.is_empty(), "RFC 5280 §4.1.2.6", "the subject is empty");
        }
    }
}

fn attribute(entry: &NameEntry, findings: &mut Findings) {
    let Some(attribute) = NameAttribute::from_oid(&entry.oid) else {
        return findings.add(PROFILE, format!("the subject has the unknown attribute {}", entry.oid));
    };
    let right_type = entry.value_tag == attribute.string_type_octet();
    findings.require(right_type, "FINEID S2", &format!("{} is a string of another type", attribute.keyword()));
    match &entry.text {
        Some(text) => {
            if let Err(fault) = attribute.check(text) {
                findings.add("RFC 5280 appendix A.1", fault.to_string());
            }
        }
        None => findings.add(PROFILE, format!("{} is not a text", attribute.keyword())),
    }
}

// Baseline Requirements §7.1.4.3: a common name is one of the alternative names, when there are any.
fn common_name(subject: &DistinguishedName, expected: &LintExpectations, findings: &mut Findings) {
    if expected.identifiers.is_empty() {
        return;
    }
    for name in subject.values(NameAttribute::CommonName) {
        let certified = expected.identifiers.iter().any(|identifier| identifier.value() == name);
        findings.require(certified, "BR §7.1.4.3", "the common name is none of the alternative names");
    }
}

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

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;
    use proptest::prelude::*;

    use super::*;
    use crate::x509::tests::authority::{self, dns, expectations};
    use crate::x509::{AlternativeName, CertificateContent, Constraints, KeyUsage, NameAttribute};

    /// The findings when `change` makes the certificate another than the one that was meant.
    fn changed(change: impl FnOnce(&mut CertificateContent)) -> String {
        let mut content = authority::server_content();
        let expected = expectations(CertificateKind::EndEntity, &content);
        change(&mut content);
        found(&content, &expected)
    }

    /// The findings when `change` makes the certificate and what was meant the same, but wrong.
    fn meant(change: impl FnOnce(&mut CertificateContent)) -> String {
        let mut content = authority::server_content();
        change(&mut content);
        found(&content, &expectations(CertificateKind::EndEntity, &content))
    }

    fn found(content: &CertificateContent, expected: &LintExpectations) -> String {
        let findings = findings(&content.tbs_der().unwrap(), expected);
        findings.iter().map(|finding| format!("{finding}\n")).collect()
    }

    #[test]
    fn certificates_of_every_kind_pass_as_they_are_meant() {
        let kinds = [
            (CertificateKind::EndEntity, authority::server_content()),
            (CertificateKind::OcspResponder, authority::responder_content()),
            (CertificateKind::Authority, authority::issuer_content()),
        ];
        for (kind, content) in kinds {
            assert_eq!(found(&content, &expectations(kind, &content)), "");
            let linted = Linted::check(content.tbs_der().unwrap(), &expectations(kind, &content)).unwrap();
            assert_eq!(linted.tbs_der(), content.tbs_der().unwrap());
        }
    }

    #[test]
    fn a_certificate_that_says_something_else_than_was_meant_is_found() {
        type Change = fn(&mut CertificateContent);
        let changes: [(Change, &str); 17] = [
            (|c| c.serial = "0199C1A2B3C4D5E6F708192A3B4C5D70".parse().unwrap(), "not the one that was recorded"),
            (|c| c.issuer = authority::name("Another"), "the issuer is not"),
            (|c| c.issuer_key = None, "authority key identifier"),
            (|c| c.subject = authority::name("a.example.fi"), "the subject is not"),
            (|c| c.public_key = authority::key(3), "the key is not"),
            (|c| c.not_after = c.not_after.plus(1), "the validity is not"),
            (|c| c.algorithm = SigningAlgorithm::EcdsaP384Sha384, "signature algorithm"),
            (|c| c.alternative_names.truncate(1), "not the ones that were authorized"),
            (|c| c.alternative_names.push(dns("c.example.fi").into()), "not the ones that were authorized"),
            (|c| c.alternative_names.push(dns("a.example.fi").into()), "twice"),
            (|c| c.key_usage |= KeyUsage::KeyCertSign, "an authority's"),
            (|c| c.extended_key_usage.push(rfc5280::ID_KP_CODE_SIGNING), "extended key usages"),
            (|c| c.policies.clear(), "the policies are not"),
            (|c| c.policies[0].notice = None, "other qualifiers"),
            (|c| c.crl_url = Some("http://pki.example.fi/crl/sote/4.crl".to_owned()), "the CRL URL is not"),
            (|c| c.ocsp_url = None, "the OCSP URL is not"),
            (|c| c.constraints = Constraints::Authority { path_length: None }, "CA:TRUE"),
        ];
        for (change, text) in changes {
            let found = changed(change);
            assert!(found.contains(text), "{text}: {found}");
        }
        let email = || AlternativeName::Email("it@example.fi".to_owned());
        assert!(changed(|c| c.alternative_names.push(email())).contains("email:it@example.fi is no name"));
        assert!(changed(|c| c.ocsp_no_check = true).contains("ocsp-nocheck"));
        assert!(changed(|c| c.issuer_url = None).contains("the issuer URL"));
    }

    #[test]
    fn a_certificate_that_was_meant_wrongly_is_found_too() {
        assert!(meant(|c| c.not_after = c.not_before).contains("ends before it begins"));
        assert!(meant(|c| c.not_after = c.not_before.plus_years(2)).contains("longer than two years"));
        assert_eq!(meant(|c| c.not_after = c.not_before.plus_years(2).plus(-1)), "");
        assert!(meant(|c| c.serial = "0A".parse().unwrap()).contains("less than 64 bits"));
        assert!(meant(|c| c.crl_url = Some("https://pki.example.fi/x.crl".to_owned())).contains("not an http URL"));
        assert!(meant(|c| c.crl_url = None).contains("there is no CRL URL"));
        assert!(meant(|c| c.key_usage |= KeyUsage::KeyEncipherment).contains("an EC key cannot encipher"));
        assert!(meant(|c| c.key_usage = KeyUsages::default()).contains("there is no key usage"));
        assert!(
            meant(|c| c.extended_key_usage = vec![rfc5280::ANY_EXTENDED_KEY_USAGE]).contains("anyExtendedKeyUsage")
        );
        assert!(meant(|c| c.policies.clear()).contains("there is no policy"));
        assert!(meant(|c| c.subject = authority::name("c.example.fi")).contains("none of the alternative names"));
        let two = [(NameAttribute::Country, "FI"), (NameAttribute::Country, "SE")];
        assert!(meant(|c| c.subject = DistinguishedName::new(two).unwrap()).contains("C more than once"));
    }

    #[test]
    fn a_certificate_does_not_outlive_its_issuer() {
        let content = authority::server_content();
        let mut expected = expectations(CertificateKind::EndEntity, &content);
        expected.issuer_ends = Some(content.not_after.plus(-1));
        assert!(found(&content, &expected).contains("outlives its issuer"));
    }

    #[test]
    fn names_of_other_string_types_and_lengths_are_found() {
        let content = authority::server_content();
        let expected = expectations(CertificateKind::EndEntity, &content);
        let tbs = content.tbs_der().unwrap();
        let place = tbs.windows(14).position(|window| window.ends_with(b"a.example.fi") && window[0] == 0x0c).unwrap();
        let mut spoiled = tbs.clone();
        spoiled[place] = 0x13;
        let found: String = findings(&spoiled, &expected).iter().map(Finding::to_string).collect();
        assert!(found.contains("CN is a string of another type"), "{found}");
    }

    #[test]
    fn a_default_value_that_is_written_is_not_canonical() {
        use crate::x509::der_element::{Element, SEQUENCE, constructed, encoded};
        let content = authority::server_content();
        let tbs = content.tbs_der().unwrap();
        let mut parts: Vec<Vec<u8>> =
            Element::only(&tbs).unwrap().children().unwrap().iter().map(|part| part.whole.to_vec()).collect();
        let list = parts.pop().unwrap();
        let list = Element::only(Element::only(&list).unwrap().content).unwrap();
        let mut extensions: Vec<Vec<u8>> = list.children().unwrap().iter().map(|part| part.whole.to_vec()).collect();
        let inner: Vec<&[u8]> =
            Element::only(&extensions[0]).unwrap().children().unwrap().iter().map(|part| part.whole).collect();
        let spoiled = encoded(SEQUENCE, &[inner[0], &[0x01, 0x01, 0x00], inner[1]]);
        extensions[0] = spoiled;
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        parts.push(encoded(constructed(3), &[&encoded(SEQUENCE, &extensions)]));
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let expected = expectations(CertificateKind::EndEntity, &content);
        let found = findings(&encoded(SEQUENCE, &parts), &expected);
        assert!(!found.is_empty());
    }

    #[test]
    fn every_spoiled_octet_is_found() {
        let content = authority::server_content();
        let expected = expectations(CertificateKind::EndEntity, &content);
        let tbs = content.tbs_der().unwrap();
        for index in 0..tbs.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut spoiled = tbs.clone();
                spoiled[index] ^= flip;
                assert!(!findings(&spoiled, &expected).is_empty(), "octet {index} with {flip:02x}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_octets_are_found_and_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let expected = expectations(CertificateKind::EndEntity, &authority::server_content());
            prop_assert!(!findings(&octets, &expected).is_empty());
        }
    }
}

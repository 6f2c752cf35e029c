//! A small authority with fixed keys and fixed times.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;

use crate::acme::identifier::Identifier;
use crate::public_key::{Curve, PublicKey};
use crate::time::Timestamp;
use crate::x509::alternative_name::dns_identifier;
use crate::x509::der_element::{BIT_STRING, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, SET, constructed, encoded};
use crate::x509::lint::{CertificateKind, LintExpectations};
use crate::x509::{
    AlternativeName, CertificateContent, CertificatePolicy, Constraints, DistinguishedName, KeyIdentifier, KeyUsage,
    NameAttribute, SigningAlgorithm, assembled_certificate, pem,
};

/// The key pair with this number: 1 the issuer's, 2 a server's, 3 an OCSP responder's.
pub fn pair(number: usize) -> EcdsaKeyPair {
    let text = [
        include_str!("../../../tests/vectors/x509/test-key-1.pem"),
        include_str!("../../../tests/vectors/x509/test-key-2.pem"),
        include_str!("../../../tests/vectors/x509/test-key-3.pem"),
    ][number - 1];
    let der = pem::decoded("PRIVATE KEY", text).unwrap().remove(0);
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap()
}

pub fn key(number: usize) -> PublicKey {
    PublicKey::ec(Curve::P256, pair(number).public_key().as_ref()).unwrap()
}

pub fn sign(number: usize, message: &[u8]) -> Vec<u8> {
    pair(number).sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

pub const ALGORITHM: SigningAlgorithm = SigningAlgorithm::EcdsaP256Sha256;

pub fn name(common_name: &str) -> DistinguishedName {
    DistinguishedName::new([(NameAttribute::Country, "FI"), (NameAttribute::CommonName, common_name)]).unwrap()
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn dns(text: &str) -> Identifier {
    dns_identifier(text).unwrap()
}

/// A root of itself, for twenty years.
pub fn issuer_content() -> CertificateContent {
    CertificateContent {
        serial: "0123456789ABCDEF01".parse().unwrap(),
        issuer: name("Issuer"),
        issuer_key: None,
        not_before: time("2026-01-01T00:00:00Z"),
        not_after: time("2050-12-31T23:59:59Z"),
        subject: name("Issuer"),
        public_key: key(1),
        algorithm: ALGORITHM,
        constraints: Constraints::Authority { path_length: Some(0) },
        key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign,
        extended_key_usage: Vec::new(),
        policies: Vec::new(),
        alternative_names: Vec::new(),
        crl_url: None,
        ocsp_url: None,
        issuer_url: None,
        ocsp_no_check: false,
    }
}

/// A server's certificate with everything that the profile has.
pub fn server_content() -> CertificateContent {
    let subject = [
        (NameAttribute::Country, "FI"),
        (NameAttribute::Locality, "Hämeenlinna"),
        (NameAttribute::Organisation, "Esimerkkiapteekki Oy"),
        (NameAttribute::OrganisationalUnit, "Keskustan apteekki"),
        (NameAttribute::SerialNumber, "1.2.246.10.2454372.10.1"),
        (NameAttribute::CommonName, "a.example.fi"),
    ];
    CertificateContent {
        serial: "0199C1A2B3C4D5E6F708192A3B4C5D6E".parse().unwrap(),
        issuer: name("Issuer"),
        issuer_key: Some(KeyIdentifier::of(&key(1))),
        not_before: time("2026-11-24T10:00:00Z"),
        not_after: time("2027-11-24T21:59:59Z"),
        subject: DistinguishedName::new(subject).unwrap(),
        public_key: key(2),
        algorithm: ALGORITHM,
        constraints: Constraints::EndEntity,
        key_usage: KeyUsage::DigitalSignature.into(),
        extended_key_usage: vec![rfc5280::ID_KP_SERVER_AUTH, rfc5280::ID_KP_CLIENT_AUTH],
        policies: vec![CertificatePolicy {
            oid: ObjectIdentifier::new_unwrap("1.2.246.517.1.10.358.2"),
            cps_url: Some("http://pki.example.fi/cps/".to_owned()),
            notice: Some("Varmennepolitiikka on saatavilla - Certifikatpolicy finns".to_owned()),
        }],
        alternative_names: vec![dns("a.example.fi").into(), dns("*.b.example.fi").into()],
        crl_url: Some("http://pki.example.fi/crl/sote/3.crl".to_owned()),
        ocsp_url: Some("http://pki.example.fi/ocsp/sote".to_owned()),
        issuer_url: Some("http://pki.example.fi/issuer/sote.cer".to_owned()),
        ocsp_no_check: false,
    }
}

/// An OCSP responder's certificate.
pub fn responder_content() -> CertificateContent {
    CertificateContent {
        serial: "0199C1A2B3C4D5E6F708192A3B4C5D6F".parse().unwrap(),
        subject: name("Responder"),
        public_key: key(3),
        extended_key_usage: vec![rfc5280::ID_KP_OCSP_SIGNING],
        policies: Vec::new(),
        alternative_names: Vec::new(),
        crl_url: None,
        ocsp_url: None,
        issuer_url: None,
        ocsp_no_check: true,
        ..server_content()
    }
}

/// What the lint is to expect of a certificate with this content.
pub fn expectations(kind: CertificateKind, content: &CertificateContent) -> LintExpectations {
    LintExpectations {
        kind,
        serial: content.serial.clone(),
        issuer: content.issuer.clone(),
        issuer_key: content.issuer_key.clone(),
        algorithm: content.algorithm,
        subject: content.subject.clone(),
        public_key: content.public_key.clone(),
        not_before: content.not_before,
        not_after: content.not_after,
        issuer_ends: None,
        identifiers: content.alternative_names.iter().filter_map(AlternativeName::identifier).cloned().collect(),
        key_usage: content.key_usage,
        extended_key_usage: content.extended_key_usage.clone(),
        policies: content.policies.clone(),
        crl_url: content.crl_url.clone(),
        ocsp_url: content.ocsp_url.clone(),
        issuer_url: content.issuer_url.clone(),
    }
}

/// The certificate with this content, signed by the issuer's key.
pub fn certificate(content: &CertificateContent) -> Vec<u8> {
    let tbs = content.tbs_der().unwrap();
    assembled_certificate(&tbs, ALGORITHM, &sign(1, &tbs))
}

/// A request signed by key 2, with these attributes (each in DER).
pub fn request(subject: &DistinguishedName, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
    let info = encoded(
        SEQUENCE,
        &[&[INTEGER, 1, 0], subject.as_der(), &key(2).to_spki_der(), &encoded(constructed(0), &attributes)],
    );
    let bits = encoded(BIT_STRING, &[&[0], &sign(2, &info)]);
    encoded(SEQUENCE, &[&info, &ALGORITHM.identifier_der(), &bits])
}

/// The attribute that requests these extensions.
pub fn extension_request(extensions: &[x509_cert::ext::Extension]) -> Vec<u8> {
    use der::Encode;
    let oid = encoded(OBJECT_IDENTIFIER, &[const_oid::db::rfc5912::ID_EXTENSION_REQ.as_bytes()]);
    encoded(SEQUENCE, &[&oid, &encoded(SET, &[&extensions.to_vec().to_der().unwrap()])])
}

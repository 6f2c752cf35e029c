//! The encodings stand still: whatever is signed is made from fixed inputs and compared with files, each with its text as
//! OpenSSL shows it beside it. After a change that is meant, write the files anew with
//! `SOTE_ACME_WRITE_VECTORS=1 cargo test --lib x509::tests::vectors`, and their texts as `tests/vectors/x509/README.md` says.

use std::path::PathBuf;

use super::authority::*;
use crate::names::RevocationReason;
use crate::x509::ocsp::{CertId, CertIdHash, CertificateStatus, Nonce, OcspAnswer, OcspContent, OcspRequest};
use crate::x509::{CrlContent, KeyIdentifier, RevokedEntry, SigningAlgorithm};

fn compare(file: &str, der: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/x509").join(file);
    if std::env::var_os("SOTE_ACME_WRITE_VECTORS").is_some() {
        std::fs::write(&path, der).unwrap();
    }
    let wanted = std::fs::read(&path).unwrap();
    assert!(wanted == der, "{file} is encoded in another way than before");
}

#[test]
fn certificates_are_encoded_as_before() {
    compare("certificate-issuer.tbs.der", &issuer_content().tbs_der().unwrap());
    compare("certificate-server.tbs.der", &server_content().tbs_der().unwrap());
    compare("certificate-responder.tbs.der", &responder_content().tbs_der().unwrap());
    let mut without_subject = server_content();
    without_subject.subject = crate::x509::DistinguishedName::new::<&str>([]).unwrap();
    without_subject.algorithm = SigningAlgorithm::RsaSha256;
    compare("certificate-without-subject.tbs.der", &without_subject.tbs_der().unwrap());
}

#[test]
fn lists_are_encoded_as_before() {
    let content = CrlContent {
        issuer: name("Issuer"),
        issuer_key: KeyIdentifier::of(&key(1)),
        algorithm: ALGORITHM,
        number: 300,
        this_update: time("2049-12-31T12:00:00Z"),
        next_update: time("2050-01-01T12:00:00Z"),
        distribution_point: Some("http://pki.example.fi/crl/sote/3.crl".to_owned()),
    };
    let entry = |serial: &str, reason, invalidity: Option<&str>| {
        let serial = serial.parse().unwrap();
        RevokedEntry { serial, date: time("2027-01-02T03:04:05Z"), reason, invalidity_date: invalidity.map(time) }
            .to_der()
    };
    let entries = [
        entry("0199C1A2B3C4D5E6F708192A3B4C5D6E", None, None),
        entry("FF", Some(RevocationReason::KeyCompromise), Some("2026-12-24T00:00:00Z")),
    ];
    compare("list.tbs.der", &content.tbs_der(&entries).unwrap());
    compare("list-empty.tbs.der", &content.tbs_der::<Vec<u8>>(&[]).unwrap());
}

#[test]
fn ocsp_requests_and_answers_are_encoded_as_before() {
    let id = |hash| CertId::new(hash, &name("Issuer"), &key(1), &server_content().serial);
    let nonce = Nonce::from_bytes(&[7; 32]).unwrap();
    let request = OcspRequest::new(vec![id(CertIdHash::Sha1), id(CertIdHash::Sha256)], Some(nonce.clone()));
    compare("ocsp-request.der", &request.to_der());
    let answer = |hash, status| OcspAnswer {
        certificate: id(hash),
        status,
        this_update: time("2026-11-24T10:00:00Z"),
        next_update: Some(time("2026-11-25T10:00:00Z")),
        archive_cutoff: None,
    };
    let revoked = |reason| CertificateStatus::Revoked { time: time("2026-11-24T09:00:00Z"), reason };
    let content = OcspContent {
        responder: key(3),
        produced_at: time("2026-11-24T10:00:01Z"),
        answers: vec![
            answer(CertIdHash::Sha1, CertificateStatus::Good),
            answer(CertIdHash::Sha256, revoked(Some(RevocationReason::Superseded))),
            answer(CertIdHash::Sha256, revoked(None)),
            answer(CertIdHash::Sha1, CertificateStatus::Unknown),
        ],
        nonce: Some(nonce),
    };
    compare("ocsp-response.tbs.der", &content.tbs_der());
}

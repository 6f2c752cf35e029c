//! A card authority made of keys in a directory, its cards, and a server of its CRL and its OCSP answers that says whatever a
//! test wants.

// Each test binary uses its own part.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use const_oid::ObjectIdentifier;
use sote_acme::acme::compact::EvidenceAlgorithm;
use sote_acme::public_key::{Curve, PublicKey, fixed_from_asn1};
use sote_acme::signer::{KeyFile, NewKey, Signer};
use sote_acme::time::Timestamp;
use sote_acme::validation::trust::{CardAuthority, CardKind, StatusSource, Trust};
use sote_acme::x509::ocsp::{CertificateStatus, OcspAnswer, OcspContent, OcspRequest, assembled_ocsp_response};
use sote_acme::x509::path::PathRequirements;
use sote_acme::x509::{
    Certificate, CertificateContent, CertificatePolicy, Constraints, CrlContent, DistinguishedName, KeyIdentifier,
    KeyUsage, KeyUsages, NameAttribute, RevokedEntry, assembled_certificate, assembled_crl,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The policy under which the sample cards are issued.
pub const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.246.517.1.10.999.1");

/// A card authority: a root that issues cards itself.
pub struct CardAuthorityKeys {
    directory: PathBuf,
    key: KeyFile,
    pub certificate: Certificate,
    serial: AtomicU32,
}

/// A card: its certificate and its key.
pub struct Card {
    pub certificate: Certificate,
    pub key: KeyFile,
}

impl Card {
    /// The signature in the form of JWS.
    pub fn sign(&self, input: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(input).unwrap();
        match self.key.public_key() {
            PublicKey::Ec(key) => fixed_from_asn1(key.curve(), &signature).unwrap(),
            PublicKey::Rsa(_) | PublicKey::Ed25519(_) => signature,
        }
    }

    pub fn algorithm(&self) -> EvidenceAlgorithm {
        match self.key.public_key() {
            PublicKey::Ec(key) if key.curve() == Curve::P384 => EvidenceAlgorithm::Es384,
            PublicKey::Ec(_) => EvidenceAlgorithm::Es256,
            PublicKey::Rsa(_) | PublicKey::Ed25519(_) => EvidenceAlgorithm::Rs256,
        }
    }
}

impl CardAuthorityKeys {
    pub fn new(directory: &Path, name: &str, now: Timestamp) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let key = KeyFile::create(&directory.join("root.key"), NewKey::P384).unwrap();
        let subject =
            DistinguishedName::new([(NameAttribute::Country, "FI"), (NameAttribute::CommonName, name)]).unwrap();
        let content = CertificateContent {
            serial: "01".parse().unwrap(),
            issuer: subject.clone(),
            issuer_key: None,
            not_before: now.plus(-86_400),
            not_after: now.plus_years(10),
            subject,
            public_key: key.public_key().clone(),
            algorithm: key.algorithm(),
            constraints: Constraints::Authority { path_length: Some(0) },
            key_usage: KeyUsage::KeyCertSign | KeyUsage::CRLSign,
            extended_key_usage: Vec::new(),
            policies: Vec::new(),
            alternative_names: Vec::new(),
            crl_url: None,
            ocsp_url: None,
            issuer_url: None,
            ocsp_no_check: false,
        };
        let certificate = signed(&content, &key);
        CardAuthorityKeys { directory: directory.to_owned(), key, certificate, serial: AtomicU32::new(16) }
    }

    /// A card with this subject, changed by `change`.
    pub fn card(
        &self,
        subject: &[(NameAttribute, &str)],
        kind: NewKey,
        now: Timestamp,
        change: impl FnOnce(&mut CertificateContent),
    ) -> Card {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let key = KeyFile::create(&self.directory.join(format!("card-{number}.key")), kind).unwrap();
        let mut content = CertificateContent {
            serial: format!("{number:04X}").parse().unwrap(),
            issuer: self.certificate.subject().clone(),
            issuer_key: Some(KeyIdentifier::of(self.key.public_key())),
            not_before: now.plus(-3_600),
            not_after: now.plus_years(3),
            subject: DistinguishedName::new(subject.iter().copied()).unwrap(),
            public_key: key.public_key().clone(),
            algorithm: self.key.algorithm(),
            constraints: Constraints::EndEntity,
            key_usage: KeyUsage::NonRepudiation.into(),
            extended_key_usage: Vec::new(),
            policies: vec![CertificatePolicy { oid: POLICY, cps_url: None, notice: None }],
            alternative_names: Vec::new(),
            crl_url: None,
            ocsp_url: None,
            issuer_url: None,
            ocsp_no_check: false,
        };
        change(&mut content);
        Card { certificate: signed(&content, &self.key), key }
    }

    /// A CRL with these cards.
    pub fn crl(&self, revoked: &[&Card], this_update: Timestamp, next_update: Timestamp) -> Vec<u8> {
        let content = CrlContent {
            issuer: self.certificate.subject().clone(),
            issuer_key: KeyIdentifier::of(self.key.public_key()),
            algorithm: self.key.algorithm(),
            number: this_update.seconds() as u64,
            this_update,
            next_update,
            distribution_point: None,
        };
        let entry = |card: &&Card| RevokedEntry {
            serial: card.certificate.serial().clone(),
            date: this_update,
            reason: None,
            invalidity_date: None,
        };
        let entries: Vec<Vec<u8>> = revoked.iter().map(entry).map(|entry| entry.to_der()).collect();
        let tbs = content.tbs_der(&entries).unwrap();
        assembled_crl(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap())
    }

    /// The answer to an OCSP request: this status for whatever it asks.
    pub fn ocsp(&self, request: &[u8], status: CertificateStatus, now: Timestamp) -> Vec<u8> {
        let request = OcspRequest::parse(request).unwrap();
        let answer = |id: &sote_acme::x509::ocsp::CertId| OcspAnswer {
            certificate: id.clone(),
            status,
            this_update: now,
            next_update: Some(now.plus(3_600)),
            archive_cutoff: None,
        };
        let content = OcspContent {
            responder: self.key.public_key().clone(),
            produced_at: now,
            answers: request.certificates().iter().map(answer).collect(),
            nonce: request.nonce().cloned(),
        };
        let tbs = content.tbs_der();
        assembled_ocsp_response(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap(), None)
    }

    /// The authority as the configuration would describe it.
    pub fn authority(&self, kind: CardKind, crl: Option<&str>, ocsp: Option<&str>) -> CardAuthority {
        let url = |url: Option<&str>| url.map(|url| url.parse().unwrap()).into_iter().collect();
        CardAuthority {
            name: "cards".to_owned(),
            kind,
            trust: Trust {
                anchors: vec![self.certificate.clone()],
                requirements: PathRequirements {
                    key_usage: KeyUsages::from(KeyUsage::NonRepudiation),
                    extended_key_usage: None,
                    policies: vec![POLICY],
                },
                sources: vec![StatusSource { authority: self.certificate.clone(), crls: url(crl), ocsp: url(ocsp) }],
            },
        }
    }
}

fn signed(content: &CertificateContent, key: &KeyFile) -> Certificate {
    let tbs = content.tbs_der().unwrap();
    let der = assembled_certificate(&tbs, key.algorithm(), &key.sign(&tbs).unwrap());
    Certificate::parse(&der).unwrap()
}

/// Answers a request's body.
type Answer = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// A small HTTP server that answers every request in the way that was set last, and counts.
pub struct StatusServer {
    pub address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicU32>,
}

impl StatusServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(|_| Vec::new())));
        let asked = Arc::new(AtomicU32::new(0));
        let (answers, count) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let body = body(&mut stream).await;
                let content = answers.lock().unwrap()(&body);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", content.len());
                let _ = stream.write_all(&[head.as_bytes(), &content].concat()).await;
            }
        });
        StatusServer { address, answer, asked }
    }

    pub fn answers(&self, answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    pub fn url(&self) -> String {
        format!("http://{}/status", self.address)
    }

    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The body of one request.
async fn body(stream: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        received.extend_from_slice(&buffer[..count]);
        let Some(end) = received.windows(4).position(|octets| octets == b"\r\n\r\n") else {
            if count == 0 {
                return Vec::new();
            }
            continue;
        };
        let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        if received.len() >= end + 4 + length || count == 0 {
            return received[end + 4..].to_vec();
        }
    }
}

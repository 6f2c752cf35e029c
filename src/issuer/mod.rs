//! The certification authority, and the only module that may use a CA key: prepare, lint, record, sign, check, publish.
//! What is signed was stored before it was signed, so that no signed certificate is ever unknown to the store. Start with
//! [`issuance`](self) in `issuance.rs`, then `publication.rs` for CRLs and [`status`] for OCSP.

mod content;
mod issuance;
mod publication;
pub mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use issuance::IssueError;
pub use publication::PublishError;
pub use status::{OcspAnswer, ServedCrl, Status};

use crate::names::{BootId, IssuerName};
use crate::signer::SigningPool;
use crate::x509::Certificate;

/// A CA key with its certificate and what its certificates say.
pub struct Issuer {
    /// Its name, which stands in URLs and records.
    pub name: IssuerName,
    /// Its certificate.
    pub certificate: Certificate,
    /// The chains to offer, each from the issuer's certificate upwards and without the root. The first is the default.
    pub chains: Vec<Vec<Certificate>>,
    /// Its key.
    pub key: SigningPool,
    /// The OCSP responder that it delegated to.
    pub responder: Responder,
    /// Into how many CRLs its certificates are spread; at least 1.
    pub shards: u16,
    /// How often CRLs are published anew, in seconds.
    pub crl_interval: i64,
    /// For how long a CRL is valid, in seconds; longer than `crl_interval`.
    pub crl_validity: i64,
    /// For how long an OCSP answer is valid, in seconds.
    pub ocsp_validity: i64,
}

/// A delegated OCSP responder (RFC 6960 §4.2.2.2).
pub struct Responder {
    /// Its certificate, issued by the issuer itself.
    pub certificate: Certificate,
    /// Its key.
    pub key: SigningPool,
}

/// A root: its key is not here, only what it published.
pub struct Root {
    /// Its name, which stands in URLs.
    pub name: IssuerName,
    /// Its certificate.
    pub certificate: Certificate,
    /// Its CRL, DER.
    pub crl: Vec<u8>,
}

/// All issuers of this process.
pub struct Issuers {
    issuers: BTreeMap<IssuerName, Issuer>,
    /// Where published CRLs are kept.
    directory: PathBuf,
    /// The base of the URLs in certificates, without a final slash.
    public_url: String,
    /// This run of the process: only the owner of a prepared certificate signs it.
    boot: BootId,
    /// The CRLs that are being served.
    crls: Arc<ArcSwap<status::Crls>>,
}

impl Issuers {
    /// The issuers of a process whose run is `boot`, with the CRL files below `directory`.
    pub fn new(issuers: Vec<Issuer>, directory: PathBuf, public_url: &str, boot: BootId) -> Self {
        Issuers {
            issuers: issuers.into_iter().map(|issuer| (issuer.name.clone(), issuer)).collect(),
            directory,
            public_url: public_url.trim_end_matches('/').to_owned(),
            boot,
            crls: Arc::default(),
        }
    }

    /// The issuer with this name.
    pub fn issuer(&self, name: &IssuerName) -> Option<&Issuer> {
        self.issuers.get(name)
    }

    /// All issuers.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.values()
    }

    /// This run of the process.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Where the CRL of a shard stands; certificates and the CRL itself name exactly this.
    pub fn crl_url(&self, issuer: &IssuerName, shard: u16) -> String {
        format!("{}/crl/{issuer}/{shard}.crl", self.public_url)
    }

    fn ocsp_url(&self, issuer: &IssuerName) -> String {
        format!("{}/ocsp/{issuer}", self.public_url)
    }

    fn issuer_url(&self, issuer: &IssuerName) -> String {
        format!("{}/issuer/{issuer}.cer", self.public_url)
    }
}

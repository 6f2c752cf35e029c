//! Whether the certificates of evidence are revoked: by OCSP and CRL at addresses that the configuration pins for their
//! issuer. It fails hard: what cannot be asked is never taken for good. Start with [`RevocationStatus::of_path`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::pinned::{PinnedClient, PinnedUrl};
use super::trust::{StatusSource, Trust};
use crate::public_key::Fingerprint;
use crate::time::Timestamp;
use crate::x509::ocsp::{CertId, CertIdHash, CertificateStatus, Nonce, OcspRequest, OcspResponse};
use crate::x509::path::ValidPath;
use crate::x509::{Certificate, Crl};

/// Clocks differ by so many seconds at most.
pub const CLOCK_SKEW: i64 = 120;

/// The largest OCSP answer, in octets.
const LARGEST_ANSWER: usize = 64 * 1024;
/// A kept CRL is used without asking again for so many seconds, if it holds that long.
const KEPT: i64 = 3_600;
/// After a failed fetch nobody asks again for so many seconds: a dead server costs the others' attempts no time.
const PAUSE: i64 = 5;
/// An OCSP answer without nextUpdate is believed for so many seconds.
const WITHOUT_END: i64 = 3_600;

/// Why a certificate is not known to be good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// It is revoked.
    #[error("{subject} has been revoked since {at}")]
    Revoked {
        /// Whose.
        subject: String,
        /// Since when.
        at: Timestamp,
    },
    /// Its issuer's responder does not know it.
    #[error("the responder of its issuer does not know {0}")]
    Unknown(String),
    /// The configuration names no address for its issuer.
    #[error(
        "the revocation of certificates issued by \"{0}\" cannot be asked here: the configuration names no address"
    )]
    NoSource(String),
    /// Nobody answered. Another attempt may succeed.
    #[error("whether {subject} is revoked cannot be found out now: {why}")]
    Unavailable {
        /// Whose.
        subject: String,
        /// What was tried.
        why: String,
    },
}

impl StatusError {
    /// Whether another attempt may bring something else.
    pub fn may_pass(&self) -> bool {
        match self {
            StatusError::Unavailable { .. } => true,
            StatusError::Revoked { .. } | StatusError::Unknown(_) | StatusError::NoSource(_) => false,
        }
    }
}

/// Asks for revocation and keeps CRLs. There is at most one kept list for each pinned URL.
pub struct RevocationStatus {
    client: PinnedClient,
    largest_crl: usize,
    lists: Mutex<HashMap<PinnedUrl, Arc<tokio::sync::Mutex<Kept>>>>,
}

/// What is known of one CRL's address.
#[derive(Default)]
struct Kept {
    /// The list, whose key signed it, and when it was fetched.
    list: Option<(Arc<Crl>, Fingerprint, Timestamp)>,
    /// When fetching failed last, and why.
    failed: Option<(Timestamp, String)>,
}

/// What one source says.
enum Said {
    Good(String),
    Bad(StatusError),
    Nothing(String),
}

impl RevocationStatus {
    /// One that takes CRLs of at most `largest_crl` octets.
    pub fn new(client: PinnedClient, largest_crl: usize) -> Self {
        RevocationStatus { client, largest_crl, lists: Mutex::new(HashMap::new()) }
    }

    /// Asks for every certificate of a path below its anchor, the highest first. Gives a line for each: what said that it is
    /// good.
    ///
    /// # Errors
    /// The first that is not known to be good.
    pub async fn of_path(&self, path: &ValidPath, trust: &Trust, now: Timestamp) -> Result<Vec<String>, StatusError> {
        let mut lines = Vec::new();
        for (certificate, issuer) in path.issued() {
            let source = trust.source(issuer);
            let source = source.ok_or_else(|| StatusError::NoSource(issuer.subject().to_string()))?;
            lines.push(self.of_certificate(certificate, issuer, source, now).await?);
        }
        Ok(lines)
    }

    async fn of_certificate(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        source: &StatusSource,
        now: Timestamp,
    ) -> Result<String, StatusError> {
        let mut tried = Vec::new();
        for url in &source.ocsp {
            match self.by_ocsp(url, certificate, issuer, now).await {
                Said::Good(line) => return Ok(line),
                Said::Bad(error) => return Err(error),
                Said::Nothing(why) => tried.push(why),
            }
        }
        for url in &source.crls {
            match self.by_crl(url, certificate, issuer, now).await {
                Said::Good(line) => return Ok(line),
                Said::Bad(error) => return Err(error),
                Said::Nothing(why) => tried.push(why),
            }
        }
        Err(StatusError::Unavailable { subject: certificate.described(), why: tried.join("; ") })
    }

    async fn by_ocsp(&self, url: &PinnedUrl, certificate: &Certificate, issuer: &Certificate, now: Timestamp) -> Said {
        // RFC 5019 §2.1.1: SHA-1, which is a name here and no proof.
        let id = CertId::new(CertIdHash::Sha1, issuer.subject(), issuer.public_key(), certificate.serial());
        let nonce = Nonce::random();
        let request = OcspRequest::new(vec![id.clone()], Some(nonce.clone())).to_der();
        match self.client.posted(url, "application/ocsp-request", request, LARGEST_ANSWER).await {
            Ok(answer) => said_by_ocsp(url, &answer, &Question { certificate, issuer, id: &id, nonce: &nonce }, now),
            Err(why) => Said::Nothing(why),
        }
    }

    async fn by_crl(&self, url: &PinnedUrl, certificate: &Certificate, issuer: &Certificate, now: Timestamp) -> Said {
        let list = match self.list(url, issuer, now).await {
            Ok(list) => list,
            Err(why) => return Said::Nothing(why),
        };
        if !list.covers(certificate) {
            return Said::Nothing(format!("{url}: the CRL does not cover this certificate"));
        }
        match list.entry(certificate.serial()) {
            Some(entry) => {
                let subject = certificate.described();
                Said::Bad(StatusError::Revoked { subject, at: entry.date })
            }
            None => Said::Good(format!("not on the CRL of {url} of {}", list.this_update())),
        }
    }

    /// The list at `url`: the kept one while it is fresh, else a new one; the kept one again if there is no new one and it
    /// still holds. One fetch at a time for one URL.
    async fn list(&self, url: &PinnedUrl, issuer: &Certificate, now: Timestamp) -> Result<Arc<Crl>, String> {
        let slot = {
            let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lists.entry(url.clone()).or_default())
        };
        let mut kept = slot.lock().await;
        let key = issuer.public_key().fingerprint();
        let holding = kept.list.as_ref().filter(|(list, signer, _)| *signer == key && holds(list, now).is_ok());
        let holding = holding.map(|(list, _, fetched)| (Arc::clone(list), *fetched));
        if let Some((list, fetched)) = &holding
            && (0..KEPT).contains(&now.since(*fetched))
        {
            return Ok(Arc::clone(list));
        }
        let resting = kept.failed.clone().filter(|(at, _)| (0..PAUSE).contains(&now.since(*at)));
        let fetched = match resting {
            Some((_, why)) => Err(why),
            None => self.fresh_list(url, issuer, holding.as_ref().map(|(list, _)| list.as_ref()), now).await,
        };
        match fetched {
            Ok(list) => {
                *kept = Kept { list: Some((Arc::clone(&list), key, now)), failed: None };
                Ok(list)
            }
            Err(why) => {
                kept.failed = Some((now, why.clone()));
                holding.map(|(list, _)| list).ok_or(why)
            }
        }
    }

    async fn fresh_list(
        &self,
        url: &PinnedUrl,
        issuer: &Certificate,
        older: Option<&Crl>,
        now: Timestamp,
    ) -> Result<Arc<Crl>, String> {
        let der = self.client.fetched(url, self.largest_crl).await?;
        let issuer = issuer.clone();
        // A large list takes some hundred milliseconds of computing.
        let read = tokio::task::spawn_blocking(move || read_list(&der, &issuer, now)).await;
        let list = read.map_err(|_| format!("{url}: the CRL could not be read"))?;
        let list = list.map_err(|why| format!("{url}: {why}"))?;
        // An older list than the one that was seen would take a revocation back.
        if older.is_some_and(|older| list.this_update() < older.this_update() || list.number() < older.number()) {
            return Err(format!("{url}: the CRL is older than the one that was there before"));
        }
        Ok(Arc::new(list))
    }
}

fn read_list(der: &[u8], issuer: &Certificate, now: Timestamp) -> Result<Crl, String> {
    let list = Crl::parse(der).map_err(|error| format!("not a CRL: {error}"))?;
    if list.issuer() != issuer.subject() {
        return Err("the CRL is another issuer's".to_owned());
    }
    let usage = issuer.key_usage();
    if !usage.is_some_and(|usage| usage.contains(crate::x509::KeyUsage::CRLSign)) {
        return Err("the issuer's key usage is not for CRLs".to_owned());
    }
    list.verify_signed_by(issuer.public_key()).map_err(|_| "the CRL's signature does not verify".to_owned())?;
    holds(&list, now)?;
    Ok(list)
}

// RFC 5280 §6.3.3 (a), and §5.1.2.5: conforming issuers write nextUpdate always.
fn holds(list: &Crl, now: Timestamp) -> Result<(), String> {
    let next = list.next_update().ok_or("the CRL has no nextUpdate")?;
    if list.this_update() > now.plus(CLOCK_SKEW) {
        return Err(format!("the CRL is of {}, which lies ahead", list.this_update()));
    }
    if next <= now { Err(format!("the CRL held until {next}")) } else { Ok(()) }
}

/// What was asked of a responder.
struct Question<'a> {
    certificate: &'a Certificate,
    issuer: &'a Certificate,
    id: &'a CertId,
    nonce: &'a Nonce,
}

fn said_by_ocsp(url: &PinnedUrl, answer: &[u8], question: &Question<'_>, now: Timestamp) -> Said {
    let nothing = |why: &str| Said::Nothing(format!("{url}: {why}"));
    let response = match OcspResponse::parse(answer) {
        Ok(response) => response,
        Err(error) => return nothing(&error.to_string()),
    };
    if let Err(error) = response.verify(question.issuer, now) {
        return nothing(&error.to_string());
    }
    // Responders of RFC 5019 leave the nonce out; one that was sent back must be ours.
    if response.nonce().is_some_and(|nonce| nonce != question.nonce) {
        return nothing("the answer is to another question");
    }
    let Some(answer) = response.answer(question.id) else { return nothing("the answer is about another certificate") };
    let until = answer.next_update.unwrap_or_else(|| answer.this_update.plus(WITHOUT_END));
    if answer.this_update > now.plus(CLOCK_SKEW) || until.plus(CLOCK_SKEW) <= now {
        return nothing(&format!("the answer is for {} to {until}", answer.this_update));
    }
    let subject = question.certificate.described();
    match answer.status {
        CertificateStatus::Good => Said::Good(format!("good by {url} at {}", answer.this_update)),
        CertificateStatus::Revoked { time, .. } => Said::Bad(StatusError::Revoked { subject, at: time }),
        CertificateStatus::Unknown => Said::Bad(StatusError::Unknown(subject)),
    }
}

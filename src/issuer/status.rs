//! What relying services ask: CRLs, OCSP answers, issuer certificates. Answers are made from the store's present facts; a
//! prepared answer is kept under the certificate's version, so that none outlives a revocation.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::{Issuer, Issuers, Root};
use crate::model::{Certificate, Published, Stage};
use crate::names::{IssuerName, RevocationReason, SerialNumber};
use crate::signer::SignerError;
use crate::store::index::{self, Index};
use crate::store::{Read, Store, StoreError};
use crate::time::Timestamp;
use crate::x509::Certificate as X509;
use crate::x509::ocsp::{
    CertId, CertificateStatus, IssuerHashes, Nonce, OcspAnswer as SingleAnswer, OcspContent, OcspRefusal, OcspRequest,
    assembled_ocsp_response,
};

/// A CRL as it is served.
#[derive(Debug, Clone)]
pub struct ServedCrl {
    /// The list.
    pub der: Arc<[u8]>,
    /// Its thisUpdate.
    pub this_update: Timestamp,
    /// Its nextUpdate, if it has one.
    pub next_update: Option<Timestamp>,
    /// A strong validator for HTTP: changes with every list.
    pub etag: String,
}

impl ServedCrl {
    pub(super) fn new(der: Vec<u8>, published: &Published) -> Self {
        ServedCrl {
            etag: super::issuance::fingerprint(&der),
            der: der.into(),
            this_update: published.this_update,
            next_update: Some(published.next_update),
        }
    }
}

/// The CRLs that are being served, by issuer and shard.
#[derive(Debug, Clone, Default)]
pub(super) struct Crls(HashMap<(IssuerName, u16), ServedCrl>);

impl Crls {
    pub(super) fn get(&self, issuer: &IssuerName, shard: u16) -> Option<&ServedCrl> {
        self.0.get(&(issuer.clone(), shard))
    }

    pub(super) fn with(&self, issuer: &IssuerName, shard: u16, crl: ServedCrl) -> Crls {
        let mut crls = self.clone();
        crls.0.insert((issuer.clone(), shard), crl);
        crls
    }
}

/// An OCSP response.
#[derive(Debug, Clone)]
pub struct OcspAnswer {
    /// The response.
    pub der: Arc<[u8]>,
    /// Until when it may be cached, and since when it holds; none for errors and for answers with a nonce.
    pub cacheable: Option<(Timestamp, Timestamp)>,
}

/// Answers about status. Cheap to clone.
#[derive(Clone)]
pub struct Status(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    issuers: Arc<Issuers>,
    roots: BTreeMap<IssuerName, X509>,
    root_crls: ArcSwap<BTreeMap<IssuerName, RootCrl>>,
    hashes: BTreeMap<IssuerName, IssuerHashes>,
    cache: Mutex<Cache>,
    budget: DefaultDirectRateLimiter,
}

/// A root's CRL as it is served, and its number.
#[derive(Clone)]
struct RootCrl {
    number: Option<u64>,
    served: ServedCrl,
}

/// How many answers per second are signed on demand: with a nonce, or for an unknown serial.
pub const DEFAULT_BUDGET: NonZeroU32 = NonZeroU32::new(500).expect("500 is not 0");

impl Status {
    /// Answers for `issuers` and `roots` from `store`, signing at most `budget` answers per second that cannot be kept.
    pub fn new(store: Arc<dyn Store>, issuers: Arc<Issuers>, roots: Vec<Root>, budget: NonZeroU32) -> Self {
        let hashes = |issuer: &Issuer| {
            let certificate = &issuer.certificate;
            (issuer.name.clone(), IssuerHashes::of(certificate.subject(), certificate.public_key()))
        };
        Status(Arc::new(Inner {
            store,
            hashes: issuers.iter().map(hashes).collect(),
            issuers,
            root_crls: ArcSwap::from_pointee(
                roots.iter().filter_map(|root| Some((root.name.clone(), root_crl(root)?))).collect(),
            ),
            roots: roots.into_iter().map(|root| (root.name, root.certificate)).collect(),
            cache: Mutex::default(),
            budget: RateLimiter::direct(Quota::per_second(budget)),
        }))
    }

    /// The CRL of a shard of an issuer, or shard 0 of a root.
    pub fn crl(&self, issuer: &IssuerName, shard: u16) -> Option<ServedCrl> {
        if self.0.roots.contains_key(issuer) {
            return self.0.root_crls.load().get(issuer).filter(|_| shard == 0).map(|crl| crl.served.clone());
        }
        self.0.issuers.crls.load().get(issuer, shard).cloned()
    }

    /// Serves another CRL of a root from now on; `false`, and the old one stays, if its number is lower or it is no CRL.
    pub fn replace_root_crl(&self, root: &Root) -> bool {
        let Some(new) = root_crl(root) else { return false };
        let mut replaced = false;
        self.0.root_crls.rcu(|crls| {
            let mut crls = BTreeMap::clone(crls);
            replaced = crls.get(&root.name).is_none_or(|old| old.number <= new.number);
            if replaced {
                crls.insert(root.name.clone(), new.clone());
            }
            crls
        });
        replaced
    }

    /// The certificate of an issuer or a root, DER.
    pub fn issuer_certificate(&self, name: &IssuerName) -> Option<&[u8]> {
        let root = self.0.roots.get(name).map(X509::der);
        root.or_else(|| self.0.issuers.issuer(name).map(|issuer| issuer.certificate.der()))
    }

    /// The chains of an issuer, the default first, each from the issuer's certificate upwards and without the root, DER.
    pub fn chains(&self, issuer: &IssuerName) -> Vec<Vec<&[u8]>> {
        let Some(issuer) = self.0.issuers.issuer(issuer) else { return Vec::new() };
        issuer.chains.iter().map(|chain| chain.iter().map(|certificate| certificate.der()).collect()).collect()
    }

    /// The answer to an OCSP request for certificates of `issuer`; `None` if there is no such issuer.
    pub async fn ocsp(&self, issuer: &IssuerName, request: &[u8], now: Timestamp) -> Option<OcspAnswer> {
        let issuer = self.0.issuers.issuer(issuer)?;
        let Ok(request) = OcspRequest::parse(request) else {
            return Some(refusal(OcspRefusal::MalformedRequest));
        };
        Some(match self.answered(issuer, &request, now).await {
            Ok(answer) => answer,
            Err(NoAnswer::Refused(reason)) => refusal(reason),
            Err(NoAnswer::Store(error)) => {
                tracing::error!(%error, issuer = %issuer.name, "an OCSP answer failed");
                refusal(OcspRefusal::TryLater)
            }
            Err(NoAnswer::Signer(error)) => {
                tracing::error!(%error, issuer = %issuer.name, "the OCSP responder does not sign");
                refusal(OcspRefusal::TryLater)
            }
        })
    }

    async fn answered(&self, issuer: &Issuer, request: &OcspRequest, now: Timestamp) -> Result<OcspAnswer, NoAnswer> {
        let own = self.0.hashes.get(&issuer.name).ok_or(NoAnswer::Refused(OcspRefusal::InternalError))?;
        // RFC 5019 §2.2.3: unauthorized, for certificates that this responder does not speak for.
        if request.certificates().iter().any(|id| !id.is_of(own)) {
            return Err(NoAnswer::Refused(OcspRefusal::Unauthorized));
        }
        let within_budget = self.0.budget.check().is_ok();
        let nonce = request.nonce().filter(|_| within_budget);
        match request.certificates() {
            [only] => {
                let found = self.certificate(issuer, only.serial()).await?;
                match found {
                    Some(found) if nonce.is_none() => self.kept(issuer, only, &found, now).await,
                    None if !within_budget => Err(NoAnswer::Refused(OcspRefusal::TryLater)),
                    found => self.signed(issuer, vec![(only.clone(), found)], nonce.cloned(), now).await,
                }
            }
            _ if !within_budget => Err(NoAnswer::Refused(OcspRefusal::TryLater)),
            several => {
                let mut answers = Vec::with_capacity(several.len());
                for id in several {
                    answers.push((id.clone(), self.certificate(issuer, id.serial()).await?));
                }
                self.signed(issuer, answers, nonce.cloned(), now).await
            }
        }
    }

    /// The certificate with a serial number. One that is only prepared is unknown.
    async fn certificate(&self, issuer: &Issuer, serial: &SerialNumber) -> Result<Option<Read<Certificate>>, NoAnswer> {
        let key = index::certificate_by_serial(&issuer.name, serial);
        let found = self.0.store.lookup::<Certificate>(Index::CertificateBySerial, &key).await?;
        Ok(found.filter(|certificate| !matches!(certificate.stage, Stage::Prepared { .. })))
    }

    /// The kept answer for exactly this version of a certificate, or a new one that is then kept.
    async fn kept(
        &self,
        issuer: &Issuer,
        id: &CertId,
        certificate: &Read<Certificate>,
        now: Timestamp,
    ) -> Result<OcspAnswer, NoAnswer> {
        // The status too: a version that a failed write took back is given again, perhaps to another one.
        let key = (id.der().to_vec(), certificate.version(), certificate.revoked());
        // Renewed at half of its validity, so that what is served always has some left.
        let fresh = |answer: &OcspAnswer| {
            answer.cacheable.is_some_and(|(since, until)| since <= now && now.since(since) < until.since(since) / 2)
        };
        if let Some(answer) = self.0.cache.lock().ok().and_then(|cache| cache.get(&key)).filter(fresh) {
            return Ok(answer);
        }
        let answer = self.signed(issuer, vec![(id.clone(), Some(certificate.clone()))], None, now).await?;
        if let Ok(mut cache) = self.0.cache.lock() {
            cache.insert(key, answer.clone());
        }
        Ok(answer)
    }

    async fn signed(
        &self,
        issuer: &Issuer,
        certificates: Vec<(CertId, Option<Read<Certificate>>)>,
        nonce: Option<Nonce>,
        now: Timestamp,
    ) -> Result<OcspAnswer, NoAnswer> {
        let responder = &issuer.responder;
        // No answer outlives the certificate of the responder that signed it.
        let next_update = now.plus(issuer.ocsp_validity).min(responder.certificate.not_after());
        let answers = certificates
            .into_iter()
            .map(|(certificate, found)| SingleAnswer {
                certificate,
                status: status(found.as_deref()),
                this_update: now,
                next_update: Some(next_update),
                archive_cutoff: None,
            })
            .collect();
        let cacheable = nonce.is_none().then_some((now, next_update));
        let content = OcspContent { responder: responder.key.public_key().clone(), produced_at: now, answers, nonce };
        let tbs = content.tbs_der();
        let signature = responder.key.sign(tbs.clone()).await?;
        let certificate = Some(responder.certificate.der());
        let der = assembled_ocsp_response(&tbs, responder.key.algorithm(), &signature, certificate);
        Ok(OcspAnswer { der: der.into(), cacheable })
    }
}

fn status(certificate: Option<&Certificate>) -> CertificateStatus {
    match certificate.map(Certificate::revoked) {
        None => CertificateStatus::Unknown,
        Some(None) => CertificateStatus::Good,
        Some(Some((time, reason, _))) => CertificateStatus::Revoked { time, reason },
    }
}

fn refusal(refusal: OcspRefusal) -> OcspAnswer {
    OcspAnswer { der: refusal.to_der().into(), cacheable: None }
}

fn root_crl(root: &Root) -> Option<RootCrl> {
    let crl = crate::x509::Crl::parse(&root.crl).ok()?;
    Some(RootCrl {
        number: crl.number(),
        served: ServedCrl {
            der: root.crl.clone().into(),
            this_update: crl.this_update(),
            next_update: crl.next_update(),
            etag: super::issuance::fingerprint(&root.crl),
        },
    })
}

/// Why there is no answer.
enum NoAnswer {
    Refused(OcspRefusal),
    Store(StoreError),
    Signer(SignerError),
}

impl From<StoreError> for NoAnswer {
    fn from(error: StoreError) -> Self {
        NoAnswer::Store(error)
    }
}

impl From<SignerError> for NoAnswer {
    fn from(error: SignerError) -> Self {
        NoAnswer::Signer(error)
    }
}

type Key = (Vec<u8>, u64, Option<(Timestamp, Option<RevocationReason>, Option<Timestamp>)>);

/// Kept answers in two generations: when the younger is full, the older is forgotten.
#[derive(Default)]
struct Cache {
    young: HashMap<Key, OcspAnswer>,
    old: HashMap<Key, OcspAnswer>,
}

/// Entries of one generation: at about 1 KiB each, 32 MiB in all.
const GENERATION: usize = 16_384;

impl Cache {
    fn get(&self, key: &Key) -> Option<OcspAnswer> {
        self.young.get(key).or_else(|| self.old.get(key)).cloned()
    }

    fn insert(&mut self, key: Key, answer: OcspAnswer) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, answer);
    }
}

//! One certificate's way: content, lint, `Prepared` on disk, signature, our own check of it, `Issued` on disk. A crash
//! before `Prepared` leaves nothing; a crash after it leaves the exact octets that another process signs again or
//! abandons; only the octets in `Issued` ever leave this process.

use super::content::{ContentFault, expectations};
use super::{Issuer, Issuers};
use crate::model::audit::{Act, Actor, Event};
use crate::model::issuance::{AuthorizedOrder, MatchedRequest};
use crate::model::{Certificate, CertificateDer, Order, Stage};
use crate::names::{CertificateId, IssuerName, SerialNumber, base64url};
use crate::signer::SignerError;
use crate::store::{Change, CommitError, Counter, Read, Store, StoreError};
use crate::time::Timestamp;
use crate::x509::lint::{LintError, Linted};
use crate::x509::{Certificate as Signed, assembled_certificate};

/// Why a certificate was not issued now.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The profile names an issuer that is not here.
    #[error("there is no issuer {0}")]
    NoIssuer(IssuerName),
    /// No CRL of the certificate's shard is published yet: the first one precedes the first certificate that names it.
    #[error("the CRL of issuer {0}, shard {1} is not published yet")]
    NoCrl(IssuerName, u16),
    /// Its content cannot be made.
    #[error(transparent)]
    Content(#[from] ContentFault),
    /// It breaks a rule of RFC 5280 or of its profile. Nothing was signed.
    #[error("the certificate was not signed: {0}")]
    Lint(#[from] LintError),
    /// The key does not sign now. What was prepared stays, and is signed later.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// What was signed is not what was linted. It never leaves the process.
    #[error("the signature over certificate {0} is not good: {1}")]
    Signature(CertificateId, String),
    /// Something has changed since it was decided: decide again.
    #[error("overtaken by another change")]
    Overtaken,
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

impl From<CommitError> for IssueError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => IssueError::Overtaken,
            CommitError::Unavailable(_) | CommitError::Unknown(_) | CommitError::TooLarge { .. } => {
                IssueError::Store(error.to_string())
            }
        }
    }
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        IssueError::Store(error.to_string())
    }
}

/// A prepared certificate that passed the lint.
struct Prepared {
    record: Certificate,
    tbs: Vec<u8>,
    linted: Linted,
}

impl Issuers {
    /// Issues the certificate of a processing order. `expected` are the facts that the proofs were made from.
    pub async fn issue(
        &self,
        store: &dyn Store,
        order: &Read<Order>,
        mut expected: Vec<Change>,
        authorized: &AuthorizedOrder,
        request: &MatchedRequest,
        now: Timestamp,
    ) -> Result<Certificate, IssueError> {
        let name = &authorized.profile().issuer;
        let issuer = self.issuer(name).ok_or_else(|| IssueError::NoIssuer(name.clone()))?;
        let prepared = self.prepare(issuer, authorized, request, now)?;
        let id = prepared.record.id;
        expected.extend([
            Change::insert(&prepared.record),
            Change::insert(&CertificateDer { id, der: prepared.tbs }),
            order.replace(&order.with_prepared(Some(id))),
        ]);
        // From here on the serial is known, whatever happens to the signature.
        store.commit(expected).await?;
        self.complete(store, issuer, id, prepared.linted, now).await
    }

    fn prepare(
        &self,
        issuer: &Issuer,
        authorized: &AuthorizedOrder,
        request: &MatchedRequest,
        now: Timestamp,
    ) -> Result<Prepared, IssueError> {
        let serial = SerialNumber::mint(now);
        let shard = shard(&serial, issuer.shards);
        if self.crls.load().get(&issuer.name, shard).is_none() {
            return Err(IssueError::NoCrl(issuer.name.clone(), shard));
        }
        let content = self.content(issuer, authorized, request, serial.clone(), shard)?;
        let tbs = content.tbs_der().map_err(ContentFault::from)?;
        let linted = Linted::check(tbs.clone(), &expectations(issuer, authorized, request, &content))?;
        let order = authorized.order();
        let record = Certificate {
            id: CertificateId::mint(now),
            issuer: issuer.name.clone(),
            serial,
            shard,
            profile: authorized.profile().name.clone(),
            account: order.account,
            organisation: order.organisation,
            unit: order.unit.clone(),
            unit_generation: authorized.subject().unit_generation,
            order: order.id,
            identifiers: order.identifiers.clone(),
            not_before: content.not_before,
            not_after: content.not_after,
            spki_sha256: request.key().spki_sha256(),
            stage: Stage::Prepared { at: now, owner: self.boot },
            revocation: None,
            replaced_by: None,
        };
        Ok(Prepared { record, tbs, linted })
    }

    /// Signs what is prepared, checks the signature, and commits the certificate.
    async fn complete(
        &self,
        store: &dyn Store,
        issuer: &Issuer,
        id: CertificateId,
        linted: Linted,
        now: Timestamp,
    ) -> Result<Certificate, IssueError> {
        let gone = || IssueError::Overtaken;
        let record = store.get::<Certificate>(&id).await?.ok_or_else(gone)?;
        let stored = store.get::<CertificateDer>(&id).await?.ok_or_else(gone)?;
        let order = store.get::<Order>(&record.order).await?.ok_or_else(gone)?;
        // Only its owner signs a prepared certificate, and exactly the octets that are stored.
        let owned = matches!(&record.stage, Stage::Prepared { owner, .. } if *owner == self.boot);
        if !owned || stored.der != linted.tbs_der() {
            return Err(IssueError::Overtaken);
        }
        let der = sign(issuer, linted).await.map_err(|error| match error {
            SignError::Signer(error) => IssueError::Signer(error),
            SignError::Bad(why) => IssueError::Signature(id, why),
        })?;
        let issued = record.issued(now);
        let event = Event::done(now, Actor::Server, Act::CertificateIssued)
            .on("certificate", id)
            .on("order", record.order)
            .on("account", record.account)
            .on("organisation", record.organisation)
            .with("issuer", &record.issuer)
            .with("serial", &record.serial)
            .with("profile", &record.profile)
            .proved_by(&der);
        store
            .commit(vec![
                record.replace(&issued),
                stored.replace(&CertificateDer { id, der }),
                order.replace(&order.issued(id, now)),
                Change::add(Counter::Certificates, 1),
                Change::Audit(event),
            ])
            .await?;
        Ok(issued)
    }

    /// Goes on with a certificate that was prepared earlier, by this process or by one that is gone: the same octets are
    /// signed. The caller has made the proofs anew; `expected` are the facts behind them.
    pub async fn resume(
        &self,
        store: &dyn Store,
        prepared: &Read<Certificate>,
        authorized: &AuthorizedOrder,
        request: &MatchedRequest,
        mut expected: Vec<Change>,
        now: Timestamp,
    ) -> Result<Certificate, IssueError> {
        let issuer = self.issuer(&prepared.issuer).ok_or_else(|| IssueError::NoIssuer(prepared.issuer.clone()))?;
        let stored = store.get::<CertificateDer>(&prepared.id).await?.ok_or(IssueError::Overtaken)?;
        let mut content = self.content(issuer, authorized, request, prepared.serial.clone(), prepared.shard)?;
        // The validity is the one that was prepared: time has passed since.
        (content.not_before, content.not_after) = (prepared.not_before, prepared.not_after);
        let expected_of_it = expectations(issuer, authorized, request, &content);
        let linted = Linted::check(stored.record.der, &expected_of_it)?;
        expected.push(prepared.replace(&prepared.owned_by(self.boot)));
        store.commit(expected).await?;
        self.complete(store, issuer, prepared.id, linted, now).await
    }

    /// Gives up a prepared certificate: its serial counts as revoked from now on. The order begins again.
    pub async fn abandon(
        &self,
        store: &dyn Store,
        prepared: &Read<Certificate>,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), IssueError> {
        let event = Event::done(now, Actor::Server, Act::CertificateAbandoned)
            .on("certificate", prepared.id)
            .on("order", prepared.order)
            .with("issuer", &prepared.issuer)
            .with("serial", &prepared.serial)
            .with("reason", reason);
        let mut changes = vec![
            prepared.replace(&prepared.abandoned(reason, now)),
            Change::add(Counter::Revoked, 1),
            Change::Audit(event),
        ];
        if let Some(order) = store.get::<Order>(&prepared.order).await? {
            changes.push(order.replace(&order.with_prepared(None)));
        }
        Ok(store.commit(changes).await?)
    }
}

enum SignError {
    Signer(SignerError),
    Bad(String),
}

/// Signs and checks: the signature verifies with the issuer's certificate, and what it covers is what was linted.
async fn sign(issuer: &Issuer, linted: Linted) -> Result<Vec<u8>, SignError> {
    let tbs = linted.into_tbs_der();
    let signature = issuer.key.sign(tbs.clone()).await.map_err(SignError::Signer)?;
    let der = assembled_certificate(&tbs, issuer.key.algorithm(), &signature);
    let parsed = Signed::parse(&der).map_err(|error| SignError::Bad(error.to_string()))?;
    if parsed.tbs_der() != tbs {
        return Err(SignError::Bad("what was signed is not what was linted".into()));
    }
    match parsed.verify_signed_by(issuer.certificate.public_key()) {
        Ok(()) => Ok(der),
        Err(_) => Err(SignError::Bad("it does not verify with the issuer's certificate".into())),
    }
}

/// The CRL shard of a serial number, evenly spread.
fn shard(serial: &SerialNumber, shards: u16) -> u16 {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, serial.as_bytes());
    let first = hash.as_ref().first_chunk::<2>().copied().unwrap_or_default();
    u16::from_be_bytes(first) % shards.max(1)
}

/// The certificate's SHA-256, as logs name it.
pub(super) fn fingerprint(der: &[u8]) -> String {
    base64url::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref())
}

//! Revocation (RFC 8555 §7.6): by the account that ordered, by another one that is entitled, or by the certificate's key.

use super::{Attempt, Authority, Result};
use crate::acme::status::AuthorizationStatus;
use crate::model::audit::{Act, Actor, Event};
use crate::model::profile::Reuse;
use crate::model::{
    Account, BlockedKey, Certificate, EventKind, EventSubject, MembershipState, OrganisationEvent, Refusal, Revocation,
    Role, Stage,
};
use crate::names::{RevocationReason, base64url};
use crate::public_key::PublicKey;
use crate::store::{Change, Counter, Read};
use crate::time::Timestamp;
use crate::x509::Certificate as ParsedCertificate;

/// Who asks for a revocation; the signature was checked.
#[derive(Debug, Clone)]
pub enum Revoker {
    /// An account.
    Account(Box<Read<Account>>),
    /// Whoever holds this key.
    Key(PublicKey),
}

impl Revoker {
    fn actor(&self) -> Actor {
        match self {
            Revoker::Account(account) => Actor::Account(account.id),
            Revoker::Key(key) => Actor::CertificateKey(base64url::encode(&key.spki_sha256())),
        }
    }
}

/// The reasons that a subscriber may give; 0 is no reason.
const OFFERED: [u8; 5] = [0, 1, 3, 4, 5];

impl Authority {
    /// Revokes the certificate whose full DER was sent. What is revoked stays revoked.
    pub async fn revoke(&self, revoker: &Revoker, der: &[u8], reason: Option<u8>, now: Timestamp) -> Result<()> {
        let sent = ParsedCertificate::parse(der)
            .map_err(|error| Refusal::Malformed { why: format!("the certificate cannot be read: {error}") })?;
        let reason = offered_reason(reason)?;
        self.decide(|| self.try_revoke(revoker, &sent, der, reason, now)).await
    }

    async fn try_revoke(
        &self,
        revoker: &Revoker,
        sent: &ParsedCertificate,
        der: &[u8],
        reason: Option<RevocationReason>,
        now: Timestamp,
    ) -> Result<Attempt<()>> {
        // One answer for a certificate that is not ours and for one that is not the caller's to revoke.
        let certificate = self.stored_certificate(sent, der).await?.ok_or(Refusal::CertificateUnknown)?;
        let by_key = match revoker {
            Revoker::Key(key) if key.spki_sha256() == certificate.spki_sha256 => true,
            Revoker::Key(_) => return Err(Refusal::CertificateUnknown.into()),
            Revoker::Account(account) if self.may_revoke(account, &certificate, now).await? => false,
            Revoker::Account(_) => return Err(Refusal::CertificateUnknown.into()),
        };
        let by = revoker.actor();
        let revocation = Revocation { at: now, reason, invalid_since: None, by, comment: None, published: None };
        let mut changes = self.revocation_changes(&certificate, revocation, by_key, now)?;
        if by_key && reason == Some(RevocationReason::KeyCompromise) {
            changes.extend(self.block_key(&certificate, now).await?);
        }
        self.commit(changes, ()).await
    }

    /// The changes that revoke a certificate; `by_key` says that the holder of its key asks.
    pub(super) fn revocation_changes(
        &self,
        certificate: &Read<Certificate>,
        revocation: Revocation,
        by_key: bool,
        now: Timestamp,
    ) -> Result<Vec<Change>> {
        let (by, reason) = (revocation.by.clone(), revocation.reason.map_or(0, RevocationReason::code));
        let first = certificate.revocation.is_none();
        let revoked = certificate.revoke(revocation, by_key, now)?;
        let audit = Event::done(now, by.clone(), Act::CertificateRevoked)
            .on("certificate", certificate.id)
            .on("organisation", certificate.organisation)
            .with("issuer", &certificate.issuer)
            .with("serial", &certificate.serial)
            .with("reason", reason);
        let event = OrganisationEvent::new(certificate.organisation, EventKind::CertificateRevoked, by, now)
            .about(EventSubject::Certificate(certificate.id))
            .with("serial", &certificate.serial)
            .with("reason", reason);
        let mut changes = vec![certificate.replace(&revoked), Change::Audit(audit), Change::insert(&event)];
        if first {
            changes.push(Change::add(Counter::Revoked, 1));
        }
        Ok(changes)
    }

    /// The issued certificate that is equal, octet by octet, to what was sent.
    async fn stored_certificate(&self, sent: &ParsedCertificate, der: &[u8]) -> Result<Option<Read<Certificate>>> {
        for issuer in &self.settings.issuers {
            let Some(found) = self.certificate_by_serial(&issuer.name, sent.serial()).await? else { continue };
            if matches!(found.stage, Stage::Issued { .. }) && self.certificate_der(found.id).await? == der {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    // RFC 8555 §7.6: the issuing account, or one that holds authorizations for every identifier. The certificate also
    // names its organisation, so the latter must be a member of it. Departs for stopped accounts: what an account that
    // was stopped once ordered is no longer its to revoke (its certificate's key still is).
    async fn may_revoke(&self, account: &Read<Account>, certificate: &Certificate, now: Timestamp) -> Result<bool> {
        let facts = self.facts(account).await?;
        let Some(membership) = &facts.membership else { return Ok(false) };
        let stopped = !matches!(membership.state, MembershipState::Member)
            || facts.invitation.as_ref().is_some_and(|invitation| invitation.revoked.is_some());
        if stopped || membership.organisation != certificate.organisation {
            return Ok(false);
        }
        if certificate.account == account.id || membership.role == Role::Administrator {
            return Ok(true);
        }
        // The organisation's own identifiers are held by membership.
        for identifier in certificate.identifiers.dns() {
            match self.reusable(account, identifier, Reuse::All, now).await? {
                Some(found) if found.status(now) == AuthorizationStatus::Valid => {}
                Some(_) | None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Blocks the certificate's key: its holder says that it is disclosed.
    async fn block_key(&self, certificate: &Certificate, now: Timestamp) -> Result<Vec<Change>> {
        let hash = certificate.spki_sha256;
        if self.store.get::<BlockedKey>(&hash).await?.is_some() {
            return Ok(Vec::new());
        }
        let blocked = BlockedKey { spki_sha256: hash, at: now, reason: "keyCompromise shown by its holder".into() };
        let event = Event::done(now, Actor::Server, Act::KeyBlocked).on("key", base64url::encode(&hash));
        Ok(vec![Change::insert(&blocked), Change::Audit(event)])
    }
}

/// A reason code that a subscriber may give.
pub(super) fn offered_reason(code: Option<u8>) -> Result<Option<RevocationReason>> {
    let code = code.unwrap_or(0);
    let refused = || Refusal::BadRevocationReason { reason: code.to_string() };
    if !OFFERED.contains(&code) {
        return Err(refused().into());
    }
    Ok(RevocationReason::from_code(code).map_err(|_| refused())?)
}

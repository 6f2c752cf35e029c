//! Revocations of an organisation's certificates: by serial number, or by the certificate's record.

use super::super::revocations::offered_reason;
use super::super::{Attempt, Authority, Result};
use super::repeats::{Earlier, RepeatKey};
use super::{Access, Gathering, LOOKED_AT, Page, kept_text, malformed};
use crate::model::audit::{Act, Actor};
use crate::model::{Account, Certificate, Deed, Made, Refusal, Revocation};
use crate::names::{CertificateId, IssuerName, OrganisationId, SerialNumber};
use crate::store::index::Index;
use crate::store::{Range, Read};
use crate::time::Timestamp;

/// A revocation by serial number.
#[derive(Debug, Clone)]
pub struct RevocationRequest {
    /// The serial number, in each way in which it can be read.
    pub serials: Vec<SerialNumber>,
    /// The issuer.
    pub issuer: Option<IssuerName>,
    /// The reason code.
    pub reason: Option<u8>,
    /// A note for the organisation.
    pub comment: Option<String>,
    /// Whether the request may be sent again.
    pub repeat: Option<RepeatKey>,
}

/// Which certificate is meant.
enum Which<'a> {
    Serial(&'a RevocationRequest),
    Record(CertificateId),
}

impl Authority {
    /// A page of revoked certificates, in the order of their revocations.
    pub async fn organisation_revocations(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        after: Option<Vec<u8>>,
    ) -> Result<Page<CertificateId>> {
        let access = self.access(account, id, Deed::SeeCertificates).await?;
        let range = Range::of(Index::RevokedByOrganisation, *id.as_bytes(), LOOKED_AT).after(after);
        let keys = self.store.list(range).await?;
        let (count, mut page) = (keys.len(), Gathering::new());
        for key in keys {
            if page.is_full() {
                break;
            }
            let certificate = self.certificate_at(&key).await?.filter(|certificate| access.shows(certificate));
            page.looked(key, certificate.map(|certificate| certificate.id));
        }
        Ok(page.page(count))
    }

    /// A revoked certificate and its revocation.
    pub async fn organisation_revocation(
        &self,
        account: &Read<Account>,
        (id, certificate): (OrganisationId, CertificateId),
    ) -> Result<(Certificate, Revocation)> {
        let access = self.access(account, id, Deed::SeeCertificates).await?;
        let certificate = self.certificate_of(&access, certificate).await?.record;
        let revocation = certificate.revocation.clone().ok_or(Refusal::NotFound)?;
        Ok((certificate, revocation))
    }

    /// Revokes the certificate with a serial number, and gives its id.
    pub async fn revoke_by_serial(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        request: RevocationRequest,
        now: Timestamp,
    ) -> Result<CertificateId> {
        let terms = (request.reason, request.comment.clone(), request.repeat);
        self.revoke_in_organisation(account, id, Which::Serial(&request), terms, now).await
    }

    /// Revokes the certificate of a record.
    pub async fn revoke_record(
        &self,
        account: &Read<Account>,
        (id, certificate): (OrganisationId, CertificateId),
        reason: Option<u8>,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<()> {
        let terms = (reason, comment, None);
        self.revoke_in_organisation(account, id, Which::Record(certificate), terms, now).await.map(drop)
    }

    async fn revoke_in_organisation(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        which: Which<'_>,
        (reason, comment, repeat): (Option<u8>, Option<String>, Option<RepeatKey>),
        now: Timestamp,
    ) -> Result<CertificateId> {
        let comment = kept_text("comment", comment)?;
        let result = self
            .decide(|| async {
                let access = self.access(account, id, Deed::Revoke).await?;
                let remember = match self.earlier(account.id, repeat, now).await? {
                    Some(Earlier::Made(Made::Revocation(made))) => return Ok(Attempt::Done(made)),
                    Some(Earlier::Made(Made::Invitation(_))) => return Err(Refusal::RepeatDiffers.into()),
                    Some(Earlier::Free(remember)) => Some(remember),
                    None => None,
                };
                let certificate = self.meant(&access, &which).await?;
                let revocation = Revocation {
                    at: now,
                    reason: offered_reason(reason)?,
                    invalid_since: None,
                    by: Actor::Account(account.id),
                    comment: comment.clone(),
                    published: None,
                };
                let mut changes = access.facts.expected();
                changes.extend(self.revocation_changes(&certificate, revocation, false, now)?);
                changes.extend(remember.map(|remember| remember(Made::Revocation(certificate.id))));
                self.commit(changes, certificate.id).await
            })
            .await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::CertificateRevoked, &id.to_string(), error, now).await;
        }
        result
    }

    async fn meant(&self, access: &Access, which: &Which<'_>) -> Result<Read<Certificate>> {
        let request = match which {
            Which::Record(certificate) => return self.certificate_of(access, *certificate).await,
            Which::Serial(request) => request,
        };
        let mut found = self.with_serials(access, &request.serials).await?;
        found.retain(|certificate| request.issuer.as_ref().is_none_or(|issuer| certificate.issuer == *issuer));
        match found.pop() {
            None => Err(Refusal::NotFound.into()),
            Some(only) if found.is_empty() => Ok(only),
            Some(_) => Err(malformed(
                "several certificates have this serial number, read as hexadecimal or as decimal, or by several \
                 issuers; name the issuer, or write the number with colons for hexadecimal",
            )
            .into()),
        }
    }
}

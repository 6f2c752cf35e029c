//! Revocations: by serial number, as a person reads it off a certificate.

use hyper::StatusCode;
use hyper::header::LOCATION;

use super::certificates::serials;
use super::lists::Filters;
use super::{Asked, actor, malformed, reason};
use crate::acme::messages::organisation::{NewRevocation, RevocationObject, RevocationStatus, RevocationsList};
use crate::acme::route::{ListQuery, OrganisationResource as R};
use crate::authority::organisation::RevocationRequest;
use crate::http::reply::{Error, Reply};
use crate::model::{Certificate, Revocation};
use crate::names::{CertificateId, RevocationReason};

/// Within so many seconds a revocation stands on a CRL.
const PROMISE: i64 = 86_400;

/// A page of revocations, or a new one.
pub(super) async fn list(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    if !asked.signed.is_read() {
        return revoke(asked, query).await;
    }
    let after = Filters::of(query, &[])?.cursor()?;
    let page = asked.app.authority.organisation_revocations(asked.account(), asked.id, after).await?;
    let revocations = page.items.into_iter().map(|id| asked.url(R::Revocation(id))).collect();
    let reply = Reply::json(StatusCode::OK, &RevocationsList { revocations });
    Ok(asked.linked(reply, page.next, query, R::Revocations))
}

async fn revoke(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    if *query != ListQuery::default() {
        return Err(malformed("a revocation is made at the list's URL without a query"));
    }
    let sent: NewRevocation = asked.signed.object()?;
    let issuer = sent.issuer.as_deref().map(str::parse).transpose();
    let request = RevocationRequest {
        serials: serials(&sent.serial)?,
        issuer: issuer.map_err(|error: crate::names::NameError| malformed(format!("issuer: {error}")))?,
        reason: reason(sent.reason.as_ref())?,
        repeat: asked.repeat(sent.idempotency_key.as_deref())?,
        comment: sent.comment,
    };
    let now = asked.context.now;
    let id = asked.app.authority.revoke_by_serial(asked.account(), asked.id, request, now).await?;
    let object = found(asked, id).await?;
    Ok(Reply::json(StatusCode::CREATED, &object).with(LOCATION, &asked.url(R::Revocation(id))))
}

/// The revocation of a certificate.
pub(super) async fn revocation(asked: &Asked<'_>, id: CertificateId) -> Result<Reply, Error> {
    asked.signed.read_only()?;
    Ok(Reply::json(StatusCode::OK, &found(asked, id).await?))
}

async fn found(asked: &Asked<'_>, id: CertificateId) -> Result<RevocationObject, Error> {
    let which = (asked.id, id);
    let (certificate, revocation) = asked.app.authority.organisation_revocation(asked.account(), which).await?;
    Ok(object(asked, &certificate, revocation))
}

fn object(asked: &Asked<'_>, certificate: &Certificate, revocation: Revocation) -> RevocationObject {
    let (issuer, shard) = (&certificate.issuer, certificate.shard);
    RevocationObject {
        status: match revocation.published {
            Some(_) => RevocationStatus::Completed,
            None => RevocationStatus::Processing,
        },
        certificate: asked.url(R::Certificate(certificate.id)),
        serial: certificate.serial.to_string(),
        issuer: issuer.to_string(),
        reason: revocation.reason.map_or(0, RevocationReason::code),
        received_at: revocation.at,
        deadline: revocation.at.plus(PROMISE),
        by: actor(asked.urls(), &revocation.by),
        comment: revocation.comment,
        crl_number: revocation.published,
        crl: format!("{}/crl/{issuer}/{shard}.crl", asked.app.public_url),
    }
}

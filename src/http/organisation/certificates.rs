//! Certificates of an organisation, as records.

use hyper::StatusCode;

use super::lists::Filters;
use super::{Asked, malformed, reason, status};
use crate::acme::identifier::RawIdentifier;
use crate::acme::messages::organisation::{CertificateRecord, CertificateStatus, CertificateUpdate, CertificatesList};
use crate::acme::route::{ListQuery, OrganisationResource as R};
use crate::authority::organisation::{CertificateFilter, CertificateStanding, CertificateView};
use crate::http::reply::{Error, Reply};
use crate::names::{CertificateId, SerialNumber, base64url};

/// A page of certificates.
pub(super) async fn list(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    asked.signed.read_only()?;
    let filters = Filters::of(query, &["status", "expiresBefore", "profile", "unit", "serial"])?;
    let filter = CertificateFilter {
        status: filters.text("status").map(standing).transpose()?,
        expires_before: filters.value("expiresBefore")?,
        profile: filters.value("profile")?,
        unit: filters.value("unit")?,
        serial: filters.text("serial").map(serials).transpose()?,
    };
    let (after, now) = (filters.cursor()?, asked.context.now);
    let page = asked.app.authority.organisation_certificates(asked.account(), asked.id, &filter, after, now).await?;
    let certificates = page.items.into_iter().map(|id| asked.url(R::Certificate(id))).collect();
    let reply = Reply::json(StatusCode::OK, &CertificatesList { certificates });
    Ok(asked.linked(reply, page.next, query, R::Certificates))
}

/// A certificate's record, read, or revoked.
pub(super) async fn record(asked: &Asked<'_>, id: CertificateId) -> Result<Reply, Error> {
    let (authority, account, now) = (&asked.app.authority, asked.account(), asked.context.now);
    let which = (asked.id, id);
    if !asked.signed.is_read() {
        let update: CertificateUpdate = asked.signed.object()?;
        status(&update.status, "revoked")?;
        let code = reason(update.reason.as_ref())?;
        authority.revoke_record(account, which, code, update.comment, now).await?;
    }
    let view = authority.organisation_certificate(account, which, now).await?;
    Ok(Reply::json(StatusCode::OK, &object(asked, &view)))
}

fn object(asked: &Asked<'_>, view: &CertificateView) -> CertificateRecord {
    let certificate = &view.certificate;
    CertificateRecord {
        status: match view.standing {
            CertificateStanding::Valid => CertificateStatus::Valid,
            CertificateStanding::Expired => CertificateStatus::Expired,
            CertificateStanding::Revoked => CertificateStatus::Revoked,
        },
        serial: certificate.serial.to_string(),
        issuer: certificate.issuer.to_string(),
        ari_cert_id: view.renewal.as_ref().map(ToString::to_string),
        profile: certificate.profile.to_string(),
        unit: certificate.unit.to_string(),
        identifiers: certificate.identifiers.iter().map(RawIdentifier::from).collect(),
        subject: view.subject.clone(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        spki_sha256: base64url::encode(&certificate.spki_sha256),
        account: asked.urls().account(certificate.account),
        order: asked.urls().order(certificate.order),
        certificate: asked.urls().certificate(certificate.id),
        replaced_by: certificate.replaced_by.map(|order| asked.urls().order(order)),
        revocation: certificate.revocation.as_ref().map(|_| asked.url(R::Revocation(certificate.id))),
    }
}

fn standing(word: &str) -> Result<CertificateStanding, Error> {
    match word {
        "valid" => Ok(CertificateStanding::Valid),
        "expired" => Ok(CertificateStanding::Expired),
        "revoked" => Ok(CertificateStanding::Revoked),
        _ => Err(malformed("status is one of valid, expired and revoked")),
    }
}

/// A serial number in each way in which it can be read.
pub(super) fn serials(text: &str) -> Result<Vec<SerialNumber>, Error> {
    SerialNumber::readings(text).map_err(|error| malformed(format!("serial: {error}")))
}

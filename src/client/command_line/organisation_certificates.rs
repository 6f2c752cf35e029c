//! The commands about the orders and certificates of the whole organisation, and revocation by serial number.

use serde_json::json;

use super::arguments::{CertificatesList, Revoke};
use super::certificates::steps;
use super::report::{Ending, Report, facts, table};
use super::terminal::{confirmed, progress};
use super::{organisation, word};
use crate::acme::identifier::RawIdentifier;
use crate::acme::messages::OrderObject;
use crate::acme::messages::organisation::{CertificateRecord, NewRevocation, RevocationObject};
use crate::acme::status::OrderStatus;
use crate::client::error::{Error, Result};
use crate::client::order::PATIENCE;
use crate::client::organisation::{CertificateFilter, Resource};
use crate::client::state_directory::StateDirectory;

pub(super) async fn orders(state: &StateDirectory, status: Option<OrderStatus>) -> Result<Report> {
    let found = organisation(state).await?.orders(status).await?;
    let row = |order: &Resource<OrderObject>| {
        let profile = order.object.profile.clone().unwrap_or_default();
        vec![order.name().to_owned(), steps(&order.object), profile, values(&order.object.identifiers)]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    Report::done(table(&["order", "status", "profile", "identifiers"], &rows), &json!({ "orders": found }))
}

pub(super) async fn list(state: &StateDirectory, wanted: CertificatesList) -> Result<Report> {
    let filter = CertificateFilter {
        status: wanted.status,
        expires_before: wanted.expires_before,
        profile: wanted.profile,
        unit: wanted.unit.map(|unit| unit.to_string()),
        serial: wanted.serial,
    };
    let found = organisation(state).await?.certificates(&filter).await?;
    let row = |certificate: &Resource<CertificateRecord>| {
        let object = &certificate.object;
        let (until, names) = (object.not_after.to_string(), values(&object.identifiers));
        vec![object.serial.clone(), word(object.status), until, object.profile.clone(), object.unit.clone(), names]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let text = table(&["serial", "status", "until", "profile", "unit", "identifiers"], &rows);
    Report::done(text, &json!({ "certificates": found }))
}

pub(super) async fn show(state: &StateDirectory, serial: &str) -> Result<Report> {
    let found = organisation(state).await?.certificate(serial, None).await?;
    Report::done(described(&found), &found)
}

/// Revokes by serial number what was shown and confirmed, and waits until the CRL says so.
pub(super) async fn revoke(state: &StateDirectory, wanted: Revoke) -> Result<Report> {
    let serial = wanted.serial.unwrap_or_default();
    let organisation = organisation(state).await?;
    let certificate = organisation.certificate(&serial, wanted.issuer.as_deref()).await?;
    let shown = described(&certificate);
    if wanted.yes {
        progress(&shown);
    } else if !confirmed(&shown, "It is revoked for ever, there is no way back.")? {
        return Ok(Report::declined());
    }
    let request = NewRevocation {
        // What was shown is what is revoked, however the number was written.
        serial: format!("0x{}", certificate.object.serial),
        issuer: Some(certificate.object.issuer.clone()),
        reason: wanted.reason.map(Into::into),
        comment: wanted.comment,
        idempotency_key: None,
    };
    let revocation = organisation.revoke_by_serial(&request).await?;
    match organisation.wait_until_published(revocation.clone(), PATIENCE).await {
        Ok(revocation) => Report::done(told(&revocation), &revocation),
        Err(Error::NotYet { .. }) => Ok(Report::done(told(&revocation), &revocation)?.ending(Ending::Pending)),
        Err(error) => Err(error),
    }
}

fn told(revocation: &Resource<RevocationObject>) -> String {
    let object = &revocation.object;
    let published = match object.crl_number {
        Some(number) => format!("CRL number {number} at {}", object.crl),
        None => format!("not on a CRL yet, at the latest {}", object.deadline),
    };
    facts(&[
        ("revoked", object.serial.clone()),
        ("at", object.received_at.to_string()),
        ("reason", object.reason.to_string()),
        ("published", published),
        ("revocation", revocation.url.clone()),
    ])
}

fn described(certificate: &Resource<CertificateRecord>) -> String {
    let object = &certificate.object;
    facts(&[
        ("serial", object.serial.clone()),
        ("issuer", object.issuer.clone()),
        ("subject", object.subject.clone()),
        ("identifiers", values(&object.identifiers)),
        ("from", object.not_before.to_string()),
        ("until", object.not_after.to_string()),
        ("status", word(object.status)),
        ("profile", object.profile.clone()),
        ("unit", object.unit.clone()),
        ("account", object.account.clone()),
        ("replaced by", object.replaced_by.clone().unwrap_or_default()),
        ("url", certificate.url.clone()),
    ])
}

fn values(identifiers: &[RawIdentifier]) -> String {
    identifiers.iter().map(|identifier| identifier.value.as_str()).collect::<Vec<_>>().join(", ")
}

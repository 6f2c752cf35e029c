//! The organisation itself.

use hyper::StatusCode;

use super::Asked;
use crate::acme::identifier::RawIdentifier;
use crate::acme::messages::organisation::{
    Names, OrganisationObject, OrganisationStatus, OrganisationUpdate, TermsObject, UnitObject,
};
use crate::acme::route::{ListQuery, OrganisationResource as R};
use crate::authority::organisation::OrganisationView;
use crate::http::reply::{Error, Reply};
use crate::model::{Language, Organisation, UnitRow};
use crate::names::OrganisationIdentifier;
use crate::time::Timestamp;

/// An organisation, read, or changed by an administrator.
pub(super) async fn organisation(asked: &Asked<'_>) -> Result<Reply, Error> {
    let authority = &asked.app.authority;
    let now = asked.context.now;
    if !asked.signed.is_read() {
        let update: OrganisationUpdate = asked.signed.object()?;
        let agreed = &update.terms_of_service_agreed;
        authority.agree_for_organisation(asked.account(), asked.id, agreed, update.version, now).await?;
    }
    let view = authority.organisation_view(asked.account(), asked.id, now).await?;
    Ok(Reply::json(StatusCode::OK, &object(asked, &view)))
}

fn object(asked: &Asked<'_>, view: &OrganisationView) -> OrganisationObject {
    let organisation = &view.organisation;
    let verification = organisation.verification.as_ref();
    let identifier = OrganisationIdentifier::from(&organisation.business_id);
    let first = |list: fn(ListQuery) -> R| asked.url(list(ListQuery::default()));
    OrganisationObject {
        status: status(organisation, asked.context.now),
        reason: organisation.suspended.as_ref().map(|suspension| suspension.reason.clone()),
        identifier: RawIdentifier { kind: "organization-id".to_owned(), value: identifier.to_string() },
        name: view.units.first().map(names),
        units: view.units.iter().map(|row| UnitObject { oid: row.oid.to_string(), name: names(row) }).collect(),
        more_units: view.more_units,
        verified_at: verification.map(|verification| verification.at),
        expires: verification.map(|verification| verification.expires),
        method: verification.map(|verification| verification.method.clone()),
        authorization: verification
            .and_then(|verification| verification.authorization)
            .map(|authorization| asked.urls().authorization(authorization)),
        profiles: organisation.profiles.iter().map(ToString::to_string).collect(),
        dns_zones: organisation.zones.iter().map(ToString::to_string).collect(),
        language: match organisation.language {
            Language::Fi => "fi".to_owned(),
            Language::Sv => "sv".to_owned(),
        },
        test: organisation.test,
        terms_of_service: asked.app.authority.settings().terms.as_ref().map(|terms| TermsObject {
            version: terms.version.clone(),
            url: terms.url.clone(),
            agreed: organisation.terms.as_ref().map(|agreed| agreed.version.clone()),
        }),
        role: view.role,
        members: first(R::Members),
        invitations: first(R::Invitations),
        orders: first(R::Orders),
        certificates: first(R::Certificates),
        revocations: first(R::Revocations),
        events: first(R::Events),
        version: organisation.version(),
    }
}

fn status(organisation: &Organisation, now: Timestamp) -> OrganisationStatus {
    match (&organisation.suspended, &organisation.verification) {
        (Some(_), _) => OrganisationStatus::Suspended,
        (None, None) => OrganisationStatus::Pending,
        (None, Some(verification)) if verification.expires <= now => OrganisationStatus::Expired,
        (None, Some(_)) => OrganisationStatus::Valid,
    }
}

fn names(row: &UnitRow) -> Names {
    Names { fi: row.name_fi.clone(), sv: row.name_sv.clone() }
}

//! Invitations. The secret of one stands in the answer that made it, and nowhere else.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use hyper::StatusCode;
use hyper::header::LOCATION;

use super::lists::Filters;
use super::members::touched_object;
use super::{Asked, malformed, status};
use crate::acme::messages::organisation::{
    Credentials, InvitationObject, InvitationStatus, InvitationUpdate, InvitationsList, NewInvitation,
};
use crate::acme::route::{Door, ListQuery, OrganisationResource as R};
use crate::authority::organisation::{InvitationDetail, InvitationRequest, InvitationStanding};
use crate::http::reply::{Error, Reply};
use crate::names::InvitationId;

/// A page of invitations, or a new one.
pub(super) async fn list(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    if !asked.signed.is_read() {
        return invite(asked, query).await;
    }
    let after = Filters::of(query, &[])?.cursor()?;
    let page = asked.app.authority.organisation_invitations(asked.account(), asked.id, after).await?;
    let invitations = page.items.into_iter().map(|id| asked.url(R::Invitation(id))).collect();
    let reply = Reply::json(StatusCode::OK, &InvitationsList { invitations });
    Ok(asked.linked(reply, page.next, query, R::Invitations))
}

async fn invite(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    if *query != ListQuery::default() {
        return Err(malformed("an invitation is made at the list's URL without a query"));
    }
    let request: NewInvitation = asked.signed.object()?;
    let repeat = asked.repeat(request.idempotency_key.as_deref())?;
    let request = InvitationRequest {
        role: request.role,
        contact: request.contact,
        profiles: request.profiles.map(|profiles| values("profiles", &profiles)).transpose()?,
        default_profile: request.default_profile.map(|profile| value("defaultProfile", &profile)).transpose()?,
        zones: request.dns_zones.map(|zones| values("dnsZones", &zones)).transpose()?,
        unit: request.unit.map(|unit| value("unit", &unit)).transpose()?,
        units: values("units", &request.units)?,
        uses: request.max_uses,
        expires: request.expires,
        confirmation: request.require_confirmation,
        repeat,
    };
    let now = asked.context.now;
    let (detail, made) = asked.app.authority.invite(asked.account(), asked.id, request, now).await?;
    let directory = asked.urls().directory(Door::Server);
    let (kid, key) = (made.kid, made.hmac_key);
    let certbot = format!("certbot register --server {directory} --eab-kid {kid} --eab-hmac-key {key}");
    let object = InvitationObject {
        external_account_binding: Some(Credentials { kid, hmac_key: key, alg: "HS256".to_owned(), directory }),
        commands: BTreeMap::from([("certbot".to_owned(), certbot)]),
        ..object(asked, &detail)
    };
    let location = asked.url(R::Invitation(detail.invitation.id));
    Ok(Reply::json(StatusCode::CREATED, &object).with(LOCATION, &location))
}

/// An invitation, read or revoked.
pub(super) async fn invitation(asked: &Asked<'_>, id: InvitationId) -> Result<Reply, Error> {
    let (authority, account, now) = (&asked.app.authority, asked.account(), asked.context.now);
    let which = (asked.id, id);
    if asked.signed.is_read() {
        let detail = authority.organisation_invitation(account, which, now).await?;
        return Ok(Reply::json(StatusCode::OK, &object(asked, &detail)));
    }
    let update: InvitationUpdate = asked.signed.object()?;
    status(&update.status, "revoked")?;
    if update.dry_run {
        let touched = authority.invitation_preview(account, which, now).await?;
        return Ok(Reply::json(StatusCode::OK, &touched_object(asked, &touched)));
    }
    let reason = update.reason;
    let detail = authority.revoke_organisation_invitation(account, which, reason, update.version, now).await?;
    Ok(Reply::json(StatusCode::OK, &object(asked, &detail)))
}

fn object(asked: &Asked<'_>, detail: &InvitationDetail) -> InvitationObject {
    let invitation = &detail.invitation;
    InvitationObject {
        status: match detail.standing {
            InvitationStanding::Pending => InvitationStatus::Pending,
            InvitationStanding::Redeemed => InvitationStatus::Redeemed,
            InvitationStanding::Expired => InvitationStatus::Expired,
            InvitationStanding::Closed => InvitationStatus::Closed,
            InvitationStanding::Revoked => InvitationStatus::Revoked,
        },
        role: invitation.role,
        contact: invitation.contact.clone(),
        profiles: texts(&invitation.profiles),
        default_profile: invitation.default_profile.as_ref().map(ToString::to_string),
        dns_zones: texts(&invitation.zones),
        unit: invitation.unit.as_ref().map(ToString::to_string),
        units: texts(&invitation.units),
        max_uses: invitation.uses,
        uses_left: detail.uses_left,
        expires: invitation.expires,
        require_confirmation: invitation.awaits.is_some(),
        created: invitation.created,
        invited_by: invitation.inviter.map(|inviter| asked.member_url(inviter)),
        reason: invitation.revoked.as_ref().map(|void| void.reason.clone()),
        members: detail.members.iter().map(|member| asked.member_url(*member)).collect(),
        version: invitation.version(),
        external_account_binding: None,
        commands: BTreeMap::new(),
    }
}

fn texts<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn value<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| malformed(format!("{name}: {error}")))
}

fn values<T: FromStr<Err: Display>>(name: &str, texts: &[String]) -> Result<Vec<T>, Error> {
    texts.iter().map(|text| value(name, text)).collect()
}

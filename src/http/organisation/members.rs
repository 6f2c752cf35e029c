//! Members and what administrators change of them.

use hyper::StatusCode;

use super::lists::Filters;
use super::{Asked, malformed};
use crate::acme::messages::organisation::{MemberObject, MemberStatus, MemberUpdate, MembersList, TouchedObject};
use crate::acme::route::{ListQuery, OrganisationResource as R};
use crate::authority::organisation::{MemberChange, MemberStanding, MemberView, Touched};
use crate::http::reply::{Error, Reply};
use crate::model::Awaited;
use crate::names::AccountId;

/// A page of members.
pub(super) async fn list(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    asked.signed.read_only()?;
    let after = Filters::of(query, &[])?.cursor()?;
    let page = asked.app.authority.organisation_members(asked.account(), asked.id, after).await?;
    let members = page.items.into_iter().map(|member| asked.member_url(member)).collect();
    let reply = Reply::json(StatusCode::OK, &MembersList { members });
    Ok(asked.linked(reply, page.next, query, R::Members))
}

/// A member, read or changed.
pub(super) async fn member(asked: &Asked<'_>, member: AccountId) -> Result<Reply, Error> {
    let authority = &asked.app.authority;
    let now = asked.context.now;
    if asked.signed.is_read() {
        let view = authority.organisation_member(asked.account(), asked.id, member).await?;
        return Ok(Reply::json(StatusCode::OK, &object(asked, &view)));
    }
    let update: MemberUpdate = asked.signed.object()?;
    let (dry_run, version, cascade) = (update.dry_run, update.version, update.cascade);
    let change = change(update)?;
    let which = (asked.id, member);
    if dry_run {
        let MemberChange::Remove { .. } = change else {
            return Err(malformed("only a removal has a dry run"));
        };
        let touched = authority.removal_preview(asked.account(), which, cascade, now).await?;
        return Ok(Reply::json(StatusCode::OK, &touched_object(asked, &touched)));
    }
    let view = authority.change_member(asked.account(), which, change, version, now).await?;
    Ok(Reply::json(StatusCode::OK, &object(asked, &view)))
}

fn change(update: MemberUpdate) -> Result<MemberChange, Error> {
    let removes = update.status.as_deref() == Some("removed");
    if !removes && (update.cascade || update.reason.is_some()) {
        return Err(malformed("\"cascade\" and \"reason\" belong to a removal"));
    }
    match (update.status.as_deref(), update.role) {
        (Some("removed"), None) => Ok(MemberChange::Remove { reason: update.reason, cascade: update.cascade }),
        (Some("valid"), None) => Ok(MemberChange::Admit),
        (None, Some(role)) => Ok(MemberChange::Role(role)),
        _ => {
            Err(malformed("a member gets a \"role\", or the \"status\" \"valid\" or \"removed\": one change at a time"))
        }
    }
}

fn object(asked: &Asked<'_>, view: &MemberView) -> MemberObject {
    let member = &view.membership;
    let mut awaits = None;
    let (status, reason, removed) = match &view.standing {
        MemberStanding::Pending(awaited) => {
            awaits = Some(awaited_word(*awaited));
            (MemberStatus::Pending, None, None)
        }
        MemberStanding::Valid => (MemberStatus::Valid, None, None),
        MemberStanding::Stopped(reason) => (MemberStatus::Stopped, Some(reason.clone()), None),
        MemberStanding::Removed(at, reason) => (MemberStatus::Removed, Some(reason.clone()), Some(*at)),
    };
    MemberObject {
        status,
        awaits,
        account: asked.urls().account(member.account),
        thumbprint: view.thumbprint.as_ref().map(ToString::to_string),
        role: member.role,
        since: member.since,
        invitation: member.invitation.map(|invitation| asked.url(R::Invitation(invitation))),
        reason,
        removed,
        version: member.version(),
    }
}

fn awaited_word(awaits: Awaited) -> String {
    match awaits {
        Awaited::Admission => "admission",
        Awaited::Confirmation => "confirmation",
        Awaited::Proof => "proof",
    }
    .to_owned()
}

pub(super) fn touched_object(asked: &Asked<'_>, touched: &Touched) -> TouchedObject {
    let members = |list: &[AccountId]| list.iter().map(|member| asked.member_url(*member)).collect();
    TouchedObject {
        stopped: members(&touched.stopped),
        invited: members(&touched.invited),
        certificates: touched.certificates.iter().map(|id| asked.url(R::Certificate(*id))).collect(),
        invitations: touched.invitations.iter().map(|id| asked.url(R::Invitation(*id))).collect(),
        more: touched.more,
    }
}

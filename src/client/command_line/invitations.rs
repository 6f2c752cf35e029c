//! The commands about invitations.

use serde_json::json;

use super::account::mailto;
use super::arguments::{InvitationsCommand, Invite};
use super::members::touched;
use super::report::{Report, facts, table};
use super::terminal::confirmed;
use super::{now, organisation, word};
use crate::acme::messages::organisation::{InvitationObject, NewInvitation};
use crate::client::error::Result;
use crate::client::organisation::{Organisation, Resource};
use crate::client::state_directory::StateDirectory;

pub(super) async fn invite(state: &StateDirectory, wanted: Invite) -> Result<Report> {
    let organisation = organisation(state).await?;
    let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let until = wanted.valid_for.map(|time| now().plus(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)));
    let request = NewInvitation {
        role: wanted.role.into(),
        contact: wanted.contact.as_deref().map(mailto),
        profiles: given(wanted.profiles),
        default_profile: wanted.default_profile,
        dns_zones: given(wanted.zones),
        unit: wanted.unit.map(|unit| unit.to_string()),
        units: wanted.units.iter().map(ToString::to_string).collect(),
        max_uses: wanted.uses,
        expires: wanted.expires.or(until),
        require_confirmation: wanted.require_confirmation,
        idempotency_key: wanted.idempotency_key,
    };
    let made = organisation.invite(&request).await?;
    let mut text = described(&made);
    if let Some(credentials) = &made.object.external_account_binding {
        let (kid, key) = (credentials.kid.clone(), credentials.hmac_key.clone());
        let shown = [("directory", credentials.directory.clone()), ("kid", kid), ("hmac key", key)];
        text.push_str("\n\nThe credentials are shown this once:\n");
        text.push_str(&facts(&shown));
    }
    for (program, line) in &made.object.commands {
        text.push_str(&format!("\n\nWith {program}:\n{line}"));
    }
    Report::done(super::report::printable(&text), &made)
}

pub(super) async fn invitations(state: &StateDirectory, command: Option<InvitationsCommand>) -> Result<Report> {
    let organisation = organisation(state).await?;
    match command.unwrap_or(InvitationsCommand::List) {
        InvitationsCommand::List => list(&organisation).await,
        InvitationsCommand::Show { invitation } => {
            let found = organisation.invitation(&invitation).await?;
            Report::done(described(&found), &found)
        }
        InvitationsCommand::Revoke { invitation, reason, care } => {
            let found = organisation.invitation(&invitation).await?;
            let preview = organisation.invitation_revocation(&found).await?;
            let shown = format!("{}\n\n{}", described(&found), touched(&preview));
            if care.dry_run {
                return Report::done(shown, &preview);
            }
            if !care.yes && !confirmed(&shown, "The invitation is revoked.")? {
                return Ok(Report::declined());
            }
            let revoked = organisation.revoke_invitation(&found, reason).await?;
            Report::done(described(&revoked), &revoked)
        }
    }
}

async fn list(organisation: &Organisation) -> Result<Report> {
    let found = organisation.invitations().await?;
    let row = |invitation: &Resource<InvitationObject>| {
        let object = &invitation.object;
        vec![
            invitation.name().to_owned(),
            word(object.status),
            object.role.to_string(),
            format!("{} of {}", object.uses_left, object.max_uses),
            object.expires.to_string(),
            object.contact.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let text = table(&["invitation", "status", "role", "uses left", "until", "contact"], &rows);
    Report::done(text, &json!({ "invitations": found }))
}

fn described(invitation: &Resource<InvitationObject>) -> String {
    let object = &invitation.object;
    let zones = if object.dns_zones.is_empty() { "none".to_owned() } else { object.dns_zones.join(", ") };
    let members: Vec<_> = object.members.iter().map(|url| url.rsplit('/').next().unwrap_or(url)).collect();
    facts(&[
        ("invitation", invitation.url.clone()),
        ("status", word(object.status)),
        ("reason", object.reason.clone().unwrap_or_default()),
        ("contact", object.contact.clone().unwrap_or_default()),
        ("role", object.role.to_string()),
        ("profiles", object.profiles.join(", ")),
        ("default profile", object.default_profile.clone().unwrap_or_default()),
        ("dns zones", zones),
        ("unit", object.unit.clone().unwrap_or_default()),
        ("other units", object.units.join(", ")),
        ("uses left", format!("{} of {}", object.uses_left, object.max_uses)),
        ("until", object.expires.to_string()),
        ("confirmation", if object.require_confirmation { "needed".to_owned() } else { String::new() }),
        ("members", members.join(", ")),
    ])
}

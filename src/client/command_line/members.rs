//! The commands about members.

use serde_json::json;

use super::arguments::MembersCommand;
use super::report::{Report, facts, table};
use super::terminal::confirmed;
use super::{organisation, word};
use crate::acme::messages::organisation::{MemberObject, TouchedObject};
use crate::client::error::Result;
use crate::client::organisation::{Organisation, Resource};
use crate::client::state_directory::StateDirectory;

pub(super) async fn members(state: &StateDirectory, command: Option<MembersCommand>) -> Result<Report> {
    let organisation = organisation(state).await?;
    match command.unwrap_or(MembersCommand::List) {
        MembersCommand::List => list(&organisation).await,
        MembersCommand::Show { member } => shown(organisation.member(&member).await?),
        MembersCommand::Admit { member } => {
            let member = organisation.member(&member).await?;
            shown(organisation.admit(&member).await?)
        }
        MembersCommand::Role { member, role } => {
            let member = organisation.member(&member).await?;
            shown(organisation.change_role(&member, role.into()).await?)
        }
        MembersCommand::Remove { member, cascade, reason, care } => {
            let member = organisation.member(&member).await?;
            let preview = organisation.removal(&member, cascade).await?;
            let text = format!("{}\n\n{}", described(&member), touched(&preview));
            if care.dry_run {
                return Report::done(text, &preview);
            }
            if !care.yes && !confirmed(&text, "The member is removed.")? {
                return Ok(Report::declined());
            }
            shown(organisation.remove(&member, cascade, reason).await?)
        }
    }
}

async fn list(organisation: &Organisation) -> Result<Report> {
    let found = organisation.members().await?;
    let row = |member: &Resource<MemberObject>| {
        let object = &member.object;
        vec![
            member.name().to_owned(),
            word(object.status),
            object.role.to_string(),
            object.since.to_string(),
            object.thumbprint.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    Report::done(table(&["member", "status", "role", "since", "thumbprint"], &rows), &json!({ "members": found }))
}

fn shown(member: Resource<MemberObject>) -> Result<Report> {
    Report::done(described(&member), &member)
}

fn described(member: &Resource<MemberObject>) -> String {
    let object = &member.object;
    let mut status = word(object.status);
    if let Some(awaits) = &object.awaits {
        status.push_str(&format!(", waits for {awaits}"));
    }
    facts(&[
        ("member", member.url.clone()),
        ("status", status),
        ("reason", object.reason.clone().unwrap_or_default()),
        ("role", object.role.to_string()),
        ("account", object.account.clone()),
        ("thumbprint", object.thumbprint.clone().unwrap_or_default()),
        ("since", object.since.to_string()),
        ("removed", object.removed.map(|time| time.to_string()).unwrap_or_default()),
        ("invitation", object.invitation.clone().unwrap_or_default()),
    ])
}

/// What a change would touch, for whoever decides on it.
pub(super) fn touched(preview: &TouchedObject) -> String {
    let mut lines = Vec::new();
    for (what, urls) in [
        ("members that are stopped", &preview.stopped),
        ("members that it invited, stopped with --cascade only", &preview.invited),
        ("invitations that can no longer be spent", &preview.invitations),
        ("certificates in force that stay valid unless you revoke them", &preview.certificates),
    ] {
        lines.push(format!("{what}: {}", urls.len()));
        lines.extend(urls.iter().map(|url| format!("  {url}")));
    }
    if preview.more {
        lines.push("and more than is shown".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_tells_each_thing_with_its_count() {
        let preview =
            TouchedObject { stopped: vec!["https://ca/m/1".to_owned()], more: true, ..TouchedObject::default() };
        let text = touched(&preview);
        assert!(text.starts_with("members that are stopped: 1\n  https://ca/m/1\n"), "{text}");
        assert!(
            text.contains("stay valid unless you revoke them: 0\n") && text.ends_with("more than is shown"),
            "{text}"
        );
    }
}

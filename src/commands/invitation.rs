//! `invitation create|list|revoke`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin_client::{Connection, escaped, member, named, table};
use super::{CommandResult, Outcome};
use crate::names::quantity::duration;
use crate::names::{BusinessId, ProfileName, UnitOid, Zone};

#[derive(Debug, Subcommand)]
pub(super) enum InvitationCommand {
    /// Make an invitation. Its key is shown this once.
    Create(Create),
    /// List an organisation's invitations.
    List {
        /// The organisation's Business ID.
        organisation: BusinessId,
        #[command(flatten)]
        connection: Connection,
    },
    /// Revoke an invitation: it cannot be used any more, and the accounts that it created are stopped.
    Revoke {
        /// Its key id.
        kid: String,
        /// Why: those who used it are told.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The organisation's Business ID.
    organisation: BusinessId,
    /// What its accounts may do.
    #[arg(long, default_value = "technical-contact", value_parser = ["administrator", "technical-contact", "auditor"])]
    role: String,
    /// The OID of the unit that is the subject of everything its accounts order by dns names alone.
    #[arg(long, value_name = "OID")]
    unit: Option<UnitOid>,
    /// Another unit that an order may name, repeatable.
    #[arg(long = "also-unit", value_name = "OID")]
    units: Vec<UnitOid>,
    /// A profile that may be ordered, repeatable. Default: all of the organisation's.
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<ProfileName>,
    /// The profile of orders that name none; needed with several profiles.
    #[arg(long, value_name = "NAME")]
    default_profile: Option<ProfileName>,
    /// A dns zone in which names may lie, repeatable. Default: all of the organisation's.
    #[arg(long = "zone", value_name = "ZONE")]
    zones: Vec<Zone>,
    /// How many accounts it may create.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how long it can be used to create accounts, such as 14d.
    #[arg(long, default_value = "14d", value_parser = duration::parse, value_name = "DURATION")]
    valid_for: Duration,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: InvitationCommand) -> CommandResult {
    match command {
        InvitationCommand::Create(create) => {
            let made = create.connection.post("/invitations", &create.message()).await?;
            create.connection.show(&made, credentials(&made));
        }
        InvitationCommand::List { organisation, connection } => {
            let path = format!("/invitations?organisation={}", escaped(organisation.as_str()));
            let all = connection.pages(&path, "invitations").await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            connection.show(&json!({ "invitations": all }), table(&HEADING, &rows));
        }
        InvitationCommand::Revoke { kid, reason, connection } => {
            let revoked = connection.post("/invitations/revoke", &json!({ "kid": kid, "reason": reason })).await?;
            connection.show(&revoked, [format!("revoked {kid}: the accounts that it created are stopped")]);
        }
    }
    Ok(Outcome::Done)
}

impl Create {
    fn message(&self) -> Value {
        named(json!({
            "business_id": self.organisation,
            "role": self.role,
            "unit": self.unit,
            "units": self.units,
            "profiles": self.profiles,
            "default_profile": self.default_profile,
            "zones": self.zones,
            "uses": self.uses,
            "lifetime": self.valid_for.as_secs(),
        }))
    }
}

/// What the organisation's technical contact needs; the key is never shown again.
fn credentials(made: &Value) -> Vec<String> {
    let shown = |name: &str| member(made, name);
    vec![
        format!("key id:   {}", shown("kid")),
        format!("HMAC key: {}   (shown this once; HS256, base64url)", shown("hmac_key")),
        format!("uses:     {}, until {}", shown("uses"), shown("expires")),
        format!("limits:   profiles {}; zones {}; unit {}", shown("profiles"), shown("zones"), shown("unit")),
    ]
}

const HEADING: [&str; 7] = ["KEY ID", "STANDING", "ROLE", "UNIT", "PROFILES", "ZONES", "USES LEFT"];

fn row(invitation: &Value) -> Vec<String> {
    let shown = |name: &str| member(invitation, name);
    let standing = match shown("revoked.before") {
        at if !at.is_empty() => format!("revoked {at}"),
        _ => format!("until {}", shown("expires")),
    };
    let uses = format!("{} of {}", shown("uses_left"), shown("uses"));
    vec![shown("kid"), standing, shown("role"), shown("unit"), shown("profiles"), shown("zones"), uses]
}

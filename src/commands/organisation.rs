//! `organisation add|list|limits|suspend|resume`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin_client::{Connection, member, named, table};
use super::{CommandResult, Outcome};
use crate::names::{BusinessId, ProfileName, Zone};

#[derive(Debug, Subcommand)]
pub(super) enum OrganisationCommand {
    /// Add an organisation that you have verified.
    Add {
        /// Its Business ID (Y-tunnus), such as 0245437-2.
        business_id: BusinessId,
        /// A dns zone in which it may have names, repeatable; `*` is any. Default: the configuration's.
        #[arg(long = "zone", value_name = "ZONE")]
        zones: Vec<Zone>,
        /// A profile that it may use, repeatable. Default: the configuration's.
        #[arg(long = "profile", value_name = "NAME")]
        profiles: Vec<ProfileName>,
        /// The language of its certificates: fi or sv. Default: the configuration's.
        #[arg(long, value_parser = ["fi", "sv"])]
        language: Option<String>,
        /// It may have test products only.
        #[arg(long)]
        test: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List all organisations.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Change an organisation's limits; what is not named stays as it is. Narrowing acts at once.
    Limits {
        /// Its Business ID.
        business_id: BusinessId,
        /// A dns zone in which it may have names, repeatable; `*` is any. All others go.
        #[arg(long = "zone", value_name = "ZONE")]
        zones: Vec<Zone>,
        /// A profile that it may use, repeatable. All others go.
        #[arg(long = "profile", value_name = "NAME")]
        profiles: Vec<ProfileName>,
        /// The language of its certificates: fi or sv.
        #[arg(long, value_parser = ["fi", "sv"])]
        language: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Stop an organisation: its open orders end, new ones are refused; its certificates stay.
    Suspend(Standing),
    /// Let a suspended organisation go on.
    Resume(Standing),
}

#[derive(Debug, Args)]
pub(super) struct Standing {
    /// Its Business ID.
    business_id: BusinessId,
    /// Why: the organisation's clients are told.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: OrganisationCommand) -> CommandResult {
    match command {
        OrganisationCommand::Add { business_id, zones, profiles, language, test, connection } => {
            let message = json!({
                "business_id": business_id,
                "zones": zones,
                "profiles": profiles,
                "language": language,
                "test": test,
            });
            let added = connection.post("/organisations", &named(message)).await?;
            connection.show(&added, [described("added", &added)]);
        }
        OrganisationCommand::Limits { business_id, zones, profiles, language, connection } => {
            let message =
                json!({ "business_id": business_id, "zones": zones, "profiles": profiles, "language": language });
            let changed = connection.post("/organisations/limits", &named(message)).await?;
            connection.show(&changed, [described("changed", &changed)]);
        }
        OrganisationCommand::List { connection } => {
            let all = connection.pages("/organisations", "organisations").await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            connection.show(&json!({ "organisations": all }), table(&HEADING, &rows));
        }
        OrganisationCommand::Suspend(standing) => standing.change("/organisations/suspend", "suspended").await?,
        OrganisationCommand::Resume(standing) => standing.change("/organisations/resume", "resumed").await?,
    }
    Ok(Outcome::Done)
}

impl Standing {
    async fn change(&self, path: &str, done: &str) -> Result<(), super::CommandError> {
        let message = json!({ "business_id": self.business_id, "reason": self.reason });
        let changed = self.connection.post(path, &message).await?;
        self.connection.show(&changed, [described(done, &changed)]);
        Ok(())
    }
}

const HEADING: [&str; 6] = ["BUSINESS ID", "STANDING", "LANGUAGE", "PROFILES", "ZONES", "ADMINISTRATORS"];

fn row(organisation: &Value) -> Vec<String> {
    let standing = match (member(organisation, "suspended.at"), member(organisation, "verification.expires")) {
        (at, _) if !at.is_empty() => format!("suspended {at}"),
        (_, expires) if expires.is_empty() => "not verified".to_owned(),
        (_, expires) => format!("verified until {expires}"),
    };
    let shown = |name: &str| member(organisation, name);
    vec![shown("business_id"), standing, shown("language"), shown("profiles"), shown("zones"), shown("administrators")]
}

fn described(done: &str, organisation: &Value) -> String {
    let shown = |name: &str| member(organisation, name);
    format!("{done} {}: profiles {}; zones {}", shown("business_id"), shown("profiles"), shown("zones"))
}

//! `member list|admit|refuse`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::admin_client::{Connection, escaped, member, named, table};
use super::{CommandResult, Outcome};
use crate::names::{AccountId, BusinessId};

#[derive(Debug, Subcommand)]
pub(super) enum MemberCommand {
    /// List an organisation's members, those that wait among them.
    List {
        /// The organisation's Business ID.
        organisation: BusinessId,
        #[command(flatten)]
        connection: Connection,
    },
    /// Admit a member that waits. One that proved an organisation with administrators needs two officers.
    Admit {
        /// The account, as `member list` shows it.
        account: AccountId,
        /// Another role than the one that it waits for.
        #[arg(long, value_parser = ["administrator", "technical-contact", "auditor"])]
        role: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Refuse a member that waits.
    Refuse {
        /// The account, as `member list` shows it.
        account: AccountId,
        /// Why: the account's holder is told.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: MemberCommand) -> CommandResult {
    match command {
        MemberCommand::List { organisation, connection } => {
            let path = format!("/members?organisation={}", escaped(organisation.as_str()));
            let all = connection.pages(&path, "members").await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            connection.show(&json!({ "members": all }), table(&HEADING, &rows));
        }
        MemberCommand::Admit { account, role, connection } => {
            let message = named(json!({ "account": account, "role": role }));
            let shown = connection.post("/members/admit", &message).await?;
            let line = match member(&shown, "state.state").as_str() {
                "member" => format!("admitted {account} as {}", member(&shown, "role")),
                _ => format!("approved {account}; another officer has to admit it, too"),
            };
            connection.show(&shown, [line]);
        }
        MemberCommand::Refuse { account, reason, connection } => {
            let message = json!({ "account": account, "reason": reason });
            let shown = connection.post("/members/refuse", &message).await?;
            connection.show(&shown, [format!("refused {account}")]);
        }
    }
    Ok(Outcome::Done)
}

const HEADING: [&str; 5] = ["ACCOUNT", "ROLE", "STATE", "SINCE", "CONTACT"];

fn row(shown: &Value) -> Vec<String> {
    let text = |name: &str| member(shown, name);
    let state = match (text("state.state"), text("state.awaits")) {
        (state, awaits) if awaits.is_empty() => state,
        (state, awaits) => format!("{state} ({awaits})"),
    };
    vec![text("account"), text("role"), state, text("since"), text("contact")]
}

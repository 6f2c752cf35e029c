//! `approval list|show|approve|reject`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::admin_client::{Connection, escaped, member, table};
use super::{CommandResult, Outcome};

#[derive(Debug, Subcommand)]
pub(super) enum ApprovalCommand {
    /// List the applications that wait for a decision, the longest waiting first.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show an application: what was applied for, the account key's fingerprint, and what the register says.
    Show {
        /// Its reference.
        reference: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Approve an application. For an organisation's first verification a second officer may be needed.
    Approve {
        /// Its reference.
        reference: String,
        /// The fingerprint of the account's key as the applicant reads it out by a telephone number that the register or
        /// another independent source gives: its first 16 hexadecimal digits or more.
        #[arg(long)]
        fingerprint: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Reject an application.
    Reject {
        /// Its reference.
        reference: String,
        /// Why: the applicant is told.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: ApprovalCommand) -> CommandResult {
    match command {
        ApprovalCommand::List { connection } => {
            let all = connection.pages("/applications", "applications").await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            connection.show(&json!({ "applications": all }), table(&HEADING, &rows));
        }
        ApprovalCommand::Show { reference, connection } => {
            let shown = connection.get(&format!("/applications/{}", escaped(&reference))).await?;
            connection.show(&shown, described(&shown));
        }
        ApprovalCommand::Approve { reference, fingerprint, connection } => {
            let message = json!({ "reference": reference, "fingerprint": fingerprint });
            let shown = connection.post("/applications/approve", &message).await?;
            connection.show(&shown, [outcome(&shown)]);
        }
        ApprovalCommand::Reject { reference, reason, connection } => {
            let message = json!({ "reference": reference, "reason": reason });
            let shown = connection.post("/applications/reject", &message).await?;
            connection.show(&shown, [format!("rejected {reference}")]);
        }
    }
    Ok(Outcome::Done)
}

const HEADING: [&str; 6] = ["REFERENCE", "ORGANISATION", "APPLICANT", "SINCE", "UNTIL", "APPROVED BY"];

fn row(application: &Value) -> Vec<String> {
    let shown = |name: &str| member(application, name);
    let organisation = member(application, "organisation.value");
    vec![shown("reference"), organisation, shown("applicant"), shown("since"), shown("expires"), officers(application)]
}

fn officers(application: &Value) -> String {
    let approvals = application.get("approvals").and_then(Value::as_array);
    let names: Vec<_> = approvals.into_iter().flatten().map(|approval| member(approval, "officer")).collect();
    names.join(", ")
}

fn described(application: &Value) -> Vec<String> {
    let shown = |name: &str| member(application, name);
    let mut lines = vec![
        format!("reference:     {} ({}, until {})", shown("reference"), shown("status"), shown("expires")),
        format!("organisation:  {}", shown("organisation.value")),
        format!("account:       {}", shown("account")),
        format!("fingerprint:   {}", shown("fingerprint")),
    ];
    if application.get("application").is_some_and(|application| !application.is_null()) {
        let person = |name: &str| printable(&shown(&format!("application.applicant.{name}")));
        lines.push(format!("applicant:     {}, {}, {}", person("name"), person("email"), person("phone")));
        lines.push(format!("justification: {}", printable(&shown("application.justification"))));
        for document in application["application"]["documents"].as_array().into_iter().flatten() {
            let title = printable(&member(document, "title"));
            lines.push(format!("document:      {title} (SHA-256 {})", member(document, "sha256")));
        }
    }
    for row in application["register"].as_array().into_iter().flatten() {
        let shown = |name: &str| member(row, name);
        let (name, place, until) = (shown("name_fi"), shown("municipality"), shown("valid_to"));
        lines.push(format!("register:      {} {name}, {place} {until}", shown("oid")));
    }
    if application["register"].as_array().is_none_or(Vec::is_empty) {
        lines.push("register:      no row in force names the organisation".to_owned());
    }
    if application["administered"] == true {
        lines
            .push("note:          it has, or had, administrators: the applicant has to be admitted besides".to_owned());
    }
    lines.push(format!("approved by:   {} ({} needed)", officers(application), shown("officers_needed")));
    lines
}

/// What an applicant wrote, on one line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn outcome(application: &Value) -> String {
    let shown = |name: &str| member(application, name);
    match shown("status").as_str() {
        "processing" => format!("approved {}; another officer has to approve it, too", shown("reference")),
        "valid" => format!("approved {}: the organisation is verified until {}", shown("reference"), shown("expires")),
        status => format!("{} is {status}: see sote-acme approval show {0}", shown("reference")),
    }
}

//! `mandate add|list|end`.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::admin_client::{Connection, escaped, member, table};
use super::{CommandError, CommandResult, Outcome};
use crate::names::quantity::duration;
use crate::names::{BusinessId, MandateId};
use crate::time::{Clock as _, SystemClock};

#[derive(Debug, Subcommand)]
pub(super) enum MandateCommand {
    /// Record that a person may prove an organisation with a card of their own.
    Add(Add),
    /// List an organisation's mandates. Persons are shown by a hash.
    List {
        /// The organisation's Business ID.
        organisation: BusinessId,
        #[command(flatten)]
        connection: Connection,
    },
    /// End a mandate now.
    End {
        /// The mandate, as `mandate list` shows it.
        mandate: MandateId,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The organisation's Business ID.
    organisation: BusinessId,
    /// A file whose content identifies the person as the card's certificate does (serialNumber). Without it, standard input is
    /// read: on a command line others could see it.
    #[arg(long, value_name = "FILE")]
    person_file: Option<PathBuf>,
    /// For how long it holds, such as 365d.
    #[arg(long, default_value = "365d", value_parser = duration::parse, value_name = "DURATION")]
    valid_for: Duration,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: MandateCommand) -> CommandResult {
    match command {
        MandateCommand::Add(add) => {
            let person = add.person()?;
            let lasts = i64::try_from(add.valid_for.as_secs()).map_err(CommandError::failed)?;
            let until = SystemClock.now().plus(lasts);
            let message = json!({ "business_id": add.organisation, "person": person.trim(), "until": until });
            let added = add.connection.post("/mandates", &message).await?;
            add.connection.show(&added, [format!("added {} until {}", member(&added, "id"), member(&added, "until"))]);
        }
        MandateCommand::List { organisation, connection } => {
            let path = format!("/mandates?organisation={}", escaped(organisation.as_str()));
            let all = connection.pages(&path, "mandates").await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            connection.show(&json!({ "mandates": all }), table(&HEADING, &rows));
        }
        MandateCommand::End { mandate, connection } => {
            let ended = connection.post("/mandates/end", &json!({ "id": mandate })).await?;
            connection.show(&ended, [format!("ended {mandate}")]);
        }
    }
    Ok(Outcome::Done)
}

impl Add {
    fn person(&self) -> Result<Zeroizing<String>, CommandError> {
        let mut text = Zeroizing::new(String::new());
        let read = match &self.person_file {
            Some(path) => std::fs::File::open(path).and_then(|file| file.take(1_000).read_to_string(&mut text)),
            None => std::io::stdin().lock().take(1_000).read_to_string(&mut text),
        };
        read.map_err(|error| CommandError::Failed(format!("what identifies the person cannot be read: {error}")))?;
        Ok(text)
    }
}

const HEADING: [&str; 6] = ["MANDATE", "PERSON", "FROM", "UNTIL", "ADDED BY", "ENDED"];

fn row(mandate: &Value) -> Vec<String> {
    let shown = |name: &str| member(mandate, name);
    let person = shown("person").chars().take(10).collect();
    vec![shown("id"), person, shown("from"), shown("until"), shown("added_by"), shown("ended.at")]
}

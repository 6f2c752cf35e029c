//! `clock accept`.

use clap::Subcommand;
use serde_json::json;

use super::admin_client::Connection;
use super::{CommandResult, Outcome};

#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Accept a clock that stands before the newest audit entry. Two officers must, within ten minutes.
    Accept {
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: ClockCommand) -> CommandResult {
    let ClockCommand::Accept { connection } = command;
    let answer = connection.post("/clock/accept", &json!({})).await?;
    let line = match answer.as_str().unwrap_or_default() {
        "sound" => "the clock is sound: there is nothing to accept",
        "proposed" => "noted: a second officer has to accept the clock within ten minutes",
        _ => "the clock is accepted: issuing goes on",
    };
    connection.show(&answer, [line]);
    Ok(Outcome::Done)
}

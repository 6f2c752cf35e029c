//! `status`.

use clap::Args;
use serde_json::json;

use super::admin_client::{Connection, member};
use super::{CommandResult, Outcome};

/// Tells whom the server takes the caller for, and what it has not finished yet.
#[derive(Debug, Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: StatusCommand) -> CommandResult {
    let connection = command.connection;
    let (me, unfinished) = (connection.get("/me").await?, connection.get("/unfinished").await?);
    let lines = [
        format!("you are {}, {}", member(&me, "name"), member(&me, "role")),
        format!("validations due: {}", member(&unfinished, "validations_due")),
        format!("orders processing: {}", member(&unfinished, "orders_processing")),
        format!("certificates prepared: {}", member(&unfinished, "certificates_prepared")),
    ];
    connection.show(&json!({ "me": me, "unfinished": unfinished }), lines);
    Ok(Outcome::Done)
}

//! `audit list|verify`.

use clap::Subcommand;
use serde_json::Value;

use super::admin_client::{Connection, member};
use super::{CommandResult, Outcome, print_line};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Print entries, one JSON object a line.
    List {
        /// The number of the first entry.
        #[arg(long, default_value_t = 1, value_name = "NUMBER")]
        from: u64,
        /// At most so many entries.
        #[arg(long, value_name = "COUNT")]
        limit: Option<usize>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Check the whole chain, sealed segments included.
    Verify {
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: AuditCommand) -> CommandResult {
    match command {
        AuditCommand::List { from, limit, connection } => list(from, limit, &connection).await,
        AuditCommand::Verify { connection } => verify(&connection).await,
    }
}

async fn list(from: u64, limit: Option<usize>, connection: &Connection) -> CommandResult {
    let mut left = limit.unwrap_or(usize::MAX);
    let mut next = Some(from);
    while let Some(number) = next.filter(|_| left > 0) {
        let page = connection.get(&format!("/audit?from={number}")).await?;
        let entries: &[Value] = page.get("entries").and_then(Value::as_array).map_or(&[], Vec::as_slice);
        entries.iter().take(left).for_each(print_line);
        left = left.saturating_sub(entries.len());
        next = page.get("next").and_then(Value::as_u64).filter(|next| *next > number);
    }
    Ok(Outcome::Done)
}

async fn verify(connection: &Connection) -> CommandResult {
    // A broken trail is the server's refusal: it names the entry.
    let verified = connection.get("/audit/verification").await?;
    let shown = |name: &str| member(&verified, name);
    let (entries, segments, head) = (shown("entries"), shown("segments"), shown("head"));
    connection.show(
        &verified,
        [format!("the audit trail is whole: {entries} entries, {segments} sealed segments; the newest hash is {head}")],
    );
    Ok(Outcome::Done)
}

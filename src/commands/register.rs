//! `register import`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use super::admin_client::{Connection, member};
use super::{CommandError, CommandResult, Outcome};

#[derive(Debug, Subcommand)]
pub(super) enum RegisterCommand {
    /// Bring the rows of a CSV file into force. Rows that it does not name stay as they are; bad rows are listed and refused.
    Import {
        /// The file: oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to.
        file: PathBuf,
        /// Only tell what would change.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: RegisterCommand) -> CommandResult {
    let RegisterCommand::Import { file, dry_run, connection } = command;
    let content = tokio::fs::read(&file).await;
    let content = content.map_err(|error| CommandError::Failed(format!("{}: {error}", file.display())))?;
    let path = format!("/register?dry-run={dry_run}");
    let report = connection.upload(&path, "text/csv; charset=utf-8", content).await?;
    let refused: Vec<&Value> = report.get("refused").and_then(Value::as_array).into_iter().flatten().collect();
    connection.show(&report, [summary(&report, dry_run, refused.len())]);
    if refused.is_empty() {
        return Ok(Outcome::Done);
    }
    if !connection.json {
        for row in refused {
            eprintln!("{}", row.as_str().unwrap_or_default());
        }
    }
    Ok(Outcome::InPart)
}

fn summary(report: &Value, dry_run: bool, refused: usize) -> String {
    let count = |name: &str| report.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let (added, changed, unchanged) = (count("added"), count("changed"), member(report, "unchanged"));
    let verb = if dry_run { "would be" } else { "are" };
    let generation = member(report, "generation");
    format!(
        "{added} rows {verb} added, {changed} changed, {unchanged} unchanged, {refused} refused; generation {generation}"
    )
}

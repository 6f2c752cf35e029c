//! `register import|sync|show`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use super::admin_client::{Connection, escaped, member};
use super::{CommandError, CommandResult, Outcome};
use crate::register::Source;
use crate::time::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum RegisterCommand {
    /// Bring the rows of a register's export into force. Rows that it does not name stay as they are; bad rows are listed and
    /// refused.
    Import {
        /// The export: XML or JSON of the code service, CSV, XLSX or XLS; told apart by what is in it.
        file: PathBuf,
        /// The register that it comes from: thl, pharmacy, practitioner; or csv, rows in the simple form
        /// oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to.
        #[arg(long, default_value = "csv")]
        source: Source,
        /// Only tell what would change.
        #[arg(long)]
        dry_run: bool,
        /// Bring it into force although it leaves out or ends many rows.
        #[arg(long)]
        force: bool,
        /// The export holds some rows of its register only: what it does not name is not missing.
        #[arg(long)]
        partial: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Fetch what has changed from the configured code service, and bring it into force.
    Sync {
        /// Bring it into force although it ends many rows.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show units: as they are, or as they were.
    Show {
        /// An OID, a Business ID, or words of a name, each from its beginning.
        #[arg(value_name = "OID|BUSINESS-ID|NAME")]
        what: String,
        /// As it was at this time: 2027-01-31T12:00:00Z.
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
        /// As it was in this generation: `certificate show` tells a certificate's as unit_generation.
        #[arg(long, value_name = "NUMBER")]
        generation: Option<u64>,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: RegisterCommand) -> CommandResult {
    match command {
        RegisterCommand::Import { file, source, dry_run, force, partial, connection } => {
            let path = format!("/register?source={source}&dry-run={dry_run}&force={force}&partial={partial}");
            let content = tokio::fs::File::open(&file).await;
            let content = content.map_err(|error| CommandError::Failed(format!("{}: {error}", file.display())))?;
            let report = connection.upload(&path, "application/octet-stream", content).await?;
            Ok(reported(&connection, &report, dry_run))
        }
        RegisterCommand::Sync { force, connection } => {
            let path = format!("/register/sync?force={force}");
            let report = connection.post(&path, &Value::Object(Default::default())).await?;
            Ok(reported(&connection, &report, false))
        }
        RegisterCommand::Show { what, at, generation, connection } => {
            let mut path = format!("/register?what={}", escaped(&what));
            if let Some(at) = at {
                path.push_str(&format!("&at={at}"));
            }
            if let Some(generation) = generation {
                path.push_str(&format!("&generation={generation}"));
            }
            let found = connection.get(&path).await?;
            connection.show(&found, shown(&found));
            Ok(Outcome::Done)
        }
    }
}

/// Shows a report. Of what is as it should be the numbers are enough; the rest is listed on standard error.
fn reported(connection: &Connection, report: &Value, dry_run: bool) -> Outcome {
    connection.show(report, [summary(report, dry_run)]);
    if !connection.json {
        for list in ["ended", "missing", "warned", "refused"] {
            for remark in list_of(report, list) {
                eprintln!("{list}: {}", remark_line(remark));
            }
        }
        if let Some(why) = report.get("needs_force").and_then(Value::as_str).filter(|_| dry_run) {
            eprintln!("{why}");
        }
    }
    if list_of(report, "refused").is_empty() { Outcome::Done } else { Outcome::InPart }
}

fn list_of<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn remark_line(remark: &Value) -> String {
    let row = member(remark, "row");
    let place = if row.is_empty() { String::new() } else { format!("row {row}: ") };
    format!("{place}{}: {}", member(remark, "oid"), member(remark, "reason"))
}

fn summary(report: &Value, dry_run: bool) -> String {
    let count = |name: &str| member(report, &format!("counts.{name}"));
    let verb = if dry_run { "would be" } else { "are" };
    format!(
        "{} units {verb} added, {} changed, {} ended, {} unchanged; {} missing, {} warned of, {} refused; generation {}",
        count("added"),
        count("changed"),
        count("ended"),
        member(report, "unchanged"),
        count("missing"),
        count("warned"),
        count("refused"),
        member(report, "generation"),
    )
}

fn shown(found: &Value) -> Vec<String> {
    let units = list_of(found, "units");
    let mut lines: Vec<String> = units.iter().flat_map(unit_lines).collect();
    if units.is_empty() {
        lines.push("none".to_owned());
    }
    if found.get("more") == Some(&Value::Bool(true)) {
        lines.push("there are more: give more words of the name".to_owned());
    }
    lines
}

fn unit_lines(unit: &Value) -> Vec<String> {
    let in_force = if unit.get("in_force") == Some(&Value::Bool(true)) { "in force" } else { "NOT in force" };
    let row = unit.get("row").unwrap_or(&Value::Null);
    let mut lines = vec![format!("{} ({in_force})", row_line(row))];
    lines.extend(list_of(unit, "above").iter().map(|row| format!("  below {}", row_line(row))));
    let history = list_of(unit, "history");
    if history.len() > 1 {
        lines.push("  every state, the newest first:".to_owned());
        lines.extend(history.iter().map(|row| format!("    recorded {}: {}", member(row, "recorded"), row_line(row))));
    }
    lines
}

fn row_line(row: &Value) -> String {
    let shown = |name: &str| member(row, name);
    let named = |label: &str, name: &str| match shown(name).as_str() {
        "" => None,
        value => Some(format!("{label} {value}")),
    };
    let from = named("from", "valid_from").unwrap_or_else(|| "from ever".to_owned());
    let to = named("to", "valid_to").unwrap_or_else(|| "without end".to_owned());
    let parts = [
        Some(format!("{}: {}", shown("oid"), shown("name_fi"))),
        named("sv", "name_sv"),
        named("business id", "business_id"),
        named("in", "municipality"),
        named("kind", "unit_kind"),
        Some(format!("{from} {to}")),
        Some(format!("generation {} of {}", shown("generation"), shown("source"))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_summed_up_in_one_line() {
        let report = json!({
            "generation": 3, "unchanged": 7,
            "counts": {"added": 1, "changed": 2, "ended": 3, "missing": 4, "warned": 5, "refused": 6},
        });
        assert_eq!(
            summary(&report, true),
            "1 units would be added, 2 changed, 3 ended, 7 unchanged; 4 missing, 5 warned of, 6 refused; generation 3"
        );
        let remark = json!({"oid": "1.2.3", "row": 4, "reason": "no name"});
        assert_eq!(remark_line(&remark), "row 4: 1.2.3: no name");
        assert_eq!(remark_line(&json!({"oid": "1.2.3", "row": null, "reason": "x"})), "1.2.3: x");
    }

    #[test]
    fn a_unit_is_shown_with_what_is_known_of_it() {
        let found = json!({"more": true, "units": [{
            "row": {"oid": "1.2.3", "name_fi": "A", "generation": 2, "source": "thl", "valid_to": "2027-01-01T00:00:00Z"},
            "in_force": false, "above": [{"oid": "1.2", "name_fi": "B", "generation": 1, "source": "thl"}], "history": [],
        }]});
        let lines = shown(&found);
        assert_eq!(lines[0], "1.2.3: A; from ever to 2027-01-01T00:00:00Z; generation 2 of thl (NOT in force)");
        assert!(lines[1].starts_with("  below 1.2: B") && lines[2].starts_with("there are more"));
        assert_eq!(shown(&json!({"units": []})), ["none"]);
    }
}

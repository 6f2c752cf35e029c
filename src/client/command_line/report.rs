//! What a command came to: a text for people, a JSON document for programs, and an exit status.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::client::error::{Error, Result};

/// The exit statuses, as the help shows them.
pub(super) const EXIT_STATUSES: &str = "\
Exit status: 0 done; 1 failed or refused; 2 wrong command line; 3 done in part; 4 the server cannot be reached; \
5 not decided yet, ask again later; 6 a proof failed; 7 not confirmed, nothing was done; 8 a certificate is not good.";

/// What a command that did not fail came to.
#[derive(Debug)]
pub(super) struct Report {
    text: String,
    document: Value,
    ending: Ending,
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything was done.
    Done,
    /// Some was done; the rest was told on standard error.
    InPart,
    /// Somebody has to decide first.
    Pending,
    /// Whoever was asked said no.
    Declined,
}

impl Ending {
    fn status(self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::InPart => 3,
            Ending::Pending => 5,
            Ending::Declined => 7,
        }
    }
}

impl Report {
    /// Everything was done. The text needs no line end.
    ///
    /// # Errors
    /// `Local` if the document has no JSON form.
    pub(super) fn done(text: impl Into<String>, document: &impl Serialize) -> Result<Self> {
        let document = serde_json::to_value(document).map_err(|error| Error::local(error.to_string()))?;
        Ok(Report { text: text.into(), document, ending: Ending::Done })
    }

    /// The question was answered with no.
    pub(super) fn declined() -> Self {
        Report { text: "nothing was done".to_owned(), document: json!({ "done": false }), ending: Ending::Declined }
    }

    /// The same report with another ending.
    pub(super) fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Prints it and gives the exit status.
    pub(super) fn print(&self, as_json: bool) -> ExitCode {
        if as_json {
            print_document(&self.document);
        } else if !self.text.is_empty() {
            print_line(&self.text);
        }
        ExitCode::from(self.ending.status())
    }
}

/// Tells a failure, on standard error for people, as a document on standard output for programs.
pub(super) fn print_failure(error: &Error, as_json: bool) -> ExitCode {
    if as_json {
        print_document(&json!({ "error": failure(error) }));
    } else {
        eprintln!("sote-client: {}", printable(&error.to_string()));
    }
    ExitCode::from(failure_status(error))
}

fn failure(error: &Error) -> Value {
    let message = error.to_string();
    let kind = match error {
        Error::Refused(refusal) => {
            let problem = &refusal.problem;
            return json!({
                "kind": "refused", "message": message, "url": refusal.url, "status": refusal.status,
                "type": problem.kind, "detail": problem.detail, "retryAfter": refusal.retry_after,
            });
        }
        Error::Unreachable { .. } => "unreachable",
        Error::Protocol { .. } => "protocol",
        Error::Failed { .. } => "failed",
        Error::NotYet { .. } => "pending",
        Error::Local(_) => "local",
        Error::Untrusted(_) => "untrusted",
    };
    json!({ "kind": kind, "message": message })
}

fn failure_status(error: &Error) -> u8 {
    match error {
        Error::Refused(_) | Error::Protocol { .. } | Error::Local(_) => 1,
        Error::Unreachable { .. } => 4,
        Error::NotYet { .. } => 5,
        Error::Failed { .. } => 6,
        Error::Untrusted(_) => 8,
    }
}

fn print_document(document: &Value) {
    print_line(&serde_json::to_string_pretty(document).unwrap_or_default());
}

/// A line on standard output. Whoever closed it wants no more.
fn print_line(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Rows below a heading, in columns that are as wide as they must be.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "none".to_owned();
    }
    let heading: Vec<String> = heading.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(heading)
        .chain(rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()))
        .collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Names and values below each other; values that are empty are left out.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let shown = facts.iter().filter(|(_, value)| !value.is_empty());
    let lines: Vec<_> = shown.map(|(name, value)| format!("{name:<width$}  {}", printable(value))).collect();
    lines.join("\n")
}

/// What a server wrote, without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_status() {
        let text = || "x".to_owned();
        for (error, status, kind) in [
            (Error::Local(text()), 1, "local"),
            (Error::Protocol { url: text(), why: text() }, 1, "protocol"),
            (Error::Unreachable { url: text(), why: text() }, 4, "unreachable"),
            (Error::NotYet { what: text(), status: text(), seconds: 1 }, 5, "pending"),
            (Error::Failed { what: text(), why: text() }, 6, "failed"),
            (Error::Untrusted(text()), 8, "untrusted"),
        ] {
            assert_eq!(failure_status(&error), status);
            assert_eq!(failure(&error)["kind"], kind);
            assert!(EXIT_STATUSES.contains(&format!("{status} ")));
        }
    }

    #[test]
    fn columns_stand_below_each_other_and_nothing_in_them_steers_the_terminal() {
        let rows = [vec!["a\u{1b}[2J".to_owned(), "b".to_owned()], vec!["longer than it".to_owned(), String::new()]];
        let text = table(&["one", "two"], &rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].find("two"), Some(16));
        assert_eq!(lines[1], format!("a\u{fffd}[2J{}b", " ".repeat(11)));
        assert_eq!(lines[2], "longer than it");
        assert_eq!(table(&["one"], &[]), "none");
        assert_eq!(facts(&[("a", "1".to_owned()), ("long", String::new())]), "a     1");
    }
}

//! `sote-acme dns`: sets and removes records in the embedded dns responder of a `dev` server, for the dns-01 hooks of ACME
//! clients and for trying CAA. The records are lines of a file in the server's directory; it reads them at every change.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::dns_responder::records;

/// The file with the records, in the directory of a `dev` server.
pub const RECORDS_FILE: &str = "dns-records";

/// Sets and removes records in the embedded dns responder of a `dev` server.
#[derive(Debug, Args)]
pub struct DnsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Adds a record: dns add _acme-challenge.www.test TXT gfj9Xq...
    Add {
        /// The directory of the `dev` server.
        #[arg(long, default_value = "./dev")]
        dir: PathBuf,
        /// The record's name.
        name: String,
        /// A, AAAA, CAA, CNAME or TXT; or NXDOMAIN, SERVFAIL or TIMEOUT to make faults.
        #[arg(value_name = "TYPE")]
        kind: String,
        /// The value, as in `0 issue "ca.test"` for CAA.
        #[arg(allow_hyphen_values = true)]
        value: Vec<String>,
    },
    /// Removes records: all of a name, those of one type, or the one with this value.
    Remove {
        /// The directory of the `dev` server.
        #[arg(long, default_value = "./dev")]
        dir: PathBuf,
        /// The records' name.
        name: String,
        /// Their type.
        #[arg(value_name = "TYPE")]
        kind: Option<String>,
        /// The value of the one that goes.
        #[arg(allow_hyphen_values = true)]
        value: Vec<String>,
    },
    /// Prints the records.
    List {
        /// The directory of the `dev` server.
        #[arg(long, default_value = "./dev")]
        dir: PathBuf,
    },
}

/// Carries it out.
///
/// # Errors
/// A directory that is none, a record that is none, or what the file system says.
pub fn run(command: DnsCommand) -> io::Result<()> {
    match command.action {
        Action::Add { dir, name, kind, value } => {
            records::add_record(&file(&dir)?, &format!("{name} {kind} {}", value.join(" ")))
        }
        Action::Remove { dir, name, kind, value } => {
            let value = (!value.is_empty()).then(|| value.join(" "));
            records::remove_record(&file(&dir)?, &name, kind.as_deref(), value.as_deref())
        }
        Action::List { dir } => match std::fs::read_to_string(file(&dir)?) {
            Ok(text) => {
                print!("{text}");
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        },
    }
}

fn file(dir: &Path) -> io::Result<PathBuf> {
    if dir.is_dir() {
        return Ok(dir.join(RECORDS_FILE));
    }
    let why = format!("{}: no such directory; give that of the `dev` server with --dir", dir.display());
    Err(io::Error::new(io::ErrorKind::NotFound, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        dns: DnsCommand,
    }

    fn dns(dir: &Path, action: &str, rest: &[&str]) -> io::Result<()> {
        let dir = dir.to_str().unwrap();
        run(Program::parse_from(["dns", action, "--dir", dir].iter().chain(rest)).dns)
    }

    #[test]
    fn records_are_added_and_removed_as_hooks_do_it() {
        let directory = tempfile::tempdir().unwrap();
        let text = || std::fs::read_to_string(directory.path().join(RECORDS_FILE)).unwrap();
        dns(directory.path(), "add", &["_acme-challenge.www.test", "TXT", "-starts-with-a-hyphen"]).unwrap();
        dns(directory.path(), "add", &["www.test", "CAA", "0 issue \"ca.test\""]).unwrap();
        dns(directory.path(), "add", &["www.test", "CAA", "0", "issue", "\"other.test\""]).unwrap();
        assert_eq!(text().lines().count(), 3);
        dns(directory.path(), "remove", &["_acme-challenge.www.test", "TXT", "-starts-with-a-hyphen"]).unwrap();
        dns(directory.path(), "remove", &["www.test"]).unwrap();
        assert_eq!(text(), "");
    }

    #[test]
    fn a_directory_that_is_none_and_a_record_that_is_none_are_told() {
        let directory = tempfile::tempdir().unwrap();
        assert!(dns(&directory.path().join("none"), "add", &["a.test", "TXT", "x"]).is_err());
        assert!(dns(directory.path(), "add", &["a.test", "MX", "10 b.test"]).is_err());
    }
}

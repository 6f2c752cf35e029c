//! The registers that rows come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A register. Rows of one say nothing about what another leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Rows that an operator wrote, in the simple form.
    Csv,
    /// THL's register of social welfare and healthcare organisations.
    Thl,
    /// Fimea's register of pharmacies.
    Pharmacy,
    /// THL's register of self-employed professionals (IAH).
    Practitioner,
}

/// That a text names no register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no register: write csv, thl, pharmacy or practitioner")]
pub struct UnknownSource(String);

/// The arc below which self-employed professionals have their rows: the number of their registration follows.
pub(super) const PRACTITIONERS: &str = "1.2.246.537.28.";

impl Source {
    /// All of them.
    pub const ALL: [Source; 4] = [Source::Csv, Source::Thl, Source::Pharmacy, Source::Practitioner];

    /// The name, as the command line and the records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Csv => "csv",
            Source::Thl => "thl",
            Source::Pharmacy => "pharmacy",
            Source::Practitioner => "practitioner",
        }
    }

    /// Whether one OID may stand in several rows: the pharmacy stays when its pharmacist changes, and for a while both rows
    /// are published, each with its own dates.
    pub const fn has_dated_rows(self) -> bool {
        match self {
            Source::Pharmacy => true,
            Source::Csv | Source::Thl | Source::Practitioner => false,
        }
    }

    /// Whether an export names every row that is in force. What an operator writes names what it changes.
    pub const fn is_complete(self) -> bool {
        match self {
            Source::Csv => false,
            Source::Thl | Source::Pharmacy | Source::Practitioner => true,
        }
    }

    /// The register whose code system this is, with or without its version.
    pub(super) fn of_system(system: &str) -> Option<Self> {
        [("1.2.246.537.6.202", Source::Thl), ("1.2.246.537.6.203", Source::Practitioner)]
            .into_iter()
            .find_map(|(oid, source)| system.strip_prefix(oid).filter(|rest| super::is_version(rest)).map(|_| source))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        let named = |source: &Source| source.as_str() == text;
        Source::ALL.into_iter().find(named).ok_or_else(|| UnknownSource(super::shown(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        for source in Source::ALL {
            assert_eq!(source.to_string().parse(), Ok(source));
            assert_eq!(serde_json::to_string(&source).unwrap(), format!("\"{source}\""));
        }
        assert!("THL".parse::<Source>().is_err() && "".parse::<Source>().is_err());
    }

    #[test]
    fn code_systems_are_known_with_and_without_their_version() {
        assert_eq!(Source::of_system("1.2.246.537.6.202.2008"), Some(Source::Thl));
        assert_eq!(Source::of_system("1.2.246.537.6.203"), Some(Source::Practitioner));
        assert_eq!(Source::of_system("1.2.246.537.6.2021"), None);
    }
}

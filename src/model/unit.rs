//! Rows of the national registers, dated and kept for ever: a certificate records the row from which it was issued.

use serde::{Deserialize, Serialize};

use super::{Language, Refusal};
use crate::names::{BusinessId, UnitOid};
use crate::register::RegisterRow;
use crate::time::Timestamp;

/// One state of one row. The row in force of an OID is the one with the greatest generation not above the register's
/// current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRow {
    /// The row's OID.
    pub oid: UnitOid,
    /// The import that wrote this state.
    pub generation: u64,
    /// The register that it came from: `csv`, `thl`, `pharmacy`, `practitioner`.
    pub source: String,
    /// The row above, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<UnitOid>,
    /// The organisation's Business ID, where the row names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_id: Option<BusinessId>,
    /// The long name in Finnish.
    pub name_fi: String,
    /// The long name in Swedish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_sv: Option<String>,
    /// The abbreviation, for names that are too long for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abbreviation: Option<String>,
    /// The municipality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// The sector, as the register writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<String>,
    /// The kind of unit, as the register writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_kind: Option<String>,
    /// In force from; `None` is from ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// In force until and including; `None` is without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
}

/// Which imports are in force. One record; a number is never used twice, also after an import that broke off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The generation in force.
    pub current: u64,
    /// The highest generation ever begun.
    pub begun: u64,
    /// When the current one came into force.
    pub imported: Option<Timestamp>,
    /// How many OIDs are in force.
    pub units: u64,
}

impl From<RegisterRow> for UnitRow {
    /// The row as it is kept; the import that brings it into force gives it its generation.
    fn from(row: RegisterRow) -> Self {
        UnitRow {
            oid: row.oid,
            generation: 0,
            source: "csv".to_owned(),
            parent: row.parent,
            business_id: row.business_id,
            name_fi: row.name_fi,
            name_sv: row.name_sv,
            abbreviation: row.abbreviation,
            municipality: row.municipality,
            sector: row.sector,
            unit_kind: row.kind,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
        }
    }
}

/// The longest O, OU or CN (RFC 5280 appendix A: ub-organization-name and others).
const LONGEST_NAME: usize = 64;

impl UnitRow {
    /// Whether the row is in force at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= now) && self.valid_to.is_none_or(|to| now <= to)
    }

    /// The long name in `language`, falling back to Finnish; the abbreviation where it is too long. Never cut.
    pub fn certificate_name(&self, language: Language) -> Result<&str, Refusal> {
        let long = match language {
            Language::Fi => &self.name_fi,
            Language::Sv => self.name_sv.as_ref().unwrap_or(&self.name_fi),
        };
        let fits = |name: &&str| (1..=LONGEST_NAME).contains(&name.chars().count());
        [Some(long.as_str()), self.abbreviation.as_deref()]
            .into_iter()
            .flatten()
            .find(fits)
            .ok_or_else(|| Refusal::NameTooLong { unit: self.oid.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn row(oid: &str) -> UnitRow {
        UnitRow {
            oid: oid.parse().unwrap(),
            generation: 1,
            source: "csv".into(),
            parent: None,
            business_id: None,
            name_fi: "Helsingin VI apteekki".into(),
            name_sv: Some("Apoteket Helsingfors VI".into()),
            abbreviation: None,
            municipality: Some("Helsinki".into()),
            sector: None,
            unit_kind: None,
            valid_from: None,
            valid_to: None,
        }
    }

    #[test]
    fn the_name_follows_the_language_and_falls_back_to_finnish() {
        let mut unit = row("1.2.246.10.2454372.10.1");
        assert_eq!(unit.certificate_name(Language::Sv), Ok("Apoteket Helsingfors VI"));
        unit.name_sv = None;
        assert_eq!(unit.certificate_name(Language::Sv), Ok("Helsingin VI apteekki"));
    }

    #[test]
    fn a_long_name_becomes_the_abbreviation_or_is_refused_but_never_cut() {
        let mut unit = row("1.2.246.10.2454372.10.1");
        unit.name_fi = "ä".repeat(65);
        assert!(matches!(unit.certificate_name(Language::Fi), Err(Refusal::NameTooLong { .. })));
        unit.abbreviation = Some("Lyhyt".into());
        assert_eq!(unit.certificate_name(Language::Fi), Ok("Lyhyt"));
    }

    #[test]
    fn a_row_is_in_force_to_the_end_of_its_last_second() {
        let mut unit = row("1.2.246.10.2454372.10.1");
        unit.valid_to = Some(Timestamp::from_seconds(100));
        assert!(unit.is_in_force(Timestamp::from_seconds(100)) && !unit.is_in_force(Timestamp::from_seconds(101)));
    }
}

//! Rows of the national registers, dated and kept for ever: a certificate records the row from which it was issued.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::{Language, Refusal};
use crate::names::{BusinessId, UnitOid};
use crate::register::{RegisterRow, Source};
use crate::time::Timestamp;

/// One row in one state. The state of an OID is what the newest generation in force wrote of it: one row, or several that
/// are in force one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRow {
    /// The row's OID.
    pub oid: UnitOid,
    /// The import that wrote this state.
    pub generation: u64,
    /// Which of the rows that the import wrote for this OID, from 0, in the order of their dates.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u8,
    /// When that import was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Timestamp>,
    /// The register that it came from.
    pub source: Source,
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

fn is_zero(part: &u8) -> bool {
    *part == 0
}

/// What names one row in one state: its OID, its generation and its part.
pub type RowId = (UnitOid, u64, u8);

/// Which imports are in force. One record; a number is never used twice, also after an import that broke off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The newest generation in force.
    pub current: u64,
    /// The highest generation ever begun.
    pub begun: u64,
    /// When the current one came into force.
    pub imported: Option<Timestamp>,
    /// How many OIDs are in force.
    pub units: u64,
    /// Generations up to `current` that never came into force: their imports broke off or were overtaken, and what they
    /// wrote counts for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub void: Vec<u64>,
    /// What is known of each register.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<Source, SourceState>,
}

/// What is known of one register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// When an import last changed anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Timestamp>,
    /// When its changes were last fetched, whether there were any or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<Timestamp>,
}

impl Register {
    /// Whether what this generation wrote counts.
    pub fn holds(&self, generation: u64) -> bool {
        generation <= self.current && !self.void.contains(&generation)
    }

    /// The register with one more number begun.
    pub fn with_begun(&self) -> Self {
        Register { begun: self.begun.max(self.current) + 1, ..self.clone() }
    }

    /// The register with `generation` in force; whatever was begun below it and is not in force never will be.
    pub fn with_current(&self, generation: u64) -> Self {
        let mut register = Register { current: generation, begun: self.begun.max(generation), ..self.clone() };
        register.void.extend(self.current + 1..generation);
        register
    }
}

/// Of the rows of one state, the one in force at `now`; if there is none, the last that began, or else the first.
pub fn row_at(rows: &[UnitRow], now: Timestamp) -> Option<&UnitRow> {
    let begun = |row: &&UnitRow| row.valid_from.is_none_or(|from| from <= now);
    let in_force = rows.iter().find(|row| row.is_in_force(now));
    in_force.or_else(|| rows.iter().rev().find(begun)).or(rows.first())
}

impl UnitRow {
    /// A row of `source` as it is kept; the import that brings it into force gives it its generation, part and time.
    pub fn of(row: RegisterRow, source: Source) -> Self {
        UnitRow {
            oid: row.oid,
            generation: 0,
            part: 0,
            recorded: None,
            source,
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

/// Octets of a digest that tells states of a row apart.
pub const DIGEST: usize = 16;
/// How many words of its names a row is found by.
const MOST_WORDS: usize = 12;

impl UnitRow {
    /// What the row says, whenever it was imported: equal rows have equal digests.
    pub fn digest(&self) -> [u8; DIGEST] {
        let said = UnitRow { generation: 0, part: 0, recorded: None, ..self.clone() };
        let json = serde_json::to_vec(&said).unwrap_or_default();
        let hash = digest::digest(&digest::SHA256, &json);
        hash.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The words by which the row is found: those of its names, folded.
    pub fn name_words(&self) -> BTreeSet<String> {
        let names = [Some(&self.name_fi), self.name_sv.as_ref(), self.abbreviation.as_ref()];
        names.into_iter().flatten().flat_map(|name| folded_words(name)).take(MOST_WORDS).collect()
    }

    /// How another state of the row differs: the names of the fields.
    pub fn differences(&self, other: &UnitRow) -> Vec<&'static str> {
        [
            ("source", self.source != other.source),
            ("parent", self.parent != other.parent),
            ("business_id", self.business_id != other.business_id),
            ("name_fi", self.name_fi != other.name_fi),
            ("name_sv", self.name_sv != other.name_sv),
            ("abbreviation", self.abbreviation != other.abbreviation),
            ("municipality", self.municipality != other.municipality),
            ("sector", self.sector != other.sector),
            ("kind", self.unit_kind != other.unit_kind),
            ("valid_from", self.valid_from != other.valid_from),
            ("valid_to", self.valid_to != other.valid_to),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }

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

/// The words of a name as they are looked for: in lower case, without accents, of two characters or more.
pub fn folded_words(name: &str) -> impl Iterator<Item = String> {
    let folded: String = name.chars().flat_map(char::to_lowercase).map(without_accent).collect();
    let words: Vec<String> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().nth(1).is_some())
        .map(|word| word.chars().take(LONGEST_WORD).collect())
        .collect();
    words.into_iter()
}

/// Words are told apart by so many characters.
const LONGEST_WORD: usize = 32;

/// The plain letter of the accented ones that Finnish and Swedish names have.
fn without_accent(letter: char) -> char {
    match letter {
        'å' | 'ä' | 'á' | 'à' | 'â' => 'a',
        'ö' | 'ø' | 'ó' | 'ô' => 'o',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'ü' | 'ú' => 'u',
        'š' => 's',
        'ž' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn row(oid: &str) -> UnitRow {
        UnitRow {
            oid: oid.parse().unwrap(),
            generation: 1,
            part: 0,
            recorded: None,
            source: Source::Csv,
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

    #[test]
    fn a_generation_that_broke_off_counts_for_nothing() {
        let register = Register::default().with_begun().with_begun();
        assert_eq!(register.begun, 2);
        let register = register.with_begun().with_current(3);
        assert!(register.holds(3) && !register.holds(2) && !register.holds(1) && !register.holds(4));
        let register = register.with_begun().with_current(4);
        assert!(register.holds(4) && register.holds(3) && !register.holds(2));
        assert_eq!(register.void, [1, 2]);
    }

    #[test]
    fn of_dated_rows_the_one_of_the_day_counts() {
        let dated = |from: Option<i64>, to: Option<i64>, part| UnitRow {
            valid_from: from.map(Timestamp::from_seconds),
            valid_to: to.map(Timestamp::from_seconds),
            part,
            ..row("1.2.246.10.2454372.10.1")
        };
        let rows = [dated(Some(10), Some(20), 0), dated(Some(30), None, 1)];
        let part = |now| row_at(&rows, Timestamp::from_seconds(now)).map(|row| row.part);
        assert_eq!((part(5), part(15), part(25), part(30)), (Some(0), Some(0), Some(0), Some(1)));
        assert_eq!(row_at(&[], Timestamp::from_seconds(1)), None);
    }

    #[test]
    fn the_digest_follows_what_is_said_and_not_when() {
        let first = row("1.2.246.10.2454372.10.1");
        let later = UnitRow { generation: 9, part: 1, recorded: Some(Timestamp::from_seconds(5)), ..first.clone() };
        assert_eq!(first.digest(), later.digest());
        let other = UnitRow { municipality: None, ..first.clone() };
        assert_ne!(first.digest(), other.digest());
        assert_eq!(first.differences(&other), ["municipality"]);
    }

    #[test]
    fn names_are_found_by_their_words_without_accents() {
        let words: Vec<_> = row("1.2.246.10.2454372.10.1").name_words().into_iter().collect();
        assert_eq!(words, ["apoteket", "apteekki", "helsingfors", "helsingin", "vi"]);
        assert_eq!(folded_words("Åbo-Ääkkösen A/B é").collect::<Vec<_>>(), ["abo", "aakkosen"]);
    }
}

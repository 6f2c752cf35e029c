//! One row as it was written, field by field, and what becomes of it when every field is sound.

use super::field::Field;
use super::source::PRACTITIONERS;
use super::{RegisterRow, Source, dates};

/// The longest field, in octets. The longest name in the national register has about 200 characters.
const LONGEST_FIELD: usize = 1_000;

/// The fields that were found in a row. Empty ones are absent.
#[derive(Debug, Default, Clone)]
pub(super) struct WrittenRow(Vec<(Field, String)>);

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Its OID as far as it could be read.
    pub(super) oid: String,
    /// What is wrong.
    pub(super) reason: String,
}

impl WrittenRow {
    /// Takes a value. Two different ones for one field contradict each other.
    pub(super) fn put(&mut self, field: Field, value: &str) -> Result<(), Fault> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(());
        }
        let name = field.as_str();
        if value.len() > LONGEST_FIELD || value.chars().any(char::is_control) {
            return Err(self.fault(format!("{name} has more than {LONGEST_FIELD} octets, or a control character")));
        }
        match self.text(field) {
            Some(known) if known == value => {}
            Some(_) => return Err(self.fault(format!("{name} stands there twice, and differs"))),
            None => self.0.push((field, value.to_owned())),
        }
        Ok(())
    }

    /// A fault of this row.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { oid: self.text(Field::Oid).unwrap_or_default().to_owned(), reason: reason.into() }
    }

    /// Whether nothing was found at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row at this place, if every field is sound.
    pub(super) fn checked(mut self, row: u64, source: Source) -> Result<RegisterRow, Fault> {
        let oid = self.needed(Field::Oid, "every row has one")?;
        let oid: crate::names::UnitOid = self.parsed(Field::Oid, &oid, str::parse)?;
        let parent = self.optional(Field::Parent, str::parse)?;
        let business_id = self.optional(Field::BusinessId, str::parse)?;
        let valid_from = self.optional(Field::ValidFrom, dates::first_second)?.flatten();
        let valid_to = self.optional(Field::ValidTo, dates::last_second)?.flatten();
        if let (Some(from), Some(to)) = (valid_from, valid_to)
            && to < from
        {
            return Err(self.fault("valid_to lies before valid_from"));
        }
        self.needed(Field::NameFi, "a certificate names the unit by it")?;
        if valid_to.is_none() && self.text(Field::Status).is_some_and(|status| !is_in_use(status)) {
            return Err(self.fault("its status is not that of a row in use, and yet it has no end"));
        }
        if source == Source::Practitioner && (business_id.is_none() || !is_practitioner(oid.as_str())) {
            return Err(
                self.fault(format!("a practitioner's OID is {PRACTITIONERS}NUMBER, and its row has a Business ID"))
            );
        }
        let kind = self.kind()?;
        Ok(RegisterRow {
            row,
            oid,
            parent,
            business_id,
            name_fi: self.take(Field::NameFi).unwrap_or_default(),
            name_sv: self.take(Field::NameSv),
            abbreviation: self.take(Field::Abbreviation),
            municipality: self.take(Field::Municipality).map(without_code),
            sector: self.take(Field::Sector),
            kind,
            valid_from,
            valid_to,
        })
    }

    fn text(&self, field: Field) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == field).map(|(_, value)| value.as_str())
    }

    fn take(&mut self, field: Field) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| *known == field)?;
        Some(self.0.swap_remove(place).1)
    }

    fn needed(&self, field: Field, why: &str) -> Result<String, Fault> {
        let missing = || self.fault(format!("{} is missing: {why}", field.as_str()));
        self.text(field).map(str::to_owned).ok_or_else(missing)
    }

    fn parsed<'a, T, E: std::fmt::Display>(
        &self,
        field: Field,
        text: &'a str,
        read: impl Fn(&'a str) -> Result<T, E>,
    ) -> Result<T, Fault> {
        read(text).map_err(|error| self.fault(format!("{}: {error}", field.as_str())))
    }

    fn optional<'a, T, E: std::fmt::Display>(
        &'a self,
        field: Field,
        read: impl Fn(&'a str) -> Result<T, E>,
    ) -> Result<Option<T>, Fault> {
        self.text(field).map(|text| self.parsed(field, text, read)).transpose()
    }

    /// The kind of unit: the one that is written, or what the row is marked as.
    fn kind(&mut self) -> Result<Option<String>, Fault> {
        let mut marks = Vec::new();
        for (field, value) in &self.0 {
            match (field, value.as_str()) {
                (Field::Mark(mark), "T") => marks.push(*mark),
                (Field::Mark(_), "F") => {}
                (Field::Mark(mark), _) => return Err(self.fault(format!("{} is neither T nor F", mark.as_str()))),
                _ => {}
            }
        }
        marks.sort_unstable();
        let marked = marks.iter().map(|mark| mark.as_str()).collect::<Vec<_>>().join(", ");
        Ok(self.take(Field::Kind).or_else(|| (!marked.is_empty()).then_some(marked)))
    }
}

/// The code service marks a row in use by 1, its JSON by a word.
fn is_in_use(status: &str) -> bool {
    status == "1" || status.eq_ignore_ascii_case("active")
}

fn is_practitioner(oid: &str) -> bool {
    oid.strip_prefix(PRACTITIONERS).is_some_and(|number| !number.contains('.'))
}

/// `049 Espoo` is Espoo: the registers write the municipality's number before its name.
fn without_code(municipality: String) -> String {
    let numbered = municipality.split_once(' ');
    let name =
        numbered.filter(|(code, name)| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty());
    name.map_or(municipality.clone(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::field::Mark;

    fn written(values: &[(Field, &str)]) -> WrittenRow {
        let mut row = WrittenRow::default();
        for (field, value) in values {
            row.put(*field, value).unwrap();
        }
        row
    }

    fn refusal(values: &[(Field, &str)], source: Source) -> String {
        written(values).checked(1, source).unwrap_err().reason
    }

    const NAMED: [(Field, &str); 2] = [(Field::Oid, "1.2.246.10.2454372.10.0"), (Field::NameFi, "Esimerkki")];

    #[test]
    fn a_municipality_loses_its_number_and_marks_become_the_kind() {
        let mut row = written(&NAMED);
        for (field, value) in [
            (Field::Municipality, "049 Espoo"),
            (Field::Mark(Mark::SocialService), "T"),
            (Field::Mark(Mark::HealthOperating), "T"),
            (Field::Mark(Mark::HealthService), "F"),
        ] {
            row.put(field, value).unwrap();
        }
        let row = row.checked(7, Source::Thl).unwrap();
        assert_eq!((row.row, row.municipality.as_deref()), (7, Some("Espoo")));
        assert_eq!(row.kind.as_deref(), Some("Terv.toimintayksikkö, Sos.palveluyksikkö"));
        assert_eq!(without_code("Uusi kunta".into()), "Uusi kunta");
    }

    #[test]
    fn two_different_values_contradict_each_other_and_equal_ones_do_not() {
        let mut row = written(&NAMED);
        assert_eq!(row.put(Field::Oid, "1.2.246.10.2454372.10.0"), Ok(()));
        assert!(row.put(Field::Oid, "1.2.246.10.2454372.10.1").unwrap_err().reason.contains("twice"));
        assert!(row.put(Field::Sector, "a\u{7}").is_err() && row.put(Field::Sector, &"x".repeat(1_001)).is_err());
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        assert!(refusal(&NAMED[1..], Source::Thl).contains("oid is missing"));
        assert!(refusal(&NAMED[..1], Source::Thl).contains("name_fi is missing"));
        let with = |field, value| refusal(&[NAMED[0], NAMED[1], (field, value)], Source::Thl);
        assert!(with(Field::BusinessId, "000000-0").starts_with("business_id: "));
        assert!(with(Field::ValidFrom, "2027-02-30").starts_with("valid_from: "));
        assert!(with(Field::Mark(Mark::HealthService), "X").contains("neither T nor F"));
    }

    #[test]
    fn a_row_out_of_use_needs_an_end() {
        let with = |more: &[(Field, &str)]| written(&[&NAMED, more].concat()).checked(1, Source::Thl);
        assert!(with(&[(Field::Status, "0")]).unwrap_err().reason.contains("status"));
        assert!(with(&[(Field::Status, "0"), (Field::ValidTo, "2020-01-01")]).is_ok());
        assert!(with(&[(Field::Status, "1")]).is_ok() && with(&[(Field::Status, "ACTIVE")]).is_ok());
    }

    #[test]
    fn a_practitioner_has_a_number_and_a_business_id() {
        let row =
            |oid, id| written(&[(Field::Oid, oid), NAMED[1], (Field::BusinessId, id)]).checked(1, Source::Practitioner);
        assert!(row("1.2.246.537.28.10000222116", "0245437-2").is_ok());
        assert!(row("1.2.246.537.28.10000222116", "").is_err() && row("1.2.246.10.2454372.10.0", "0245437-2").is_err());
    }
}

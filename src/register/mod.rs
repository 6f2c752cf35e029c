//! Reads exports of the national registers into dated rows. A row that is not plainly right is refused with its line and a
//! reason; nothing is guessed. It knows no store and no clock. Start with [`csv`], then [`RegisterRow`].

pub mod csv;
mod tree;

use crate::names::{BusinessId, UnitOid};
use crate::time::Timestamp;
pub use tree::{Checked, Reading};

/// One row that is sound in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its OID.
    pub oid: UnitOid,
    /// The row above.
    pub parent: Option<UnitOid>,
    /// The Business ID, where the row has its own.
    pub business_id: Option<BusinessId>,
    /// The long name in Finnish.
    pub name_fi: String,
    /// The long name in Swedish.
    pub name_sv: Option<String>,
    /// The abbreviation.
    pub abbreviation: Option<String>,
    /// The municipality.
    pub municipality: Option<String>,
    /// The sector, as the register writes it.
    pub sector: Option<String>,
    /// The kind of unit, as the register writes it.
    pub kind: Option<String>,
    /// The first second in force; `None` is from ever.
    pub valid_from: Option<Timestamp>,
    /// The last second in force; `None` is without end.
    pub valid_to: Option<Timestamp>,
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its OID, as it was written.
    pub oid: String,
    /// What is wrong with it.
    pub why: String,
}

impl std::fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.oid, self.why)
    }
}

/// The day's first second in Helsinki, or `None` for the sentinel that means "from ever".
fn first_second(date: &str) -> Result<Option<Timestamp>, String> {
    let noon = noon_of(date)?;
    Ok((!date.starts_with("1900-")).then(|| noon.plus(-86_400).end_of_helsinki_day().plus(1)))
}

/// The day's last second in Helsinki, or `None` for the sentinel that means "without end".
fn last_second(date: &str) -> Result<Option<Timestamp>, String> {
    let noon = noon_of(date)?;
    Ok((!date.starts_with("2100-")).then(|| noon.end_of_helsinki_day()))
}

/// Noon in UTC of a day that exists, written `2027-12-31`: the same day in Helsinki in every season.
fn noon_of(date: &str) -> Result<Timestamp, String> {
    let wrong = || format!("\"{date}\" is no date: write 2027-12-31");
    let shaped = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(i, octet)| if matches!(i, 4 | 7) { octet == b'-' } else { octet.is_ascii_digit() });
    if !shaped {
        return Err(wrong());
    }
    // The sentinel lies before the times that are kept.
    let year = if date.starts_with("1900-") { "2000" } else { &date[..4] };
    format!("{year}{}T12:00:00Z", &date[4..]).parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_day_begins_and_ends_in_helsinki() {
        assert_eq!(first_second("2027-01-01"), Ok(time("2026-12-31T22:00:00Z")));
        assert_eq!(last_second("2027-12-31"), Ok(time("2027-12-31T21:59:59Z")));
        // The day on which summer time begins has 23 hours.
        assert_eq!(first_second("2027-03-28"), Ok(time("2027-03-27T22:00:00Z")));
        assert_eq!(last_second("2027-03-28"), Ok(time("2027-03-28T20:59:59Z")));
    }

    #[test]
    fn the_sentinels_are_open_ends() {
        assert_eq!(first_second("1900-01-01"), Ok(None));
        assert_eq!(last_second("2100-12-31"), Ok(None));
    }

    #[test]
    fn days_that_do_not_exist_and_other_forms_are_refused() {
        for date in [
            "2027-02-30",
            "2027-13-01",
            "20271231",
            "31.12.2027",
            "2027-1-1",
            "",
            "2027-12-31T00:00:00",
            "\u{660}027-12-31",
        ] {
            assert!(first_second(date).is_err() && last_second(date).is_err(), "{date}");
        }
    }
}

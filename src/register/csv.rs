//! The simple CSV of `sote-acme register import`: UTF-8, commas, RFC 4180 quotes, and this header line:
//!
//! ```text
//! oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to
//! 1.2.246.10.2454372.10.0,,0245437-2,Esimerkin terveys,Exempel hälsa,EsTe,Turku,2 yksityinen,toimintayksikkö,2020-01-01,
//! ```
//!
//! Empty fields are absent. Dates are days in Finland, the last one included; 1900-01-01 and 2100-12-31 are the registers'
//! signs for "from ever" and "without end".

use std::io::Read;

use ::csv::{ReaderBuilder, StringRecord, Trim};

use super::tree::Reading;
use super::{RefusedRow, RegisterRow, first_second, last_second};

/// The columns, in this order.
pub const COLUMNS: [&str; 11] = [
    "oid",
    "parent",
    "business_id",
    "name_fi",
    "name_sv",
    "abbreviation",
    "municipality",
    "sector",
    "kind",
    "valid_from",
    "valid_to",
];

/// The longest field, in octets. The longest name in the national register has about 200 characters.
const LONGEST_FIELD: usize = 1_000;

/// Why a file is not read at all.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The first line is not the header.
    #[error("line 1 must be the header {expected}; it is {found}", expected = COLUMNS.join(","))]
    Header {
        /// What stands there, shortened.
        found: String,
    },
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads a file: rows that are sound in themselves, and those that are not. Whether a parent exists is asked of the
/// [`Reading`], which may need to look elsewhere.
///
/// # Errors
/// A file that is not of this form at all, or that cannot be read.
pub fn read(file: impl Read) -> Result<Reading, CsvError> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(file);
    let mut record = ::csv::ByteRecord::new();
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    let mut headed = false;
    while advance(&mut reader, &mut record)? {
        let line = record.position().map_or(0, ::csv::Position::line);
        let text = StringRecord::from_byte_record(record.clone());
        match (headed, text) {
            (false, text) => {
                header(text.ok().as_ref())?;
                headed = true;
            }
            (true, Ok(text)) if text.iter().all(str::is_empty) => {}
            (true, Ok(text)) => match row(line, &text) {
                Ok(row) => rows.push(row),
                Err(why) => refused.push(RefusedRow { line, oid: shown(text.get(0).unwrap_or_default()), why }),
            },
            (true, Err(_)) => {
                refused.push(RefusedRow { line, oid: String::new(), why: "the line is not UTF-8".to_owned() });
            }
        }
    }
    if !headed {
        return Err(CsvError::Header { found: "missing: the file is empty".to_owned() });
    }
    Ok(Reading::new(rows, refused))
}

fn advance<R: Read>(reader: &mut ::csv::Reader<R>, record: &mut ::csv::ByteRecord) -> Result<bool, CsvError> {
    reader.read_byte_record(record).map_err(|error| match error.into_kind() {
        ::csv::ErrorKind::Io(error) => CsvError::Io(error),
        other => CsvError::Io(std::io::Error::other(format!("{other:?}"))),
    })
}

fn header(record: Option<&StringRecord>) -> Result<(), CsvError> {
    let Some(record) = record else { return Err(CsvError::Header { found: "not UTF-8".to_owned() }) };
    // A byte order mark is what spreadsheets write before the first column.
    let names =
        record.iter().enumerate().map(|(i, name)| if i == 0 { name.trim_start_matches('\u{feff}') } else { name });
    if names.eq(COLUMNS) {
        return Ok(());
    }
    Err(CsvError::Header { found: shown(&record.iter().collect::<Vec<_>>().join(",")) })
}

/// What an operator is shown of a text that somebody else wrote.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn row(line: u64, record: &StringRecord) -> Result<RegisterRow, String> {
    let fields: Vec<&str> = record.iter().collect();
    let [oid, parent, business_id, name_fi, name_sv, abbreviation, municipality, sector, kind, from, to] = fields[..]
    else {
        return Err(format!("it has {} fields instead of {}", fields.len(), COLUMNS.len()));
    };
    for (column, field) in COLUMNS.iter().zip(&fields) {
        if field.len() > LONGEST_FIELD || field.chars().any(char::is_control) {
            return Err(format!("{column} has more than {LONGEST_FIELD} octets, or a control character"));
        }
    }
    let valid_from = optional(from, first_second).map_err(|why| format!("valid_from: {why}"))?.flatten();
    let valid_to = optional(to, last_second).map_err(|why| format!("valid_to: {why}"))?.flatten();
    if let (Some(from), Some(to)) = (valid_from, valid_to)
        && to < from
    {
        return Err("valid_to lies before valid_from".to_owned());
    }
    if name_fi.is_empty() {
        return Err("name_fi is missing: a certificate names the unit by it".to_owned());
    }
    Ok(RegisterRow {
        line,
        oid: oid.parse().map_err(|error| format!("oid: {error}"))?,
        parent: optional(parent, str::parse).map_err(|error| format!("parent: {error}"))?,
        business_id: optional(business_id, str::parse).map_err(|error| format!("business_id: {error}"))?,
        name_fi: name_fi.to_owned(),
        name_sv: present(name_sv),
        abbreviation: present(abbreviation),
        municipality: present(municipality),
        sector: present(sector),
        kind: present(kind),
        valid_from,
        valid_to,
    })
}

fn optional<'a, T, E>(field: &'a str, read: impl Fn(&'a str) -> Result<T, E>) -> Result<Option<T>, E> {
    if field.is_empty() { Ok(None) } else { read(field).map(Some) }
}

fn present(field: &str) -> Option<String> {
    (!field.is_empty()).then(|| field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(lines: &str) -> Reading {
        read(format!("{}\n{lines}", COLUMNS.join(",")).as_bytes()).unwrap()
    }

    fn refusals(lines: &str) -> Vec<String> {
        reading(lines).checked(&Default::default()).refused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_row_is_read_whole() {
        let lines = "1.2.246.10.2454372.10.0,,0245437-2,\"Esimerkki, terveys\",Exempel,EsTe,Turku,2,yksikkö,1900-01-01,2100-12-31\n";
        let checked = reading(lines).checked(&Default::default());
        assert_eq!(checked.refused, []);
        let row = &checked.rows[0];
        assert_eq!((row.line, row.name_fi.as_str()), (2, "Esimerkki, terveys"));
        assert_eq!((row.valid_from, row.valid_to), (None, None));
        assert_eq!(row.business_id.as_ref().unwrap().as_str(), "0245437-2");
    }

    #[test]
    fn bad_rows_are_listed_with_line_and_reason_and_the_others_stay() {
        let lines = "\
1.2.246.10.2454372.10.0,,0245437-2,Esimerkki,,,,,,,
1.2.246.10.2454372.10.1,1.2.246.10.2454372.10.0,000000-0,Yksikkö,,,,,,,
1.2.246.10.2454372.10.2,1.2.246.10.2454372.10.0,,,,,,,,,
1.2.246.10.2454372.10.3,1.2.246.10.2454372.10.0,,Yksikkö,,,,,,2027-02-30,
1.2.246.10.2454372.10.4,1.2.246.10.2454372.10.0,,Yksikkö,,,,,,2027-02-01,2026-02-01
not-an-oid,,,Yksikkö,,,,,,,
1.2.246.10.2454372.10.6,1.2.246.10.2454372.10.0
";
        let found = refusals(lines);
        for (line, reason) in
            [(3, "business_id"), (4, "name_fi"), (5, "valid_from"), (6, "valid_to"), (7, "oid"), (8, "it has 2 fields")]
        {
            let expected = format!("line {line}: ");
            assert!(
                found.iter().any(|f| f.starts_with(&expected) && f.contains(reason)),
                "{line} {reason}: {found:#?}"
            );
        }
        assert_eq!(reading(lines).checked(&Default::default()).rows.len(), 1);
    }

    #[test]
    fn another_header_is_refused_and_a_byte_order_mark_is_not() {
        assert!(matches!(read("oid;parent\n".as_bytes()), Err(CsvError::Header { .. })));
        assert!(matches!(read("".as_bytes()), Err(CsvError::Header { .. })));
        assert!(read(format!("\u{feff}{}\n", COLUMNS.join(",")).as_bytes()).is_ok());
    }

    #[test]
    fn octets_that_are_no_text_refuse_their_line_only() {
        let mut file = format!("{}\n", COLUMNS.join(",")).into_bytes();
        file.extend_from_slice(b"1.2.246.1,,,K\xff,,,,,,,\n1.2.246.2,,,Kelpo,,,,,,,\n");
        let checked = read(file.as_slice()).unwrap().checked(&Default::default());
        assert_eq!((checked.rows.len(), checked.refused.len()), (1, 1));
    }
}

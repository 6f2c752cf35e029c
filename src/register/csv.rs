//! CSV in UTF-8, RFC 4180 quotes, one row a line. Rows of the source `csv` have commas and exactly this header:
//!
//! ```text
//! oid,parent,business_id,name_fi,name_sv,abbreviation,municipality,sector,kind,valid_from,valid_to
//! 1.2.246.10.2454372.10.0,,0245437-2,Esimerkin terveys,Exempel hälsa,EsTe,Turku,2 yksityinen,toimintayksikkö,2020-01-01,
//! ```
//!
//! Exports of the registers have commas, semicolons or tabs, and their columns in any order. The text is cut into lines
//! first and each line is read alone, so that a stray quote spoils no other row; no field of a register has a line break.

use std::io::BufRead;

use super::columns::Columns;
use super::{Rows, Source, Unreadable, read_until, shown};
use crate::register::written::{Fault, WrittenRow};

/// The columns of the simple form, in this order.
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

/// The longest line, in octets.
const LONGEST_LINE: u64 = 64 << 10;

/// Reads a table. The first line that is not blank is its header.
pub(super) fn read_into(rows: &mut Rows, file: impl BufRead) -> Result<(), Unreadable> {
    let mut lines = Lines { file, number: 0 };
    let Some(header) = lines.next_filled()? else { return Err(Unreadable::Empty) };
    let (delimiter, columns) = header_of(rows.source, &header)?;
    while let Some(line) = lines.next_filled()? {
        let found = line.text().and_then(|text| row(text, delimiter, &columns));
        if let Err(fault) = &found
            && !line.is_ended
        {
            return Err(Unreadable::CutShort(format!("its last line is unfinished: {}", fault.reason)));
        }
        rows.add(line.number, found);
    }
    Ok(())
}

fn header_of(source: Source, line: &Line) -> Result<(char, Columns), Unreadable> {
    let text = line.text().map_err(|fault| Unreadable::Header(fault.reason))?;
    // A byte order mark is what spreadsheets write before the first column.
    let text = text.trim_start_matches('\u{feff}');
    let delimiter = match source {
        Source::Csv => ',',
        Source::Thl | Source::Pharmacy | Source::Practitioner => delimiter_of(text),
    };
    let names = fields(text, delimiter).map_err(|why| Unreadable::Header(why.to_owned()))?;
    if source == Source::Csv && names != COLUMNS {
        return Err(Unreadable::Header(format!("line 1 must be {}; it is {}", COLUMNS.join(","), shown(text))));
    }
    Columns::of(&names).map(|columns| (delimiter, columns)).map_err(Unreadable::Header)
}

/// The delimiter that stands most often in the header.
fn delimiter_of(header: &str) -> char {
    let often = |delimiter: &char| header.matches(*delimiter).count();
    [',', ';', '\t'].into_iter().max_by_key(often).unwrap_or(',')
}

fn row(text: &str, delimiter: char, columns: &Columns) -> Result<WrittenRow, Fault> {
    let unreadable = |reason: String| Fault { oid: String::new(), reason };
    let fields = fields(text, delimiter).map_err(|why| unreadable(why.to_owned()))?;
    if fields.len() != columns.count() {
        return Err(unreadable(format!("it has {} fields instead of {}", fields.len(), columns.count())));
    }
    columns.row(fields.iter().map(String::as_str).enumerate())
}

/// The fields of one line, without the blanks around them.
// RFC 4180 §2: a field in quotes may hold delimiters, and a quote as two.
fn fields(line: &str, delimiter: char) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t'].as_slice()).trim_start_matches('\u{feff}');
        let (field, after) = match trimmed.strip_prefix('"') {
            Some(quoted) if delimiter != '\t' || !rest.starts_with('\t') => in_quotes(quoted)?,
            _ => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        let after = after.trim_start_matches(' ');
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None if after.trim_end().is_empty() => return Ok(fields),
            None => return Err("something follows a closing quote"),
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn in_quotes(text: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed on its line")?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field.trim().to_owned(), after)),
        }
    }
}

/// One line without its end.
struct Line {
    number: u64,
    octets: Vec<u8>,
    is_ended: bool,
    is_whole: bool,
}

impl Line {
    fn text(&self) -> Result<&str, Fault> {
        let unreadable = |reason: &str| Fault { oid: String::new(), reason: reason.to_owned() };
        if !self.is_whole {
            return Err(unreadable("the line is longer than any row"));
        }
        std::str::from_utf8(&self.octets).map_err(|_| unreadable("the line is not UTF-8"))
    }
}

struct Lines<R> {
    file: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not blank and not only delimiters.
    fn next_filled(&mut self) -> Result<Option<Line>, Unreadable> {
        loop {
            let Some(line) = self.next()? else { return Ok(None) };
            if line.octets.iter().any(|octet| !b" \t,;\"".contains(octet)) {
                return Ok(Some(line));
            }
        }
    }

    fn next(&mut self) -> Result<Option<Line>, Unreadable> {
        let mut octets = Vec::new();
        let mut is_ended = read_until(&mut self.file, b'\n', LONGEST_LINE, &mut octets)?;
        if octets.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let is_whole = is_ended || (octets.len() as u64) < LONGEST_LINE;
        // What is too long is passed by, piece by piece.
        let mut passed = Vec::new();
        while !is_ended && read_some(&mut self.file, &mut passed)? {
            is_ended = passed.last() == Some(&b'\n');
        }
        let length = octets.trim_ascii_end().len();
        octets.truncate(length);
        Ok(Some(Line { number: self.number, octets, is_ended, is_whole }))
    }
}

fn read_some(file: &mut impl BufRead, passed: &mut Vec<u8>) -> Result<bool, Unreadable> {
    passed.clear();
    read_until(file, b'\n', LONGEST_LINE, passed)?;
    Ok(!passed.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::{Reading, read};
    use super::*;
    use std::io::Cursor;

    fn reading(lines: &str) -> Reading {
        read(Source::Csv, Cursor::new(format!("{}\n{lines}", COLUMNS.join(",")))).unwrap()
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
        assert_eq!((row.row, row.name_fi.as_str()), (2, "Esimerkki, terveys"));
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
1.2.246.10.2454372.10.7,1.2.246.10.2454372.10.0,,\"Yksikkö,,,,,,,
1.2.246.10.2454372.10.8,1.2.246.10.2454372.10.0,,Kelpo,,,,,,,
";
        let found = refusals(lines);
        for (line, reason) in [
            (3, "business_id"),
            (4, "name_fi"),
            (5, "valid_from"),
            (6, "valid_to"),
            (7, "oid"),
            (8, "it has 2 fields"),
            (9, "a quote is not closed"),
        ] {
            let expected = format!("row {line}: ");
            assert!(
                found.iter().any(|f| f.starts_with(&expected) && f.contains(reason)),
                "{line} {reason}: {found:#?}"
            );
        }
        assert_eq!(reading(lines).checked(&Default::default()).rows.len(), 2);
    }

    #[test]
    fn another_header_is_refused_and_a_byte_order_mark_is_not() {
        let read = |text: &str| read(Source::Csv, Cursor::new(text.to_owned()));
        assert!(matches!(read("oid;parent\n"), Err(Unreadable::Header(_))));
        assert!(matches!(read(""), Err(Unreadable::Empty)));
        assert!(read(&format!("\u{feff}{}\n", COLUMNS.join(","))).is_ok());
    }

    #[test]
    fn octets_that_are_no_text_refuse_their_line_only() {
        let mut file = format!("{}\n", COLUMNS.join(",")).into_bytes();
        file.extend_from_slice(b"1.2.246.1,,,K\xff,,,,,,,\n1.2.246.2,,,Kelpo,,,,,,,\n");
        file.extend_from_slice(&[&vec![b'x'; 200_000][..], b"\n1.2.246.3,,,Kelpo,,,,,,,\n"].concat());
        let checked = read(Source::Csv, Cursor::new(file)).unwrap().checked(&Default::default());
        assert_eq!(checked.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(checked.refused.len(), 2);
    }

    #[test]
    fn a_file_that_ends_within_a_row_is_refused_whole() {
        let header = COLUMNS.join(",");
        let sound = "1.2.246.2,,,Kelpo,,,,,,,";
        assert!(read(Source::Csv, Cursor::new(format!("{header}\n{sound}"))).is_ok());
        for cut in ["1.2.246.3,,,Ke", "1.2.246.3,,,\"Kelpo,,,,,,,"] {
            let cut = read(Source::Csv, Cursor::new(format!("{header}\n{sound}\n{cut}")));
            assert!(matches!(cut, Err(Unreadable::CutShort(_))), "{cut:?}");
        }
    }

    #[test]
    fn an_export_has_its_own_columns_and_delimiter() {
        let file = "Tunniste;Ylempi yksikkö;Lyhenne;Pitkä nimi;OID;Postinumero;ApteekkariYtunnus;ApteekkiTyyppi;Voimassaolo alkaa;Voimassaolo päättyy\r\n\
                    1.2.246.537.6.40003.9001;;;\"Helsingin 900. apteekki; pää\";1.2.246.537.6.40003.9001;00100;9990004-0;Apteekki;20191001;21001231\r\n\
                    1.2.246.537.6.40003.9002;;;Toinen;1.2.246.537.6.40003.9003;00100;9990004-0;Apteekki;20191001;21001231\r\n";
        let checked = read(Source::Pharmacy, Cursor::new(file)).unwrap().checked(&Default::default());
        assert_eq!(checked.rows.len(), 1);
        let row = &checked.rows[0];
        assert_eq!((row.name_fi.as_str(), row.kind.as_deref()), ("Helsingin 900. apteekki; pää", Some("Apteekki")));
        assert!(row.valid_from.is_some() && row.valid_to.is_none());
        assert!(checked.refused[0].reason.contains("oid stands there twice"), "{:?}", checked.refused);
    }

    #[test]
    fn quotes_are_read_as_the_rfc_says() {
        assert_eq!(fields("a, \"b\"\"c,d\" ,e", ','), Ok(vec!["a".into(), "b\"c,d".into(), "e".into()]));
        assert_eq!(fields("a\t\tb", '\t'), Ok(vec!["a".into(), String::new(), "b".into()]));
        assert_eq!(fields("", ','), Ok(vec![String::new()]));
        assert!(fields("\"a\"b,c", ',').is_err() && fields("\"a", ',').is_err());
    }
}

//! Reads exports of the national registers into dated rows. A row that is not plainly right is refused with its place and a
//! reason; nothing is guessed, and a bad row spoils no good one. A file that is not whole, or not what it should be, is not
//! read at all. It knows no store and no clock. Start with [`read`], then [`RegisterRow`] and [`Reading`].

mod columns;
pub mod csv;
mod dates;
mod field;
mod form;
mod json;
mod source;
mod spreadsheet;
mod tree;
mod written;
mod xml;

use std::io::{BufRead, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use crate::names::{BusinessId, UnitOid};
use crate::time::Timestamp;
use form::Form;
pub use source::{Source, UnknownSource};
pub use tree::{Checked, Elsewhere, Reading};

/// One row that is sound in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRow {
    /// Its place in the file, from 1: the line in a text, the row in a sheet, the number within JSON pages.
    pub row: u64,
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

/// What there is to say about one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Its OID, as it was written; empty where it has none.
    pub oid: String,
    /// Its place in the file, from 1; none for a row that the file does not name.
    pub row: Option<u64>,
    /// What is the matter.
    pub reason: String,
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.row {
            Some(row) => write!(f, "row {row}: {}: {}", self.oid, self.reason),
            None => write!(f, "{}: {}", self.oid, self.reason),
        }
    }
}

/// Why a file is not read at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A page for a browser, usually an error page that was saved as the export.
    #[error("the file is an HTML page and no export: open it to see what the register's server said")]
    Html,
    /// Text in UTF-16, or octets of no known form.
    #[error("the file is none of XML, JSON, CSV, XLSX and XLS in UTF-8")]
    UnknownForm,
    /// It ends before its end.
    #[error("the file is cut short: {0}")]
    CutShort(String),
    /// It declares a document type or entities, which no export does.
    #[error("the file declares a document type or entities, which no register's export does")]
    Entities,
    /// It is an export of another register.
    #[error("the file is of code system {system}, which is the register \"{is}\" and not \"{expected}\"")]
    OtherRegister {
        /// The code system that it names.
        system: String,
        /// The register that this is.
        is: Source,
        /// The register that was told.
        expected: Source,
    },
    /// The simple form comes as CSV only.
    #[error("rows of the source \"csv\" come as CSV; tell with --source which register an export comes from")]
    NotCsv,
    /// The first line, or first row, is not a header that is known.
    #[error("the first row is no header of a register: {0}")]
    Header(String),
    /// Its form is broken in a way that touches more than one row.
    #[error("the file cannot be read: {0}")]
    Broken(String),
    /// The file system.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads an export of `source`; its form is recognised by its content. Whether a parent exists is asked of the [`Reading`],
/// since it may be among the rows in force.
///
/// # Errors
/// Why the file is not read at all.
pub fn read(source: Source, mut file: impl BufRead + Seek) -> Result<Reading, Unreadable> {
    let form = Form::of(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    if source == Source::Csv && form != Form::Csv {
        return Err(Unreadable::NotCsv);
    }
    let mut rows = Rows::new(source);
    match form {
        Form::Csv => csv::read_into(&mut rows, file)?,
        Form::Xml => xml::read_into(&mut rows, file)?,
        Form::Json => json::read_into(&mut rows, file)?,
        Form::Xlsx => spreadsheet::read_xlsx_into(&mut rows, file)?,
        Form::Xls => spreadsheet::read_xls_into(&mut rows, file)?,
    }
    Ok(rows.into_reading())
}

/// How many pages the code service says there are, in one page of its JSON.
///
/// # Errors
/// What is wrong with the page.
pub fn total_pages(page: &[u8]) -> Result<Option<u64>, Unreadable> {
    json::total_pages(page)
}

/// What a reader has found so far.
struct Rows {
    source: Source,
    sound: Vec<RegisterRow>,
    refused: Vec<Remark>,
    lacking: Option<String>,
}

impl Rows {
    fn new(source: Source) -> Self {
        Rows { source, sound: Vec::new(), refused: Vec::new(), lacking: None }
    }

    /// A row whose fields were found, or the reason why not, with its place and its OID as far as it is known.
    fn add(&mut self, row: u64, found: Result<written::WrittenRow, written::Fault>) {
        match found.and_then(|written| written.checked(row, self.source)) {
            Ok(sound) => self.sound.push(sound),
            Err(fault) => self.refused.push(Remark { oid: shown(&fault.oid), row: Some(row), reason: fault.reason }),
        }
    }

    /// Parents that are the code system itself are no parents.
    fn system(&mut self, system: &str) -> Result<(), Unreadable> {
        if let Some(is) = Source::of_system(system).filter(|is| *is != self.source) {
            return Err(Unreadable::OtherRegister { system: shown(system), is, expected: self.source });
        }
        for row in &mut self.sound {
            let is_top = |parent: &UnitOid| system.strip_prefix(parent.as_str()).is_some_and(is_version);
            row.parent = row.parent.take().filter(|parent| !is_top(parent));
        }
        Ok(())
    }

    fn into_reading(self) -> Reading {
        Reading::new(self.source, self.sound, self.refused, self.lacking)
    }
}

/// What may follow a code system's OID: nothing, or its version.
fn is_version(rest: &str) -> bool {
    rest.is_empty() || rest.strip_prefix('.').is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit()))
}

/// What an operator is shown of a text that somebody else wrote.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// At most `most` octets up to and including `delimiter`, appended to `line`; false at the end of the input.
fn read_until(input: &mut impl BufRead, delimiter: u8, most: u64, line: &mut Vec<u8>) -> Result<bool, std::io::Error> {
    input.by_ref().take(most).read_until(delimiter, line)?;
    Ok(line.last() == Some(&delimiter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// A row as a register would write it.
    fn any_row() -> impl Strategy<Value = RegisterRow> {
        let text = "[a-zåäöA-ZÅÄÖ0-9&<>'\"\\\\;,.()-]{1,30}( [a-zåäö&<;\"]{1,20}){0,3}";
        let optional = || proptest::option::of(text);
        let id = (1_000_000_u32..10_000_000).prop_filter_map("a number that is issued", |number| {
            (0..10).find_map(|digit| format!("{number}-{digit}").parse::<BusinessId>().ok())
        });
        let day = || proptest::option::of(10_000_i64..40_000);
        let named = (1_u32..1_000_000, text, optional(), optional());
        let place = proptest::option::of("[a-zåäö&]{1,20}");
        let more = (place, optional(), optional(), proptest::option::of(id), day(), day());
        (named, more).prop_map(|((number, name_fi, name_sv, abbreviation), more)| {
            let (municipality, sector, kind, business_id, from, to) = more;
            let noon = |day: i64| Timestamp::from_seconds(day * 86_400 + 43_200);
            let (from, to) = match (from, to) {
                (Some(from), Some(to)) => (Some(from.min(to)), Some(from.max(to))),
                other => other,
            };
            RegisterRow {
                row: 1,
                oid: format!("1.2.246.10.{number}.10.0").parse().expect("an OID"),
                parent: None,
                business_id,
                name_fi,
                name_sv,
                abbreviation,
                municipality,
                sector,
                kind,
                valid_from: from.map(|day| noon(day - 1).end_of_helsinki_day().plus(1)),
                valid_to: to.map(|day| noon(day).end_of_helsinki_day()),
            }
        })
    }

    /// The day of a time in Helsinki.
    fn day(time: Option<Timestamp>, open: &str) -> String {
        // Three hours are more than Helsinki is ahead, and the times are a day's first or last second.
        time.map_or(open.to_owned(), |time| time.plus(3 * 3_600 - 1).to_string()[..10].to_owned())
    }

    fn values(row: &RegisterRow) -> [(&'static str, String); 11] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        [
            ("oid", row.oid.to_string()),
            ("parent", String::new()),
            ("business_id", row.business_id.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("name_fi", row.name_fi.clone()),
            ("name_sv", text(&row.name_sv)),
            ("abbreviation", text(&row.abbreviation)),
            ("municipality", text(&row.municipality)),
            ("sector", text(&row.sector)),
            ("kind", text(&row.kind)),
            ("valid_from", day(row.valid_from.map(|time| time.plus(1)), "1900-01-01")),
            ("valid_to", day(row.valid_to.map(|time| time.plus(-3 * 3_600)), "2100-12-31")),
        ]
    }

    fn in_csv(row: &RegisterRow) -> String {
        let quoted: Vec<_> =
            values(row).iter().map(|(_, value)| format!("\"{}\"", value.replace('"', "\"\""))).collect();
        format!("{}\n{}\n", csv::COLUMNS.join(","), quoted.join(","))
    }

    fn in_json(row: &RegisterRow) -> String {
        let [oid, _, rest @ .., from, to] = values(row);
        let attribute =
            |(name, value): &(&str, String)| serde_json::json!({"attributeName": name, "attributeValue": [value]});
        let attributes: Vec<_> = rest.iter().map(attribute).collect();
        serde_json::json!({"totalPages": 1, "conceptCodes": [{
            "conceptCodeId": oid.1, "beginDate": from.1, "expirationDate": to.1, "attributes": attributes,
        }]})
        .to_string()
    }

    fn in_xml(row: &RegisterRow) -> String {
        let [oid, _, rest @ .., from, to] = values(row);
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let attributes: String = rest
            .iter()
            .map(|(name, value)| format!("<attribute type=\"{name}\">{}</attribute>", escaped(value)))
            .collect();
        format!(
            "<arb:result xmlns:arb=\"urn::codeservice\"><termsystem id=\"1.2.246.537.6.202\"><termitementry id=\"{}\" \
             begindate=\"{}\" expirationdate=\"{}\">{attributes}</termitementry></termsystem></arb:result>",
            oid.1, from.1, to.1
        )
    }

    proptest! {
        /// Whatever a row says, every form says it.
        #[test]
        fn a_row_is_the_same_in_every_form(row in any_row()) {
            for (form, text) in [("csv", in_csv(&row)), ("json", in_json(&row)), ("xml", in_xml(&row))] {
                let checked = read(Source::Thl, Cursor::new(&text)).map_err(|error| error.to_string());
                let checked = checked.map(|reading| reading.checked(&Elsewhere::new()));
                let checked = checked.map_err(|error| TestCaseError::fail(format!("{form}: {error}: {text}")))?;
                prop_assert_eq!(&checked.refused, &vec![], "{}: {}", form, &text);
                let read = RegisterRow { row: 1, ..checked.rows[0].clone() };
                prop_assert_eq!(&read, &row, "{}: {}", form, &text);
            }
        }

        /// Whatever the octets are, they are read or refused; nothing stops.
        #[test]
        fn any_octets_are_read_or_refused(
            beginning in proptest::sample::select(vec![
                "", "{\"conceptCodes\":[", "<arb:result><termsystem id=\"1.2\"><termitementry", "oid,name_fi\n", "PK\u{3}\u{4}", "\"", "<!--", "<?",
            ]),
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let octets = [beginning.as_bytes(), &rest].concat();
            for source in Source::ALL {
                let _ = read(source, Cursor::new(&octets)).map(|reading| reading.checked(&Elsewhere::new()));
            }
        }

        /// An export with one octet changed is read or refused, and the rows that are read are those that were written.
        #[test]
        fn a_damaged_export_gives_no_row_of_its_own_making(row in any_row(), place in 0_usize..2_000, octet in any::<u8>()) {
            let mut text = in_xml(&row).into_bytes();
            let place = place % text.len();
            text[place] = octet;
            if let Ok(reading) = read(Source::Thl, Cursor::new(&text)) {
                prop_assert!(reading.checked(&Elsewhere::new()).rows.len() <= 1);
            }
        }
    }
}

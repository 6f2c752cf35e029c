//! The code service's JSON: one page or several, one after the other in one file.
//!
//! ```text
//! {"totalPages": 2, "page": 1, "conceptCodes": [{"conceptCodeId": "1.2.246.10.2454372.10.0", "beginDate": "1900-01-01",
//!   "expirationDate": "2100-12-31", "attributes": [{"attributeName": "LongName", "attributeValue": ["Esimerkki"]}]}]}
//! ```
//!
//! The names are compared without their case, since the service's documentation and its clients differ. Each row's text is
//! cut out first and read alone, so that a row of another shape spoils no other.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::field::Field;
use super::written::{Fault, WrittenRow};
use super::{Rows, Unreadable, shown};

/// The longest text of one row, in octets.
const LONGEST_ROW: usize = 64 << 10;

/// Reads pages.
pub(super) fn read_into(rows: &mut Rows, file: impl Read) -> Result<(), Unreadable> {
    let mut pages = Pages { rows, number: 0, seen: HashSet::new(), count: 0, total: None };
    let mut deserializer = serde_json::Deserializer::from_reader(file);
    loop {
        PageReader(&mut pages).deserialize(&mut deserializer).map_err(|error| unreadable(&error))?;
        if deserializer.end().is_ok() {
            break;
        }
    }
    pages.complete();
    Ok(())
}

/// How many pages a page says there are.
pub(super) fn total_pages(page: &[u8]) -> Result<Option<u64>, Unreadable> {
    let mut rows = Rows::new(super::Source::Thl);
    let mut pages = Pages { rows: &mut rows, number: 0, seen: HashSet::new(), count: 0, total: None };
    let mut deserializer = serde_json::Deserializer::from_slice(page);
    PageReader(&mut pages).deserialize(&mut deserializer).map_err(|error| unreadable(&error))?;
    Ok(pages.total)
}

fn unreadable(error: &serde_json::Error) -> Unreadable {
    match error.classify() {
        serde_json::error::Category::Eof => Unreadable::CutShort("its JSON ends too early".to_owned()),
        serde_json::error::Category::Io => Unreadable::Io(std::io::Error::other(error.to_string())),
        serde_json::error::Category::Syntax | serde_json::error::Category::Data => {
            Unreadable::Broken(format!("its JSON is not that of the code service: {}", shown(&error.to_string())))
        }
    }
}

/// The pages so far.
struct Pages<'a> {
    rows: &'a mut Rows,
    /// The rows of all pages.
    number: u64,
    /// The pages' own numbers.
    seen: HashSet<u64>,
    count: u64,
    total: Option<u64>,
}

impl Pages<'_> {
    fn page(&mut self, number: Option<u64>, total: Option<u64>) {
        self.count += u64::from(number.is_none_or(|number| self.seen.insert(number)));
        self.total = self.total.max(total);
    }

    fn row(&mut self, text: &RawValue) {
        self.number += 1;
        self.rows.add(self.number, written(text));
    }

    /// Notes that pages are missing, if they are.
    fn complete(self) {
        if let Some(total) = self.total.filter(|total| *total > self.count) {
            self.rows.lacking = Some(format!("it holds {} of {total} pages", self.count));
        }
    }
}

/// Reads one page, or an array of them.
struct PageReader<'a, 'r>(&'a mut Pages<'r>);

impl<'de> DeserializeSeed<'de> for PageReader<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PageReader<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page with conceptCodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pages: A) -> Result<(), A::Error> {
        while pages.next_element_seed(PageReader(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (mut has_rows, mut number, mut total) = (false, None, None);
        while let Some(name) = members.next_key::<String>()? {
            match name.to_lowercase().as_str() {
                // One client's class calls them so.
                "conceptcodes" | "conceptcodes1" if has_rows => {
                    return Err(serde::de::Error::custom("a page has two lists of conceptCodes"));
                }
                "conceptcodes" | "conceptcodes1" => {
                    members.next_value_seed(RowsReader(&mut *self.0))?;
                    has_rows = true;
                }
                "totalpages" => total = Some(members.next_value()?),
                "page" => number = Some(members.next_value()?),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        if !has_rows {
            return Err(serde::de::Error::custom("a page has no conceptCodes"));
        }
        self.0.page(number, total);
        Ok(())
    }
}

struct RowsReader<'a, 'r>(&'a mut Pages<'r>);

impl<'de> DeserializeSeed<'de> for RowsReader<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsReader<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of conceptCodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Box<RawValue>>()? {
            self.0.row(&row);
        }
        Ok(())
    }
}

/// The fields of one row's text.
fn written(text: &RawValue) -> Result<WrittenRow, Fault> {
    let mut row = WrittenRow::default();
    if text.get().len() > LONGEST_ROW {
        return Err(row.fault(format!("it has more than {LONGEST_ROW} octets")));
    }
    for (name, value) in members(&row, text.get())? {
        match name.as_str() {
            "attributes" => attributes(&mut row, &value)?,
            "conceptcodeid" | "begindate" | "expirationdate" | "status" => {
                if let Some(field) = Field::named(&name) {
                    put(&mut row, field, &name, &value)?;
                }
            }
            _ => {}
        }
    }
    Ok(row)
}

fn attributes(row: &mut WrittenRow, list: &Value) -> Result<(), Fault> {
    let Value::Array(list) = list else { return Err(row.fault("its attributes are no list")) };
    for attribute in list {
        let member = |wanted: &str| {
            let members = attribute.as_object().into_iter().flatten();
            members.filter(|(name, _)| name.to_lowercase() == wanted).map(|(_, value)| value).next_back()
        };
        let Some(name) = member("attributename").and_then(Value::as_str) else {
            return Err(row.fault("an attribute has no name"));
        };
        let language = member("language").and_then(Value::as_str);
        if let (Some(field), Some(value)) = (Field::in_language(name, language), member("attributevalue")) {
            put(row, field, name, value)?;
        }
    }
    Ok(())
}

/// Takes a value: a text, or a list of one. Of two nobody could tell which is meant.
fn put(row: &mut WrittenRow, field: Field, name: &str, value: &Value) -> Result<(), Fault> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) => row.put(field, text),
        Value::Number(number) => row.put(field, &number.to_string()),
        Value::Bool(marked) => row.put(field, if *marked { "T" } else { "F" }),
        Value::Array(values) => values.iter().try_for_each(|value| match value {
            Value::Array(_) | Value::Object(_) => Err(row.fault(format!("{} is no text", shown(name)))),
            value => put(row, field, name, value),
        }),
        Value::Object(_) => Err(row.fault(format!("{} is no text", shown(name)))),
    }
}

/// The members of a row, their names in lower case. Two of one name contradict each other.
fn members(row: &WrittenRow, text: &str) -> Result<Vec<(String, Value)>, Fault> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a row with conceptCodeId and attributes")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some((name, value)) = members.next_entry::<String, Value>()? {
                found.push((name.to_lowercase(), value));
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Members).map_err(|error| row.fault(shown(&error.to_string())))?;
    let mut names = HashSet::new();
    match found.iter().find(|(name, _)| !names.insert(name.as_str())) {
        Some((name, _)) => Err(row.fault(format!("{} stands there twice", shown(name)))),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Reading, Source, read};
    use super::*;
    use std::io::Cursor;

    fn reading(text: &str) -> Result<Reading, Unreadable> {
        read(Source::Thl, Cursor::new(text.to_owned()))
    }

    fn row(oid: &str, more: &str) -> String {
        format!(
            r#"{{"conceptCodeId":"{oid}","beginDate":"1900-01-01T00:00:01","expirationDate":"2100-12-31T23:59:59",
               "attributes":[{{"attributeName":"LongName","attributeValue":["Yksikkö"]}}{more}]}}"#
        )
    }

    fn page(number: u64, total: u64, rows: &[String]) -> String {
        format!(r#"{{"totalPages":{total},"page":{number},"conceptCodes":[{}]}}"#, rows.join(","))
    }

    const OID: &str = "1.2.246.10.2454372.10.0";

    #[test]
    fn a_row_is_read_with_its_attributes() {
        let more = r#",{"attributeName":"LongName","language":"sv","attributeValue":"Enhet"},
            {"attributeName":"Y-Tunnus","attributeValue":["0245437-2"]},{"attributeName":"Abbreviation","attributeValue":[]},
            {"attributeName":"Sijainti kunta","attributeValue":["853 Turku"]},{"attributeName":"TOPI-koodi","attributeValue":["1"]},
            {"attributeName":"Terv.palveluyksikkö","attributeValue":["T"]}"#;
        let checked = reading(&page(1, 1, &[row(OID, more)])).unwrap().checked(&Default::default());
        assert_eq!(checked.refused, []);
        let row = &checked.rows[0];
        assert_eq!((row.row, row.name_fi.as_str(), row.name_sv.as_deref()), (1, "Yksikkö", Some("Enhet")));
        assert_eq!(row.business_id.as_ref().unwrap().as_str(), "0245437-2");
        assert_eq!((row.municipality.as_deref(), row.kind.as_deref()), (Some("Turku"), Some("Terv.palveluyksikkö")));
    }

    #[test]
    fn other_casings_of_the_names_are_read_too() {
        let text = format!(
            r#"{{"TotalPages":1,"ConceptCodes1":[{{"ConceptCodeId":"{OID}","Attributes":[{{"AttributeName":"longname","AttributeValue":["Y"]}}]}}]}}"#
        );
        assert_eq!(reading(&text).unwrap().checked(&Default::default()).rows.len(), 1);
    }

    #[test]
    fn pages_follow_each_other_and_a_missing_one_is_noticed() {
        let [first, second] = [page(1, 2, &[row(OID, "")]), page(2, 2, &[row("1.2.246.10.2454372.10.1", "")])];
        for text in [format!("{first}\n{second}\n"), format!("[{first},{second}]")] {
            let reading = reading(&text).unwrap();
            assert_eq!(reading.lacking(), None);
            let rows: Vec<_> = reading.checked(&Default::default()).rows.iter().map(|row| row.row).collect();
            assert_eq!(rows, [1, 2]);
        }
        for text in [first.clone(), format!("{first}{first}")] {
            assert_eq!(reading(&text).unwrap().lacking(), Some("it holds 1 of 2 pages"));
        }
    }

    #[test]
    fn a_row_of_another_shape_is_refused_alone() {
        let rows = [
            row(OID, ""),
            "17".to_owned(),
            r#"{"conceptCodeId":"1.2.3.4","conceptcodeid":"1.2.3.5"}"#.to_owned(),
            r#"{"conceptCodeId":"1.2.3.4","attributes":{}}"#.to_owned(),
            r#"{"conceptCodeId":"1.2.3.4","attributes":[{"attributeValue":"x"}]}"#.to_owned(),
            row("1.2.3.4", r#",{"attributeName":"LongName","attributeValue":["A","B"]}"#),
            row("1.2.246.10.2454372.10.1", ""),
        ];
        let checked = reading(&page(1, 1, &rows)).unwrap().checked(&Default::default());
        assert_eq!(checked.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [1, 7]);
        assert_eq!(checked.refused.iter().map(|remark| remark.row).collect::<Vec<_>>(), [2, 3, 4, 5, 6].map(Some));
    }

    #[test]
    fn a_file_cut_short_or_of_another_shape_is_refused_whole() {
        let whole = page(1, 1, &[row(OID, ""), row("1.2.246.10.2454372.10.1", "")]);
        for length in (1..whole.len()).filter(|length| whole.is_char_boundary(*length)) {
            assert!(matches!(reading(&whole[..length]), Err(Unreadable::CutShort(_))), "{length}");
        }
        for other in [
            "{}",
            "[1]",
            r#"{"conceptCodes":{}}"#,
            r#"{"error":"internal"}"#,
            r#"{"conceptCodes":[],"conceptCodes":[]}"#,
        ] {
            assert!(matches!(reading(other), Err(Unreadable::Broken(_))), "{other}");
        }
        assert!(reading(&format!("{whole} <html>")).is_err());
    }
}

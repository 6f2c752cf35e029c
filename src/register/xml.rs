//! The code service's XML:
//!
//! ```text
//! <arb:result xmlns:arb="urn::codeservice"><arb:document><body><termsystem id="1.2.246.537.6.202.2008">
//!   <termitementry id="1.2.246.10.2454372.10.0" begindate="1900-01-01T00:00:01" expirationdate="2100-12-31T23:59:59">
//!     <attribute type="longname" language="fi">Esimerkki</attribute> ... <attribute type="Y-Tunnus">0245437-2</attribute>
//!   </termitementry>
//! </termsystem></body></arb:document></arb:result>
//! ```
//!
//! The text is cut into row elements first ([`cut`](cutter)), and each is parsed alone: published exports hold rows that are
//! not well-formed. What remains around the rows must be well-formed and end, or the file is cut short.

mod cutter;

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use self::cutter::{Cutter, Piece};
use super::field::Field;
use super::written::{Fault, WrittenRow};
use super::{Rows, Unreadable, shown};

/// The element of a row.
const ROW: &str = "termitementry";

/// Reads the rows of an export.
pub(super) fn read_into(rows: &mut Rows, file: impl BufRead) -> Result<(), Unreadable> {
    let mut cutter = Cutter::new(file);
    while let Some(piece) = cutter.next()? {
        match piece {
            Piece::Row { line, text } => rows.add(line, written(&text)),
            Piece::Broken { line, beginning, why } => {
                let oid = oid_in(&String::from_utf8_lossy(&beginning));
                rows.add(line, Err(Fault { oid, reason: why.to_owned() }));
            }
        }
    }
    let system = system(&cutter.into_surroundings())?;
    rows.system(&system)
}

/// The OID of the code system, from what surrounds the rows, which must be whole.
fn system(surroundings: &[u8]) -> Result<String, Unreadable> {
    let broken = |why: String| Unreadable::Broken(format!("around its rows it is not well-formed: {}", shown(&why)));
    let text = std::str::from_utf8(surroundings).map_err(|_| broken("it is not UTF-8".to_owned()))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut depth, mut root, mut found) = (0_usize, None, None);
    loop {
        match reader.read_event().map_err(|error| broken(error.to_string()))? {
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().transpose().map_err(|error| broken(error.to_string()))?;
                if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
                    return Err(Unreadable::UnknownForm);
                }
            }
            Event::Start(start) => {
                noted(&start, depth, &mut root, &mut found).map_err(broken)?;
                depth += 1;
            }
            Event::Empty(start) => noted(&start, depth, &mut root, &mut found).map_err(broken)?,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::DocType(_) => return Err(Unreadable::Entities),
            Event::Eof => break,
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::GeneralRef(_) => {}
        }
    }
    if depth > 0 {
        return Err(Unreadable::CutShort(format!("{depth} of its elements are not ended")));
    }
    if root.as_deref() != Some("result") {
        let found = root.map_or("none".to_owned(), |root| shown(&root));
        return Err(Unreadable::Broken(format!("its root element is {found}, and not the code service's \"result\"")));
    }
    found.ok_or_else(|| Unreadable::Broken("it has no code system: no element \"termsystem\" with an id".to_owned()))
}

/// Notes the root element and the code system's id.
fn noted(
    start: &BytesStart<'_>,
    depth: usize,
    root: &mut Option<String>,
    system: &mut Option<String>,
) -> Result<(), String> {
    if depth == 0 && root.replace(start.local_name().into_inner().to_owned()).is_some() {
        return Err("it has two root elements".to_owned());
    }
    if start.local_name().into_inner() == "termsystem"
        && let Some(id) = attribute(start, "id")?
        && system.replace(id).is_some()
    {
        return Err("it has two code systems".to_owned());
    }
    Ok(())
}

/// The value of an attribute.
fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let mut found = None;
    for attribute in start.attributes() {
        let attribute =
            attribute.map_err(|error| format!("an attribute of <{}>: {error}", shown(start.name().into_inner())))?;
        if attribute.key.into_inner() == name {
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .map_err(|error| format!("the attribute {name}: {error}"))?;
            found = Some(value.into_owned());
        }
    }
    Ok(found)
}

/// The fields of one row element.
fn written(octets: &[u8]) -> Result<WrittenRow, Fault> {
    let Ok(text) = std::str::from_utf8(octets) else {
        let oid = oid_in(&String::from_utf8_lossy(octets));
        return Err(Fault { oid, reason: "the row is not UTF-8".to_owned() });
    };
    fields(text).map_err(|fault| match fault.oid.as_str() {
        "" => Fault { oid: oid_in(text), ..fault },
        _ => fault,
    })
}

/// What is being read of an `attribute` element.
struct Open {
    field: Option<Field>,
    text: String,
}

fn fields(text: &str) -> Result<WrittenRow, Fault> {
    let mut row = WrittenRow::default();
    let mut reader = Reader::from_str(text);
    let mut open: Option<Open> = None;
    let mut depth = 0_usize;
    loop {
        let event = reader.read_event().map_err(|error| row.fault(not_well_formed(&error)))?;
        match event {
            Event::Start(start) => {
                match depth {
                    0 => own_attributes(&mut row, &start)?,
                    1 => open = opened(&row, &start)?,
                    _ => open = None,
                }
                depth += 1;
            }
            Event::Empty(start) if depth == 0 => own_attributes(&mut row, &start)?,
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if let Some(Open { field: Some(field), text }) = open.take() {
                    row.put(field, &text)?;
                }
            }
            Event::Text(text) => add(&mut open, &text.xml10_content()),
            Event::CData(text) => add(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = referred(&reference).ok_or_else(|| {
                    row.fault(format!("it names an unknown entity: &{};", shown(&reference.xml10_content())))
                })?;
                add(&mut open, text.encode_utf8(&mut [0; 4]));
            }
            Event::Eof => return Ok(row),
            Event::Empty(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Decl(_) | Event::DocType(_) => return Err(row.fault("a declaration stands within it")),
        }
    }
}

fn add(open: &mut Option<Open>, text: &str) {
    if let Some(open) = open.as_mut().filter(|open| open.field.is_some()) {
        open.text.push_str(text);
    }
}

fn own_attributes(row: &mut WrittenRow, start: &BytesStart<'_>) -> Result<(), Fault> {
    for (name, field) in [("id", Field::Oid), ("begindate", Field::ValidFrom), ("expirationdate", Field::ValidTo)] {
        if let Some(value) = attribute(start, name).map_err(|why| row.fault(why))? {
            row.put(field, &value)?;
        }
    }
    Ok(())
}

fn opened(row: &WrittenRow, start: &BytesStart<'_>) -> Result<Option<Open>, Fault> {
    if start.local_name().into_inner() != "attribute" {
        return Ok(None);
    }
    let of = |name| attribute(start, name).map_err(|why| row.fault(why));
    let (kind, language) = (of("type")?, of("language")?);
    let field = kind.and_then(|kind| Field::in_language(&kind, language.as_deref()));
    Ok(Some(Open { field, text: String::new() }))
}

// XML 1.0 §4.6: five names are known without a declaration.
fn referred(reference: &BytesRef<'_>) -> Option<char> {
    match &*reference.xml10_content() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => reference.resolve_char_ref().ok().flatten(),
    }
}

fn not_well_formed(error: &quick_xml::Error) -> String {
    use quick_xml::errors::IllFormedError;
    match error {
        quick_xml::Error::IllFormed(IllFormedError::UnclosedReference) => "an & is not written as &amp;".to_owned(),
        other => format!("it is not well-formed: {}", shown(&other.to_string())),
    }
}

/// The OID in a row that cannot be read, for the list of refused rows.
fn oid_in(text: &str) -> String {
    let after = text.split_once(" id=").map(|(_, after)| after.trim_start_matches(['"', '\'']));
    let oid: String = after.unwrap_or_default().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    oid
}

#[cfg(test)]
mod tests {
    use super::super::{Checked, Source, read};
    use super::*;
    use std::io::Cursor;

    const START: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<arb:result xmlns:arb="urn::codeservice"><arb:document><header>Produced by a code server</header><body>
<termsystem id="1.2.246.537.6.202.2008" begindate="1900-01-01T00:00:01" expirationdate="2100-12-31T23:59:59">
<attribute type="longname" datatype="ST" language="fi">THL - SOTE-organisaatiorekisteri 2008</attribute>
"#;
    const END: &str = "</termsystem></body></arb:document></arb:result>\n";

    fn row(oid: &str, attributes: &str) -> String {
        format!(
            "<termitementry id=\"{oid}\" language=\"fi\" begindate=\"2023-01-01T00:00:00\" expirationdate=\"2100-12-31T23:59:59\">\n\
             <attribute type=\"status\">1</attribute>{attributes}</termitementry>\n"
        )
    }

    fn named(oid: &str, name: &str) -> String {
        row(oid, &format!("<attribute type=\"longname\" language=\"fi\">{name}</attribute>"))
    }

    fn try_read(text: &str) -> Result<Checked, Unreadable> {
        read(Source::Thl, Cursor::new(text.to_owned())).map(|reading| reading.checked(&Default::default()))
    }

    fn checked(rows: &[String]) -> Checked {
        try_read(&format!("{START}{}{END}", rows.concat())).unwrap()
    }

    const OID: &str = "1.2.246.10.2454372.10.0";

    #[test]
    fn a_row_is_read_with_its_attributes() {
        let row = row(
            OID,
            "<attribute type=\"longname\" language=\"fi\">Esimerkin &lt;terveys&gt; &amp; hoiva &#228;</attribute>\
             <attribute type=\"longname\" language=\"sv\">Exempel</attribute><attribute type=\"abbreviation\"/>\
             <attribute type=\"parentid\">1.2.246.537.6.202.2008</attribute>\
             <attribute type=\"Y-Tunnus\">0245437-2</attribute><attribute type=\"Sektori\">2 yksityinen</attribute>\
             <attribute type=\"Sijainti kunta\">853 Turku</attribute><attribute type=\"Terv.toimintayksikkö\">T</attribute>\
             <attribute type=\"Sos.toimintayksikkö\">F</attribute><attribute type=\"officefax\">a &amp; b</attribute>",
        );
        let checked = checked(&[row]);
        assert_eq!(checked.refused, []);
        let row = &checked.rows[0];
        assert_eq!((row.row, row.parent.as_ref()), (5, None));
        assert_eq!(row.name_fi, "Esimerkin <terveys> & hoiva ä");
        assert_eq!((row.name_sv.as_deref(), row.kind.as_deref()), (Some("Exempel"), Some("Terv.toimintayksikkö")));
        assert_eq!((row.sector.as_deref(), row.municipality.as_deref()), (Some("2 yksityinen"), Some("Turku")));
        assert!(row.valid_from.is_some() && row.valid_to.is_none());
    }

    #[test]
    fn rows_that_are_not_well_formed_are_refused_alone() {
        let lower = |n: u32| format!("1.2.246.10.2454372.10.{n}");
        let checked = checked(&[
            named(OID, "Kelpo"),
            named(&lower(1), "Lääkäri & kumppani"),
            named(&lower(2), "Alle < yli"),
            named(&lower(3), "Tuntematon &merkki;"),
            format!("<termitementry id=\"{}\"><attribute type=\"longname\">Ilman loppua</attribute>\n", lower(4)),
            named(&lower(5), "Kelpo"),
            row(&lower(6), "<attribute type=\"longname\">Auki</termitementry>"),
            format!(
                "<termitementry id=\"{} begindate=\"x\"><attribute type=\"longname\">Lainaus</attribute></termitementry>",
                lower(7)
            ),
            named(&lower(8), "Kelpo <!-- huomautus --><![CDATA[& hyvä]]>"),
        ]);
        let sound: Vec<_> = checked.rows.iter().map(|row| row.name_fi.as_str()).collect();
        assert_eq!(sound, ["Kelpo", "Kelpo", "Kelpo & hyvä"], "{:#?}", checked.refused);
        let refused: Vec<_> = checked.refused.iter().map(|remark| remark.oid.clone()).collect();
        let after_six = String::new();
        assert_eq!(refused, [lower(1), lower(2), lower(3), lower(4), lower(6), after_six, lower(7)]);
        assert!(checked.refused[0].reason.contains("&amp;") && checked.refused[3].reason.contains("end tag"));
    }

    #[test]
    fn octets_that_are_no_text_refuse_their_row_only() {
        let mut file = START.as_bytes().to_vec();
        file.extend_from_slice(named("1.2.246.10.2454372.10.1", "Vial@linen").replace('@', "\u{1}").as_bytes());
        file.extend_from_slice(
            &named("1.2.246.10.2454372.10.2", "Vial@linen")
                .bytes()
                .map(|b| if b == b'@' { 0xff } else { b })
                .collect::<Vec<_>>(),
        );
        file.extend_from_slice(format!("{}{END}", named(OID, "Kelpo")).as_bytes());
        let checked = read(Source::Thl, Cursor::new(file)).unwrap().checked(&Default::default());
        assert_eq!((checked.rows.len(), checked.refused.len()), (1, 2), "{:?}", checked.refused);
    }

    #[test]
    fn a_file_cut_short_is_refused_wherever_it_ends() {
        let whole = format!("{START}{}{}{END}", named(OID, "Kelpo"), named("1.2.246.10.2454372.10.1", "Toinen"));
        let last = whole.trim_end().len();
        for length in (60..last).filter(|length| whole.is_char_boundary(*length)) {
            assert!(try_read(&whole[..length]).is_err(), "{}", &whole[..length]);
        }
        assert!(try_read(&whole[..last]).is_ok());
    }

    #[test]
    fn declarations_of_entities_refuse_the_file_wherever_they_stand() {
        let sound = named(OID, "Kelpo");
        let declared = START.replace("<arb:result", "<!DOCTYPE x [<!ENTITY e \"x\">]><arb:result");
        for text in [
            format!("{declared}{sound}{END}"),
            format!("{START}<!ENTITY e \"x\">{sound}{END}"),
            format!("{START}{sound}{}{END}", named("1.2.3.4", "<!ENTITY e \"x\">")),
        ] {
            assert!(matches!(try_read(&text), Err(Unreadable::Entities)), "{text}");
        }
    }

    #[test]
    fn other_documents_are_refused_whole() {
        let sound = named(OID, "Kelpo");
        let other = START.replace("1.2.246.537.6.202.2008", "1.2.246.537.6.203.2014");
        assert!(matches!(try_read(&format!("{other}{sound}{END}")), Err(Unreadable::OtherRegister { .. })));
        assert!(matches!(try_read("<html><body>Virhe</body></html>"), Err(Unreadable::Html)));
        let latin = START.replace("UTF-8", "ISO-8859-1");
        assert!(matches!(try_read(&format!("{latin}{sound}{END}")), Err(Unreadable::UnknownForm)));
        for text in ["<a/>", "<result/>", "<result></result><result></result>"] {
            assert!(matches!(try_read(text), Err(Unreadable::Broken(_))), "{text}");
        }
        assert!(try_read(&format!("{START}{sound}{END}</x>")).is_err());
    }

    #[test]
    fn rows_in_a_comment_are_no_rows() {
        let checked = checked(&[format!("<!-- {} -->", named("1.2.3.4", "Pois")), named(OID, "Kelpo")]);
        assert_eq!((checked.rows.len(), checked.rows[0].row), (1, 7));
    }
}

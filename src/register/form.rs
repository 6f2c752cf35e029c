//! The form of a file, recognised by how it begins: names and media types of downloads are often wrong.

use std::io::{BufRead, Read as _};

use super::Unreadable;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Xml,
    Json,
    Xlsx,
    Xls,
}

/// How much of a file is looked at.
const BEGINNING: u64 = 1_024;

impl Form {
    /// The form of what `file` holds.
    pub(super) fn of(file: &mut impl BufRead) -> Result<Self, Unreadable> {
        let mut beginning = Vec::new();
        file.by_ref().take(BEGINNING).read_to_end(&mut beginning)?;
        Form::of_beginning(&beginning)
    }

    fn of_beginning(beginning: &[u8]) -> Result<Self, Unreadable> {
        if beginning.starts_with(b"PK\x03\x04") {
            return Ok(Form::Xlsx);
        }
        if beginning.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            return Ok(Form::Xls);
        }
        let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
        match text.first() {
            None => Err(Unreadable::Empty),
            Some(b'<') if is_html(text) => Err(Unreadable::Html),
            Some(b'<') => Ok(Form::Xml),
            Some(b'{' | b'[') => Ok(Form::Json),
            // UTF-16 begins with a mark and has zeros everywhere.
            Some(_)
                if text.contains(&0) || beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") =>
            {
                Err(Unreadable::UnknownForm)
            }
            Some(_) => Ok(Form::Csv),
        }
    }
}

/// Whether a text that begins with a tag is a page for a browser.
pub(super) fn is_html(text: &[u8]) -> bool {
    let lower = text.get(..text.len().min(64)).unwrap_or_default().to_ascii_lowercase();
    let after = |prefix: &[u8]| lower.strip_prefix(prefix).map(|rest| rest.first().copied());
    let ends_name = |next: Option<Option<u8>>| {
        next.is_some_and(|next| next.is_none_or(|octet| octet.is_ascii_whitespace() || octet == b'>'))
    };
    let doctype = lower.strip_prefix(b"<!doctype").map(<[u8]>::trim_ascii_start);
    doctype.is_some_and(|name| name.starts_with(b"html")) || ends_name(after(b"<html")) || ends_name(after(b"<head"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(beginning: &[u8]) -> Result<Form, String> {
        Form::of_beginning(beginning).map_err(|error| error.to_string())
    }

    #[test]
    fn each_form_is_known_by_its_beginning() {
        assert_eq!(form(b"PK\x03\x04rest"), Ok(Form::Xlsx));
        assert_eq!(form(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"), Ok(Form::Xls));
        assert_eq!(form(b"\xef\xbb\xbf\n <?xml version=\"1.0\"?>"), Ok(Form::Xml));
        assert_eq!(form(b"<arb:result>"), Ok(Form::Xml));
        assert_eq!((form(b" {\"a\""), form(b"[")), (Ok(Form::Json), Ok(Form::Json)));
        assert_eq!(form(b"oid,parent"), Ok(Form::Csv));
    }

    #[test]
    fn pages_and_other_things_are_told_apart() {
        for page in [&b"<!DOCTYPE html>"[..], b"<!doctype  HTML PUBLIC", b"<html>", b"\n<HTML lang=fi>", b"<head>"] {
            assert!(form(page).unwrap_err().contains("HTML"), "{page:?}");
        }
        assert!(form(b"").unwrap_err().contains("empty") && form(b" \n").unwrap_err().contains("empty"));
        for other in [&b"\xff\xfeo\0i\0"[..], b"a\0b"] {
            assert!(form(other).unwrap_err().contains("none of"), "{other:?}");
        }
    }
}

//! Reads a TOML text into a value and finds every fault at once: serde stops at the first, so the offending part is taken
//! out and the rest is read again, until nothing is left to complain about. Start with [`read`].

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// One fault of a configuration: the key, its line where one is known, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key as `table.key` or `array[0].key`; empty for the text as a whole.
    pub key: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl Fault {
    /// A fault of `key` that has no line of its own.
    pub fn of(key: impl Into<String>, why: impl Into<String>) -> Self {
        Fault { key: key.into(), line: None, why: why.into() }
    }
}

impl fmt::Display for Fault {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        let why = self.why.replace(['\n', '\r'], " ");
        if self.key.is_empty() { f.write_str(&why) } else { write!(f, "{}: {why}", self.key) }
    }
}

/// A text with more faults than this is something else than a configuration.
const MOST_FAULTS: usize = 200;

/// The value, as far as it could be read, and every fault of form: syntax, types, unknown keys. `T` and everything in it
/// refuses unknown keys itself (`deny_unknown_fields`); all fields of `T` have defaults, so that what is missing at the
/// top is a matter of meaning and not of form.
pub fn read<T: DeserializeOwned + Default>(text: &str) -> (T, Vec<Fault>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let fault = |error: &toml::de::Error| Fault {
            key: String::new(),
            line: error.span().map(|span| line_of(text, span.start)),
            why: error.message().to_owned(),
        };
        return (T::default(), errors.iter().map(fault).collect());
    }
    let mut rest = root.clone();
    let mut faults = Vec::new();
    for _ in 0..MOST_FAULTS {
        let error = match T::deserialize(toml::Deserializer::from(rest.clone())) {
            Ok(value) => return (value, faults),
            Err(error) => error,
        };
        let Some(span) = error.span() else {
            faults.push(Fault { key: String::new(), line: None, why: error.message().to_owned() });
            break;
        };
        let key = path_in_table(root.get_ref(), &span, "").unwrap_or_default();
        let line = Some(line_of(text, span.start));
        let fault = worded(Fault { key, line, why: error.message().to_owned() });
        // What was taken out because it is wrong is then missing: that is no second fault.
        if faults.iter().all(|known: &Fault| known.key != fault.key) {
            faults.push(fault);
        }
        if !removed_from_table(rest.get_mut(), &span) {
            break;
        }
    }
    (T::default(), faults)
}

/// The fault in our words where serde's are meant for programmers.
fn worded(fault: Fault) -> Fault {
    let quoted: Vec<&str> = fault.why.split('`').skip(1).step_by(2).collect();
    if let (true, [unknown, known @ ..]) = (fault.why.starts_with("unknown field"), quoted.as_slice()) {
        let nearest = nearest(unknown, known).map(|name| format!("; the nearest known key is \"{name}\""));
        return Fault { why: format!("unknown key{}", nearest.unwrap_or_default()), ..fault };
    }
    if let (true, [unknown, known @ ..]) = (fault.why.starts_with("unknown variant"), quoted.as_slice()) {
        return Fault { why: format!("\"{unknown}\" is none of {}", known.join(", ")), ..fault };
    }
    if let (true, [missing]) = (fault.why.starts_with("missing field"), quoted.as_slice()) {
        let key = if fault.key.is_empty() { (*missing).to_owned() } else { format!("{}.{missing}", fault.key) };
        return Fault { key, why: "missing".to_owned(), ..fault };
    }
    fault
}

/// The known name that is most like `unknown`.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(unknown, name);
    known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

fn line_of(text: &str, octet: usize) -> usize {
    text.as_bytes().iter().take(octet).filter(|octet| **octet == b'\n').count() + 1
}

/// The path of the key or value that stands at `span`.
fn path_in_table(table: &DeTable<'_>, span: &Range<usize>, parent: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = if parent.is_empty() { key.get_ref().to_string() } else { format!("{parent}.{}", key.get_ref()) };
        if key.span() == *span { Some(name) } else { path_in_value(value, span, &name) }
    })
}

fn path_in_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>, name: &str) -> Option<String> {
    let inner = match value.get_ref() {
        DeValue::Table(table) => path_in_table(table, span, name),
        DeValue::Array(array) => {
            array.iter().enumerate().find_map(|(index, value)| path_in_value(value, span, &format!("{name}[{index}]")))
        }
        _ => None,
    };
    inner.or_else(|| (value.span() == *span).then(|| name.to_owned()))
}

/// Takes out the innermost key or value that stands at `span`; `false` if nothing does.
fn removed_from_table(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let mut unwanted = None;
    for (key, value) in table.iter_mut() {
        if key.span() == *span {
            unwanted = Some(key.clone());
            break;
        }
        match removed_from_value(value, span) {
            Removal::Done => return true,
            Removal::Itself => {
                unwanted = Some(key.clone());
                break;
            }
            Removal::NotHere => {}
        }
    }
    unwanted.is_some_and(|key| table.remove(&key).is_some())
}

enum Removal {
    /// Something inside was taken out.
    Done,
    /// It is the value itself that must go.
    Itself,
    NotHere,
}

fn removed_from_value(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Removal {
    let own = value.span() == *span;
    let inner = match value.get_mut() {
        DeValue::Table(table) => removed_from_table(table, span),
        DeValue::Array(array) => removed_from_array(array, span),
        _ => false,
    };
    match (inner, own) {
        (true, _) => Removal::Done,
        (false, true) => Removal::Itself,
        (false, false) => Removal::NotHere,
    }
}

fn removed_from_array(array: &mut DeArray<'_>, span: &Range<usize>) -> bool {
    let mut unwanted = None;
    for (index, value) in array.iter_mut().enumerate() {
        match removed_from_value(value, span) {
            Removal::Done => return true,
            Removal::Itself => {
                unwanted = Some(index);
                break;
            }
            Removal::NotHere => {}
        }
    }
    let Some(unwanted) = unwanted else { return false };
    let mut kept = DeArray::new();
    array.iter().enumerate().filter(|(index, _)| *index != unwanted).for_each(|(_, value)| kept.push(value.clone()));
    *array = kept;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        listen: Option<std::net::SocketAddr>,
        body_size: u32,
        names: Vec<u8>,
        issuers: Vec<Issuer>,
        limits: Limits,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Issuer {
        name: String,
        key: String,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Limits {
        headers: u32,
        kind: Kind,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[default]
        Some,
        Other,
    }

    fn faults(text: &str) -> Vec<String> {
        read::<Example>(text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_text_has_no_faults() {
        let (value, faults) = read::<Example>("body_size = 3\n[[issuers]]\nname = \"a\"\nkey = \"b\"\n");
        assert_eq!(faults, []);
        assert_eq!((value.body_size, value.issuers.len()), (3, 1));
    }

    #[test]
    fn every_fault_is_found_at_once_and_each_names_its_key() {
        let text = "listen = \"nowhere\"\nbody_site = 1\nbody_size = \"much\"\nnames = [1, 300, 2, \"x\"]\n\
                    [limits]\nheader = 3\nkind = \"strange\"\n\
                    [[issuers]]\nname = \"a\"\n[[issuers]]\nname = 7\nkye = \"k\"\nkey = \"k\"\n";
        let faults = faults(text);
        for expected in [
            "line 1: listen: ",
            "line 2: body_site: unknown key; the nearest known key is \"body_size\"",
            "line 3: body_size: ",
            "line 4: names[1]: ",
            "line 4: names[3]: ",
            "line 6: limits.header: unknown key; the nearest known key is \"headers\"",
            "line 7: limits.kind: \"strange\" is none of some, other",
            "line 8: issuers[0].key: missing",
            "line 11: issuers[1].name: ",
            "line 12: issuers[1].kye: unknown key; the nearest known key is \"key\"",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected} is not in {faults:#?}");
        }
        assert_eq!(faults.len(), 10, "{faults:#?}");
    }

    #[test]
    fn a_text_that_is_no_toml_is_told_with_its_lines() {
        let faults = faults("listen = \n[limits\nheaders = 3\n");
        assert!(faults.len() >= 2 && faults.iter().all(|fault| fault.starts_with("line ")), "{faults:#?}");
    }
}

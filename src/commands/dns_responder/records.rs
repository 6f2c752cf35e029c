//! The records of the dns responder: one a line, `NAME TYPE VALUE`, `#` begins a comment. A file of them may be edited by
//! hand, or through [`add_record`] and [`remove_record`], which lock it and replace it at once, so that hooks of several
//! clients can run at the same time.
//!
//! ```text
//! _acme-challenge.www.test  TXT    gfj9Xq...Rg85nM
//! www.test                  A      127.0.0.1
//! www.test                  AAAA   ::1
//! www.test                  CAA    0 issue "ca.test; validationmethods=dns-01"
//! alias.test                CNAME  www.test
//! text.test                 TXT    "several" "strings"
//! gone.test                 NXDOMAIN
//! broken.test               SERVFAIL CAA
//! silent.test               TIMEOUT
//! ```
//!
//! An A or AAAA record replaces the addresses that every name has by default. The last three types make faults, for every
//! type of question or only for the one that follows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::rr::rdata::{CAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner, in lower case without its final dot.
    pub name: String,
    /// What is answered.
    pub data: Data,
}

/// What a [`Record`] makes the responder answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// This.
    Plain(RData),
    /// That the name does not exist.
    NoSuchName,
    /// A failure, to questions of this type or of any.
    ServerFailure(Option<RecordType>),
    /// Nothing, to questions of this type or of any.
    Silence(Option<RecordType>),
}

/// Why a text is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{line}\" is not a record of the form NAME TYPE VALUE: {why}")]
pub struct RecordError {
    line: String,
    why: &'static str,
}

impl Record {
    /// The data for questions of `wanted`.
    pub fn data_of(&self, wanted: RecordType) -> Option<RData> {
        match &self.data {
            Data::Plain(data) if data.record_type() == wanted || wanted == RecordType::ANY => Some(data.clone()),
            Data::Plain(_) | Data::NoSuchName | Data::ServerFailure(_) | Data::Silence(_) => None,
        }
    }

    fn has_kind(&self, kind: &str) -> bool {
        match &self.data {
            Data::Plain(data) => data.record_type().to_string().eq_ignore_ascii_case(kind),
            Data::NoSuchName => kind.eq_ignore_ascii_case("NXDOMAIN"),
            Data::ServerFailure(_) => kind.eq_ignore_ascii_case("SERVFAIL"),
            Data::Silence(_) => kind.eq_ignore_ascii_case("TIMEOUT"),
        }
    }
}

impl FromStr for Record {
    type Err = RecordError;

    fn from_str(line: &str) -> Result<Self, RecordError> {
        let wrong = |why| RecordError { line: line.chars().filter(|c| !c.is_control()).take(200).collect(), why };
        let mut parts = line.trim().splitn(3, |c: char| c.is_ascii_whitespace());
        let name = parts.next().unwrap_or_default();
        let rest = parts.collect::<Vec<_>>().join(" ");
        let rest = rest.trim_start();
        let (kind, value) = rest.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((rest, ""));
        if name.is_empty() || kind.is_empty() {
            return Err(wrong("name or type is missing"));
        }
        let name = fqdn(name).ok_or_else(|| wrong("the name is not a dns name"))?;
        let data = data(&kind.to_ascii_uppercase(), value.trim()).map_err(wrong)?;
        Ok(Record { name: super::plain(&name), data })
    }
}

fn fqdn(text: &str) -> Option<Name> {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).ok()
}

fn data(kind: &str, value: &str) -> Result<Data, &'static str> {
    let of_type = || match value {
        "" => Ok(None),
        name => name.to_ascii_uppercase().parse().map(Some).map_err(|_| "the value is not a record type"),
    };
    Ok(match kind {
        "A" => Data::Plain(RData::A(value.parse().map_err(|_| "the value is not an IPv4 address")?)),
        "AAAA" => Data::Plain(RData::AAAA(value.parse().map_err(|_| "the value is not an IPv6 address")?)),
        "CNAME" => Data::Plain(RData::CNAME(CNAME(fqdn(value).ok_or("the value is not a dns name")?))),
        "TXT" => Data::Plain(RData::TXT(text(value)?)),
        "CAA" => Data::Plain(RData::CAA(caa(value)?)),
        "NXDOMAIN" => Data::NoSuchName,
        "SERVFAIL" => Data::ServerFailure(of_type()?),
        "TIMEOUT" => Data::Silence(of_type()?),
        _ => return Err("the type is none of A, AAAA, CNAME, TXT, CAA, NXDOMAIN, SERVFAIL and TIMEOUT"),
    })
}

/// Strings in quotation marks as they are; anything else is one text, cut into strings of the length that dns allows.
fn text(value: &str) -> Result<TXT, &'static str> {
    let strings = if value.starts_with('"') { quoted(value)? } else { vec![value.to_owned()] };
    let pieces = |string: &String| match string.as_bytes() {
        [] => vec![Vec::new()],
        bytes => bytes.chunks(255).map(<[u8]>::to_vec).collect(),
    };
    let pieces: Vec<Vec<u8>> = strings.iter().flat_map(pieces).collect();
    Ok(TXT::from_bytes(pieces.iter().map(Vec::as_slice).collect()))
}

fn quoted(value: &str) -> Result<Vec<String>, &'static str> {
    let mut strings = Vec::new();
    let mut rest = value;
    while let Some(inner) = rest.strip_prefix('"') {
        let (string, after) = inner.split_once('"').ok_or("a quotation mark is missing")?;
        strings.push(string.to_owned());
        rest = after.trim_start();
    }
    if rest.is_empty() { Ok(strings) } else { Err("something follows the last quotation mark") }
}

fn caa(value: &str) -> Result<CAA, &'static str> {
    let mut parts = value.splitn(3, ' ');
    let flags: u8 = parts.next().and_then(|flags| flags.parse().ok()).ok_or("the flags are not a number up to 255")?;
    let tag = parts.next().filter(|tag| !tag.is_empty()).ok_or("the tag is missing")?;
    let text = parts.next().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let mut caa = CAA::new_issue(flags & 0x80 != 0, None, Vec::new());
    caa.reserved_flags = flags & 0x7f;
    caa.tag = tag.to_owned();
    caa.value = text.as_bytes().to_vec();
    Ok(caa)
}

/// The records of a file and of memory.
pub struct Records {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    memory: Vec<Record>,
    /// What the file was when it was read: its identity, its time in nanoseconds and its length.
    read_at: Option<(u64, i64, i64, u64)>,
    from_file: Vec<Record>,
    all: Arc<Vec<Record>>,
}

impl Records {
    /// The records of `file`, which need not exist, and none in memory.
    pub fn new(file: Option<PathBuf>) -> Self {
        Records { file, state: Mutex::default() }
    }

    /// Every record as of now.
    pub fn current(&self) -> Arc<Vec<Record>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            let found =
                fs::metadata(file).ok().map(|found| (found.ino(), found.mtime(), found.mtime_nsec(), found.len()));
            if found != state.read_at {
                state.from_file = read(file);
                state.read_at = found;
                state.rebuild();
            }
        }
        state.all.clone()
    }

    /// Adds a record in memory.
    pub fn add(&self, record: Record) {
        self.change(|memory| {
            if !memory.contains(&record) {
                memory.push(record);
            }
        });
    }

    /// Removes from memory the records of `name`, all or those of one type.
    pub fn remove(&self, name: &str, kind: Option<&str>) {
        let Some(name) = fqdn(name).map(|name| super::plain(&name)) else { return };
        self.change(|memory| {
            memory.retain(|record| record.name != name || kind.is_some_and(|kind| !record.has_kind(kind)));
        });
    }

    /// Removes this very record from memory.
    pub fn remove_exactly(&self, record: &Record) {
        self.change(|memory| memory.retain(|other| other != record));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Record>)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.memory);
        state.rebuild();
    }
}

impl State {
    fn rebuild(&mut self) {
        self.all = Arc::new(self.from_file.iter().chain(&self.memory).cloned().collect());
    }
}

/// The records of `file`. A line that is none is logged and skipped: one slip must not take every name away.
fn read(file: &Path) -> Vec<Record> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let (records, wrong): (Vec<_>, Vec<_>) = lines(&text).map(str::parse::<Record>).partition(Result::is_ok);
    for error in wrong.into_iter().filter_map(Result::err) {
        tracing::warn!(file = %file.display(), %error, "a dns record is ignored");
    }
    records.into_iter().filter_map(Result::ok).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Adds `line` to the records file unless it is there. The error says when `line` is no record.
pub fn add_record(file: &Path, line: &str) -> io::Result<()> {
    let record: Record =
        line.parse().map_err(|error: RecordError| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    edited(file, |text| {
        let known = lines(text).any(|line| line.parse::<Record>().is_ok_and(|known| known == record));
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        if known { text.to_owned() } else { format!("{text}{end}{}\n", line.trim()) }
    })
}

/// Removes from the records file the records of `name`: all, those of one type, or the one with this value. Comments and
/// lines that are no records stay.
pub fn remove_record(file: &Path, name: &str, kind: Option<&str>, value: Option<&str>) -> io::Result<()> {
    let owner = fqdn(name).map(|name| super::plain(&name));
    let owner = owner.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name is not a dns name"))?;
    let exact: Option<Record> = kind.zip(value).and_then(|(kind, value)| format!("{name} {kind} {value}").parse().ok());
    if exact.is_none() && value.is_some() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the value does not fit the type"));
    }
    let goes = |record: &Record| match &exact {
        Some(exact) => record == exact,
        None => record.name == owner && kind.is_none_or(|kind| record.has_kind(kind)),
    };
    edited(file, |text| {
        let stays = |line: &&str| !line.trim().parse::<Record>().is_ok_and(|record| goes(&record));
        text.lines().filter(stays).map(|line| format!("{line}\n")).collect()
    })
}

/// Replaces the file's text at once, under a lock beside it.
fn edited(file: &Path, edit: impl FnOnce(&str) -> String) -> io::Result<()> {
    let beside = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(beside(".lock"))?;
    lock.lock()?;
    let mut text = String::new();
    match File::open(file) {
        Ok(mut found) => drop(found.read_to_string(&mut text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let new = beside(".new");
    File::create(&new)?.write_all(edit(&text).as_bytes())?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Record {
        line.parse().unwrap()
    }

    #[test]
    fn a_line_is_name_type_and_value() {
        assert_eq!(parsed(" WWW.Test.\tA   127.0.0.1 ").name, "www.test");
        let long = "x".repeat(300);
        for (line, strings) in [
            ("a.test TXT one text", vec!["one text"]),
            ("a.test TXT \"two\" \"strings; here\"", vec!["two", "strings; here"]),
            (&format!("a.test TXT {long}") as &str, vec![&long[..255], &long[255..]]),
        ] {
            let Data::Plain(RData::TXT(text)) = parsed(line).data else { panic!("{line}") };
            assert_eq!(text.txt_data.iter().map(|s| str::from_utf8(s).unwrap()).collect::<Vec<_>>(), strings);
        }
        let Data::Plain(RData::CAA(caa)) = parsed("a.test CAA 128 issue \"ca.test; x=y\"").data else { panic!() };
        assert!(caa.issuer_critical && caa.tag == "issue" && caa.value == b"ca.test; x=y");
        assert_eq!(parsed("a.test SERVFAIL caa").data, Data::ServerFailure(Some(RecordType::CAA)));
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "a.test",
            "a.test A",
            "a.test A ::1",
            "a.test MX 10 b.test",
            "a.test CAA issue ca.test",
            "a..test A 127.0.0.1",
            "a.test TXT \"open",
            "a.test SERVFAIL NOTYPE",
        ] {
            assert!(line.parse::<Record>().is_err(), "{line}");
        }
    }

    #[test]
    fn a_file_is_edited_record_by_record_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("records");
        let records = Records::new(Some(file.clone()));
        assert!(records.current().is_empty());
        fs::write(&file, "# comment\na.test A 127.0.0.1").unwrap();
        add_record(&file, "b.test TXT one").unwrap();
        add_record(&file, "b.test TXT two").unwrap();
        add_record(&file, "b.test TXT two").unwrap();
        assert_eq!(records.current().len(), 3);
        remove_record(&file, "B.test", Some("TXT"), Some("one")).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "# comment\na.test A 127.0.0.1\nb.test TXT two\n");
        remove_record(&file, "b.test", None, None).unwrap();
        assert_eq!(records.current().len(), 1);
        assert!(add_record(&file, "nonsense").is_err());
    }

    #[test]
    fn editors_at_the_same_time_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("records");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    (0..10).for_each(|n| add_record(file, &format!("a{thread}-{n}.test TXT x")).unwrap())
                });
            }
        });
        assert_eq!(Records::new(Some(file)).current().len(), 80);
    }
}

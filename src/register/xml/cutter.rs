//! Cuts the text of an export into row elements, without understanding what is in them, and keeps what surrounds them. It
//! holds one row at a time.

use std::io::BufRead;

use super::super::form::is_html;
use super::super::{Unreadable, read_until};
use super::ROW;

/// The longest row element, in octets.
const LONGEST_ROW: usize = 256 << 10;
/// What may stand around the rows, in octets.
const LONGEST_SURROUNDINGS: usize = 1 << 20;
/// How much is read at once while a row's end is looked for.
const PIECE: u64 = 64 << 10;

/// A row element, or what should have been one.
pub(super) enum Piece {
    /// From its start tag to its end tag.
    Row {
        /// The line on which it begins.
        line: u64,
        /// Its text.
        text: Vec<u8>,
    },
    /// No row element.
    Broken {
        /// The line on which it begins.
        line: u64,
        /// How it begins.
        beginning: Vec<u8>,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Reads a text piece by piece.
pub(super) struct Cutter<R> {
    input: R,
    line: u64,
    surroundings: Vec<u8>,
    /// The start of a row that stood where the end tag of the one before was due.
    begun: Option<Vec<u8>>,
}

impl<R: BufRead> Cutter<R> {
    pub(super) fn new(input: R) -> Self {
        Cutter { input, line: 1, surroundings: Vec::new(), begun: None }
    }

    /// What surrounds the rows.
    pub(super) fn into_surroundings(self) -> Vec<u8> {
        self.surroundings
    }

    /// The next row element; none at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Unreadable> {
        if let Some(start) = self.begun.take() {
            return self.row(start).map(Some);
        }
        loop {
            let mut before = Vec::new();
            let found = self.read(b'<', LONGEST_SURROUNDINGS as u64, &mut before)?;
            if !found {
                self.keep(&before)?;
                return Ok(None);
            }
            before.pop();
            self.keep(&before)?;
            let mut markup = vec![b'<'];
            self.markup(&mut markup)?;
            if is_start(&markup) {
                return self.row(markup).map(Some);
            }
            if is_end(&markup) {
                let why = "an end tag stands there without a row";
                return Ok(Some(Piece::Broken { line: self.line, beginning: markup, why }));
            }
            // Comments may hold anything, rows too.
            if !markup.starts_with(b"<!--") {
                self.keep(&markup)?;
            }
        }
    }

    /// The rest of a tag, a comment or a declaration.
    fn markup(&mut self, markup: &mut Vec<u8>) -> Result<(), Unreadable> {
        loop {
            if !self.read(b'>', PIECE, markup)? && markup.len() < LONGEST_SURROUNDINGS {
                return Err(Unreadable::CutShort("it ends within a tag".to_owned()));
            }
            if markup.starts_with(b"<!") && !markup.starts_with(b"<!--") {
                return Err(if is_html(markup) { Unreadable::Html } else { declared(markup) });
            }
            let is_ended = match markup.as_slice() {
                comment if comment.starts_with(b"<!--") => comment.len() >= 7 && comment.ends_with(b"-->"),
                instruction if instruction.starts_with(b"<?") => instruction.ends_with(b"?>"),
                // A row's start tag may be broken: whoever reads the row finds out.
                tag => is_start(tag) || quotes_are_even(tag),
            };
            if is_ended {
                return Ok(());
            }
            if markup.len() >= LONGEST_SURROUNDINGS {
                return Err(too_long());
            }
        }
    }

    /// The row element that begins with `text`, which ends with a `>`.
    fn row(&mut self, mut text: Vec<u8>) -> Result<Piece, Unreadable> {
        let line = self.line - newlines(&text);
        if text.ends_with(b"/>") && quotes_are_even(&text) {
            return Ok(Piece::Row { line, text });
        }
        let mut is_too_long = false;
        loop {
            let from = text.len();
            let found = self.read(b'>', PIECE, &mut text)?;
            if !found && text.len() - from < PIECE as usize {
                return Err(Unreadable::CutShort("it ends within a row".to_owned()));
            }
            let recent = &text[from.saturating_sub(ROW.len() + 4)..];
            if declares(recent) {
                return Err(Unreadable::Entities);
            }
            if found && is_end(&text) {
                let why = "it is longer than any row";
                return Ok(if is_too_long {
                    Piece::Broken { line, beginning: text, why }
                } else {
                    Piece::Row { line, text }
                });
            }
            if let Some(at) = nested_start(&text, from) {
                self.begun = Some(text.split_off(at));
                return Ok(Piece::Broken { line, beginning: text, why: "its end tag is missing" });
            }
            if text.len() > LONGEST_ROW {
                // Its beginning names it, its end may still be coming.
                text.drain(1_024..text.len() - 64);
                is_too_long = true;
            }
        }
    }

    fn read(&mut self, delimiter: u8, most: u64, into: &mut Vec<u8>) -> Result<bool, Unreadable> {
        let from = into.len();
        let found = read_until(&mut self.input, delimiter, most, into)?;
        self.line += newlines(&into[from..]);
        Ok(found && into.len() > from)
    }

    fn keep(&mut self, octets: &[u8]) -> Result<(), Unreadable> {
        self.surroundings.extend_from_slice(octets);
        if self.surroundings.len() > LONGEST_SURROUNDINGS { Err(too_long()) } else { Ok(()) }
    }
}

fn too_long() -> Unreadable {
    Unreadable::Broken(format!("more than {} KiB of it are no rows", LONGEST_SURROUNDINGS >> 10))
}

fn newlines(octets: &[u8]) -> u64 {
    octets.iter().filter(|octet| **octet == b'\n').count() as u64
}

/// What a declaration outside the rows means for the file.
fn declared(markup: &[u8]) -> Unreadable {
    if declares(markup) {
        return Unreadable::Entities;
    }
    Unreadable::Broken("an unknown declaration stands in it".to_owned())
}

fn declares(octets: &[u8]) -> bool {
    let starts = octets.windows(2).enumerate().filter(|(_, pair)| *pair == b"<!");
    starts.map(|(at, _)| &octets[at..]).any(|rest| {
        [&b"<!doctype"[..], b"<!entity"]
            .iter()
            .any(|word| rest.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word)))
    })
}

fn quotes_are_even(tag: &[u8]) -> bool {
    let mut open = None;
    for octet in tag {
        match (open, octet) {
            (None, b'"' | b'\'') => open = Some(*octet),
            (Some(quote), octet) if quote == *octet => open = None,
            _ => {}
        }
    }
    open.is_none()
}

/// Whether a text begins with a row's start tag.
fn is_start(text: &[u8]) -> bool {
    let after = text.strip_prefix(b"<").and_then(|rest| rest.strip_prefix(ROW.as_bytes()));
    after.and_then(<[u8]>::first).is_some_and(|next| next.is_ascii_whitespace() || matches!(next, b'>' | b'/'))
}

/// Whether a text ends with a row's end tag.
fn is_end(text: &[u8]) -> bool {
    let before = text.strip_suffix(b">").map(<[u8]>::trim_ascii_end);
    before.and_then(|text| text.strip_suffix(ROW.as_bytes())).is_some_and(|text| text.ends_with(b"</"))
}

/// Where another row begins in what was read since `from`.
fn nested_start(text: &[u8], from: usize) -> Option<usize> {
    let begin = from.saturating_sub(ROW.len() + 2).max(1);
    let recent = text.get(begin..)?;
    let starts = recent.iter().enumerate().filter(|(_, octet)| **octet == b'<').map(|(at, _)| begin + at);
    starts.rev().find(|at| is_start(&text[*at..]))
}

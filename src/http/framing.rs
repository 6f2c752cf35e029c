//! Follows the framing of HTTP/1.1 requests on a connection, only to see what hyper tidies away: a head with both
//! Content-Length and Transfer-Encoding, which two parties on the way may read as two different requests (RFC 9112 §6.1). It
//! reads along and changes nothing.

use std::collections::VecDeque;

/// The longest line whose beginning matters; the rest of a longer one is passed over.
const LINE_LIMIT: usize = 128;
/// More heads than this are never read ahead: hyper's buffer is smaller.
const MOST_HEADS: usize = 4_096;

/// Where in a request the connection is.
#[derive(Debug)]
enum State {
    /// In a head.
    Head,
    /// In a body with so many octets left.
    Body(u64),
    /// In the line that tells a chunk's size.
    ChunkSize,
    /// In a chunk with so many octets left, its line end included.
    Chunk(u64),
    /// After the last chunk.
    Trailer,
    /// Lost: hyper will refuse what this cannot follow.
    Lost,
}

/// Follows one connection.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    line: Vec<u8>,
    /// Whether the present head has had its request line.
    begun: bool,
    length: Option<u64>,
    chunked: bool,
    /// For each head that was read and not yet asked about, whether it is ambiguous.
    heads: VecDeque<bool>,
}

impl Framing {
    pub(super) fn new() -> Self {
        let (line, heads) = (Vec::new(), VecDeque::new());
        Framing { state: State::Head, line, begun: false, length: None, chunked: false, heads }
    }

    /// Whether the next request, in the order of arrival, has a head with two meanings.
    pub(super) fn next_is_ambiguous(&mut self) -> bool {
        self.heads.pop_front().unwrap_or(false)
    }

    /// Reads on.
    pub(super) fn read(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some(octet) = rest.first() {
            match &mut self.state {
                State::Lost => return,
                State::Body(left) | State::Chunk(left) => {
                    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= passed as u64;
                    let is_over = *left == 0;
                    rest = rest.get(passed..).unwrap_or_default();
                    if is_over {
                        self.state = if matches!(self.state, State::Chunk(_)) { State::ChunkSize } else { State::Head };
                    }
                }
                State::Head | State::ChunkSize | State::Trailer => {
                    if *octet == b'\n' {
                        self.line_ended();
                    } else if self.line.len() < LINE_LIMIT {
                        self.line.push(*octet);
                    }
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
        }
    }

    fn line_ended(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        match self.state {
            State::Head if line.is_empty() => self.head_ended(),
            State::Head if !self.begun => self.begun = true,
            State::Head => self.field(line),
            State::ChunkSize => self.state = chunk(line),
            State::Trailer if line.is_empty() => self.state = State::Head,
            State::Trailer | State::Body(_) | State::Chunk(_) | State::Lost => {}
        }
    }

    fn field(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else { return };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let value = std::str::from_utf8(value.get(1..).unwrap_or_default()).unwrap_or_default();
            self.length = Some(value.trim().parse().unwrap_or(0));
        }
    }

    fn head_ended(&mut self) {
        // Empty lines before a request are passed over (RFC 9112 §2.2).
        if !self.begun {
            return;
        }
        if self.heads.len() < MOST_HEADS {
            self.heads.push_back(self.chunked && self.length.is_some());
        }
        self.state = match (self.chunked, self.length) {
            (true, _) => State::ChunkSize,
            (false, Some(length)) if length > 0 => State::Body(length),
            (false, _) => State::Head,
        };
        (self.begun, self.length, self.chunked) = (false, None, false);
    }
}

/// What follows the line that tells a chunk's size.
fn chunk(line: &[u8]) -> State {
    let digits = line.split(|octet| !octet.is_ascii_hexdigit()).next().unwrap_or_default();
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match size {
        Some(0) => State::Trailer,
        Some(size) => size.checked_add(2).map_or(State::Lost, State::Chunk),
        None => State::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const LENGTH: &str = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n\r\n\r\nx";
    const CHUNKED: &str =
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nt: u\r\n\r\n";
    const BOTH: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n";

    fn ambiguous(text: &str, piece: usize) -> Vec<bool> {
        let mut framing = Framing::new();
        text.as_bytes().chunks(piece).for_each(|octets| framing.read(octets));
        framing.heads.into()
    }

    #[test]
    fn an_ambiguous_head_is_found_wherever_it_stands_and_however_it_comes() {
        let text = [PLAIN, LENGTH, BOTH, CHUNKED, "\r\n", LENGTH, CHUNKED, BOTH, PLAIN].concat();
        for piece in [1, 2, 3, 7, 64, 10_000] {
            assert_eq!(ambiguous(&text, piece), [false, false, true, false, false, false, true, false], "{piece}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_left_to_hyper() {
        for text in ["POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "\0\0\0", "\n\n\n\n"] {
            ambiguous(text, 1);
        }
        let endless = "x".repeat(100_000);
        let mut framing = Framing::new();
        framing.read(endless.as_bytes());
        assert!(framing.line.len() <= LINE_LIMIT);
    }
}

//! Reads sled's log before sled does. sled ends a damaged log at the damage, overwrites the rest and says nothing; this looks,
//! changes nothing, and tells whether acknowledged commits would be lost. It knows the file format of sled 0.34.7, which the
//! manifest pins, and reads what sled reads at opening: the segments since the newest snapshot. Start with [`last_group`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::handle::SEGMENT;

/// What the value of the group's number begins with: octets that neither JSON nor a key of ours contains.
pub(super) const GROUP_MARK: [u8; 8] = [0xff, 0x00, 0xfe, b'g', b'r', b'o', b'u', b'p'];

/// A segment's header: its checksum, where it stands in the log, and how far the log was stable then.
const HEADER: usize = 20;
/// No message begins in the last octets of a segment.
const LONGEST_MESSAGE_HEADER: usize = 32;
/// The page that holds the group's number is smaller than this.
const OWN_PAGE: usize = 1024;

/// What the log holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// The number of the last whole group since the newest snapshot; none if there was no commit since then.
    pub(super) last_group: Option<u64>,
    /// Damage in the midst of the log, of which sled would skip what lies behind it.
    pub(super) damage: Option<String>,
}

/// Reads the log in the directory `store`.
pub(super) fn last_group(store: &Path) -> io::Result<Survey> {
    let log = Log { file: File::open(store.join("db"))? };
    let segments = log.segments(first_segment(store)?)?;
    let mut survey = Survey { damage: segments.damage.clone(), ..Survey::default() };
    let mut buffer = vec![0; SEGMENT];
    for (&lsn, &offset) in segments.places.range(..segments.tail) {
        let walk = Walk::through(log.read(offset, &mut buffer)?, lsn);
        if walk.is_broken && !is_written_anew(&buffer[walk.end..], lsn) {
            let at = offset + walk.end as u64;
            survey.damage.get_or_insert_with(|| format!("store/db is damaged at octet {at}"));
        }
        survey.last_group = survey.last_group.max(walk.groups.iter().map(|(_, group)| *group).max());
    }
    for &offset in &segments.without_header {
        let lost = first_segment_in(log.read(offset, &mut buffer)?);
        if lost.is_some_and(|lsn| segments.lacks(lsn)) {
            survey.damage.get_or_insert_with(|| format!("store/db is damaged at octet {offset}"));
        }
    }
    survey.last_group = survey.last_group.max(log.tail(&segments, &mut buffer)?);
    Ok(survey)
}

/// How much of the log in the directory `store` has to be read at the next opening: the segments since the newest snapshot.
pub(super) fn octets_to_read(store: &Path) -> io::Result<u64> {
    let log = Log { file: File::open(store.join("db"))? };
    let segments = log.segments(first_segment(store)?)?;
    Ok(segments.places.len() as u64 * SEGMENT as u64)
}

/// Where in the log the segment begins up to which the newest snapshot reaches.
fn first_segment(store: &Path) -> io::Result<u64> {
    Ok(newest_snapshot(store)? / SEGMENT as u64 * SEGMENT as u64)
}

/// How far the newest snapshot reaches: its name says so.
fn newest_snapshot(store: &Path) -> io::Result<u64> {
    let mut newest = 0;
    for entry in fs::read_dir(store)? {
        let name = entry?.file_name();
        let reach = name.to_string_lossy().strip_prefix("snap.").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        newest = newest.max(reach.unwrap_or(0));
    }
    Ok(newest)
}

/// The segments of a log from `from` on.
struct Segments {
    from: u64,
    /// Where each lies in the file, by its place in the log.
    places: BTreeMap<u64, u64>,
    /// From here on segments follow each other without a gap, and the log may end at any octet.
    tail: u64,
    /// Where there is no header: a segment that was never written, or given up, or whose header was lost.
    without_header: Vec<u64>,
    /// A header that is neither whole nor empty.
    damage: Option<String>,
}

impl Segments {
    /// Whether the log should have a segment at `lsn` and has none. Freed ones were written anew and have another number.
    fn lacks(&self, lsn: u64) -> bool {
        (self.from..self.tail).contains(&lsn) && !self.places.contains_key(&lsn)
    }
}

/// The file `db`.
struct Log {
    file: File,
}

impl Log {
    fn segments(&self, from: u64) -> io::Result<Segments> {
        let (places, without_header) = (BTreeMap::new(), Vec::new());
        let mut segments = Segments { from, places, tail: 0, without_header, damage: None };
        let mut stable = from;
        let length = self.file.metadata()?.len();
        for offset in (0..length).step_by(SEGMENT) {
            let mut header = [0; HEADER];
            if length - offset < HEADER as u64 {
                break;
            }
            self.file.read_exact_at(&mut header, offset)?;
            match header_parts(&header) {
                Some((lsn, stable_then)) if lsn >= from => {
                    segments.places.insert(lsn, offset);
                    stable = stable.max(stable_then);
                }
                Some(_) => {}
                None if header == [0; HEADER] => segments.without_header.push(offset),
                None => segments.damage = Some(format!("store/db has a damaged segment at octet {offset}")),
            }
        }
        segments.tail = stable / SEGMENT as u64 * SEGMENT as u64;
        Ok(segments)
    }

    /// A segment's octets; the last one of the file may be short.
    fn read<'b>(&self, offset: u64, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], offset + read as u64)? {
                0 => break,
                octets => read += octets,
            }
        }
        buffer[read..].fill(0);
        Ok(buffer)
    }

    /// The last whole group in the tail. A batch that does not end within the log is not there, and nothing after it.
    fn tail(&self, segments: &Segments, buffer: &mut [u8]) -> io::Result<Option<u64>> {
        let (mut groups, mut batches) = (Vec::new(), Vec::new());
        let (mut end, mut next) = (0, segments.tail);
        for (&lsn, &offset) in segments.places.range(segments.tail..) {
            if lsn != next {
                break;
            }
            let walk = Walk::through(self.read(offset, buffer)?, lsn);
            end = lsn + walk.end as u64;
            groups.extend(walk.groups);
            batches.extend(walk.batches);
            if walk.is_broken {
                break;
            }
            next += SEGMENT as u64;
        }
        let torn = batches.iter().filter(|(_, last)| *last >= end).map(|(begin, _)| *begin).min();
        let whole = groups.iter().filter(|(lsn, _)| torn.is_none_or(|torn| *lsn < torn));
        Ok(whole.map(|(_, group)| *group).max())
    }
}

/// Where a segment stands in the log and how far the log was stable, if its header is whole.
fn header_parts(header: &[u8; HEADER]) -> Option<(u64, u64)> {
    let (checksum, rest) = header.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*checksum) ^ u32::MAX != crc32fast::hash(rest) {
        return None;
    }
    let (lsn, stable) = rest.split_first_chunk::<8>()?;
    let number = |octets: [u8; 8]| i64::from_le_bytes(octets) ^ i64::MAX;
    let stable = number(stable.try_into().ok()?);
    // Before the first stable octet sled writes -1.
    Some((u64::try_from(number(*lsn)).ok()?, u64::try_from(stable).unwrap_or(0)))
}

/// A segment read message by message.
#[derive(Debug, Default)]
struct Walk {
    /// Numbers of groups, each with the place of its message in the log.
    groups: Vec<(u64, u64)>,
    /// Batches: where each begins and the last place that must be there for it to count.
    batches: Vec<(u64, u64)>,
    /// Where reading ended, in the segment.
    end: usize,
    /// Whether it ended at something that is no message, instead of the segment's end.
    is_broken: bool,
}

impl Walk {
    fn through(segment: &[u8], lsn: u64) -> Self {
        let mut walk = Walk { end: HEADER, ..Walk::default() };
        while walk.end + LONGEST_MESSAGE_HEADER <= segment.len() {
            let place = lsn + walk.end as u64;
            let message =
                Message::parse(&segment[walk.end..]).filter(|message| message.segment == lsn / SEGMENT as u64);
            let Some(message) = message else {
                walk.is_broken = true;
                break;
            };
            match message.kind {
                MessageKind::Cap => break,
                MessageKind::Batch => walk.batches.extend(batch_end(message.body).map(|last| (place, last))),
                MessageKind::Page => walk.groups.extend(group_number(message.body).map(|group| (place, group))),
                MessageKind::Other => {}
            }
            walk.end += message.length;
        }
        walk
    }
}

/// Whether a segment that breaks off before `rest` was freed and is being written anew: then newer messages come first
/// behind the break, and nothing in it counts any more. Messages of its own, or none, mean damage: sled closes a segment
/// before it goes on to the next.
fn is_written_anew(rest: &[u8], lsn: u64) -> bool {
    let own = lsn / SEGMENT as u64;
    let end = rest.len().saturating_sub(LONGEST_MESSAGE_HEADER);
    let next = (1..end).filter_map(|at| Message::parse(&rest[at..])).find(|message| message.segment >= own);
    next.is_some_and(|message| message.segment > own)
}

/// Where in the log the first message that can be read here belongs.
fn first_segment_in(octets: &[u8]) -> Option<u64> {
    let start = octets.iter().position(|octet| *octet != 0)?;
    let end = octets.len().saturating_sub(LONGEST_MESSAGE_HEADER);
    let message = (start.saturating_sub(LONGEST_MESSAGE_HEADER)..end).find_map(|at| Message::parse(&octets[at..]))?;
    message.segment.checked_mul(SEGMENT as u64)
}

fn batch_end(body: &[u8]) -> Option<u64> {
    u64::try_from(i64::from_le_bytes(body.try_into().ok()?)).ok()
}

/// The group's number, if this is the page that holds it or a change of that page.
fn group_number(body: &[u8]) -> Option<u64> {
    if body.len() > OWN_PAGE {
        return None;
    }
    let at = body.windows(GROUP_MARK.len()).position(|octets| octets == GROUP_MARK)?;
    let number = body.get(at + GROUP_MARK.len()..)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*number))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    /// Nothing follows in this segment.
    Cap,
    /// What follows counts only if the log reaches far enough.
    Batch,
    /// A page or a change of one.
    Page,
    /// Anything else that is whole.
    Other,
}

/// A message whose checksum is right.
struct Message<'a> {
    kind: MessageKind,
    segment: u64,
    body: &'a [u8],
    length: usize,
}

impl<'a> Message<'a> {
    fn parse(octets: &'a [u8]) -> Option<Self> {
        let (checksum, rest) = octets.split_first_chunk::<4>()?;
        let (&kind, mut rest) = rest.split_first()?;
        let kind = match kind {
            2 => MessageKind::Cap,
            3 => MessageKind::Batch,
            8 | 10 => MessageKind::Page,
            1 | 4..=7 | 9 | 11 => MessageKind::Other,
            _ => return None,
        };
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        let segment = varint(&mut rest)?;
        varint(&mut rest)?;
        let header = octets.len() - rest.len();
        let body = rest.get(..length)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(body);
        hasher.update(&octets[4..header]);
        let is_whole = hasher.finalize() ^ u32::MAX == u32::from_le_bytes(*checksum);
        is_whole.then_some(Message { kind, segment, body, length: header + length })
    }
}

/// A number as sled writes it: one to nine octets, the first of which tells how many.
fn varint(octets: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = octets.split_first()?;
    let length = match first {
        0..=240 => 0,
        241..=248 => 1,
        249 => 2,
        250..=255 => usize::from(first) - 247,
    };
    let (more, rest) = rest.split_at_checked(length)?;
    *octets = rest;
    let first = u64::from(first);
    Some(match first {
        0..=240 => first,
        241..=248 => 240 + 256 * (first - 241) + u64::from(more[0]),
        249 => 2288 + 256 * u64::from(more[0]) + u64::from(more[1]),
        _ => more.iter().rev().fold(0, |sum, octet| (sum << 8) | u64::from(*octet)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_sled_writes_them() {
        let cases: [(&[u8], u64); 6] = [
            (&[240], 240),
            (&[241, 1], 241),
            (&[249, 0, 0], 2288),
            (&[250, 0x10, 0x09, 0x01], 0x01_09_10),
            (&[251, 1, 0, 0, 1], 0x0100_0001),
            (&[255, 0, 0, 0, 0, 0, 0, 0, 1], 1 << 56),
        ];
        for (octets, number) in cases {
            let mut rest = octets;
            assert_eq!(varint(&mut rest), Some(number), "{octets:?}");
            assert!(rest.is_empty());
        }
        assert_eq!(varint(&mut &[249, 0][..]), None);
    }

    #[test]
    fn rubbish_is_no_message() {
        assert!(Message::parse(&[0; 64]).is_none());
        assert!(Message::parse(&[10; 64]).is_none());
        assert!(Message::parse(&[]).is_none());
    }
}

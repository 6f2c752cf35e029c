//! The audit trail as others read it: entries by number, the check of the whole chain, and the sealing of old entries
//! into segment files. The store itself numbers and chains new entries; nothing here writes one. Start with [`entries`].

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Change, CommitError, Kind, Record, Store, StoreError, write_durably};
use crate::model::audit::{Act, Actor, AuditEntry, Event};
use crate::names::base64url;
use crate::time::Timestamp;

/// The most entries in one segment file: a few megabytes, and one commit that removes them.
const SEGMENT_ENTRIES: u64 = 10_000;

/// The newest entry of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditHead {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Its hash; 32 zero octets before the first.
    pub hash: [u8; 32],
    /// Its time; none before the first.
    pub time: Option<Timestamp>,
}

/// A sealed segment: entries that have left the store for a file of the state directory, one line each, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSegment {
    /// Its first entry's number.
    pub first: u64,
    /// Its last entry's number.
    pub last: u64,
    /// The file's name below `audit/`.
    pub file: String,
    /// The file's SHA-256.
    #[serde(with = "base64url::bytes")]
    pub sha256: [u8; 32],
    /// The last entry's hash, to which the next entry is chained.
    #[serde(with = "base64url::bytes")]
    pub last_hash: [u8; 32],
    /// The last entry's time.
    pub last_time: Timestamp,
    /// When it was sealed.
    pub sealed: Timestamp,
}

/// An entry with its canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The entry.
    pub entry: AuditEntry,
    /// The JSON that was written when it happened; its SHA-256 is the entry's hash.
    pub json: Vec<u8>,
}

/// Why the trail cannot be read or is not whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A segment file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// The chain is broken.
    #[error("the audit trail is broken at entry {number}: {what}")]
    Broken {
        /// The first entry that is wrong.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The commit that seals a segment failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// What [`verify`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are, sealed ones included.
    pub entries: u64,
    /// In how many segment files the sealed ones are.
    pub segments: u64,
    /// The newest.
    pub head: AuditHead,
}

/// At most `limit` entries from number `from` on, ascending, sealed or not. `dir` is the state directory.
///
/// # Errors
/// An unreadable store or segment file.
pub async fn entries(store: &dyn Store, dir: &Path, from: u64, limit: usize) -> Result<Vec<Recorded>, AuditFault> {
    let mut found = Vec::new();
    let mut next = from.max(1);
    let mut segment_at = 1;
    while let Some(segment) = store.get::<AuditSegment>(&segment_at).await? {
        segment_at = segment.last + 1;
        if segment.last < next || found.len() >= limit {
            continue;
        }
        for recorded in segment_entries(dir, &segment).await? {
            if recorded.entry.number >= next && found.len() < limit {
                next = recorded.entry.number + 1;
                found.push(recorded);
            }
        }
    }
    while found.len() < limit
        && let Some(recorded) = unsealed(store, next).await?
    {
        next += 1;
        found.push(recorded);
    }
    Ok(found)
}

/// Reads the whole trail, segments first, and checks that numbers are dense, each entry names the hash of the one before
/// and the end is the store's newest entry. `dir` is the state directory.
///
/// # Errors
/// [`AuditFault::Broken`] with the first entry that is wrong.
pub async fn verify(store: &dyn Store, dir: &Path) -> Result<Verified, AuditFault> {
    let newest = store.audit_head().await?;
    let mut chain = AuditHead::default();
    let mut segments = 0;
    while let Some(segment) = store.get::<AuditSegment>(&(chain.number + 1)).await? {
        for recorded in segment_entries(dir, &segment).await? {
            follow(&mut chain, &recorded)?;
        }
        if chain.number != segment.last || chain.hash != segment.last_hash {
            return Err(broken(segment.last, format!("{} does not end as its record says", segment.file)));
        }
        segments += 1;
    }
    while let Some(recorded) = unsealed(store, chain.number + 1).await? {
        follow(&mut chain, &recorded)?;
        if chain.number == newest.number && chain.hash != newest.hash {
            return Err(broken(newest.number, "the newest entry is not the one that was written".into()));
        }
    }
    if chain.number < newest.number {
        return Err(broken(chain.number + 1, format!("it is missing, and {} is the newest", newest.number)));
    }
    Ok(Verified { entries: chain.number, segments, head: chain })
}

/// Moves entries older than `before` from the store to a segment file, at most 10,000 at a time; the newest entry stays.
/// `None` if there was nothing to move. The file is durable before the commit that names it and removes the entries.
///
/// # Errors
/// Whatever keeps the entries where they are: an unreadable store, a full disk, a conflict with another call.
pub async fn seal(
    store: &dyn Store,
    dir: &Path,
    before: Timestamp,
    now: Timestamp,
) -> Result<Option<AuditSegment>, AuditFault> {
    let mut first = 1;
    while let Some(segment) = store.get::<AuditSegment>(&first).await? {
        first = segment.last + 1;
    }
    let newest = store.audit_head().await?.number;
    let mut lines = Vec::new();
    let mut changes = Vec::new();
    let mut last: Option<AuditHead> = None;
    for number in first..newest.min(first + SEGMENT_ENTRIES) {
        let Some(read) = store.read(Kind::Audit, &AuditEntry::key(&number)).await? else {
            return Err(broken(number, "it is missing".into()));
        };
        let (version, recorded) = (read.version, parse(number, read.value.get(1..).unwrap_or_default())?);
        if recorded.entry.event.time >= before {
            break;
        }
        changes.push(Change::Remove { kind: Kind::Audit, key: AuditEntry::key(&number), version, was: Vec::new() });
        last = Some(head_of(&recorded));
        lines.extend_from_slice(&recorded.json);
        lines.push(b'\n');
    }
    let Some(AuditHead { number: last, hash: last_hash, time: Some(last_time) }) = last else { return Ok(None) };
    let file = format!("{first:012}.jsonl");
    let sha256 = sha256(&lines);
    write_segment(dir.join("audit"), file.clone(), lines).await?;
    let segment = AuditSegment { first, last, file, sha256, last_hash, last_time, sealed: now };
    let event = Event::done(now, Actor::Server, Act::AuditSealed).with("first", first).with("last", last);
    changes.extend([Change::insert(&segment), Change::Audit(event)]);
    store.commit(changes).await?;
    Ok(Some(segment))
}

async fn write_segment(dir: PathBuf, file: String, lines: Vec<u8>) -> Result<(), AuditFault> {
    let path = dir.join(&file);
    let written = tokio::task::spawn_blocking(move || write_durably(&dir, &file, &lines)).await;
    written.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(|error| AuditFault::File { path, error })
}

async fn unsealed(store: &dyn Store, number: u64) -> Result<Option<Recorded>, AuditFault> {
    let stored = store.read(Kind::Audit, &AuditEntry::key(&number)).await?;
    stored.map(|stored| parse(number, stored.value.get(1..).unwrap_or_default())).transpose()
}

async fn segment_entries(dir: &Path, segment: &AuditSegment) -> Result<Vec<Recorded>, AuditFault> {
    let path = dir.join("audit").join(&segment.file);
    let lines = tokio::fs::read(&path).await.map_err(|error| AuditFault::File { path, error })?;
    if sha256(&lines) != segment.sha256 {
        return Err(broken(segment.first, format!("the file audit/{} was changed", segment.file)));
    }
    let lines = lines.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    lines.zip(segment.first..).map(|(line, number)| parse(number, line)).collect()
}

fn parse(number: u64, json: &[u8]) -> Result<Recorded, AuditFault> {
    let entry: AuditEntry =
        serde_json::from_slice(json).map_err(|e| broken(number, format!("it cannot be read: {e}")))?;
    if entry.number != number {
        return Err(broken(number, format!("it says that its number is {}", entry.number)));
    }
    Ok(Recorded { entry, json: json.to_vec() })
}

/// Lets `recorded` follow on `chain`.
fn follow(chain: &mut AuditHead, recorded: &Recorded) -> Result<(), AuditFault> {
    let number = chain.number + 1;
    if recorded.entry.number != number {
        return Err(broken(number, format!("entry {} follows instead", recorded.entry.number)));
    }
    if recorded.entry.previous != base64url::encode(&chain.hash) {
        return Err(broken(number, "it does not name the hash of the entry before it".into()));
    }
    *chain = head_of(recorded);
    Ok(())
}

fn head_of(recorded: &Recorded) -> AuditHead {
    let entry = &recorded.entry;
    AuditHead { number: entry.number, hash: sha256(&recorded.json), time: Some(entry.event.time) }
}

fn broken(number: u64, what: String) -> AuditFault {
    AuditFault::Broken { number, what }
}

pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    digest.as_ref().try_into().expect("SHA-256 has 32 octets")
}

//! What a commit is made of. Everything that needs the record's type (JSON, index entries) happens here, on the caller's
//! thread; the committer moves bytes.

use super::decoded::Decoded;
use super::index::Entry;
use super::record::{Counter, Kind, Record};
use super::{StoreError, Stored};
use crate::model::audit::Event;

/// A record ready to be written.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: Vec<u8>,
    /// The schema of its bytes.
    pub schema: u8,
    /// Its bytes.
    pub value: Vec<u8>,
    /// The index entries that it shall have.
    pub entries: Vec<Entry>,
}

impl Row {
    /// `record` as a row.
    pub fn of<R: Record>(record: &R) -> Self {
        Row {
            kind: R::KIND,
            key: record.own_key(),
            schema: R::SCHEMA,
            value: record.encode(),
            entries: record.entries(),
        }
    }
}

/// One change of a commit.
#[derive(Debug, Clone)]
pub enum Change {
    /// A record that must not exist yet.
    Insert(Row),
    /// A record that replaces the one read at `version`.
    Replace {
        /// The new record.
        row: Row,
        /// The version that was read.
        version: u64,
        /// The index entries of the record that was read.
        was: Vec<Entry>,
    },
    /// The record read at `version` goes.
    Remove {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: Vec<u8>,
        /// The version that was read.
        version: u64,
        /// Its index entries.
        was: Vec<Entry>,
    },
    /// A record that the decision rests on: still at `version`, or still absent.
    Expect {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: Vec<u8>,
        /// The version that was read; `None` if there was none.
        version: Option<u64>,
    },
    /// A counter moves by `by` and stays within `floor..=ceiling`, or the commit fails.
    Add {
        /// The counter.
        counter: Counter,
        /// By how much.
        by: i64,
        /// The least allowed result.
        floor: i64,
        /// The greatest allowed result.
        ceiling: i64,
    },
    /// An audit entry; the store gives it its number and its link to the one before.
    Audit(Event),
}

impl Change {
    /// Inserts `record`.
    pub fn insert<R: Record>(record: &R) -> Self {
        Change::Insert(Row::of(record))
    }

    /// The row that it writes, if it writes one.
    pub(super) fn row(&self) -> Option<&Row> {
        match self {
            Change::Insert(row) | Change::Replace { row, .. } => Some(row),
            Change::Remove { .. } | Change::Expect { .. } | Change::Add { .. } | Change::Audit(_) => None,
        }
    }

    /// The decision rests on there being no record with this id.
    pub fn expect_absent<R: Record>(id: &R::Id) -> Self {
        Change::Expect { kind: R::KIND, key: R::key(id), version: None }
    }

    /// Adds `by` to `counter`, which may not fall below zero.
    pub fn add(counter: Counter, by: i64) -> Self {
        Change::Add { counter, by, floor: 0, ceiling: i64::MAX }
    }
}

/// A record as it was read: what commits are built from, so that no decision rests on what has changed meanwhile.
#[derive(Debug, Clone)]
pub struct Read<R> {
    /// The record.
    pub record: R,
    version: u64,
}

impl<R> std::ops::Deref for Read<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.record
    }
}

impl<R: Record> Read<R> {
    /// The typed record of a value that is stored under `key`.
    pub(super) fn decode(key: Vec<u8>, stored: &Stored, decoded: &Decoded) -> Result<Self, StoreError> {
        let (schema, value) =
            stored.value.split_first().ok_or_else(|| StoreError::Damaged("an empty record".into()))?;
        let record = R::clone(&*decoded.record(key, *schema, value)?);
        Ok(Read { record, version: stored.version })
    }

    /// The version that was read.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The commit rests on this record being unchanged.
    pub fn expect(&self) -> Change {
        Change::Expect { kind: R::KIND, key: self.record.own_key(), version: Some(self.version) }
    }

    /// `new` takes this record's place.
    pub fn replace(&self, new: &R) -> Change {
        Change::Replace { row: Row::of(new), version: self.version, was: self.record.entries() }
    }

    /// The record goes.
    pub fn remove(&self) -> Change {
        Change::Remove { kind: R::KIND, key: self.record.own_key(), version: self.version, was: self.record.entries() }
    }
}

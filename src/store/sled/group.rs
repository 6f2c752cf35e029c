//! One group of commits, computed before anything is written: each commit is checked against the database and the
//! commits that the group already holds, and joins it whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use sled::IVec;

use super::audit_chain::Head;
use super::handle::{Handle, TreeNumber};
use crate::store::{Change, Conflict, Counter, Entry, Kind, Row};

/// The rows of one tree that a group writes; `None` removes.
pub(super) type Rows = BTreeMap<Vec<u8>, Option<IVec>>;

/// Why a commit does not join the group.
#[derive(Debug)]
pub(super) enum Rejection {
    /// It collides with what is there.
    Conflict(Conflict),
    /// The database could not be read.
    Unreadable(sled::Error),
}

impl From<Conflict> for Rejection {
    fn from(conflict: Conflict) -> Self {
        Rejection::Conflict(conflict)
    }
}

impl From<sled::Error> for Rejection {
    fn from(error: sled::Error) -> Self {
        Rejection::Unreadable(error)
    }
}

/// A group being put together.
pub(super) struct Group<'a> {
    handle: &'a Handle,
    rows: Vec<Rows>,
    head: Head,
    octets: usize,
    undo: Vec<Undo>,
}

/// What a row of the group was before the commit that is being checked: not in the group, or in it with this value.
struct Undo {
    tree: TreeNumber,
    key: Vec<u8>,
    was: Option<Option<IVec>>,
}

impl<'a> Group<'a> {
    /// An empty group on top of what `handle` holds, with `head` as the newest audit entry.
    pub(super) fn new(handle: &'a Handle, head: Head) -> Self {
        Group { handle, rows: vec![Rows::new(); TreeNumber::HOW_MANY], head, octets: 0, undo: Vec::new() }
    }

    /// Lets a commit join, or leaves the group as it was.
    pub(super) fn admit(&mut self, changes: Vec<Change>) -> Result<(), Rejection> {
        let (head, octets) = (self.head.clone(), self.octets);
        let joined = self.carry_out(changes);
        if joined.is_err() {
            self.roll_back();
            (self.head, self.octets) = (head, octets);
        }
        self.undo.clear();
        joined
    }

    /// About how many octets the group writes.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// The rows to write and the newest audit entry after them.
    pub(super) fn into_parts(self) -> (Vec<Rows>, Head) {
        (self.rows, self.head)
    }

    fn carry_out(&mut self, changes: Vec<Change>) -> Result<(), Rejection> {
        // Expectations are about the time before the commit: its own changes do not count.
        for change in &changes {
            if let Change::Expect { kind, key, version } = change {
                self.expect(*kind, key, *version)?;
            }
        }
        changes.into_iter().try_for_each(|change| self.apply(change))
    }

    fn apply(&mut self, change: Change) -> Result<(), Rejection> {
        match change {
            Change::Insert(row) => {
                self.expect(row.kind, &row.key, None)?;
                self.put(row, 1, Vec::new())
            }
            Change::Replace { row, version, was } => {
                self.expect(row.kind, &row.key, Some(version))?;
                self.put(row, version + 1, was)
            }
            Change::Remove { kind, key, version, was } => {
                self.expect(kind, &key, Some(version))?;
                self.set(TreeNumber::kind(kind), key, None);
                was.into_iter().for_each(|entry| self.set(TreeNumber::index(entry.index), entry.key, None));
                Ok(())
            }
            Change::Expect { .. } => Ok(()),
            Change::Add { counter, by, floor, ceiling } => self.add(counter, by, floor, ceiling),
            Change::Audit(event) => {
                let (key, json) = self.head.append(event);
                self.set(TreeNumber::kind(Kind::Audit), key, Some(envelope(1, 1, &json)));
                Ok(())
            }
        }
    }

    fn expect(&self, kind: Kind, key: &[u8], version: Option<u64>) -> Result<(), Rejection> {
        let found = self.current(TreeNumber::kind(kind), key)?.map(|value| split(&value).map(|(version, _)| version));
        if found.transpose()? == version { Ok(()) } else { Err(Conflict::Version(kind).into()) }
    }

    fn put(&mut self, row: Row, version: u64, was: Vec<Entry>) -> Result<(), Rejection> {
        let entries: BTreeSet<Entry> = row.entries.into_iter().collect();
        let was: BTreeSet<Entry> = was.into_iter().collect();
        for gone in was.difference(&entries) {
            self.set(TreeNumber::index(gone.index), gone.key.clone(), None);
        }
        for new in entries.difference(&was) {
            self.enter(new)?;
        }
        self.set(TreeNumber::kind(row.kind), row.key, Some(envelope(version, row.schema, &row.value)));
        Ok(())
    }

    /// Makes an index entry. A unique one must be free, or be this record's already.
    fn enter(&mut self, entry: &Entry) -> Result<(), Rejection> {
        let tree = TreeNumber::index(entry.index);
        let Some(target) = &entry.target else {
            self.set(tree, entry.key.clone(), Some(IVec::default()));
            return Ok(());
        };
        if self.current(tree, &entry.key)?.is_some_and(|holder| holder != *target) {
            return Err(Conflict::Taken(entry.index).into());
        }
        self.set(tree, entry.key.clone(), Some(IVec::from(target.as_slice())));
        Ok(())
    }

    fn add(&mut self, counter: Counter, by: i64, floor: i64, ceiling: i64) -> Result<(), Rejection> {
        let key = counter.key();
        let now = self.current(TreeNumber::COUNTERS, &key)?.map_or(Ok(0), |value| count(&value))?;
        let Some(sum) = now.checked_add(by).filter(|sum| (floor..=ceiling).contains(sum)) else {
            return Err(Conflict::Bound(counter).into());
        };
        // A counter that is not there is zero.
        let value = (sum != 0).then(|| IVec::from(&sum.to_be_bytes()));
        self.set(TreeNumber::COUNTERS, key, value);
        Ok(())
    }

    fn current(&self, tree: TreeNumber, key: &[u8]) -> sled::Result<Option<IVec>> {
        match self.rows[tree.place()].get(key) {
            Some(value) => Ok(value.clone()),
            None => self.handle.get(tree, key),
        }
    }

    fn set(&mut self, tree: TreeNumber, key: Vec<u8>, value: Option<IVec>) {
        self.octets += key.len() + value.as_ref().map_or(0, |value| value.len());
        let was = self.rows[tree.place()].insert(key.clone(), value);
        self.undo.push(Undo { tree, key, was });
    }

    fn roll_back(&mut self) {
        for Undo { tree, key, was } in self.undo.drain(..).rev() {
            match was {
                Some(value) => self.rows[tree.place()].insert(key, value),
                None => self.rows[tree.place()].remove(&key),
            };
        }
    }
}

/// A record's value as sled has it: eight octets of version, one of schema, the record.
fn envelope(version: u64, schema: u8, value: &[u8]) -> IVec {
    let mut octets = Vec::with_capacity(9 + value.len());
    octets.extend_from_slice(&version.to_be_bytes());
    octets.push(schema);
    octets.extend_from_slice(value);
    IVec::from(octets)
}

/// The version of a record's value, and its schema and record.
pub(super) fn split(value: &[u8]) -> sled::Result<(u64, &[u8])> {
    let (version, rest) = value.split_first_chunk().ok_or_else(|| short("a record without a version"))?;
    Ok((u64::from_be_bytes(*version), rest))
}

/// A counter's value.
pub(super) fn count(value: &[u8]) -> sled::Result<i64> {
    value.try_into().map(i64::from_be_bytes).map_err(|_| short("a counter that is not of eight octets"))
}

fn short(what: &str) -> sled::Error {
    sled::Error::ReportableBug(what.to_owned())
}

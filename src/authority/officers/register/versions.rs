//! What is in force of every OID, in short: where it came from and a digest of what it says. Walked through page by page, so
//! that an import reads only the rows that it changes.

use std::collections::HashMap;

use crate::authority::{Authority, Result};
use crate::model::{DIGEST, Register};
use crate::names::UnitOid;
use crate::register::Source;
use crate::store::Range;
use crate::store::index::{Index, UnitVersion};

/// What one OID is in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    generation: u64,
    /// Where it came from.
    pub(super) source: Source,
    /// The digests of its rows, in the order of their parts.
    pub(super) digests: Vec<[u8; DIGEST]>,
}

/// Every OID in force.
#[derive(Debug, Default)]
pub(super) struct Versions(HashMap<UnitOid, Version>);

/// Keys read at once.
const PAGE: usize = 4_096;

impl Versions {
    /// What is in force of this OID.
    pub(super) fn of(&self, oid: &UnitOid) -> Option<&Version> {
        self.0.get(oid)
    }

    /// Whether this OID is known.
    pub(super) fn contains(&self, oid: &UnitOid) -> bool {
        self.0.contains_key(oid)
    }

    /// The OIDs of one register.
    pub(super) fn from(&self, source: Source) -> impl Iterator<Item = &UnitOid> {
        self.0.iter().filter(move |(_, version)| version.source == source).map(|(oid, _)| oid)
    }

    /// The next key in the order of the index.
    fn add(&mut self, found: UnitVersion) {
        let UnitVersion { id: (oid, generation, _), source, digest } = found;
        let newer = Version { generation, source, digests: vec![digest] };
        match self.0.get_mut(&oid) {
            Some(version) if version.generation == generation => version.digests.push(digest),
            Some(version) => *version = newer,
            None => drop(self.0.insert(oid, newer)),
        }
    }
}

impl Authority {
    /// What is in force of every OID.
    pub(super) async fn unit_versions(&self, register: &Register) -> Result<Versions> {
        let mut versions = Versions::default();
        let mut after = None;
        loop {
            let range = Range::of(Index::UnitVersions, [], PAGE).after(after);
            let keys = self.store.list(range).await?;
            let found = keys.iter().filter_map(|key| UnitVersion::of(key));
            found.filter(|found| register.holds(found.id.1)).for_each(|found| versions.add(found));
            match keys.last() {
                Some(last) if keys.len() == PAGE => after = Some(last.clone()),
                _ => return Ok(versions),
            }
        }
    }
}

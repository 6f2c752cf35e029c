//! Brings a store of an older format to the present one, record by record and in place: `sote-acme migrate`. Start with
//! [`migrate`]; a change of a record's shape adds an [`Upgrade`] to [`UPGRADES`] and raises the format.

use std::ops::Bound;
use std::path::Path;

use super::format::{Format, OpenError};
use super::handle::{TreeNumber, unreadable};
use super::{Options, SledStore, group};
use crate::model::audit::{Act, Actor, Event};
use crate::store::{Change, CommitError, Entry, Kind, Row, Store as _, StoreError};
use crate::time::Timestamp;

/// Every upgrade of a record's shape that there ever was. Format 1 is the first one, so there is none yet.
pub const UPGRADES: &[Upgrade] = &[];

/// Records in one commit.
const BATCH: usize = 500;

/// How the records of a kind come from one schema to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upgrade {
    /// The kind. Never [`Kind::Audit`]: its entries are kept as they were written, or their hashes would break.
    pub kind: Kind,
    /// The schema that it takes.
    pub from: u8,
    /// What the record becomes. A pure function; an error tells what is wrong with the record.
    pub upgraded: fn(&[u8]) -> Result<Upgraded, String>,
}

/// A record of the next schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgraded {
    /// Its bytes.
    pub value: Vec<u8>,
    /// Index entries that it no longer has.
    pub gone: Vec<Entry>,
    /// Index entries that it has besides those that stay.
    pub new: Vec<Entry>,
}

/// What a migration has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The format that was there.
    pub from: u32,
    /// The format that is there now.
    pub to: u32,
    /// How many records were written anew by this run.
    pub records: u64,
}

/// Why a store was not migrated, or not to the end. What was upgraded stays so; the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// It cannot be opened, or a newer program made it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] StoreError),
    /// It cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A record that its upgrade does not take.
    #[error("a record of kind {} with schema {schema} cannot be upgraded: {why}", .kind.name())]
    Record {
        /// Its kind.
        kind: Kind,
        /// Its schema.
        schema: u8,
        /// What is wrong with it.
        why: String,
    },
}

/// Upgrades every record of the store in the state directory `dir`, which no other process may hold, in small commits, then
/// writes `format.json`. A run that was broken off is continued by the next one. A store of the present format stays as it
/// is. `upgrades` are [`UPGRADES`], but for tests.
///
/// # Errors
/// See [`MigrationError`]; a store of a newer format is refused untouched.
pub async fn migrate(
    dir: &Path,
    options: Options,
    upgrades: &[Upgrade],
    now: Timestamp,
) -> Result<Migrated, MigrationError> {
    let format = Format::read_old(dir)?;
    let (from, present) = (format.format, format.present());
    if from == present.format {
        return Ok(Migrated { from, to: from, records: 0 });
    }
    let store = SledStore::open_as(format, dir, options)?;
    let mut records = 0;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Audit) {
        if upgrades.iter().any(|upgrade| upgrade.kind == kind) {
            records += upgrade_kind(&store, kind, upgrades).await?;
        }
    }
    let event = Event::done(now, Actor::Server, Act::StoreMigrated).with("from", from).with("to", present.format);
    store.commit(vec![Change::Audit(event)]).await?;
    drop(store);
    present.write(dir)?;
    Ok(Migrated { from, to: present.format, records })
}

async fn upgrade_kind(store: &SledStore, kind: Kind, upgrades: &[Upgrade]) -> Result<u64, MigrationError> {
    let (mut records, mut after) = (0, Bound::Unbounded);
    loop {
        let rows = rows_after(store, kind, after).await?;
        let Some((last, _)) = rows.last() else { return Ok(records) };
        after = Bound::Excluded(last.clone());
        let mut changes = Vec::new();
        for (key, value) in rows {
            changes.extend(replacement(kind, key, &value, upgrades)?);
        }
        records += changes.len() as u64;
        store.commit(changes).await?;
    }
}

/// The next rows of a kind, as sled has them.
async fn rows_after(store: &SledStore, kind: Kind, after: Bound<Vec<u8>>) -> Result<Vec<EnvelopedRow>, StoreError> {
    let handle = store.shared.handle().await?;
    let rows = handle.tree(TreeNumber::kind(kind)).range((after, Bound::Unbounded)).take(BATCH);
    rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(unreadable)).collect()
}

/// A key, and a value with its version and schema.
type EnvelopedRow = (Vec<u8>, Vec<u8>);

/// What brings a record to the newest schema; nothing if it has that already.
fn replacement(kind: Kind, key: Vec<u8>, value: &[u8], upgrades: &[Upgrade]) -> Result<Option<Change>, MigrationError> {
    let (version, rest) = group::split(value).map_err(unreadable)?;
    let (&first, record) = rest.split_first().ok_or_else(|| StoreError::Damaged("an empty record".into()))?;
    let (mut schema, mut sum) = (first, Upgraded { value: record.to_vec(), ..Upgraded::default() });
    while let Some(upgrade) = upgrades.iter().find(|upgrade| upgrade.kind == kind && upgrade.from == schema) {
        let next = (upgrade.upgraded)(&sum.value).map_err(|why| MigrationError::Record { kind, schema, why })?;
        // An entry that an earlier step made and a later one drops never comes to be.
        sum.new.retain(|entry| !next.gone.contains(entry));
        sum.gone.extend(next.gone);
        sum.new.extend(next.new);
        sum.value = next.value;
        schema += 1;
    }
    if schema == first {
        return Ok(None);
    }
    sum.gone.retain(|entry| !sum.new.contains(entry));
    let row = Row { kind, key, schema, value: sum.value, entries: sum.new };
    Ok(Some(Change::Replace { row, version, was: sum.gone }))
}

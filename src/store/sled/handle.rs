//! sled's database, its trees and our own handle on its file: everything that is dropped and opened anew together.
//! sled's `flush` does not make data durable on Linux; [`Handle::sync`] does.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};
use sled::{Db, IVec, Tree};

use super::committer::groups;
use super::format::{OpenError, at, sync_directory};
use super::group::Rows;
use super::survey::{self, Survey};
use super::watermark::{Mark, Watermark};
use crate::store::{Index, Kind, StoreError};

/// A leaf of sled has up to 17 values, and one that is larger than a quarter of a segment becomes a file of its own that
/// sled never syncs: 17 values of 100 KiB stay below a quarter of this. Part of the format: sled refuses another one.
pub(super) const SEGMENT: usize = 8 << 20;

/// The number of a tree: kinds first, then indexes, then the two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TreeNumber(usize);

impl TreeNumber {
    /// Counters.
    pub(super) const COUNTERS: TreeNumber = TreeNumber(Kind::ALL.len() + Index::ALL.len());
    /// What the store keeps of itself.
    pub(super) const OWN: TreeNumber = TreeNumber(Self::COUNTERS.0 + 1);
    /// How many trees there are.
    pub(super) const HOW_MANY: usize = Self::OWN.0 + 1;

    /// The tree of a kind.
    pub(super) const fn kind(kind: Kind) -> Self {
        TreeNumber(kind as usize)
    }

    /// The tree of an index.
    pub(super) const fn index(index: Index) -> Self {
        TreeNumber(Kind::ALL.len() + index as usize)
    }

    /// Its place in a list of all trees.
    pub(super) const fn place(self) -> usize {
        self.0
    }
}

/// The names of all trees, in the order of their numbers.
fn tree_names() -> impl Iterator<Item = String> {
    let kinds = Kind::ALL.iter().map(|kind| format!("kind/{}", kind.name()));
    let indexes = Index::ALL.iter().map(|index| format!("index/{}", index.name()));
    kinds.chain(indexes).chain(["counters".to_owned(), "own".to_owned()])
}

/// An open database.
pub(super) struct Handle {
    trees: Box<[Tree]>,
    db: Db,
    file: File,
    blobs: PathBuf,
    /// How long sled itself took to open.
    pub(super) opened_in: Duration,
}

impl Handle {
    /// Makes the database below the state directory `dir`, where none may be.
    pub(super) fn create(dir: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        Self::open_with_sled(dir, cache_bytes, true)
    }

    /// Opens the database below the state directory `dir`, after a look at it on our own: it must hold what `watermark`
    /// says was answered.
    pub(super) fn open(dir: &Path, cache_bytes: u64, watermark: &Watermark) -> Result<Self, OpenError> {
        let path = dir.join("store");
        let damaged = |what: String| OpenError::Damaged { dir: dir.to_owned(), what };
        if fs::metadata(path.join("db")).map_or(0, |m| m.len()) == 0 {
            return Err(damaged("store/db is missing or empty".into()));
        }
        remove_unfinished_snapshots(&path).map_err(at(&path))?;
        let mark = watermark.read();
        let length = fs::metadata(path.join("db")).map_err(at(&path))?.len();
        let survey = survey::last_group(&path).map_err(at(&path))?;
        match loss(&survey, mark, length) {
            None => {}
            Some(Loss::Certain(what)) => return Err(damaged(what)),
            Some(Loss::Suspected(what)) if !Self::holds_on_a_copy(dir, cache_bytes, mark.group)? => {
                return Err(damaged(what));
            }
            Some(Loss::Suspected(what)) => {
                tracing::warn!(what, "the log looked so, and a copy of it holds everything that was answered");
            }
        }
        // sled writes from here on: a snapshot first, behind which there may be no group.
        watermark.write(Mark { opened: mark.group, length, is_closed: false, ..mark }).map_err(at(dir))?;
        watermark.sync().map_err(at(dir))?;
        Self::open_with_sled(dir, cache_bytes, false)
    }

    /// Whether sled finds group `answered` in a copy of the database: the survey reads the log without all that sled knows
    /// of it, and sled itself may change what it opens.
    fn holds_on_a_copy(dir: &Path, cache_bytes: u64, answered: u64) -> Result<bool, OpenError> {
        let check = dir.join("check");
        let copied = || {
            let _ = fs::remove_dir_all(&check);
            copy_directory(&dir.join("store"), &check.join("store"))
        };
        copied().map_err(at(&check))?;
        // Whatever keeps sled from opening the copy would keep it from opening the database.
        let found = Self::open_with_sled(&check, cache_bytes, false).ok().and_then(|copy| groups(&copy).ok());
        fs::remove_dir_all(&check).map_err(at(&check))?;
        Ok(found.is_some_and(|found| found >= answered))
    }

    fn open_with_sled(dir: &Path, cache_bytes: u64, create: bool) -> Result<Self, OpenError> {
        let path = dir.join("store");
        let begun = std::time::Instant::now();
        let config = sled::Config::new().path(&path).cache_capacity(cache_bytes).segment_size(SEGMENT);
        // The periodic thread is also what reclaims space.
        let config = config.flush_every_ms(Some(500)).create_new(create);
        let (db, trees) = caught(|| {
            let db = config.open()?;
            let trees = tree_names().map(|name| db.open_tree(name)).collect::<sled::Result<Box<[Tree]>>>()?;
            Ok((db, trees))
        })
        .map_err(|error| refusal(dir, error))?;
        let opened_in = begun.elapsed();
        let file = File::options().read(true).write(true).open(path.join("db")).map_err(at(&path))?;
        let handle = Handle { trees, db, file, blobs: path.join("blobs"), opened_in };
        restrict(&path)
            .and_then(|()| handle.file.sync_all())
            .and_then(|()| sync_directory(&path))
            .map_err(at(&path))?;
        Ok(handle)
    }

    /// A row's value.
    pub(super) fn get(&self, tree: TreeNumber, key: &[u8]) -> sled::Result<Option<IVec>> {
        self.trees[tree.0].get(key)
    }

    /// A tree, for ranges.
    pub(super) fn tree(&self, tree: TreeNumber) -> &Tree {
        &self.trees[tree.0]
    }

    /// Writes all rows or none. They can be seen at once and are durable after [`Handle::sync`].
    pub(super) fn write(&self, rows: &[Rows]) -> sled::Result<()> {
        let touched: Vec<(&Tree, &Rows)> = self.trees.iter().zip(rows).filter(|(_, rows)| !rows.is_empty()).collect();
        let trees: Vec<&Tree> = touched.iter().map(|(tree, _)| *tree).collect();
        // Nothing but the given views may be touched in here: any other call to sled waits for this one for ever.
        let written = trees.as_slice().transaction(|views| {
            for (view, (_, rows)) in views.iter().zip(&touched) {
                for (key, value) in rows.iter() {
                    match value {
                        Some(value) => view.insert(key.as_slice(), value.clone())?,
                        None => view.remove(key.as_slice())?,
                    };
                }
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        });
        match written {
            Ok(()) => Ok(()),
            Err(TransactionError::Storage(error)) => Err(error),
            Err(TransactionError::Abort(())) => Err(sled::Error::ReportableBug("a transaction stopped itself".into())),
        }
    }

    /// Makes everything that was written durable.
    pub(super) fn sync(&self) -> sled::Result<()> {
        self.db.flush()?;
        self.file.sync_data()?;
        self.sync_blobs()?;
        Ok(())
    }

    /// Syncs what sled has put into files of its own. By the segment's size there is never one; if there is one all the
    /// same, it must not be the one thing that is not durable.
    fn sync_blobs(&self) -> io::Result<()> {
        let mut found = false;
        for entry in fs::read_dir(&self.blobs)? {
            File::open(entry?.path())?.sync_all()?;
            found = true;
        }
        if found { sync_directory(&self.blobs) } else { Ok(()) }
    }

    /// The length of sled's file.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// The octets that sled takes on disk.
    pub(super) fn octets_on_disk(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }
}

/// That something which was answered is missing in a log.
enum Loss {
    /// Something is damaged or cut off.
    Certain(String),
    /// The survey did not find the last group; sled may know where it is.
    Suspected(String),
}

/// What is missing in a log, if anything that was answered is.
fn loss(survey: &Survey, mark: Mark, length: u64) -> Option<Loss> {
    // While it is open, sled gives whole segments at the end of the file back.
    let is_cut = length < mark.length && !length.is_multiple_of(SEGMENT as u64);
    if is_cut || (mark.is_closed && length != mark.length) {
        let what = format!("store/db has {length} octets, and {} when it was last written", mark.length);
        return Some(Loss::Certain(what));
    }
    if let Some(damage) = &survey.damage {
        return Some(Loss::Certain(damage.clone()));
    }
    match survey.last_group {
        Some(group) if group < mark.group => Some(Loss::Suspected(missing(group, mark.group))),
        None if mark.opened < mark.group => Some(Loss::Suspected(missing(mark.opened, mark.group))),
        Some(_) | None => None,
    }
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// How missing commits are told.
pub(super) fn missing(group: u64, answered: u64) -> String {
    format!("acknowledged commits are missing: it ends with group {group}, and group {answered} was answered")
}

/// `open`, with a panic inside sled (it checks some of what it reads by assertions) made an error.
fn caught<T>(open: impl FnOnce() -> sled::Result<T>) -> sled::Result<T> {
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(sled::Error::ReportableBug(text.unwrap_or("it stopped without a text").to_owned()))
    })
}

/// A process that was killed while sled wrote a snapshot leaves a half one, and sled would take it for the newest.
fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %name, "removing a snapshot that was not finished when the process ended");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn restrict(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let mode = if entry.file_type()?.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn refusal(dir: &Path, error: sled::Error) -> OpenError {
    let damaged = |what: String| OpenError::Damaged { dir: dir.to_owned(), what };
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            OpenError::InUse { dir: dir.to_owned(), pid: None }
        }
        sled::Error::Io(error) => OpenError::Io { path: dir.join("store"), error },
        sled::Error::Corruption { at, .. } => {
            let place = at.map_or_else(|| "in a snapshot file (store/snap.*)".to_owned(), |at| format!("at {at:?}"));
            damaged(format!("sled finds corruption {place}"))
        }
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) | sled::Error::ReportableBug(_) => {
            damaged(error.to_string())
        }
    }
}

/// What a failed read means to a caller.
pub(super) fn unreadable(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => StoreError::Unavailable(error.to_string()),
        sled::Error::Corruption { .. }
        | sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => StoreError::Damaged(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tree_has_its_own_number_and_name() {
        let kinds = Kind::ALL.iter().map(|kind| TreeNumber::kind(*kind));
        let indexes = Index::ALL.iter().map(|index| TreeNumber::index(*index));
        let numbers: Vec<usize> =
            kinds.chain(indexes).chain([TreeNumber::COUNTERS, TreeNumber::OWN]).map(TreeNumber::place).collect();
        assert_eq!(numbers, (0..TreeNumber::HOW_MANY).collect::<Vec<_>>());
        let names: std::collections::BTreeSet<String> = tree_names().collect();
        assert_eq!(names.len(), TreeNumber::HOW_MANY);
    }

    #[test]
    fn a_snapshot_that_was_not_finished_is_removed_before_sled_sees_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        drop(Handle::create(dir.path(), 1 << 20).unwrap());
        fs::write(dir.path().join("store/snap.FFFFFFFFFFFFFFFF.generating"), b"half").unwrap();
        Handle::open(dir.path(), 1 << 20, &Watermark::open(dir.path()).unwrap()).unwrap();
    }
}

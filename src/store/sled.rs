//! The store in sled, the embedded default. Callers read on their own thread; one committer thread writes. Start with
//! [`SledStore::open`], then `committer.rs` for how a commit becomes durable and what happens when the disk is full.

mod audit_chain;
mod committer;
mod durable;
mod format;
mod group;
mod handle;
pub mod migration;
mod survey;
mod watermark;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use format::write_durably;
pub use format::{Format, OpenError, holder};

use self::audit_chain::Head;
use self::committer::{Committer, Request};
use self::durable::Durable;
use self::format::{Lock, make_directory};
use self::group::Rows;
use self::handle::{Handle, TreeNumber, missing, unreadable};
use self::watermark::Watermark;
use super::audit::AuditHead;
use super::subscription::Subscribers;
use super::{
    Change, CommitError, Counter, Decoded, Index, Kind, Pending, Range, Row, Store, StoreError, Stored, Subscription,
    Topic,
};
use crate::model::audit::{Act, Actor, Event};
use crate::time::Timestamp;

/// The greatest record, in octets. Larger things are files that a record names.
pub const GREATEST_RECORD: usize = 100 << 10;

/// So many commits wait for the committer before callers wait to hand theirs over.
const QUEUE: usize = 4096;

/// How a store is held open.
#[derive(Debug, Clone)]
pub struct Options {
    /// What sled's page cache may hold, in octets. The process takes up to six times as much.
    pub cache_bytes: u64,
    /// Commits are refused while the disk has less room than this, in octets: reopening after a failure needs some.
    pub reserve_bytes: u64,
    /// The most commits in one group.
    pub group_commits: usize,
    /// A group takes no further commit once it has so many octets.
    pub group_octets: usize,
    /// Once sled would have to read so many octets of its log at the next opening, it is opened anew. Reads and commits
    /// wait for that, some seconds.
    pub renewal_octets: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 24 << 20,
            reserve_bytes: 64 << 20,
            group_commits: 512,
            group_octets: 4 << 20,
            renewal_octets: 1 << 30,
        }
    }
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Commits that became durable.
    pub commits: u64,
    /// Groups in which they did: each was one transaction and one sync.
    pub groups: u64,
    /// The most commits in one group.
    pub largest_group: u64,
    /// Commits that collided with something.
    pub conflicts: u64,
    /// Writes or syncs that failed.
    pub failures: u64,
    /// How often sled was opened anew because its log had grown.
    pub renewals: u64,
    /// How long sled took to open, the last time.
    pub sled_opened_in: Duration,
    /// How long everything else took at opening.
    pub own_opened_in: Duration,
    /// The octets that sled takes on disk.
    pub octets_on_disk: u64,
    /// The octets of keys and values that were written.
    pub octets_written: u64,
}

#[derive(Debug, Default)]
struct Counts {
    commits: AtomicU64,
    groups: AtomicU64,
    largest_group: AtomicU64,
    conflicts: AtomicU64,
    failures: AtomicU64,
    renewals: AtomicU64,
    octets: AtomicU64,
}

/// What the committer and the readers share.
struct Shared {
    /// The open database; nothing after a failure or during a renewal, until it is open again.
    handle: ArcSwapOption<Handle>,
    /// Whether it is being closed and opened in good order, for which readers wait.
    renewal: watch::Sender<bool>,
    durable: Durable,
    head: Mutex<AuditHead>,
    subscribers: Arc<Subscribers>,
    decoded: Decoded,
    statistics: Counts,
}

impl Shared {
    async fn handle(&self) -> Result<Arc<Handle>, StoreError> {
        if let Some(handle) = self.handle.load_full() {
            return Ok(handle);
        }
        let _ = self.renewal.subscribe().wait_for(|renewing| !renewing).await;
        let closed = || StoreError::Unavailable("it is being reopened after a failed write".into());
        self.handle.load_full().ok_or_else(closed)
    }

    /// A group that wrote `rows` is durable: readers may go on, and whoever waits for one of them.
    fn advance(&self, head: &Head, commits: usize, octets: usize, rows: &[Rows]) {
        let counts = &self.statistics;
        counts.commits.fetch_add(commits as u64, Ordering::Relaxed);
        counts.groups.fetch_add(1, Ordering::Relaxed);
        counts.largest_group.fetch_max(commits as u64, Ordering::Relaxed);
        counts.octets.fetch_add(octets as u64, Ordering::Relaxed);
        self.show(head);
        self.durable.synced();
        self.subscribers.wake(|topic| concerns(rows, topic));
    }

    /// The database is given up: nobody reads from it any more, and readers who wait for its syncs fail.
    fn fail(&self) {
        if self.handle.swap(None).is_some() {
            self.statistics.failures.fetch_add(1, Ordering::Relaxed);
            self.durable.failed();
        }
    }

    /// Closes the database once no reader holds it any more. False if there is none, or if that takes unusually long: then
    /// the last reader closes it.
    fn release(&self) -> bool {
        let Some(mut handle) = self.handle.swap(None) else { return false };
        for _ in 0..10_000 {
            match Arc::try_unwrap(handle) {
                Ok(_) => return true,
                Err(shared) => handle = shared,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    fn reopened(&self, handle: Handle, head: &Head) {
        self.show(head);
        self.handle.store(Some(Arc::new(handle)));
        // What was kept of the failed group may be news to anyone.
        self.subscribers.wake(|_| true);
    }

    fn show(&self, head: &Head) {
        *self.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = head.shown();
    }
}

/// The store in sled.
pub struct SledStore {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Request>>,
    committer: Option<JoinHandle<()>>,
    format: Format,
    own_opened_in: Duration,
    dir: PathBuf,
    _lock: Lock,
}

impl SledStore {
    /// Makes a store in the state directory `dir`, which is made too (0700) if it is not there, and opens it. Its first
    /// audit entry is that it was made.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is a store or part of one; nothing is overwritten.
    pub fn create(dir: &Path, options: Options, now: Timestamp) -> Result<Self, OpenError> {
        make_directory(dir)?;
        let lock = Lock::take(dir)?;
        if dir.join("format.json").exists() || dir.join("store").exists() {
            return Err(OpenError::Exists(dir.to_owned()));
        }
        for part in ["store", "crl", "audit"] {
            make_directory(&dir.join(part))?;
        }
        let format = Format::new(now);
        let handle = Handle::create(dir, options.cache_bytes)?;
        write_first_rows(&handle, &format, now).map_err(|e| damaged(dir, e))?;
        format.write(dir)?;
        let watermark = Watermark::open(dir).map_err(format::at(dir))?;
        Self::start(dir, options, format, handle, watermark, lock)
    }

    /// Opens the store in the state directory `dir`. Blocks for as long as sled needs, which grows with the data.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_as(Format::read(dir)?, dir, options)
    }

    /// [`SledStore::open`], whatever its `format` is.
    fn open_as(format: Format, dir: &Path, options: Options) -> Result<Self, OpenError> {
        let begun = Instant::now();
        let lock = Lock::take(dir)?;
        let watermark = Watermark::open(dir).map_err(format::at(dir))?;
        let handle = Handle::open(dir, options.cache_bytes, &watermark)?;
        let held = handle.get(TreeNumber::OWN, b"store").map_err(|e| damaged(dir, e))?;
        if held.as_deref() != Some(format.store.as_bytes()) {
            let what = "store/db does not belong to format.json (another store's id, or none)".to_owned();
            return Err(OpenError::Damaged { dir: dir.to_owned(), what });
        }
        let opened_by_sled = handle.opened_in;
        let mut store = Self::start(dir, options, format, handle, watermark, lock)?;
        store.own_opened_in = begun.elapsed().saturating_sub(opened_by_sled);
        Ok(store)
    }

    fn start(
        dir: &Path,
        options: Options,
        format: Format,
        handle: Handle,
        watermark: Watermark,
        lock: Lock,
    ) -> Result<Self, OpenError> {
        let head = committer::newest(&handle).map_err(|e| damaged(dir, e))?;
        let groups = committer::groups(&handle).map_err(|e| damaged(dir, e))?;
        let answered = watermark.read().group;
        if groups < answered {
            return Err(OpenError::Damaged { dir: dir.to_owned(), what: missing(groups, answered) });
        }
        let shared = Arc::new(Shared {
            handle: ArcSwapOption::from_pointee(handle),
            renewal: watch::Sender::new(false),
            durable: Durable::new(),
            head: Mutex::new(head.shown()),
            subscribers: Arc::default(),
            decoded: Decoded::default(),
            statistics: Counts::default(),
        });
        let (queue, requests) = mpsc::channel(QUEUE);
        let committer = Committer {
            dir: dir.to_owned(),
            options,
            shared: shared.clone(),
            watermark,
            head,
            together: 0,
            groups,
            opened: groups,
            unweighed: 0,
        };
        let thread = std::thread::Builder::new().name("committer".into()).spawn(move || committer.run(requests));
        Ok(SledStore {
            shared,
            queue: Some(queue),
            committer: Some(thread.map_err(format::at(dir))?),
            format,
            own_opened_in: Duration::ZERO,
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// What `format.json` says of the store.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the store has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        let counts = &self.shared.statistics;
        let handle = self.shared.handle.load();
        Statistics {
            commits: counts.commits.load(Ordering::Relaxed),
            groups: counts.groups.load(Ordering::Relaxed),
            largest_group: counts.largest_group.load(Ordering::Relaxed),
            conflicts: counts.conflicts.load(Ordering::Relaxed),
            failures: counts.failures.load(Ordering::Relaxed),
            renewals: counts.renewals.load(Ordering::Relaxed),
            sled_opened_in: handle.as_ref().map_or(Duration::ZERO, |handle| handle.opened_in),
            own_opened_in: self.own_opened_in,
            octets_on_disk: handle.as_ref().map_or(0, |handle| handle.octets_on_disk()),
            octets_written: counts.octets.load(Ordering::Relaxed),
        }
    }

    async fn read_now(&self, kind: Kind, key: &[u8]) -> Result<Option<Stored>, StoreError> {
        let value = self.shared.handle().await?.get(TreeNumber::kind(kind), key).map_err(unreadable)?;
        let Some(value) = value else { return Ok(None) };
        let (version, value) = group::split(&value).map_err(unreadable)?;
        Ok(Some(Stored { value: value.to_vec(), version }))
    }

    async fn find_now(&self, index: Index, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.shared.handle().await?.get(TreeNumber::index(index), key).map_err(unreadable)?;
        Ok(found.map(|key| key.to_vec()))
    }

    async fn list_now(&self, range: &Range) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some((from, to)) = bounds(range) else { return Ok(Vec::new()) };
        let handle = self.shared.handle().await?;
        let rest = |key: sled::Result<sled::IVec>| Ok(key.map_err(unreadable)?[range.prefix.len()..].to_vec());
        handle.tree(TreeNumber::index(range.index)).range((from, to)).keys().take(range.limit).map(rest).collect()
    }

    async fn count_now(&self, counter: &Counter) -> Result<i64, StoreError> {
        let value = self.shared.handle().await?.get(TreeNumber::COUNTERS, &counter.key()).map_err(unreadable)?;
        value.map_or(Ok(0), |value| group::count(&value)).map_err(unreadable)
    }
}

impl Store for SledStore {
    fn read<'a>(&'a self, kind: Kind, key: &'a [u8]) -> Pending<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(self.read_now(kind, key))
    }

    fn find<'a>(&'a self, index: Index, key: &'a [u8]) -> Pending<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.find_now(index, key))
    }

    fn list(&self, range: Range) -> Pending<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async move { self.list_now(&range).await })
    }

    fn count(&self, counter: Counter) -> Pending<'_, Result<i64, StoreError>> {
        Box::pin(async move { self.count_now(&counter).await })
    }

    fn audit_head(&self) -> Pending<'_, Result<AuditHead, StoreError>> {
        Box::pin(async move {
            self.shared.handle().await?;
            Ok(self.shared.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone())
        })
    }

    fn commit(&self, changes: Vec<Change>) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(async move {
            if changes.is_empty() {
                return Ok(());
            }
            changes.iter().filter_map(Change::row).try_for_each(fits)?;
            let stopped = || CommitError::Unavailable("the store has stopped".into());
            let (answer, answered) = oneshot::channel();
            let queue = self.queue.as_ref().ok_or_else(stopped)?;
            queue.send(Request { changes, answer }).await.map_err(|_| stopped())?;
            answered.await.unwrap_or_else(|_| Err(CommitError::Unknown("the committer ended without an answer".into())))
        })
    }

    fn generation(&self) -> u64 {
        self.shared.durable.generation()
    }

    fn settled_since(&self, generation: u64) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.shared.durable.settled(generation))
    }

    fn subscribe(&self, topic: Topic) -> Subscription {
        self.shared.subscribers.subscribe(topic)
    }

    fn decoded(&self) -> &Decoded {
        &self.shared.decoded
    }
}

impl Drop for SledStore {
    /// Lets the committer finish what was handed over, and closes sled. Blocks for as long as that takes.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(committer) = self.committer.take() {
            let _ = committer.join();
        }
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// What belongs to a store from its first moment: its id, and the audit entry that begins the chain.
fn write_first_rows(handle: &Handle, format: &Format, now: Timestamp) -> sled::Result<()> {
    let made = Event::done(now, Actor::Server, Act::StoreCreated).on("store", &format.store);
    let mut group = group::Group::new(handle, Head::default());
    let _ = group.admit(vec![Change::Audit(made)]);
    let (mut rows, _) = group.into_parts();
    rows[TreeNumber::OWN.place()].insert(b"store".to_vec(), Some(sled::IVec::from(format.store.as_bytes())));
    handle.write(&rows)?;
    handle.sync()
}

/// The bounds of the whole keys within `range`; `None` if nothing can lie between them.
fn bounds(range: &Range) -> Option<WholeKeys> {
    let whole = |rest: &[u8]| [range.prefix.as_slice(), rest].concat();
    let from = match &range.after {
        Some(cursor) => Bound::Excluded(whole(cursor)),
        None => Bound::Included(range.prefix.clone()),
    };
    let to = match &range.below {
        Some(bound) => Bound::Excluded(whole(bound)),
        None => successor(&range.prefix).map_or(Bound::Unbounded, Bound::Excluded),
    };
    let empty = match (&from, &to) {
        (Bound::Included(from), Bound::Excluded(to)) | (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
        _ => false,
    };
    (!empty && range.limit > 0).then_some((from, to))
}

/// A range of whole keys, as sled takes it.
type WholeKeys = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The least key that is greater than every key which begins with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|octet| *octet != u8::MAX)?;
    let mut successor = prefix[..=last].to_vec();
    successor[last] += 1;
    Some(successor)
}

/// Whether a group that wrote `rows` changes what `topic` is about.
fn concerns(rows: &[Rows], topic: &Topic) -> bool {
    let of = |tree: TreeNumber| &rows[tree.place()];
    match topic {
        Topic::Entries(indexes) => {
            indexes.iter().any(|index| of(TreeNumber::index(*index)).values().any(Option::is_some))
        }
        Topic::Record(kind, key) => of(TreeNumber::kind(*kind)).contains_key(key),
    }
}

/// Refuses a record that is too large for sled's log.
fn fits(row: &Row) -> Result<(), CommitError> {
    if row.value.len() <= GREATEST_RECORD {
        return Ok(());
    }
    Err(CommitError::TooLarge { kind: row.kind, octets: row.value.len() })
}

/// The octets that the disk below `dir` has left.
fn free_octets(dir: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn damaged(dir: &Path, error: sled::Error) -> OpenError {
    OpenError::Damaged { dir: dir.to_owned(), what: error.to_string() }
}

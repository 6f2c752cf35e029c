//! Remembers. One trait, [`Store`]: reads by key and by index, and a single write, [`Store::commit`], which is all or
//! nothing and on disk when it returns. It decides nothing: rules are in `model/`, decisions in `authority/`.
//! Start with [`Change`] for what a commit is made of, then [`sled`] for how it becomes durable.

pub mod audit;
mod change;
mod decoded;
pub mod failing;
pub mod index;
mod record;
pub mod sled;
mod subscription;

use std::future::Future;
use std::pin::Pin;

use audit::AuditHead;
pub use change::{Change, Read, Row};
pub use decoded::Decoded;
pub use index::{Entry, Index, Indexed};
pub use record::{Counter, Kind, Record};
pub use sled::SledStore;
pub(crate) use sled::write_durably;
pub use subscription::{Subscription, Topic};

/// A boxed future, so that [`Store`] can be a trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stored value with the version that the commit which wrote it gave it. Versions of one key ascend from 1 and are
/// never reused while the record exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// One octet of schema version, then the record's bytes.
    pub value: Vec<u8>,
    /// Its version.
    pub version: u64,
}

/// Which part of an index to read.
#[derive(Debug, Clone)]
pub struct Range {
    /// The index.
    pub index: Index,
    /// What every key must begin with; the rest of the key is what comes back.
    pub prefix: Vec<u8>,
    /// Only entries whose rest is greater than this one: a page's cursor.
    pub after: Option<Vec<u8>>,
    /// Only entries whose rest is less than this one: `due before now`.
    pub below: Option<Vec<u8>>,
    /// At most so many.
    pub limit: usize,
}

impl Range {
    /// The first `limit` entries of `index` that begin with `prefix`.
    pub fn of(index: Index, prefix: impl Into<Vec<u8>>, limit: usize) -> Self {
        Range { index, prefix: prefix.into(), after: None, below: None, limit }
    }

    /// The same range, continued after `cursor`.
    pub fn after(mut self, cursor: Option<Vec<u8>>) -> Self {
        self.after = cursor;
        self
    }

    /// The same range, ended before `bound`.
    pub fn below(mut self, bound: impl Into<Vec<u8>>) -> Self {
        self.below = Some(bound.into());
        self
    }
}

/// Why a read failed. Nothing that was acknowledged is lost by it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or the store is being reopened after a failure: try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A record cannot be read: damage, or a newer version's record.
    #[error("the store holds something unreadable: {0}")]
    Damaged(String),
}

/// Why a commit did not happen, or may not have.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Something has changed since it was read: read again and decide again.
    #[error("conflict: {0}")]
    Conflict(Conflict),
    /// Nothing was written: there is no room, or the store is being reopened. Try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The write or its sync failed: the commit may or may not be found later. Only reading tells.
    #[error("it is unknown whether the commit was kept: {0}")]
    Unknown(String),
    /// A record is larger than the store takes (100 KiB): it can never be written. A fault of the caller.
    #[error("a {kind:?} of {octets} octets is too large for the store")]
    TooLarge {
        /// The record's kind.
        kind: Kind,
        /// Its size.
        octets: usize,
    },
}

/// What a commit collided with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A record is not at the version that the commit was computed from.
    #[error("a {0:?} has changed")]
    Version(Kind),
    /// A unique index entry belongs to another record.
    #[error("{0:?} is taken")]
    Taken(Index),
    /// A counter would leave its bounds.
    #[error("{0:?} has reached its bound")]
    Bound(Counter),
}

/// Keeps records. Implementations promise: a commit is seen whole or not at all; when `commit` answers `Ok`, it
/// survives a power cut; audit entries in one commit follow each other in the chain; reads see every commit that was
/// answered before they began.
pub trait Store: Send + Sync + 'static {
    /// The record of `kind` under `key`.
    fn read<'a>(&'a self, kind: Kind, key: &'a [u8]) -> Pending<'a, Result<Option<Stored>, StoreError>>;

    /// The key of the record that a unique index names.
    fn find<'a>(&'a self, index: Index, key: &'a [u8]) -> Pending<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// The rests of the keys of a listing index within `range`, ascending.
    fn list(&self, range: Range) -> Pending<'_, Result<Vec<Vec<u8>>, StoreError>>;

    /// A counter's value; zero if it was never added to.
    fn count(&self, counter: Counter) -> Pending<'_, Result<i64, StoreError>>;

    /// Carries out all changes or none. Durable when it returns `Ok`.
    fn commit(&self, changes: Vec<Change>) -> Pending<'_, Result<(), CommitError>>;

    /// The newest audit entry: its number, hash and time.
    fn audit_head(&self) -> Pending<'_, Result<AuditHead, StoreError>>;

    /// Which life of the store this is: it changes whenever something that could already be read may have been lost (a
    /// write failed). To be asked before a reply's first read.
    fn generation(&self) -> u64;

    /// Waits until everything that any read so far could have seen is durable, and fails if any of it may have been lost
    /// since `generation` was asked. No reply leaves before this. At rest there is nothing to wait for.
    fn settled_since(&self, generation: u64) -> Pending<'_, Result<(), StoreError>>;

    /// [`Store::settled_since`] now: right only where nothing was read before the last failure, as in the worker's loop.
    fn settled(&self) -> Pending<'_, Result<(), StoreError>> {
        self.settled_since(self.generation())
    }

    /// Wakes whenever a commit that concerns `topic` has become durable.
    fn subscribe(&self, topic: Topic) -> Subscription;

    /// The records that need not be decoded again.
    fn decoded(&self) -> &Decoded;
}

impl dyn Store {
    /// The record with this id, typed.
    pub async fn get<R: Record>(&self, id: &R::Id) -> Result<Option<Read<R>>, StoreError> {
        self.at(R::key(id)).await
    }

    /// The record that a unique index names, typed.
    pub async fn lookup<R: Record>(&self, index: Index, key: &[u8]) -> Result<Option<Read<R>>, StoreError> {
        let Some(found) = self.find(index, key).await? else { return Ok(None) };
        self.at(found).await
    }

    async fn at<R: Record>(&self, key: Vec<u8>) -> Result<Option<Read<R>>, StoreError> {
        match self.read(R::KIND, &key).await? {
            Some(stored) => Read::decode(key, &stored, self.decoded()).map(Some),
            None => Ok(None),
        }
    }
}

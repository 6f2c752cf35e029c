//! A store that fails on purpose, for tests: the n-th commit fails before it is kept, or is kept and fails after. What a
//! crash at that moment would leave is what the store then holds. Production code never makes one.
#![doc(hidden)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::audit::AuditHead;
use super::{
    Change, CommitError, Counter, Decoded, Index, Kind, Pending, Range, Store, StoreError, Stored, Subscription, Topic,
};

/// At which commit, counted from 1, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The commit is not kept and answers `Unavailable`.
    Before(u64),
    /// The commit is not kept and answers `Unknown`: a sync that failed.
    Lost(u64),
    /// The commit is kept, yet answers `Unknown`.
    After(u64),
}

/// A store around another.
pub struct FailingStore {
    inner: Arc<dyn Store>,
    failure: Failure,
    commits: AtomicU64,
    ended: std::sync::atomic::AtomicBool,
    stays_down: bool,
}

impl FailingStore {
    /// `inner`, with one commit that fails and all others as they are.
    pub fn once(inner: Arc<dyn Store>, failure: Failure) -> Self {
        FailingStore { inner, failure, commits: AtomicU64::new(0), ended: false.into(), stays_down: false }
    }

    /// `inner`, with everything failing from that commit on: a process that ended there.
    pub fn for_good(inner: Arc<dyn Store>, failure: Failure) -> Self {
        FailingStore { stays_down: true, ..Self::once(inner, failure) }
    }

    /// How many commits were asked for, the failed one included.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Whether the failure has happened.
    pub fn has_failed(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.stays_down && self.has_failed() {
            return Err(StoreError::Unavailable("it has failed on purpose".into()));
        }
        Ok(())
    }

    async fn commit_or_fail(&self, changes: Vec<Change>) -> Result<(), CommitError> {
        self.up().map_err(|e| CommitError::Unavailable(e.to_string()))?;
        let number = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        let on_purpose = || format!("commit {number} fails on purpose");
        match self.failure {
            Failure::Before(n) if n == number => {
                self.ended.store(true, Ordering::SeqCst);
                Err(CommitError::Unavailable(on_purpose()))
            }
            Failure::Lost(n) if n == number => {
                self.ended.store(true, Ordering::SeqCst);
                Err(CommitError::Unknown(on_purpose()))
            }
            Failure::After(n) if n == number => {
                let kept = self.inner.commit(changes).await;
                self.ended.store(true, Ordering::SeqCst);
                kept.and_then(|()| Err(CommitError::Unknown(on_purpose())))
            }
            Failure::Before(_) | Failure::Lost(_) | Failure::After(_) => self.inner.commit(changes).await,
        }
    }
}

impl Store for FailingStore {
    fn read<'a>(&'a self, kind: Kind, key: &'a [u8]) -> Pending<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            self.up()?;
            self.inner.read(kind, key).await
        })
    }

    fn find<'a>(&'a self, index: Index, key: &'a [u8]) -> Pending<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            self.up()?;
            self.inner.find(index, key).await
        })
    }

    fn list(&self, range: Range) -> Pending<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            self.up()?;
            self.inner.list(range).await
        })
    }

    fn count(&self, counter: Counter) -> Pending<'_, Result<i64, StoreError>> {
        Box::pin(async move {
            self.up()?;
            self.inner.count(counter).await
        })
    }

    fn audit_head(&self) -> Pending<'_, Result<AuditHead, StoreError>> {
        Box::pin(async move {
            self.up()?;
            self.inner.audit_head().await
        })
    }

    fn commit(&self, changes: Vec<Change>) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(self.commit_or_fail(changes))
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    fn settled_since(&self, generation: u64) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.up()?;
            self.inner.settled_since(generation).await
        })
    }

    fn subscribe(&self, topic: Topic) -> Subscription {
        self.inner.subscribe(topic)
    }

    fn decoded(&self) -> &Decoded {
        self.inner.decoded()
    }
}

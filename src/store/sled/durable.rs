//! How far commits are on disk. A group raises `started` before its first write can be seen and `synced` after its sync;
//! whoever has read waits until everything that it may have seen is synced.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::store::StoreError;

/// The two counters, and the generation of the handle that they count for.
#[derive(Debug)]
pub(super) struct Durable {
    started: AtomicU64,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    synced: u64,
    generation: u64,
}

impl Durable {
    /// At rest.
    pub(super) fn new() -> Self {
        Durable { started: AtomicU64::new(0), progress: watch::Sender::new(Progress { synced: 0, generation: 1 }) }
    }

    /// A group is about to be written. To be called before anyone can see its first row.
    pub(super) fn start(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    /// The group is on disk.
    pub(super) fn synced(&self) {
        let started = self.started.load(Ordering::SeqCst);
        self.progress.send_modify(|progress| progress.synced = started);
    }

    /// The group may be lost: whatever was read in this generation may never have been.
    pub(super) fn failed(&self) {
        let started = self.started.load(Ordering::SeqCst);
        self.progress.send_modify(|progress| {
            *progress = Progress { synced: started, generation: progress.generation + 1 };
        });
    }

    /// The present generation.
    pub(super) fn generation(&self) -> u64 {
        self.progress.borrow().generation
    }

    /// Waits until everything that was started before this call is synced. Fails if anything was lost since `generation`.
    pub(super) async fn settled(&self, generation: u64) -> Result<(), StoreError> {
        let started = self.started.load(Ordering::SeqCst);
        let reached = |progress: &Progress| progress.generation != generation || progress.synced >= started;
        let now = *self.progress.borrow();
        let progress = if reached(&now) {
            now
        } else {
            let mut receiver = self.progress.subscribe();
            let gone = |_| StoreError::Unavailable("the store has stopped".into());
            *receiver.wait_for(reached).await.map_err(gone)?
        };
        if progress.generation == generation {
            return Ok(());
        }
        Err(StoreError::Unavailable("a write failed after this was read".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn at_rest_there_is_nothing_to_wait_for() {
        assert!(Durable::new().settled(1).await.is_ok());
    }

    #[tokio::test]
    async fn a_reader_waits_for_the_group_that_it_may_have_seen() {
        let durable = Arc::new(Durable::new());
        durable.start();
        let waiting = tokio::spawn({
            let durable = durable.clone();
            async move { durable.settled(1).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        durable.synced();
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_failed_group_fails_its_readers_and_nobody_later() {
        let durable = Durable::new();
        durable.start();
        let read_in = durable.generation();
        durable.failed();
        assert!(durable.settled(read_in).await.is_err());
        assert!(durable.settled(durable.generation()).await.is_ok());
    }
}

//! Who waits for what to change: a commit wakes those whom it concerns, and nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Index, Kind};

/// What a subscriber waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// That something is entered in one of these indexes.
    Entries(&'static [Index]),
    /// That the record of this kind under this key is written or removed.
    Record(Kind, Vec<u8>),
}

/// Everyone who waits.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    subscribers: HashMap<u64, (Topic, Arc<Notify>)>,
}

/// A place among those who wait; it ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    number: u64,
    woken: Arc<Notify>,
    all: Arc<Subscribers>,
}

impl Subscribers {
    /// A new subscriber. Whatever becomes durable from now on wakes it.
    pub(super) fn subscribe(self: &Arc<Self>, topic: Topic) -> Subscription {
        let woken = Arc::new(Notify::new());
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.subscribers.insert(number, (topic, woken.clone()));
        Subscription { number, woken, all: self.clone() }
    }

    /// Wakes everyone whose topic `concerns` says is concerned.
    pub(super) fn wake(&self, concerns: impl Fn(&Topic) -> bool) {
        for (topic, woken) in self.waiting().subscribers.values() {
            if concerns(topic) {
                woken.notify_one();
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits for the next change. One that came since the last call, or since the beginning, ends it at once.
    pub async fn changed(&mut self) {
        self.woken.notified().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.all.waiting().subscribers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn is_woken(subscription: &mut Subscription) -> bool {
        tokio::time::timeout(Duration::from_millis(20), subscription.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn only_those_whom_it_concerns_are_woken_and_each_change_once() {
        let all = Arc::new(Subscribers::default());
        let mut orders = all.subscribe(Topic::Entries(&[Index::OrdersProcessing]));
        let mut record = all.subscribe(Topic::Record(Kind::Order, b"7".to_vec()));
        all.wake(|topic| *topic == Topic::Record(Kind::Order, b"7".to_vec()));
        assert!(!is_woken(&mut orders).await);
        assert!(is_woken(&mut record).await);
        assert!(!is_woken(&mut record).await);
    }

    #[tokio::test]
    async fn a_subscriber_that_is_gone_leaves_nothing_behind() {
        let all = Arc::new(Subscribers::default());
        drop(all.subscribe(Topic::Entries(&[])));
        assert!(all.waiting().subscribers.is_empty());
    }
}

//! What the worker is doing at this moment: bounded, each thing at most once, and with a pause after what went wrong.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Task;

/// The running tasks and the pauses.
pub(super) struct Tasks {
    running: HashSet<Task>,
    joined: JoinSet<(Task, bool)>,
    pauses: HashMap<Task, Pause>,
    validations: usize,
    issuances: usize,
}

struct Pause {
    until: Instant,
    length: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Tasks {
    pub(super) fn new(validations: usize, issuances: usize) -> Self {
        Tasks {
            running: HashSet::new(),
            joined: JoinSet::new(),
            pauses: HashMap::new(),
            validations: validations.max(1),
            issuances: issuances.max(1),
        }
    }

    /// How many more validations may begin.
    pub(super) fn room_for_validations(&self) -> usize {
        let running = self.running.iter().filter(|task| matches!(task, Task::Validate(_))).count();
        self.validations.saturating_sub(running)
    }

    /// How many more issuances may begin.
    pub(super) fn room_for_issuances(&self) -> usize {
        let running = self.running.iter().filter(|task| matches!(task, Task::Issue(_) | Task::Resume(_))).count();
        self.issuances.saturating_sub(running)
    }

    pub(super) fn is_running(&self, task: &Task) -> bool {
        self.running.contains(task)
    }

    /// Begins a task unless it is running, pausing, or there is no room for it.
    pub(super) fn begin(&mut self, task: Task, work: impl Future<Output = bool> + Send + 'static) -> bool {
        let room = match &task {
            Task::Validate(_) => self.room_for_validations() > 0,
            Task::Issue(_) | Task::Resume(_) => self.room_for_issuances() > 0,
            Task::Publish(..) | Task::Tidy => true,
        };
        let pausing = self.pauses.get(&task).is_some_and(|pause| Instant::now() < pause.until);
        if !room || pausing || !self.running.insert(task.clone()) {
            return false;
        }
        self.joined.spawn(async move { (task, work.await) });
        true
    }

    /// Waits until a task has ended; for ever while none runs.
    pub(super) async fn finished(&mut self) {
        match self.joined.join_next().await {
            Some(Ok((task, done))) => self.ended(task, done),
            Some(Err(error)) => {
                // A task that panicked: which one is unknown, so all that are not running any more are forgotten with it.
                tracing::error!(%error, "a task of the worker failed");
                self.running.clear();
            }
            None => std::future::pending().await,
        }
        while let Some(Ok((task, done))) = self.joined.try_join_next() {
            self.ended(task, done);
        }
    }

    fn ended(&mut self, task: Task, done: bool) {
        self.running.remove(&task);
        if done {
            self.pauses.remove(&task);
            return;
        }
        let now = Instant::now();
        self.pauses.retain(|_, pause| now < pause.until + LONGEST_PAUSE);
        let length = pause_after(self.pauses.get(&task).map(|pause| pause.length));
        self.pauses.insert(task, Pause { until: now + length, length });
    }

    /// Waits until everything that runs has ended.
    pub(super) async fn drained(mut self) {
        while self.joined.join_next().await.is_some() {}
    }
}

/// The pause after one more failure: twice the last one, within bounds.
fn pause_after(last: Option<Duration>) -> Duration {
    last.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::OrderId;

    fn order(number: u8) -> Task {
        Task::Issue(OrderId::from_bytes([number; 16]))
    }

    #[tokio::test]
    async fn a_thing_is_done_once_at_a_time_and_within_bounds() {
        let mut tasks = Tasks::new(1, 2);
        assert!(tasks.begin(order(1), async { true }));
        assert!(!tasks.begin(order(1), async { true }), "it is running");
        assert!(tasks.begin(order(2), async { true }));
        assert!(!tasks.begin(order(3), async { true }), "there is no room");
        while tasks.room_for_issuances() == 0 {
            tasks.finished().await;
        }
        assert!(tasks.begin(order(3), async { true }));
    }

    #[tokio::test]
    async fn what_went_wrong_pauses() {
        let mut tasks = Tasks::new(1, 1);
        assert!(tasks.begin(order(1), async { false }));
        tasks.finished().await;
        assert!(!tasks.begin(order(1), async { true }), "it pauses");
        assert!(tasks.begin(order(2), async { true }), "others do not");
    }

    #[test]
    fn pauses_double_within_bounds() {
        assert_eq!(pause_after(None), FIRST_PAUSE);
        assert_eq!(pause_after(Some(FIRST_PAUSE)), FIRST_PAUSE * 2);
        assert_eq!(pause_after(Some(LONGEST_PAUSE)), LONGEST_PAUSE);
    }
}

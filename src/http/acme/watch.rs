//! Waiting a moment for what the worker makes of a request, so that most clients need not ask again. What it waits for is in the
//! store: a server that stops meanwhile loses nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::http::app::App;
use crate::http::reply::Error;
use crate::store::{Kind, Subscription, Topic};

/// Looks at one record until it changes, for a limited time.
pub(super) struct Watch {
    kind: Kind,
    key: Vec<u8>,
    subscription: Subscription,
    deadline: Instant,
    seen: Option<Option<u64>>,
}

impl Watch {
    /// Begins to watch a record. What becomes of it between its last reading and now is seen by the first call of
    /// [`Watch::changed`].
    pub(super) fn begin(app: &App, kind: Kind, key: Vec<u8>, limit: Duration) -> Self {
        let subscription = app.authority.store().subscribe(Topic::Record(kind, key.clone()));
        Watch { kind, key, subscription, deadline: Instant::now() + limit, seen: None }
    }

    /// Returns `true` when the record has another version than at the last call, at the first call at once, and `false` when
    /// the time is up.
    pub(super) async fn changed(&mut self, app: &App) -> Result<bool, Error> {
        loop {
            let version = app.authority.store().read(self.kind, &self.key).await?.map(|stored| stored.version);
            if self.seen != Some(version) {
                self.seen = Some(version);
                return Ok(true);
            }
            if Instant::now() >= self.deadline {
                return Ok(false);
            }
            // The deadline is looked at above, after a last look at the record.
            let _ = tokio::time::timeout_at(self.deadline, self.subscription.changed()).await;
        }
    }
}

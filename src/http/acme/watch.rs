//! Waiting a moment for what the worker makes of a request, so that most clients need not ask again. What it waits for is in the
//! store: a server that stops meanwhile loses nothing.

use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::http::app::App;
use crate::http::reply::Error;
use crate::store::Kind;

/// Looks at one record until it changes, for a limited time.
pub(super) struct Watch {
    kind: Kind,
    changes: Receiver<u64>,
    deadline: Instant,
    seen: Option<Option<u64>>,
}

impl Watch {
    /// Begins to watch records of `kind`. Begun before the commit that sets the worker going, it misses no change after it.
    pub(super) fn begin(app: &App, kind: Kind, limit: Duration) -> Self {
        let changes = app.authority.store().changes();
        Watch { kind, changes, deadline: Instant::now() + limit, seen: None }
    }

    /// Returns `true` when the record has another version than at the last call, at the first call at once, and `false` when
    /// the time is up.
    // Many commits pass; only those that touched this record are worth a look at what they made of it.
    pub(super) async fn changed(&mut self, app: &App, key: &[u8]) -> Result<bool, Error> {
        loop {
            let version = app.authority.store().read(self.kind, key).await?.map(|stored| stored.version);
            if self.seen != Some(version) {
                self.seen = Some(version);
                return Ok(true);
            }
            if Instant::now() >= self.deadline {
                return Ok(false);
            }
            // A store that has closed changes nothing any more: the deadline ends the wait.
            match tokio::time::timeout_at(self.deadline, self.changes.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => tokio::time::sleep_until(self.deadline).await,
            }
        }
    }
}

//! What a connection is doing, and until when it may: the timers that hyper does not have, for HTTP/1.1 and HTTP/2 alike.
//! Start with [`Activity::deadline`].

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Instant;

use super::framing::Framing;
use crate::config::HttpSettings as Settings;

/// The protocol that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timers {
    pub(super) first_request: Duration,
    pub(super) head: Duration,
    pub(super) request: Duration,
    pub(super) idle: Duration,
}

/// What one connection is doing.
pub(super) struct Activity {
    protocol: Protocol,
    opened: Instant,
    state: Mutex<State>,
}

struct State {
    /// Requests whose answers have not been handed over, with the time at which each began; in that order.
    requests: BTreeMap<u64, Instant>,
    begun: u64,
    idle_since: Instant,
    /// When the first octet of a request came whose head is not complete.
    head_since: Option<Instant>,
    framing: Framing,
}

/// A request that is being worked on, until its answer's body has been handed over.
pub(super) struct RequestGuard {
    activity: Arc<Activity>,
    number: u64,
    is_ambiguous: bool,
}

/// Marks a request whose head hyper has tidied: it had both Content-Length and Transfer-Encoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ambiguous;

/// An answer's body that ends its request when it is dropped.
pub(super) struct GuardedBody {
    content: Option<Bytes>,
    _guard: RequestGuard,
}

impl From<&Settings> for Timers {
    fn from(settings: &Settings) -> Self {
        Timers {
            first_request: settings.first_request_timeout,
            head: settings.head_timeout,
            request: settings.request_timeout,
            idle: settings.idle_timeout,
        }
    }
}

impl Activity {
    pub(super) fn new(protocol: Protocol) -> Arc<Self> {
        let now = Instant::now();
        let state =
            State { requests: BTreeMap::new(), begun: 0, idle_since: now, head_since: None, framing: Framing::new() };
        Arc::new(Activity { protocol, opened: now, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request's head is complete.
    pub(super) fn begin(self: &Arc<Self>) -> RequestGuard {
        let mut state = self.state();
        state.head_since = None;
        state.begun += 1;
        let number = state.begun;
        state.requests.insert(number, Instant::now());
        let is_ambiguous = self.protocol == Protocol::Http1 && state.framing.next_is_ambiguous();
        drop(state);
        RequestGuard { activity: Arc::clone(self), number, is_ambiguous }
    }

    /// Octets came from the peer.
    pub(super) fn octets_read(&self, octets: &[u8]) {
        let mut state = self.state();
        if self.protocol == Protocol::Http1 {
            state.framing.read(octets);
        }
        // In HTTP/2 later octets may be frames of the connection itself, which are no request.
        let may_be_head = self.protocol == Protocol::Http1 || state.begun == 0;
        if state.requests.is_empty() && may_be_head {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether a request is being worked on.
    pub(super) fn is_busy(&self) -> bool {
        !self.state().requests.is_empty()
    }

    /// When the last request ended, or the connection began.
    pub(super) fn idle_since(&self) -> Instant {
        self.state().idle_since
    }

    /// Whether hyper itself answers what is being written: no request has come through, as nothing could be read as one.
    pub(super) fn is_answered_by_hyper(&self) -> bool {
        self.protocol == Protocol::Http1 && !self.is_busy()
    }

    /// Until when the connection may go on as it is.
    pub(super) fn deadline(&self, timers: &Timers) -> Instant {
        let state = self.state();
        if let Some((_, began)) = state.requests.first_key_value() {
            return *began + timers.request;
        }
        let quiet = if state.begun == 0 { self.opened + timers.first_request } else { state.idle_since + timers.idle };
        state.head_since.map_or(quiet, |since| quiet.min(since + timers.head))
    }
}

impl RequestGuard {
    /// Whether the request's head had two meanings.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.requests.remove(&self.number);
        state.idle_since = Instant::now();
    }
}

impl GuardedBody {
    pub(super) fn new(content: Bytes, guard: RequestGuard) -> Self {
        GuardedBody { content: Some(content).filter(|content| !content.is_empty()), _guard: guard }
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        Poll::Ready(self.content.take().map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn timers() -> Timers {
        Timers { first_request: 30 * SECOND, head: 10 * SECOND, request: 60 * SECOND, idle: 100 * SECOND }
    }

    /// The seconds that are left, as the machine is never a whole second late.
    fn left(activity: &Activity) -> u64 {
        (activity.deadline(&timers()) - Instant::now()).as_millis().div_ceil(1000) as u64
    }

    #[test]
    fn each_state_of_a_connection_has_its_own_time_limit() {
        let activity = Activity::new(Protocol::Http1);
        assert_eq!(left(&activity), 30);
        activity.octets_read(b"x");
        let head = activity.deadline(&timers());
        assert_eq!(left(&activity), 10);
        activity.octets_read(b"x");
        assert_eq!(activity.deadline(&timers()), head, "more octets of a head win no time");
        let request = activity.begin();
        assert_eq!(left(&activity), 60);
        drop(request);
        assert_eq!(left(&activity), 100);
        activity.octets_read(b"x");
        assert_eq!(left(&activity), 10);
    }

    #[test]
    fn frames_of_an_http2_connection_are_no_head_once_a_request_has_come() {
        let activity = Activity::new(Protocol::Http2);
        activity.octets_read(b"x");
        assert_eq!(left(&activity), 10);
        drop(activity.begin());
        activity.octets_read(b"x");
        assert_eq!(left(&activity), 100);
    }

    #[test]
    fn the_oldest_request_decides() {
        let activity = Activity::new(Protocol::Http2);
        let first = activity.begin();
        let oldest = activity.deadline(&timers());
        std::thread::sleep(Duration::from_millis(2));
        let _second = activity.begin();
        assert_eq!(activity.deadline(&timers()), oldest);
        drop(first);
        assert!(activity.deadline(&timers()) > oldest);
    }
}

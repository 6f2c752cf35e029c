//! What every request of every listener goes through: an id, a log line, the rate and the number of requests in flight, a
//! sound head. Start with [`answer`].

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, Response};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

use super::app::App;
use super::connection::Peer;
use super::limits::AddressSlot;
use super::rate_limits::Attempt;
use super::reply::{Error, Reply};
use super::request::{self, Arrived};
use super::texts::Language;
use crate::authority::Fault;
use crate::time::Timestamp;

/// Names the request in answers; the log has the same id.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// How long a request waits for its turn before it is told to come back.
const TURN: Duration = Duration::from_secs(1);

/// A request that was not admitted.
pub(super) struct Refused {
    pub(super) error: Error,
    pub(super) head: Parts,
}

/// What a handler knows about its request beside the request itself.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) id: String,
    pub(super) peer: Peer,
    pub(super) language: Language,
    pub(super) now: Timestamp,
}

impl Context {
    /// The peer's address; a caller on this machine has the unspecified one.
    pub(super) fn address(&self) -> IpAddr {
        match self.peer {
            Peer::Address(address) => address,
            Peer::User { .. } => IpAddr::from([0, 0, 0, 0]),
        }
    }
}

/// The answer that `listener` gives to a request, through `reply`, which is told whether the request was admitted: what
/// stands on every answer of a listener stands on refusals at the door, too.
pub(super) async fn answer<F>(
    app: &App,
    listener: &'static str,
    request: hyper::Request<Incoming>,
    peer: Peer,
    reply: impl FnOnce(Result<Arrived, Refused>, Context) -> F,
) -> Response<Bytes>
where
    F: Future<Output = Reply>,
{
    let context = Context {
        id: request::request_id(),
        peer,
        language: Language::chosen(request.headers()),
        now: app.clock.now(),
    };
    let id = context.id.clone();
    let span = tracing::info_span!("request", request_id = %id, listener);
    async {
        let (method, path, began) = (request.method().clone(), shown(request.uri().path()), Instant::now());
        let mut answer = match admitted(app, &request, peer).await {
            Ok(_turn) => reply(Ok(Arrived::from(request)), context).await,
            Err(error) => reply(Err(Refused { error, head: request.into_parts().0 }), context).await,
        };
        answer = answer.with(REQUEST_ID, &id);
        if method == Method::HEAD {
            answer = without_body(answer);
        }
        let (status, milliseconds) = (answer.status.as_u16(), began.elapsed().as_millis() as u64);
        tracing::info!(%method, path, status, milliseconds, "answered");
        answer.into_response()
    }
    .instrument(span)
    .await
}

/// A turn among the requests in flight, if the request may have one.
async fn admitted(
    app: &App,
    request: &hyper::Request<Incoming>,
    peer: Peer,
) -> Result<(AddressSlot, OwnedSemaphorePermit), Error> {
    let address = match peer {
        Peer::Address(address) => address,
        // Officers are few and known; only the number of their requests is bounded.
        Peer::User { .. } => IpAddr::from([0, 0, 0, 0]),
    };
    if let Peer::Address(address) = peer {
        app.limiter.admit(Attempt::Request(address))?;
    }
    let busy = |why: &str| Error::Fault(Fault::Unavailable(why.to_owned()));
    let own = app.requests.of_address(address).ok_or_else(|| busy("too many requests of one address at once"))?;
    let turn = tokio::time::timeout(TURN, app.requests.place()).await;
    let turn = turn.ok().flatten().ok_or_else(|| busy("too many requests at once"))?;
    request::sound_head(request)?;
    Ok((own, turn))
}

/// The path as logs may have it: nothing long, and no page whose address is a secret.
fn shown(path: &str) -> String {
    if path.contains("/terms/") {
        return "/terms/…".to_owned();
    }
    path.chars().take(120).collect()
}

/// The answer to HEAD: what GET would get, without its body.
fn without_body(mut reply: Reply) -> Reply {
    let length = reply.body.len().to_string();
    reply.fields.remove(CONTENT_LENGTH);
    reply.body = Bytes::new();
    reply.with(CONTENT_LENGTH, &length)
}

//! One connection from its first octet to its last: the protocol, the timers, the end. What is answered is the caller's.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Ambiguous, GuardedBody, Protocol, Timers};
use super::watched::Watched;
use crate::config::HttpSettings as Settings;

/// How long a connection without a request may take to close.
const CLOSING: Duration = Duration::from_secs(2);

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A machine.
    Address(std::net::IpAddr),
    /// A process on this machine, by its user's number and the socket that it used.
    User { uid: u32, socket: usize },
}

/// Answers the requests of one listener.
pub(super) trait Service: Send + Sync + 'static {
    /// The answer to a request. It never fails: whatever is wrong is an answer.
    fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: Peer,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;
}

/// Serves one connection until it ends, its time is over or the server stops. Not an `async fn`: the compiler proves that
/// hyper's connections may move between threads only where their types are spelt out.
pub(super) fn serve<S>(
    stream: S,
    protocol: Protocol,
    peer: Peer,
    service: Arc<dyn Service>,
    settings: &Settings,
    stopping: CancellationToken,
) -> Pin<Box<dyn Future<Output = ()> + Send>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new(protocol);
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let requests = Arc::clone(&activity);
    let answers = service_fn(move |mut request: hyper::Request<Incoming>| {
        let guard = requests.begin();
        if guard.is_ambiguous() {
            request.extensions_mut().insert(Ambiguous);
        }
        let answer = Arc::clone(&service).answer(request, peer);
        async move { Ok::<_, Infallible>(answer.await.map(|content| GuardedBody::new(content, guard))) }
    });
    let timers = Timers::from(settings);
    match protocol {
        Protocol::Http1 => {
            let connection = http1_builder(settings).serve_connection(stream, answers);
            Box::pin(logged(watch(connection, activity, timers, stopping), peer))
        }
        Protocol::Http2 => {
            let connection = http2_builder(settings).serve_connection(stream, answers);
            Box::pin(logged(watch(connection, activity, timers, stopping), peer))
        }
    }
}

/// Peers often leave without a word; that is no fault of ours.
async fn logged<E: std::fmt::Display>(connection: impl Future<Output = Result<End, E>>, peer: Peer) {
    match connection.await {
        Ok(End::Closed) => {}
        Ok(End::TimedOut) => tracing::debug!(?peer, "closed a connection whose time was over"),
        Err(error) => tracing::debug!(?peer, %error, "a connection broke"),
    }
}

fn http1_builder(settings: &Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).max_headers(settings.headers).max_buf_size(settings.head_size.max(8 << 10));
    // Our own timers are finer: this one would limit idle connections like half-sent heads.
    builder.header_read_timeout(None).writev(false);
    builder
}

fn http2_builder(settings: &Settings) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams)
        .max_header_list_size(u32::try_from(settings.head_size).unwrap_or(u32::MAX))
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(256 << 10);
    builder
}

enum End {
    Closed,
    TimedOut,
}

/// Drives `connection` and ends it when its time is over: politely when it is idle, at once when it is not.
async fn watch<C: GracefulConnection>(
    connection: C,
    activity: Arc<Activity>,
    timers: Timers,
    stopping: CancellationToken,
) -> Result<End, C::Error> {
    let (mut connection, mut stopped) = (pin!(connection), pin!(stopping.cancelled_owned()));
    let mut closing: Option<Instant> = None;
    loop {
        let now = Instant::now();
        let deadline = match closing {
            // A request that has just ended still has its answer to be written.
            Some(at) if !activity.is_busy() => at.max(activity.idle_since() + CLOSING),
            Some(_) | None => activity.deadline(&timers),
        };
        if deadline <= now {
            if closing.is_some() || activity.is_busy() {
                return Ok(End::TimedOut);
            }
            connection.as_mut().graceful_shutdown();
            closing = Some(now + CLOSING);
        }
        // A deadline may move nearer while this sleeps, by a head that begins: so it looks again soon.
        let look_again = deadline.max(now).min(now + timers.head.min(CLOSING));
        tokio::select! {
            ended = &mut connection => return ended.map(|()| End::Closed),
            () = &mut stopped, if closing.is_none() => {
                connection.as_mut().graceful_shutdown();
                closing = Some(Instant::now() + CLOSING);
            }
            () = tokio::time::sleep_until(look_again) => {}
        }
    }
}

//! A stream that tells a connection's [`Activity`] what it reads, and that puts a problem document in the place of the
//! bare answers that hyper itself gives to octets which it cannot read as a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use crate::acme::problem::Problem;

/// A watched stream.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    /// What stands in the place of hyper's answer, and how much of it is written.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Watched { stream, activity, instead: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Some(octets) = buffer.filled().get(before..).filter(|octets| !octets.is_empty()) {
            self.activity.octets_read(octets);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((answer, written)) = &mut self.instead {
            let rest = answer.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += count;
        }
        Poll::Ready(Ok(()))
    }
}

// Vectored writing stays off: hyper then hands over an answer's head and body in one piece.
impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(context))?;
        if self.activity.is_answered_by_hyper() && is_bare_refusal(octets) {
            self.instead = Some((problem_answer(octets), 0));
            return Poll::Ready(Ok(octets.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Whether `octets` are a whole refusal without a body. Our own refusals always have one.
fn is_bare_refusal(octets: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(octets) else { return false };
    text.starts_with("HTTP/1.1 4") && text.ends_with("\r\n\r\n") && text.contains("\r\ncontent-length: 0\r\n")
}

/// A problem document with the status of hyper's refusal.
// RFC 8555 §6.7: errors are problem documents.
fn problem_answer(refusal: &[u8]) -> Vec<u8> {
    let (status, reason, detail) = if refusal.get(9..12) == Some(b"431") {
        (431, "Request Header Fields Too Large", "the request's head is too large: send fewer or shorter header fields")
    } else {
        (400, "Bad Request", "what was sent cannot be read as an HTTP request")
    };
    let problem = Problem::malformed(detail).with_status(status);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::activity::Protocol;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const BARE: &[u8] =
        b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    #[tokio::test]
    async fn a_bare_refusal_becomes_a_problem_document() {
        let (near, mut far) = tokio::io::duplex(7);
        let mut watched = Watched::new(near, Activity::new(Protocol::Http1));
        let written = tokio::spawn(async move {
            watched.write_all(BARE).await.unwrap();
            watched.shutdown().await.unwrap();
        });
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        written.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 ") && head.contains(&format!("content-length: {}", body.len())));
        let problem: Problem = serde_json::from_str(body).unwrap();
        assert_eq!(problem.status, 431);
    }

    #[tokio::test]
    async fn answers_to_requests_pass_unchanged() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let activity = Activity::new(Protocol::Http1);
        let _request = activity.begin();
        let mut watched = Watched::new(near, Arc::clone(&activity));
        watched.write_all(BARE).await.unwrap();
        drop(watched);
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, BARE);
    }
}

//! The http-01 responder (RFC 8555 §8.3): a small HTTP server that shows key authorizations, and nothing else, under
//! `/.well-known/acme-challenge/`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::challenges::{Proof, Responder, Responding};
use super::error::{Error, Result};
use crate::acme::challenge_type::ChallengeType;

const PATH: &str = "/.well-known/acme-challenge/";
/// How long a peer may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

type Shown = Arc<RwLock<HashMap<String, Text>>>;

/// What is shown under a token, and how often it was fetched.
#[derive(Debug)]
struct Text {
    text: String,
    fetched: AtomicU64,
}

/// Answers http-01 challenges until it is dropped.
#[derive(Debug)]
pub struct Http01Responder {
    shown: Shown,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Http01Responder {
    /// A responder that listens on `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// `Local` if it cannot listen there: the port is taken, or needs a privilege.
    pub async fn listen(address: SocketAddr) -> Result<Self> {
        let failed = |error: std::io::Error| Error::local(format!("cannot listen on {address} for http-01: {error}"));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shown = Shown::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shown)));
        Ok(Http01Responder { shown, address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows any text under a token, right or wrong.
    pub fn show(&self, token: &str, text: &str) {
        self.shown
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token.to_owned(), Text { text: text.to_owned(), fetched: AtomicU64::new(0) });
    }

    /// How often the text under a token was fetched since it is shown.
    pub fn times_fetched(&self, token: &str) -> u64 {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.get(token).map_or(0, |text| text.fetched.load(Ordering::Relaxed))
    }

    /// Shows nothing under a token any more.
    pub fn hide(&self, token: &str) {
        self.shown.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

impl Drop for Http01Responder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Responder for Http01Responder {
    fn challenge_type(&self) -> ChallengeType {
        ChallengeType::Http01
    }

    fn present<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        self.show(&proof.token, proof.key_authorization.as_str());
        Box::pin(std::future::ready(Ok(())))
    }

    fn withdraw<'a>(&'a self, proof: &'a Proof) -> Responding<'a> {
        self.hide(&proof.token);
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn serve(listener: TcpListener, shown: Shown) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles: wait for some to come back instead of spinning.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let shown = Arc::clone(&shown);
        let service = service_fn(move |request| {
            let answer = answer(&request, &shown);
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(request: &Request<Incoming>, shown: &Shown) -> Response<Full<Bytes>> {
    let token = request.uri().path().strip_prefix(PATH).filter(|_| request.method() == Method::GET);
    let fetched = |text: &Text| {
        text.fetched.fetch_add(1, Ordering::Relaxed);
        text.text.clone()
    };
    let text = token.and_then(|token| shown.read().unwrap_or_else(PoisonError::into_inner).get(token).map(fetched));
    let (status, text) = text.map_or((StatusCode::NOT_FOUND, "not found\n".to_owned()), |text| (StatusCode::OK, text));
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    // RFC 8555 §8.3: "The client's HTTP server … SHOULD return the resource with … application/octet-stream".
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn fetched(responder: &Http01Responder, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(responder.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn it_shows_what_it_was_given_and_nothing_else() {
        let responder = Http01Responder::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        responder.show("dG9rZW4", "dG9rZW4.thumbprint");
        assert!(
            fetched(&responder, "/.well-known/acme-challenge/dG9rZW4").await.ends_with("\r\n\r\ndG9rZW4.thumbprint")
        );
        assert!(fetched(&responder, "/.well-known/acme-challenge/other").await.starts_with("HTTP/1.1 404"));
        assert!(fetched(&responder, "/").await.starts_with("HTTP/1.1 404"));
        responder.hide("dG9rZW4");
        assert!(fetched(&responder, "/.well-known/acme-challenge/dG9rZW4").await.starts_with("HTTP/1.1 404"));
    }
}

//! The token authority's two listeners: tokens over mutual TLS, the CRL over plain HTTP. Every connection is bounded in size
//! and time, and whatever is wrong is an answer.

use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::issuing::{Entitlement, Issuing, TokenRefusal};
use super::{Settings, TokenAuthorityError};
use crate::time::Clock;

/// Connections at once, each listener for itself.
const MOST_CONNECTIONS: usize = 256;
/// The largest request body, in octets.
const LARGEST_BODY: usize = 16 * 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(10);
/// How long one connection may last in all.
const CONNECTION: Duration = Duration::from_secs(60);
/// How long to wait when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) issuing: Arc<Issuing>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stopping: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// TLS 1.2 and 1.3, with a client certificate of one of the configured authorities.
pub(super) fn tls(settings: &Settings) -> Result<TlsAcceptor, TokenAuthorityError> {
    let unfit = |path: &Path, why: String| TokenAuthorityError::Unfit { path: path.to_owned(), why };
    let certificates = |path: &Path| {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unfit(path, format!("it must hold certificates in PEM: {error}")))
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(&settings.client_roots)? {
        roots.add(certificate).map_err(|error| unfit(&settings.client_roots, error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let verifier = verifier.map_err(|error| unfit(&settings.client_roots, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&settings.tls_key);
    let key = key.map_err(|error| unfit(&settings.tls_key, format!("it must hold a private key in PEM: {error}")))?;
    let chain = certificates(&settings.tls_certificate)?;
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, key));
    let mut config = config.map_err(|error| unfit(&settings.tls_certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Context {
    /// Accepts connections until the authority stops.
    pub(super) async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (context, tls) = (self.clone(), tls.clone());
            self.tasks.spawn(async move {
                let _held = place;
                // Whatever the peer does, its time is bounded.
                let _ = tokio::time::timeout(CONNECTION, context.connection(stream, tls)).await;
            });
        }
    }

    async fn connection(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return self.requests(stream, None).await };
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let client = certificates.first().map(|certificate| certificate.to_vec());
                self.requests(stream, Some(client.unwrap_or_default())).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn requests<S>(self, stream: S, client: Option<Vec<u8>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stopping = self.stopping.clone();
        let client = client.map(Arc::new);
        let service = service_fn(move |request| {
            let (context, client) = (self.clone(), client.clone());
            async move { Ok::<_, Infallible>(context.answer(request, client).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(64).max_buf_size(16 * 1024);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = connection.as_mut() => {}
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn answer(self, request: Request<Incoming>, client: Option<Arc<Vec<u8>>>) -> Response<Full<Bytes>> {
        match client {
            Some(client) => self.token(request, client).await,
            None => self.crl(&request).await,
        }
    }

    // RFC 9447 §5: POST /at/account/ID/token.
    async fn token(self, request: Request<Incoming>, client: Arc<Vec<u8>>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let account = path.strip_prefix("/at/account/").and_then(|rest| rest.strip_suffix("/token"));
        let Some(account) = account.filter(|account| is_id(account)).map(str::to_owned) else {
            return problem(StatusCode::NOT_FOUND, "there is nothing here; ask at /at/account/ID/token");
        };
        if request.method() != Method::POST {
            let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "a token is asked for by POST");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return answer;
        }
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a request is application/json");
        }
        let Ok(body) = Limited::new(request.into_body(), LARGEST_BODY).collect().await else {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "a request has at most 16 KiB");
        };
        let (body, now, issuing) = (body.to_bytes(), self.clock.now(), Arc::clone(&self.issuing));
        // Reading the list and signing block.
        let decided = tokio::task::spawn_blocking(move || {
            issuing.token(Entitlement { account: &account, certificate: &client }, &body, now)
        });
        let decided = decided.await.unwrap_or_else(|error| Err(TokenRefusal::Failed(error.to_string())));
        match decided {
            Ok(token) => json(StatusCode::OK, "application/json", &serde_json::json!({ "token": token })),
            Err(refusal) => refused(&refusal),
        }
    }

    async fn crl(self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != "/crl/authority.crl" {
            return problem(StatusCode::NOT_FOUND, "there is nothing here but /crl/authority.crl");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "a CRL is fetched by GET");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let (issuing, now) = (Arc::clone(&self.issuing), self.clock.now());
        match tokio::task::spawn_blocking(move || issuing.crl(now)).await {
            Ok(Ok(crl)) => {
                let mut answer = Response::new(Full::new(Bytes::from(crl)));
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/pkix-crl"));
                answer
            }
            Ok(Err(error)) => refused(&TokenRefusal::Failed(error.to_string())),
            Err(error) => refused(&TokenRefusal::Failed(error.to_string())),
        }
    }
}

/// Whether a path's segment can be an account's id.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn refused(refusal: &TokenRefusal) -> Response<Full<Bytes>> {
    let status = match refusal {
        TokenRefusal::Malformed(_) => StatusCode::BAD_REQUEST,
        TokenRefusal::NotEntitled | TokenRefusal::Audience => StatusCode::FORBIDDEN,
        TokenRefusal::Failed(why) => {
            tracing::error!(why, "the token authority cannot answer");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    problem(status, &refusal.to_string())
}

fn problem(status: StatusCode, detail: &str) -> Response<Full<Bytes>> {
    let document = serde_json::json!({ "type": "about:blank", "status": status.as_u16(), "detail": detail });
    json(status, "application/problem+json", &document)
}

fn json(status: StatusCode, content_type: &'static str, document: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(document.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(hyper::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

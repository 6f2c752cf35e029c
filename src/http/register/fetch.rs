//! A small client for one code service: GET over HTTPS with configured roots, or over HTTP on this machine. It follows no
//! redirect, keeps one connection, and bounds what it reads and how long it waits.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{Place, SyncSettings};

const AGENT: &str = concat!("sote-acme/", env!("CARGO_PKG_VERSION"));
/// The largest page, in octets.
const LARGEST_PAGE: usize = 32 << 20;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// One page in all. Code services answer slowly.
const PAGE_LIMIT: Duration = Duration::from_secs(60);

/// Why a page was not fetched.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct FetchError(String);

impl FetchError {
    fn new(what: &str, why: impl std::fmt::Display) -> Self {
        FetchError(format!("{what}: {why}"))
    }
}

/// Asks one code service.
pub(super) struct Fetcher {
    place: Place,
    tls: Option<TlsConnector>,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

impl Fetcher {
    /// A client of the configured service.
    pub(super) fn new(settings: &SyncSettings) -> Result<Self, FetchError> {
        let place = Place::of(&settings.url)
            .ok_or_else(|| FetchError::new("register.sync.url", "not a place to fetch from"))?;
        let tls = if place.is_secure { Some(connector(settings)?) } else { None };
        Ok(Fetcher { place, tls, sender: None })
    }

    /// The body that the service answers to this query.
    pub(super) async fn get(&mut self, query: &str) -> Result<Bytes, FetchError> {
        let fetching = async {
            if let Some(mut kept) = self.sender.take().filter(|sender| !sender.is_closed()) {
                match self.asked(&mut kept, query).await {
                    Ok(body) => return Ok(self.keeping(kept, body)),
                    // The service may have closed it just now: asked again on a new one.
                    Err(error) => tracing::debug!(%error, "a kept connection to the code service was of no use"),
                }
            }
            let mut sender = self.connected().await?;
            let body = self.asked(&mut sender, query).await?;
            Ok(self.keeping(sender, body))
        };
        let late = || FetchError::new("no answer", format!("within {} s", PAGE_LIMIT.as_secs()));
        tokio::time::timeout(PAGE_LIMIT, fetching).await.map_err(|_| late())?
    }

    /// The next page takes the same connection, if the service lets it.
    fn keeping(&mut self, sender: SendRequest<Empty<Bytes>>, body: Bytes) -> Bytes {
        self.sender = Some(sender).filter(|sender| !sender.is_closed());
        body
    }

    async fn asked(&self, sender: &mut SendRequest<Empty<Bytes>>, query: &str) -> Result<Bytes, FetchError> {
        let broken = |error: hyper::Error| FetchError::new("the connection broke", error);
        let request = Request::get(format!("{}?{query}", self.place.path))
            .header(HOST, self.host_field())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| FetchError::new("the request", error))?;
        sender.ready().await.map_err(broken)?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::new("it answered", answer.status()));
        }
        let body = Limited::new(answer.into_body(), LARGEST_PAGE).collect().await;
        let body = body.map_err(|error| FetchError::new("its answer", error))?.to_bytes();
        match body.trim_ascii_start().first() {
            Some(b'{' | b'[') => Ok(body),
            _ => Err(FetchError::new("its answer", "is no JSON")),
        }
    }

    fn host_field(&self) -> String {
        let Place { host, port, is_secure, .. } = &self.place;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == if *is_secure { 443 } else { 80 } { host } else { format!("{host}:{port}") }
    }

    async fn connected(&self) -> Result<SendRequest<Empty<Bytes>>, FetchError> {
        let connecting = async {
            let unreachable = |error: std::io::Error| FetchError::new("no connection", error);
            let stream = TcpStream::connect((self.place.host.as_str(), self.place.port)).await.map_err(unreachable)?;
            match &self.tls {
                None => spoken(stream).await,
                Some(tls) => {
                    let name = ServerName::try_from(self.place.host.clone());
                    let name = name.map_err(|error| FetchError::new("its name", error))?;
                    let stream = tls.connect(name, stream).await;
                    spoken(stream.map_err(|error| FetchError::new("no TLS", error))?).await
                }
            }
        };
        let late = || FetchError::new("no connection", format!("within {} s", CONNECT_LIMIT.as_secs()));
        tokio::time::timeout(CONNECT_LIMIT, connecting).await.map_err(|_| late())?
    }
}

async fn spoken<S>(stream: S) -> Result<SendRequest<Empty<Bytes>>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| FetchError::new("no HTTP", error))?;
    // It ends with the sender.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn connector(settings: &SyncSettings) -> Result<TlsConnector, FetchError> {
    let wrong = |why: &dyn std::fmt::Display| FetchError::new("register.sync.root", why);
    let path = settings.root.as_ref().ok_or_else(|| wrong(&"missing"))?;
    let pem = std::fs::read(path).map_err(|error| wrong(&format!("{}: {error}", path.display())))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&format!("{} holds no certificate", path.display())));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

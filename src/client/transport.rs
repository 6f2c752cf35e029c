//! HTTPS for the client, HTTP for CRLs and OCSP: hyper over rustls, with kept connections. A [`Transport`] is cheap to clone;
//! its clones share one pool, each request takes a connection for itself (HTTP/1.1) or a stream of a shared one (HTTP/2).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client_certificate::ClientCertificate;
use super::error::{Error, ProblemDocument, Refusal, Result};

/// Who asks. RFC 8555 §6.1: clients MUST send a User-Agent.
const AGENT: &str = concat!("sote-client/", env!("CARGO_PKG_VERSION"));
/// The largest body that is read: room for a large CRL.
const BODY_LIMIT: usize = 64 * 1024 * 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Idle connections kept per server.
const IDLE_LIMIT: usize = 64;

/// The HTTP versions that a transport offers in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 where the server speaks it.
    Http2,
}

/// Sends requests and keeps connections.
#[derive(Clone)]
pub struct Transport(Arc<Inner>);

struct Inner {
    tls: TlsConnector,
    pool: Mutex<HashMap<Origin, Vec<Sender>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Origin {
    tls: bool,
    host: String,
    port: u16,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct Response {
    /// The URL that was asked.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Transport {
    /// A transport that trusts the certificates in `roots` (PEM, one or several) and nothing else.
    ///
    /// # Errors
    /// `Local` if there is no certificate in `roots`.
    pub fn trusting(roots: &[u8], version: HttpVersion) -> Result<Self> {
        Transport::with(roots, version, None)
    }

    /// The same, and whoever asks for it is shown this certificate in the TLS handshake.
    ///
    /// # Errors
    /// `Local` if there is no certificate in `roots`, or the client's certificate and its key do not go together.
    pub fn showing(certificate: ClientCertificate, roots: &[u8], version: HttpVersion) -> Result<Self> {
        Transport::with(roots, version, Some(certificate))
    }

    fn with(roots: &[u8], version: HttpVersion, certificate: Option<ClientCertificate>) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::local(error.to_string()))?
            .with_root_certificates(root_store(roots)?);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(ClientCertificate { chain, key }) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| Error::local(format!("the client certificate is unusable: {error}")))?,
        };
        config.alpn_protocols = match version {
            HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
            HttpVersion::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(Transport(Arc::new(Inner { tls: TlsConnector::from(Arc::new(config)), pool: Mutex::default() })))
    }

    /// GET.
    pub async fn get(&self, url: &str) -> Result<Response> {
        self.send(Method::GET, url, HeaderMap::new(), Bytes::new()).await
    }

    /// HEAD.
    pub async fn head(&self, url: &str) -> Result<Response> {
        self.send(Method::HEAD, url, HeaderMap::new(), Bytes::new()).await
    }

    /// POST of a body with its content type.
    pub async fn post(&self, url: &str, content_type: &'static str, body: impl Into<Bytes>) -> Result<Response> {
        let mut headers = HeaderMap::new();
        headers.insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.send(Method::POST, url, headers, body.into()).await
    }

    /// Any request. `Host` and `User-Agent` are added unless given.
    ///
    /// # Errors
    /// `Unreachable` if no whole answer came within a minute. An error status is no error here.
    pub async fn send(&self, method: Method, url: &str, headers: HeaderMap, body: Bytes) -> Result<Response> {
        let uri: Uri = url.parse().map_err(|error| Error::local(format!("\"{url}\" is not a URL: {error}")))?;
        let origin = Origin::of(&uri).ok_or_else(|| Error::local(format!("\"{url}\" is not an http or https URL")))?;
        let exchange = self.exchange(&origin, &uri, method, headers, body);
        let answer = tokio::time::timeout(REQUEST_LIMIT, exchange).await;
        let late = || Error::Unreachable {
            url: url.to_owned(),
            why: format!("no answer within {} s", REQUEST_LIMIT.as_secs()),
        };
        let (parts, body) = answer.map_err(|_| late())?.map_err(|error| match error {
            Failure::Own(error) => error,
            Failure::Http(error) => Error::unreachable(url, &error),
        })?;
        Ok(Response { url: url.to_owned(), status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Closes the idle connections.
    pub fn close_idle(&self) {
        self.pool().clear();
    }

    async fn exchange(
        &self,
        origin: &Origin,
        uri: &Uri,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> std::result::Result<(hyper::http::response::Parts, Bytes), Failure> {
        loop {
            let kept = self.take(origin);
            let reused = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect(origin, uri).await.map_err(Failure::Own)?,
            };
            let request = request(origin, uri, method.clone(), headers.clone(), body.clone(), &sender)?;
            match sender.send(request).await {
                Ok(answer) => {
                    let (parts, incoming) = answer.into_parts();
                    let body = Limited::new(incoming, BODY_LIMIT).collect().await.map_err(|error| {
                        Failure::Own(Error::Unreachable { url: uri.to_string(), why: error.to_string() })
                    })?;
                    self.keep(origin, sender);
                    return Ok((parts, body.to_bytes()));
                }
                // A kept connection that the server closed meanwhile: the request was never sent, so it may go again.
                Err(unsent) if reused && unsent.never_sent => {}
                Err(failed) => return Err(Failure::Http(failed.error)),
            }
        }
    }

    fn take(&self, origin: &Origin) -> Option<Sender> {
        let mut pool = self.pool();
        let idle = pool.get_mut(origin)?;
        idle.retain(|sender| !sender.is_closed());
        match idle.last() {
            Some(Sender::Http2(shared)) => Some(Sender::Http2(shared.clone())),
            Some(Sender::Http1(_)) => idle.pop(),
            None => None,
        }
    }

    fn keep(&self, origin: &Origin, sender: Sender) {
        let mut pool = self.pool();
        let idle = pool.entry(origin.clone()).or_default();
        let shared_already = matches!(sender, Sender::Http2(_)) && !idle.is_empty();
        if !sender.is_closed() && !shared_already && idle.len() < IDLE_LIMIT {
            idle.push(sender);
        }
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, HashMap<Origin, Vec<Sender>>> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, origin: &Origin, uri: &Uri) -> Result<Sender> {
        let url = uri.to_string();
        let connecting = self.open(origin, &url);
        tokio::time::timeout(CONNECT_LIMIT, connecting).await.unwrap_or_else(|_| {
            Err(Error::Unreachable { url, why: format!("no connection within {} s", CONNECT_LIMIT.as_secs()) })
        })
    }

    async fn open(&self, origin: &Origin, url: &str) -> Result<Sender> {
        let stream = TcpStream::connect((origin.host.as_str(), origin.port))
            .await
            .map_err(|error| Error::unreachable(url, &error))?;
        stream.set_nodelay(true).map_err(|error| Error::unreachable(url, &error))?;
        if !origin.tls {
            return http1_over(TokioIo::new(stream), url).await;
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(|error| Error::unreachable(url, &error))?;
        let stream = self.0.tls.connect(name, stream).await.map_err(|error| Error::unreachable(url, &error))?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| Error::unreachable(url, &error))?;
            tokio::spawn(connection);
            return Ok(Sender::Http2(sender));
        }
        http1_over(TokioIo::new(stream), url).await
    }
}

fn root_store(roots: &[u8]) -> Result<rustls::RootCertStore> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots) {
        let certificate = certificate.map_err(|error| Error::local(format!("the TLS root is not PEM: {error}")))?;
        store.add(certificate).map_err(|error| Error::local(format!("the TLS root is unusable: {error}")))?;
    }
    match store.is_empty() {
        true => Err(Error::local("the TLS root file holds no certificate")),
        false => Ok(store),
    }
}

async fn http1_over<S>(stream: S, url: &str) -> Result<Sender>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await.map_err(|error| Error::unreachable(url, &error))?;
    tokio::spawn(connection);
    Ok(Sender::Http1(sender))
}

enum Failure {
    Own(Error),
    Http(hyper::Error),
}

struct Unsent {
    error: hyper::Error,
    never_sent: bool,
}

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> std::result::Result<hyper::Response<hyper::body::Incoming>, Unsent> {
        let outcome = match self {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        outcome.map_err(|mut failed| {
            let never_sent = failed.take_message().is_some();
            Unsent { error: failed.into_error(), never_sent }
        })
    }
}

fn request(
    origin: &Origin,
    uri: &Uri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    sender: &Sender,
) -> std::result::Result<Request<Full<Bytes>>, Failure> {
    let unfit = |error: &dyn std::fmt::Display| Failure::Own(Error::local(format!("{uri}: {error}")));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    match sender {
        // RFC 9110 §7.2: the authority stands in Host, with HTTP/2 in the URI.
        Sender::Http1(_) => {
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            *request.uri_mut() = path.parse().map_err(|error: hyper::http::uri::InvalidUri| unfit(&error))?;
            let host = HeaderValue::from_str(&origin.authority()).map_err(|error| unfit(&error))?;
            request.headers_mut().entry(HOST).or_insert(host);
        }
        Sender::Http2(_) => *request.uri_mut() = uri.clone(),
    }
    request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    Ok(request)
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Origin { tls, host, port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }) })
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl Response {
    /// A header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The targets of the `Link` headers with this relation (RFC 8288).
    pub fn links(&self, relation: &str) -> Vec<String> {
        let values = self.headers.get_all(hyper::header::LINK).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).filter_map(|link| target(link, relation)).collect()
    }

    /// `Retry-After` in seconds.
    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after")?.trim().parse().ok()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Protocol` if it is not JSON of this shape.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::protocol(&self.url, error))
    }

    /// This answer, if it has a success status.
    ///
    /// # Errors
    /// `Refused` with the problem document otherwise.
    pub fn successful(self) -> Result<Response> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(Error::Refused(Box::new(self.into_refusal()))) }
    }

    fn into_refusal(self) -> Refusal {
        let problem = serde_json::from_slice(&self.body).unwrap_or_else(|_| ProblemDocument {
            kind: "about:blank".to_owned(),
            detail: format!("the server answered {} without a problem document", self.status),
            ..ProblemDocument::default()
        });
        let help = [self.links("help"), self.links("terms-of-service")].concat();
        Refusal {
            status: self.status,
            retry_after: self.retry_after(),
            location: self.header("location").map(str::to_owned),
            help,
            problem,
            url: self.url,
        }
    }
}

/// The target of one link if it has the relation: `<target>;rel="relation"`.
fn target(link: &str, relation: &str) -> Option<String> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let related =
        parameters.split(';').filter_map(|parameter| parameter.trim().split_once('=')).any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').split_ascii_whitespace().any(|one| one == relation)
        });
    related.then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_by_its_relation() {
        assert_eq!(target(r#" <https://a/1>;rel="next""#, "next").as_deref(), Some("https://a/1"));
        assert_eq!(target(r#"<https://a/1>; title=x; rel="up next""#, "next").as_deref(), Some("https://a/1"));
        assert_eq!(target(r#"<https://a/1>;rel="index""#, "next"), None);
        assert_eq!(target("https://a/1", "next"), None);
    }

    #[test]
    fn the_authority_names_the_port_only_where_it_is_not_the_usual_one() {
        let authority = |url: &str| Origin::of(&url.parse().unwrap()).unwrap().authority();
        assert_eq!(authority("https://ca.test/directory"), "ca.test");
        assert_eq!(authority("https://ca.test:14000/directory"), "ca.test:14000");
        assert_eq!(authority("http://[::1]:443/"), "[::1]:443");
        assert!(Origin::of(&"ftp://ca.test/".parse().unwrap()).is_none());
    }

    #[test]
    fn a_transport_without_a_root_is_refused() {
        assert!(matches!(Transport::trusting(b"", HttpVersion::Http1), Err(Error::Local(_))));
    }
}

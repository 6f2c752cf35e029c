//! Fetches from addresses that the operator pinned in the configuration, and from no others: CRLs and OCSP answers of token
//! authorities and card authorities. No redirect, no proxy, no cache; sizes and times are bounded.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connector::Host;
use super::resolver::{Answer, Resolver};
use super::settings::Settings;

const MOST_HEADER_BYTES: usize = 16 * 1024;

/// A plain `http://` URL that the operator chose. CRLs and OCSP answers are signed, so that plain HTTP takes nothing away
/// (RFC 5280 §8).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PinnedUrl {
    text: String,
    host: String,
    port: u16,
    path: String,
}

/// Why a URL cannot be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{url}\" {why}")]
pub struct PinnedUrlError {
    url: String,
    why: &'static str,
}

impl FromStr for PinnedUrl {
    type Err = PinnedUrlError;

    fn from_str(text: &str) -> Result<Self, PinnedUrlError> {
        let wrong = |why| PinnedUrlError { url: text.chars().filter(|c| !c.is_control()).take(256).collect(), why };
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("must begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("carries a user name"));
        }
        if Host::parse(authority.host()).is_none() {
            return Err(wrong("needs a full dns name or an IP address as its host"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let (host, port) = (authority.host().to_owned(), authority.port_u16().unwrap_or(80));
        Ok(PinnedUrl { text: text.to_owned(), host, port, path })
    }
}

impl std::fmt::Display for PinnedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Fetches from pinned addresses.
#[derive(Clone)]
pub struct PinnedClient {
    resolver: Arc<Resolver>,
    timeout: Duration,
}

impl PinnedClient {
    /// A client with the time limit of one attempt of `settings`.
    pub fn new(settings: &Settings, resolver: Arc<Resolver>) -> Self {
        PinnedClient { resolver, timeout: settings.attempt_timeout }
    }

    /// The body at `url`, of at most `most` octets. The error is for a person.
    pub async fn fetched(&self, url: &PinnedUrl, most: usize) -> Result<Vec<u8>, String> {
        self.asked(url, request(Method::GET, url, None), most).await
    }

    /// The answer to `body`, of at most `most` octets. The error is for a person.
    pub async fn posted(
        &self,
        url: &PinnedUrl,
        content_type: &'static str,
        body: Vec<u8>,
        most: usize,
    ) -> Result<Vec<u8>, String> {
        self.asked(url, request(Method::POST, url, Some((content_type, body))), most).await
    }

    async fn asked(&self, url: &PinnedUrl, request: Request<Full<Bytes>>, most: usize) -> Result<Vec<u8>, String> {
        let deadline = Instant::now() + self.timeout;
        let answer = tokio::time::timeout_at(deadline, self.exchanged(url, request, most)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        answer.map_err(|why| format!("{url}: {why}"))
    }

    async fn exchanged(&self, url: &PinnedUrl, request: Request<Full<Bytes>>, most: usize) -> Result<Vec<u8>, String> {
        let stream = self.connected(url).await?;
        let broken = |_: hyper::Error| "the connection broke before an answer came".to_owned();
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MOST_HEADER_BYTES);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let _connection = Connection(tokio::spawn(async move { drop(connection.await) }));
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answered with status {} instead of 200", response.status().as_u16()));
        }
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_| "the connection broke within the body".to_owned())?;
            let Some(data) = frame.data_ref() else { continue };
            if body.len() + data.len() > most {
                return Err(format!("its answer has more than {most} octets"));
            }
            body.extend_from_slice(data);
        }
        Ok(body)
    }

    /// A connection to the first of the host's addresses that answers. They are not judged: the operator chose the host.
    async fn connected(&self, url: &PinnedUrl) -> Result<TcpStream, String> {
        let addresses: Vec<IpAddr> = match Host::parse(&url.host) {
            Some(Host::Address(address)) => vec![address],
            Some(Host::Name(name)) => match self.resolver.addresses(name.as_str()).await {
                Ok(Answer::Records(addresses)) => addresses,
                Ok(Answer::NoRecords | Answer::NoSuchName) => return Err("its name has no address".to_owned()),
                Err(failure) => return Err(failure.to_string()),
            },
            None => return Err("it has no host".to_owned()),
        };
        let mut last = "its name has no address".to_owned();
        for address in addresses.into_iter().take(4) {
            match TcpStream::connect((address, url.port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = format!("cannot connect to {address}: {}", error.kind()),
            }
        }
        Err(last)
    }
}

/// The task that drives one connection. It ends when this is dropped.
struct Connection(tokio::task::JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(method: Method, url: &PinnedUrl, content: Option<(&'static str, Vec<u8>)>) -> Request<Full<Bytes>> {
    let (content_type, body) = content.map_or((None, Vec::new()), |(kind, body)| (Some(kind), body));
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    // Both were checked when the URL was read; a value that does not fit is left out and the host refuses.
    if let Ok(path) = url.path.parse() {
        *request.uri_mut() = path;
    }
    let authority = if url.port == 80 { url.host.clone() } else { format!("{}:{}", url.host, url.port) };
    let headers = request.headers_mut();
    if let Ok(host) = authority.parse() {
        headers.insert(header::HOST, host);
    }
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    }
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    headers.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static("identity"));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_urls_with_a_host_can_be_pinned() {
        for (text, host, port, path) in [
            ("http://proxy.example.fi/crl/a.crl", "proxy.example.fi", 80, "/crl/a.crl"),
            ("http://127.0.0.1:8080/ocsp?x", "127.0.0.1", 8080, "/ocsp?x"),
            ("http://[::1]:81", "[::1]", 81, "/"),
        ] {
            let url: PinnedUrl = text.parse().unwrap();
            assert_eq!((url.host.as_str(), url.port, url.path.as_str()), (host, port, path));
            assert_eq!(url.to_string(), text);
        }
        for text in
            ["https://a.example.fi/", "ldap://a.example.fi/", "/crl", "", "http://", "http://u@a.fi/", "http://a/"]
        {
            assert!(text.parse::<PinnedUrl>().is_err(), "{text}");
        }
    }
}

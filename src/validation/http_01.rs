//! http-01 (RFC 8555 §8.3): the host serves the key authorization at a well-known path. The client is written by hand over
//! hyper, because every address must be judged before it is connected to, after each redirect anew; it has no proxy, no
//! cookie, no cache, no decompression, and it never shows what it received. Start with [`Http01::evidence`].

mod location;

use std::net::IpAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::connector::{Connector, Host, within};
use super::settings::Settings;
use super::{Attempt, peer_certificate};
use crate::acme::problem::{Problem, ProblemKind};
use crate::model::evidence::Evidence;
use location::{Scheme, Target};

/// Validates by http-01.
pub struct Http01 {
    connector: Connector,
    port: u16,
    tls: TlsConnector,
}

/// RFC 8555 §10.4 asks for care with redirects: so many are followed.
const MOST_REDIRECTS: usize = 10;
/// A key authorization has 87 characters; what is longer than this is something else.
const MOST_BODY: usize = 64 * 1024;
const MOST_HEADER_BYTES: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;

/// What one request brought.
enum Fetched {
    Body(Vec<u8>),
    Redirect(String),
}

/// Why one address brought nothing.
enum Failure {
    /// Another address may answer.
    Unanswered(Problem),
    /// The host answered, and wrongly.
    Answered(Problem),
}

impl Http01 {
    /// A validator for the port of `settings`.
    pub fn new(settings: &Settings, connector: Connector) -> Self {
        let tls = TlsConnector::from(peer_certificate::client_config(b"http/1.1"));
        Http01 { connector, port: settings.http_01_port, tls }
    }

    /// What proved control before `deadline`, or why nothing did.
    pub async fn evidence(&self, attempt: &Attempt, deadline: Instant) -> Result<Evidence, Problem> {
        let Some(host) = Host::of(&attempt.identifier) else {
            return Err(Problem::unauthorized(format!("http-01 cannot validate {}; use dns-01", attempt.identifier)));
        };
        // RFC 8555 §8.3: plain HTTP, whatever the port.
        let path = format!("/.well-known/acme-challenge/{}", attempt.token);
        let mut target = Target { scheme: Scheme::Http, host, port: self.port, path };
        let mut trail = Vec::new();
        for _ in 0..=MOST_REDIRECTS {
            trail.push(target.to_string());
            let (fetched, address) = self.fetch(&target, deadline).await?;
            match fetched {
                Fetched::Body(body) => {
                    compare(&body, attempt, &target, address)?;
                    return Ok(Evidence { address: Some(address), trail, ..Evidence::default() });
                }
                Fetched::Redirect(location) => target = self.redirected(&target, &location)?,
            }
        }
        Err(Problem::connection(format!(
            "{} redirects more than {MOST_REDIRECTS} times",
            trail.first().map_or("the host", String::as_str)
        )))
    }

    fn redirected(&self, from: &Target, location: &str) -> Result<Target, Problem> {
        let wrong = |why: &str| Problem::connection(format!("{from} redirects to a place that is not followed: {why}"));
        let target = from.redirected(location).map_err(wrong)?;
        // RFC 8555 §10.4: no port that the applicant chooses.
        if ![self.port, 80, 443].contains(&target.port) {
            return Err(wrong(&format!("port {} (allowed are {}, 80 and 443)", target.port, self.port)));
        }
        Ok(target)
    }

    /// One request, tried at each address of the host until one answers.
    async fn fetch(&self, target: &Target, deadline: Instant) -> Result<(Fetched, IpAddr), Problem> {
        let resolving = self.connector.addresses(&target.host);
        let addresses =
            within(deadline, ProblemKind::Dns, resolving, || format!("looking up the addresses of {}", target.host))
                .await?;
        let mut failures = Vec::new();
        for address in addresses {
            match self.fetch_from(target, address, deadline).await {
                Ok(fetched) => return Ok((fetched, address)),
                Err(Failure::Answered(problem)) => return Err(problem),
                Err(Failure::Unanswered(problem)) => failures.push(problem),
            }
        }
        Err(united(target, failures))
    }

    async fn fetch_from(&self, target: &Target, address: IpAddr, deadline: Instant) -> Result<Fetched, Failure> {
        let stream = self
            .connector
            .connect(address, target.port, deadline)
            .await
            .map_err(|why| Failure::Unanswered(Problem::connection(why)))?;
        match target.scheme {
            Scheme::Http => request(stream, target, address, deadline).await,
            Scheme::Https => {
                let stream = self.secured(stream, target, address, deadline).await.map_err(Failure::Unanswered)?;
                request(stream, target, address, deadline).await
            }
        }
    }

    async fn secured(
        &self,
        stream: TcpStream,
        target: &Target,
        address: IpAddr,
        deadline: Instant,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Problem> {
        let name = peer_certificate::server_name(&target.host)?;
        let handshake = async {
            let failed = |error: std::io::Error| Problem::tls(format!("{address}: the TLS handshake failed: {error}"));
            self.tls.connect(name, stream).await.map_err(failed)
        };
        within(deadline, ProblemKind::Tls, handshake, || format!("doing the TLS handshake with {address}")).await
    }
}

async fn request<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    target: &Target,
    address: IpAddr,
    deadline: Instant,
) -> Result<Fetched, Failure> {
    let sending = async {
        let no_answer = |error: hyper::Error| Problem::connection(format!("{address}: {}", http_reason(&error)));
        let mut builder = http1::Builder::new();
        builder.max_headers(MOST_HEADERS).max_buf_size(MOST_HEADER_BYTES);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
        // Ends with the request: dropping the sender and the body closes the connection.
        let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
        let response = sender.send_request(request_for(target)).await.map_err(no_answer)?;
        Ok((response, connection))
    };
    let (response, _connection) = within(deadline, ProblemKind::Connection, sending, || {
        format!("waiting for the answer of {target} at {address}")
    })
    .await
    .map_err(Failure::Unanswered)?;
    answer(response, target, address, deadline).await.map_err(Failure::Answered)
}

/// The task that drives one connection. It ends when this is dropped, however slow the peer is.
struct Connection(tokio::task::JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request_for(target: &Target) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    // Both were checked when the target was made; a value that does not fit is left out and the host refuses.
    if let Ok(uri) = target.path.parse() {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    if let Ok(host) = target.authority().parse() {
        headers.insert(header::HOST, host);
    }
    headers.insert(
        header::USER_AGENT,
        header::HeaderValue::from_static(concat!(
            "sote-acme/",
            env!("CARGO_PKG_VERSION"),
            " (ACME http-01 validation)"
        )),
    );
    headers.insert(header::ACCEPT, header::HeaderValue::from_static("*/*"));
    headers.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static("identity"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    request
}

async fn answer(
    response: Response<Incoming>,
    target: &Target,
    address: IpAddr,
    deadline: Instant,
) -> Result<Fetched, Problem> {
    let wrong = |why: &str| Problem::incorrect_response(format!("{target} at {address} {why}"));
    let status = response.status();
    if is_redirect(status) {
        let location =
            response.headers().get(header::LOCATION).ok_or_else(|| wrong("redirects without a Location header"))?;
        let location = location.to_str().map_err(|_| wrong("redirects to a Location that is not ASCII"))?;
        return Ok(Fetched::Redirect(location.to_owned()));
    }
    if status != StatusCode::OK {
        let hint = if status == StatusCode::NOT_FOUND { ": the challenge file is not there" } else { "" };
        return Err(wrong(&format!("answered with status {} instead of 200{hint}", status.as_u16())));
    }
    let identity = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !response.headers().get_all(header::CONTENT_ENCODING).iter().all(identity) {
        return Err(wrong("answered with a compressed body; serve the challenge file as it is"));
    }
    let reading = body(response.into_body(), &wrong);
    within(deadline, ProblemKind::Connection, reading, || format!("receiving the body of {target} from {address}"))
        .await
        .map(Fetched::Body)
}

async fn body(mut incoming: Incoming, wrong: &impl Fn(&str) -> Problem) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| Problem::connection(wrong("broke the connection off within the body").detail))?;
        let Some(data) = frame.data_ref() else { continue };
        if body.len() + data.len() > MOST_BODY {
            return Err(wrong("answered with more than 64 KiB; a key authorization has 87 characters"));
        }
        body.extend_from_slice(data);
    }
    Ok(body)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Never says what the body was: it may come from a place that the applicant could not read.
fn compare(body: &[u8], attempt: &Attempt, target: &Target, address: IpAddr) -> Result<(), Problem> {
    // RFC 8555 §8.3: "The server SHOULD ignore whitespace characters at the end of the body."
    if body.trim_ascii_end() == attempt.key_authorization.as_bytes() {
        return Ok(());
    }
    let found = body.trim_ascii_end().len();
    let expected = attempt.key_authorization.len();
    let hint = match found {
        0 => "the body is empty".to_owned(),
        _ if found == expected => format!(
            "the body has the right length of {expected} characters but is another text; is it of another account or an older order?"
        ),
        _ => format!("the body has {found} characters, expected are {expected}"),
    };
    Err(Problem::incorrect_response(format!("{target} at {address} does not serve the key authorization: {hint}")))
}

fn http_reason(error: &hyper::Error) -> &'static str {
    if error.is_parse_too_large() {
        "the answer's headers are too large"
    } else if error.is_parse() {
        "the answer is not HTTP/1.1"
    } else if error.is_incomplete_message() {
        "the connection was closed before an answer came"
    } else {
        "the connection broke before an answer came"
    }
}

/// One problem for all addresses that brought nothing: of the first one's kind, and with every reason.
fn united(target: &Target, failures: Vec<Problem>) -> Problem {
    let kind = failures.first().map_or(ProblemKind::Connection, |problem| problem.kind);
    let reasons: Vec<String> = failures.into_iter().map(|problem| problem.detail).collect();
    Problem::new(kind, format!("{target} could not be fetched: {}", reasons.join("; ")))
}

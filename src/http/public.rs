//! The public listener: CRLs, OCSP answers and issuer certificates over plain HTTP, for relying services and their caches.
//! It answers no ACME.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use hyper::{HeaderMap, Method, Response, StatusCode};

use super::app::App;
use super::connection::{Peer, Service};
use super::pipeline::{self, Context, Refused};
use super::query::percent_decoded;
use super::reply::{Error, Reply};
use super::request::{self, Arrived};
use crate::acme::problem::Problem;
use crate::issuer::status::OcspAnswer;
use crate::model::Refusal;
use crate::names::{IssuerName, base64url};
use crate::time::Timestamp;

/// The longest OCSP request in a URL (RFC 5019 §5 speaks of 255 octets; some clients send more).
const LONGEST_IN_URL: usize = 2_048;
/// How long an issuer's certificate may be kept: a name is never used for another key.
const CERTIFICATE_AGE: Duration = Duration::from_secs(86_400);

/// Answers about status.
pub(super) struct PublicListener(pub(super) Arc<App>);

impl Service for PublicListener {
    fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: Peer,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> {
        Box::pin(async move {
            let app = &self.0;
            pipeline::answer(app, "public", request, peer, |request, context| reply(app, request, context)).await
        })
    }
}

/// A resource of the public listener.
#[derive(Debug, PartialEq, Eq)]
enum Resource {
    /// A CRL.
    Crl(IssuerName, u16),
    /// OCSP by POST.
    Ocsp(IssuerName),
    /// OCSP by GET: the request stands in the URL.
    OcspInUrl(IssuerName, Vec<u8>),
    /// An issuer's certificate.
    Certificate(IssuerName),
}

impl Resource {
    fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix('/')?.split_once('/')?;
        match kind {
            "crl" => {
                let (issuer, shard) = rest.strip_suffix(".crl")?.split_once('/')?;
                Some(Resource::Crl(issuer.parse().ok()?, number(shard)?))
            }
            "issuer" => Some(Resource::Certificate(rest.strip_suffix(".cer")?.parse().ok()?)),
            "ocsp" => match rest.split_once('/') {
                None => Some(Resource::Ocsp(rest.parse().ok()?)),
                Some((issuer, "")) => Some(Resource::Ocsp(issuer.parse().ok()?)),
                Some((issuer, request)) => Some(Resource::OcspInUrl(issuer.parse().ok()?, request_in_url(request)?)),
            },
            _ => None,
        }
    }

    fn methods(&self) -> &'static [&'static str] {
        match self {
            Resource::Crl(..) | Resource::OcspInUrl(..) | Resource::Certificate(_) => &["GET", "HEAD"],
            Resource::Ocsp(_) => &["POST"],
        }
    }
}

/// A shard, written without a sign or a leading zero.
fn number(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The DER of a request in a URL.
// RFC 6960 appendix A.1: url-encoding of the base64 of the DER. Clients differ in what they encode, and in padding.
fn request_in_url(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST_IN_URL {
        return None;
    }
    let mut base64 = percent_decoded(text)?;
    base64.push_str(match base64.len() % 4 {
        2 => "==",
        3 => "=",
        _ => "",
    });
    Base64::decode_vec(&base64).ok()
}

async fn reply(app: &App, request: Result<Arrived, Refused>, context: Context) -> Reply {
    let answered = match request {
        Ok(request) => answered(app, request, &context).await,
        Err(refused) => Err(refused.error),
    };
    answered.unwrap_or_else(|error| error.reply(&app.urls, context.language, &context.id))
}

async fn answered(app: &App, request: Arrived, context: &Context) -> Result<Reply, Error> {
    let path = request.head.uri.path().strip_prefix(&app.public_path).unwrap_or_default();
    let resource = Resource::parse(path).ok_or(Refusal::NotFound)?;
    let methods = resource.methods();
    if !methods.contains(&request.head.method.as_str()) {
        return Ok(method_refused(methods, &request.head.method, context));
    }
    let fields = request.head.headers;
    match resource {
        Resource::Crl(issuer, shard) => crl(app, &fields, (&issuer, shard), context.now),
        Resource::Certificate(issuer) => certificate(app, &fields, &issuer, context.now),
        Resource::OcspInUrl(issuer, query) => {
            let answer = ocsp(app, &issuer, &query, context.now).await?;
            Ok(cached_ocsp(app, &fields, answer, context.now))
        }
        Resource::Ocsp(issuer) => {
            let query = request::body(request.body, app.settings.body_size, app.settings.body_timeout).await?;
            let answer = ocsp(app, &issuer, &query, context.now).await?;
            Ok(Reply::content(StatusCode::OK, OCSP, Bytes::from_owner(answer.der)).with(CACHE_CONTROL, "no-cache"))
        }
    }
}

const OCSP: &str = "application/ocsp-response";

async fn ocsp(app: &App, issuer: &IssuerName, query: &[u8], now: Timestamp) -> Result<OcspAnswer, Error> {
    let store = app.authority.store();
    let generation = store.generation();
    let answer = app.status.ocsp(issuer, query, now).await;
    // The status that it tells must be durable before it is told.
    store.settled_since(generation).await?;
    answer.ok_or_else(|| Refusal::NotFound.into())
}

// RFC 5019 §6.2: an answer without a nonce may be cached; here for a minute at most, so that a revocation is soon seen.
fn cached_ocsp(app: &App, fields: &HeaderMap, answer: OcspAnswer, now: Timestamp) -> Reply {
    let der = Bytes::from_owner(Arc::clone(&answer.der));
    match answer.cacheable {
        Some((since, until)) => {
            let etag = hash(&der);
            cached(
                fields,
                OCSP,
                der,
                &Freshness::new(&etag, Some(since), Some(until), app.settings.status_max_age),
                now,
            )
        }
        None => Reply::content(StatusCode::OK, OCSP, der).with(CACHE_CONTROL, "no-store"),
    }
}

fn crl(app: &App, fields: &HeaderMap, (issuer, shard): (&IssuerName, u16), now: Timestamp) -> Result<Reply, Error> {
    let crl = app.status.crl(issuer, shard).ok_or(Refusal::NotFound)?;
    let freshness = Freshness::new(&crl.etag, Some(crl.this_update), crl.next_update, app.settings.status_max_age);
    Ok(cached(fields, "application/pkix-crl", Bytes::from_owner(crl.der), &freshness, now))
}

fn certificate(app: &App, fields: &HeaderMap, issuer: &IssuerName, now: Timestamp) -> Result<Reply, Error> {
    let der = Bytes::copy_from_slice(app.status.issuer_certificate(issuer).ok_or(Refusal::NotFound)?);
    let etag = hash(&der);
    Ok(cached(fields, "application/pkix-cert", der, &Freshness::new(&etag, None, None, CERTIFICATE_AGE), now))
}

fn hash(content: &[u8]) -> String {
    base64url::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content).as_ref())
}

/// How caches may use an answer.
struct Freshness<'a> {
    etag: &'a str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    age: i64,
}

impl<'a> Freshness<'a> {
    fn new(etag: &'a str, since: Option<Timestamp>, until: Option<Timestamp>, age: Duration) -> Self {
        Freshness { etag, since, until, age: i64::try_from(age.as_secs()).unwrap_or(i64::MAX) }
    }
}

/// Content with validators, or 304 if the peer has it already.
fn cached(fields: &HeaderMap, kind: &'static str, content: Bytes, freshness: &Freshness<'_>, now: Timestamp) -> Reply {
    let age = freshness.until.map_or(freshness.age, |until| until.since(now).min(freshness.age)).max(0);
    let reply = if is_known(fields, freshness) {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        Reply::content(StatusCode::OK, kind, content)
    };
    let reply = reply
        .with(ETAG, &format!("\"{}\"", freshness.etag))
        .with(CACHE_CONTROL, &format!("max-age={age}, public, no-transform, must-revalidate"))
        .with(EXPIRES, &now.plus(age).http_date());
    match freshness.since {
        Some(since) => reply.with(LAST_MODIFIED, &since.http_date()),
        None => reply,
    }
}

/// Whether the peer's copy is the present one.
// RFC 9110 §13.2.2: If-None-Match decides; If-Modified-Since only without it.
fn is_known(fields: &HeaderMap, freshness: &Freshness<'_>) -> bool {
    if fields.contains_key(IF_NONE_MATCH) {
        let tags = fields.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        return tags
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == freshness.etag);
    }
    // Our own dates are compared as they are written: a date of another form only costs a full answer.
    match (fields.get(IF_MODIFIED_SINCE), freshness.since) {
        (Some(date), Some(since)) => date.to_str().is_ok_and(|date| date == since.http_date()),
        (Some(_), None) | (None, _) => false,
    }
}

fn method_refused(methods: &[&str], method: &Method, context: &Context) -> Reply {
    let allowed = methods.join(", ");
    let method: String = method.as_str().chars().take(20).collect();
    let problem = Problem::malformed(format!("{method} is not allowed here, only {allowed}"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED.as_u16());
    Reply::problem(&problem, context.language).with(ALLOW, &allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> IssuerName {
        "sote-1".parse().unwrap()
    }

    #[test]
    fn each_resource_has_one_path() {
        assert_eq!(Resource::parse("/crl/sote-1/0.crl"), Some(Resource::Crl(issuer(), 0)));
        assert_eq!(Resource::parse("/issuer/sote-1.cer"), Some(Resource::Certificate(issuer())));
        assert_eq!(Resource::parse("/ocsp/sote-1"), Some(Resource::Ocsp(issuer())));
        assert_eq!(Resource::parse("/ocsp/sote-1/"), Some(Resource::Ocsp(issuer())));
        for path in [
            "",
            "/",
            "/crl/sote-1/00.crl",
            "/crl/sote-1/+1.crl",
            "/crl/sote-1/65536.crl",
            "/crl/sote-1.crl",
            "/issuer/.cer",
            "/issuer/../x.cer",
            "/acme/new-nonce",
            "/directory",
            "/crl/a/b/0.crl",
        ] {
            assert_eq!(Resource::parse(path), None, "{path}");
        }
    }

    #[test]
    fn an_ocsp_request_in_a_url_is_read_however_it_was_encoded() {
        let der = [0xfb, 0xef, 0xbe, 0xff];
        for text in ["++++/w==", "%2B%2B%2b%2b%2Fw%3D%3D", "++++/w", "++++%2fw%3d="] {
            assert_eq!(request_in_url(text), Some(der.to_vec()), "{text}");
        }
        for text in ["%", "%2", "%zz", "a b", "=", &"A".repeat(4096)] {
            assert_eq!(request_in_url(text), None, "{text}");
        }
    }

    fn freshness() -> Freshness<'static> {
        let now = Timestamp::from_seconds(1_795_000_000);
        Freshness::new("abc", Some(now), Some(now.plus(30)), Duration::from_secs(60))
    }

    #[test]
    fn a_cache_keeps_an_answer_no_longer_than_it_holds() {
        let now = Timestamp::from_seconds(1_795_000_000);
        let reply = cached(&HeaderMap::new(), OCSP, Bytes::from_static(b"x"), &freshness(), now);
        assert!(reply.fields[CACHE_CONTROL].to_str().unwrap().starts_with("max-age=30,"));
        let later = cached(&HeaderMap::new(), OCSP, Bytes::from_static(b"x"), &freshness(), now.plus(99));
        assert!(later.fields[CACHE_CONTROL].to_str().unwrap().starts_with("max-age=0,"));
    }

    #[test]
    fn a_peer_that_has_the_answer_gets_304() {
        let now = Timestamp::from_seconds(1_795_000_000);
        let status = |name, value: &str| {
            let mut fields = HeaderMap::new();
            fields.insert(name, value.parse().unwrap());
            cached(&fields, OCSP, Bytes::from_static(b"x"), &freshness(), now).status.as_u16()
        };
        for tags in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(status(IF_NONE_MATCH, tags), 304, "{tags}");
        }
        assert_eq!(status(IF_NONE_MATCH, "\"x\""), 200);
        assert_eq!(status(IF_MODIFIED_SINCE, &now.http_date()), 304);
        assert_eq!(status(IF_MODIFIED_SINCE, "yesterday"), 200);
    }
}

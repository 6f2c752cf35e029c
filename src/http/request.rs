//! A request as the handlers see it: its head checked for what hyper lets through, its body read within bounds.

use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode, Version};

use super::activity::Ambiguous;
use super::reply::Error;
use crate::acme::problem::Problem;
use crate::names::base64url;

/// How much of a refused body is still read.
const LINGER_SIZE: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Names one request in logs and in answers that tell of a fault.
pub(super) fn request_id() -> String {
    let mut octets = [0u8; 12];
    // A request without a random id is still served.
    let _ = aws_lc_rs::rand::fill(&mut octets);
    base64url::encode(&octets)
}

/// Nothing, if the head means one thing only.
// RFC 9112 §3.2: a request without Host, or with two, is refused; §6.1: Content-Length beside Transfer-Encoding is the mark
// of request smuggling.
pub(super) fn sound_head<B>(request: &hyper::Request<B>) -> Result<(), Error> {
    let (version, fields) = (request.version(), request.headers());
    let malformed = |text: &str| Err(Problem::malformed(text).into());
    let hosts = fields.get_all(HOST).iter().count();
    if hosts > 1 {
        return malformed("the request has two Host header fields; send one");
    }
    if version >= Version::HTTP_2 {
        return Ok(());
    }
    if hosts == 0 && version == Version::HTTP_11 {
        return malformed("the request has no Host header field, which HTTP/1.1 demands");
    }
    if request.extensions().get::<Ambiguous>().is_some() {
        return malformed("the request has both Content-Length and Transfer-Encoding; send one");
    }
    if request.uri().authority().is_some() || request.method() == Method::CONNECT {
        return malformed("the request's target is an absolute URL or a proxy's; send the path alone");
    }
    Ok(())
}

/// The media type of a request's body, in lower case and without parameters.
pub(super) fn media_type(fields: &HeaderMap) -> Option<String> {
    let mut values = fields.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let essence = value.to_str().ok()?.split(';').next()?;
    Some(essence.trim().to_ascii_lowercase())
}

/// The whole body, of at most `limit` octets, if it comes within `time`.
pub(super) async fn body<B>(body: B, limit: usize, time: Duration) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = body;
    // A body that says it is too large need not be kept, only passed by.
    if body.size_hint().lower() > limit as u64 {
        linger(&mut body).await;
        return Err(too_large(limit));
    }
    let collected = tokio::time::timeout(time, Limited::new(&mut body, limit).collect()).await;
    match collected {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            linger(&mut body).await;
            Err(too_large(limit))
        }
        Ok(Err(_)) => Err(Problem::malformed("the request's body broke off").into()),
        Err(_) => {
            let detail = format!("the request's body did not come within {} seconds", time.as_secs());
            Err(Problem::malformed(detail).with_status(StatusCode::REQUEST_TIMEOUT.as_u16()).into())
        }
    }
}

fn too_large(limit: usize) -> Error {
    let detail = format!("the request's body is larger than {} KiB, the most that is read", limit / 1024);
    Problem::malformed(detail).with_status(StatusCode::PAYLOAD_TOO_LARGE.as_u16()).into()
}

/// Reads on for a moment and forgets what it reads, so that the peer sees the answer and not a reset connection.
pub(super) async fn linger<B: Body<Data = Bytes> + Unpin>(body: &mut B) {
    let rest = async {
        let mut passed = 0;
        while let Some(Ok(frame)) = body.frame().await {
            passed += frame.data_ref().map_or(0, Bytes::len);
            if passed > LINGER_SIZE {
                break;
            }
        }
    };
    // Whether the peer stopped or not, it is answered now.
    let _ = tokio::time::timeout(LINGER_TIME, rest).await;
}

/// A request's head and its body, which is still to be read.
pub(super) struct Arrived {
    pub(super) head: Parts,
    pub(super) body: Incoming,
}

impl From<hyper::Request<Incoming>> for Arrived {
    fn from(request: hyper::Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        Arrived { head, body }
    }
}

/// Path and query exactly as they were sent.
pub(super) fn target(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("/", |target| target.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_sound(version: Version, target: &str, hosts: &[&'static str]) -> bool {
        let mut request = hyper::Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        sound_head(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn a_head_with_two_meanings_is_refused() {
        assert!(is_sound(Version::HTTP_11, "/", &["a"]));
        assert!(!is_sound(Version::HTTP_11, "/", &[]) && !is_sound(Version::HTTP_11, "/", &["a", "a"]));
        assert!(!is_sound(Version::HTTP_11, "https://evil.example/", &["a"]));
        assert!(is_sound(Version::HTTP_2, "https://a/", &[]) && is_sound(Version::HTTP_10, "/", &[]));
        let mut smuggled = hyper::Request::builder().header(HOST, "a").body(()).unwrap();
        smuggled.extensions_mut().insert(Ambiguous);
        assert!(sound_head(&smuggled).is_err());
    }

    #[test]
    fn the_media_type_is_one_and_without_parameters() {
        let kind = |values: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(CONTENT_TYPE, hyper::header::HeaderValue::from_static(value));
            }
            media_type(&fields)
        };
        assert_eq!(kind(&["application/JOSE+json; charset=utf-8"]).as_deref(), Some("application/jose+json"));
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&["application/jose+json", "text/plain"]), None);
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read_and_a_larger_one_is_413() {
        let read = async |size| body(Full::new(Bytes::from(vec![0; size])), 1000, SECOND).await;
        assert_eq!(read(1000).await.unwrap().len(), 1000);
        let Err(Error::Form(problem)) = read(1001).await else { panic!("read") };
        assert_eq!(problem.status, 413);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_408() {
        let Err(Error::Form(problem)) = body(Silent, 1000, Duration::from_millis(20)).await else { panic!("read") };
        assert_eq!(problem.status, 408);
    }

    /// A body that never comes.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
            std::task::Poll::Pending
        }
    }
}

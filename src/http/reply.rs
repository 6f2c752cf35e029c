//! Answers before they are bytes: what a use case or an error came to, with its header fields.

use hyper::body::Bytes;
use hyper::header::{CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, HeaderValue, LINK, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use super::problem_table;
use super::texts::Language;
use crate::acme::problem::Problem;
use crate::acme::urls::Urls;
use crate::authority::{self, Fault};
use crate::model::Refusal;
use crate::store::StoreError;

/// After how many seconds to try again when the server cannot do something now.
const TRY_AGAIN: u64 = 5;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
}

/// Why a request gets no answer of its own.
#[derive(Debug)]
pub(super) enum Error {
    /// A rule refused it.
    Refused(Box<Refusal>),
    /// What was sent does not have the right form; the problem was found with it.
    Form(Box<Problem>),
    /// The server failed.
    Fault(Fault),
}

impl From<authority::Error> for Error {
    fn from(error: authority::Error) -> Self {
        match error {
            authority::Error::Refused(refusal) => Error::Refused(refusal),
            authority::Error::Fault(fault) => Error::Fault(fault),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(Box::new(refusal))
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Error::Form(Box::new(problem))
    }
}

impl From<Box<Problem>> for Error {
    fn from(problem: Box<Problem>) -> Self {
        Error::Form(problem)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        authority::Error::from(error).into()
    }
}

impl Error {
    /// The answer to the client. A fault's own words stay here, in the log, under the request's id.
    pub(super) fn reply(&self, urls: &Urls, language: Language, request: &str) -> Reply {
        match self {
            Error::Refused(refusal) => {
                let mut reply = Reply::problem(&problem_table::problem(refusal, urls, language), language);
                for (name, value) in problem_table::fields(refusal, urls) {
                    reply = reply.with(HeaderName::from_static(name), &value);
                }
                reply
            }
            Error::Form(problem) => Reply::problem(problem, language),
            Error::Fault(Fault::Unavailable(why)) => {
                tracing::warn!(why, "the server cannot answer a request now");
                let detail = language.unavailable(request);
                let problem = Problem::server_internal(detail).with_status(503);
                Reply::problem(&problem, language).with(RETRY_AFTER, &TRY_AGAIN.to_string())
            }
            Error::Fault(Fault::Internal(why)) => {
                tracing::error!(why, "the server failed at a request");
                let problem = Problem::server_internal(language.failed(request));
                Reply::problem(&problem, language).with(RETRY_AFTER, &TRY_AGAIN.to_string())
            }
        }
    }
}

impl Reply {
    /// An answer without content.
    pub(super) fn empty(status: StatusCode) -> Self {
        Reply { status, fields: HeaderMap::new(), body: Bytes::new() }
    }

    /// An answer with content of a type.
    pub(super) fn content(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let mut fields = HeaderMap::new();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Reply { status, fields, body: body.into() }
    }

    /// An answer in JSON.
    pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Reply::content(status, "application/json", body),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                Reply::empty(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// A problem document.
    // RFC 8555 §6.7.
    pub(super) fn problem(problem: &Problem, language: Language) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = Reply::json(status, problem);
        reply.fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        reply.with(CONTENT_LANGUAGE, language.tag())
    }

    /// The answer with one more header field. A value that no header can carry is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.fields.append(name, value);
        }
        self
    }

    /// The answer with a link.
    pub(super) fn link(self, url: &str, relation: &str) -> Self {
        self.with(LINK, &format!("<{url}>;rel=\"{relation}\""))
    }

    /// The answer as hyper sends it.
    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> Urls {
        Urls::new("https://ca.example.fi").unwrap()
    }

    #[test]
    fn a_fault_shows_its_request_and_nothing_of_itself() {
        for (fault, status) in [(Fault::Internal("secret path".into()), 500), (Fault::Unavailable("disk".into()), 503)]
        {
            let reply = Error::Fault(fault).reply(&urls(), Language::English, "r-17");
            assert_eq!(reply.status.as_u16(), status);
            let problem: Problem = serde_json::from_slice(&reply.body).unwrap();
            assert!(problem.detail.contains("r-17") && !problem.detail.contains("secret"));
            assert_eq!(reply.fields[RETRY_AFTER], "5");
        }
    }

    #[test]
    fn a_field_that_no_header_can_carry_is_left_out() {
        let reply = Reply::empty(StatusCode::OK).link("https://ca.example.fi/\r\nevil: 1", "up");
        assert!(reply.fields.is_empty());
    }
}

//! What can go wrong for a client, told apart by what its user can do about it.

use serde::Deserialize;
use serde_json::Value;

use crate::acme::problem::ProblemKind;

/// The result of a client's call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused and said why.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No answer came: a name that does not resolve, a connection or a TLS handshake that failed, a time limit.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The cause, from the outermost to the innermost.
        why: String,
    },
    /// The server answered, but not as the protocol says.
    #[error("unexpected answer from {url}: {why}")]
    Protocol {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// An order, authorization or challenge ended as `invalid`.
    #[error("{what} failed: {why}")]
    Failed {
        /// Which resource ended.
        what: String,
        /// The server's reason.
        why: String,
    },
    /// The server did not finish in time.
    #[error("{what} is still \"{status}\" after {seconds} s: ask again later")]
    NotYet {
        /// Which resource was waited for.
        what: String,
        /// Its last status.
        status: String,
        /// How long the client waited.
        seconds: u64,
    },
    /// A key, a file or an argument of the client's own side is unusable.
    #[error("{0}")]
    Local(String),
    /// A certificate, CRL or OCSP answer does not hold.
    #[error("{0}")]
    Untrusted(String),
}

impl Error {
    pub(crate) fn protocol(url: &str, why: impl std::fmt::Display) -> Self {
        Error::Protocol { url: url.to_owned(), why: why.to_string() }
    }

    pub(crate) fn unreachable(url: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Error::Unreachable { url: url.to_owned(), why: causes(error) }
    }

    pub(crate) fn local(text: impl Into<String>) -> Self {
        Error::Local(text.into())
    }

    pub(crate) fn untrusted(text: impl Into<String>) -> Self {
        Error::Untrusted(text.into())
    }

    /// The server's refusal, if that is what this is.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Refused(refusal) => Some(refusal),
            Error::Unreachable { .. }
            | Error::Protocol { .. }
            | Error::Failed { .. }
            | Error::NotYet { .. }
            | Error::Local(_)
            | Error::Untrusted(_) => None,
        }
    }

    /// Whether the server refused with this registered error type.
    pub fn is(&self, kind: ProblemKind) -> bool {
        self.refusal().is_some_and(|refusal| refusal.problem.is(kind))
    }
}

/// The texts of an error and of everything beneath it, each once.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// An answer with an error status.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The URL that was asked.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The problem document, or what could be made of another body.
    pub problem: ProblemDocument,
    /// How many seconds to wait before the next attempt, if the server said so.
    pub retry_after: Option<u64>,
    /// The `Location` header, with a conflict of account keys (RFC 8555 §7.3.5).
    pub location: Option<String>,
    /// The targets of `Link: <…>;rel="help"` and `rel="terms-of-service"`.
    pub help: Vec<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} at {})", self.problem, self.status, self.url)?;
        if let Some(seconds) = self.retry_after {
            write!(f, "; try again in {seconds} s")?;
        }
        if let Some(instance) = &self.problem.instance {
            write!(f, "; visit {instance}")?;
        }
        self.help.iter().try_for_each(|url| write!(f, "; see {url}"))
    }
}

/// A problem document as any server may send it: every member is optional, unknown types are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProblemDocument {
    /// The error type, a URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text for a person.
    pub detail: String,
    /// The HTTP status that the document repeats.
    pub status: Option<u16>,
    /// One problem per identifier or per attempt.
    pub subproblems: Vec<ProblemDocument>,
    /// The identifier that a subproblem is about.
    pub identifier: Option<Value>,
    /// The supported signature algorithms.
    pub algorithms: Vec<String>,
    /// The page to visit.
    pub instance: Option<String>,
}

impl ProblemDocument {
    /// Whether it has this registered type.
    pub fn is(&self, kind: ProblemKind) -> bool {
        self.name() == Some(kind.name())
    }

    /// The type's name within the ACME namespace.
    pub fn name(&self) -> Option<&str> {
        self.kind.strip_prefix("urn:ietf:params:acme:error:")
    }
}

impl std::fmt::Display for ProblemDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name().unwrap_or(&self.kind), self.detail)?;
        for problem in &self.subproblems {
            match problem.identifier.as_ref().and_then(|identifier| identifier.get("value")).and_then(Value::as_str) {
                Some(value) => write!(f, "; {value}: {problem}")?,
                None => write!(f, "; {problem}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_parts_with_their_identifiers() {
        let problem: ProblemDocument = serde_json::from_str(
            r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","subproblems":
                [{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"outside","identifier":{"type":"dns","value":"a.fi"}}]}"#,
        )
        .unwrap();
        assert!(problem.is(ProblemKind::RejectedIdentifier));
        assert_eq!(problem.to_string(), "rejectedIdentifier: no; a.fi: rejectedIdentifier: outside");
    }

    #[test]
    fn a_type_outside_the_namespace_is_kept() {
        let problem: ProblemDocument =
            serde_json::from_str(r#"{"type":"https://ca.test/errors/odd","detail":"d"}"#).unwrap();
        assert_eq!((problem.name(), problem.to_string().as_str()), (None, "https://ca.test/errors/odd: d"));
    }
}

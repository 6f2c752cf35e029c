//! What every answer of the ACME listener must have, checked wherever an answer is looked at.

use sote_acme::acme::problem::ProblemKind;
use sote_acme::client::{ProblemDocument, Response, Result};

/// The problem of a refusal, which must have this status and this registered type.
#[track_caller]
pub fn refused(response: Response, status: u16, kind: &str) -> ProblemDocument {
    let body = String::from_utf8_lossy(&response.body).into_owned();
    let problem = problem(&response);
    assert_eq!((response.status, problem.name().unwrap_or(&problem.kind)), (status, kind), "{body}");
    problem
}

/// The problem document of an error, with what every error must have.
#[track_caller]
pub fn problem(response: &Response) -> ProblemDocument {
    let body = String::from_utf8_lossy(&response.body).into_owned();
    assert!(response.status >= 400, "expected a refusal, got {} {body}", response.status);
    // RFC 8555 §6.7 and RFC 9457 §3.
    let content_type = response.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("application/problem+json"), "{content_type} for {body}");
    let json: serde_json::Value = response.json().unwrap();
    // RFC 8555 §6.7.1: an identifier stands in subproblems only.
    assert!(json.get("identifier").is_none(), "{body}");
    assert_eq!(json["status"], response.status, "{body}");
    let problem: ProblemDocument = response.json().unwrap();
    assert!(!problem.detail.is_empty(), "{body}");
    // RFC 8555 §6.7: the namespace holds registered types only.
    for kind in std::iter::once(&problem.kind).chain(problem.subproblems.iter().map(|part| &part.kind)) {
        let name = kind.strip_prefix("urn:ietf:params:acme:error:");
        assert!(name.is_none_or(|name| ProblemKind::ALL.iter().any(|kind| kind.name() == name)), "{kind}");
    }
    linked(response);
    problem
}

/// What every answer but the directory has: the link to it.
#[track_caller]
pub fn linked(response: &Response) {
    let index = response.links("index");
    assert_eq!(index.len(), 1, "{:?}", response.headers);
    assert!(index[0].ends_with("/directory"), "{index:?}");
}

/// The problem of a client's call, which must have been refused with this status and type.
#[track_caller]
pub fn denied<T>(result: Result<T>, status: u16, kind: &str) -> ProblemDocument {
    match result {
        Ok(_) => panic!("expected {status} {kind}, but it succeeded"),
        Err(error) => {
            let refusal = error.refusal().unwrap_or_else(|| panic!("expected {status} {kind}, got {error}"));
            let name = refusal.problem.name().unwrap_or(&refusal.problem.kind);
            assert_eq!((refusal.status, name), (status, kind), "{error}");
            refusal.problem.clone()
        }
    }
}

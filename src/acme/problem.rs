//! Problem documents (RFC 9457) with the error types of RFC 8555 §6.7 and its registered extensions. Each type has one
//! constructor that fixes its HTTP status, so that no caller can pair them wrongly.

use serde::{Deserialize, Serialize};

use super::identifier::Identifier;

/// The namespace of registered ACME error types. RFC 8555 §6.7: nothing unregistered may be put into it.
const NAMESPACE: &str = "urn:ietf:params:acme:error:";

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:literal, $constructor:ident;)*) => {
        /// A registered ACME error type (RFC 8555 §6.7, RFC 9773 §7.4, draft-ietf-acme-profiles).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)*
        }

        impl ProblemKind {
            /// Every registered type, in the order of the registry.
            pub const ALL: &[ProblemKind] = &[$(ProblemKind::$kind),*];

            /// The name after the namespace.
            pub const fn name(self) -> &'static str {
                match self { $(ProblemKind::$kind => $name,)* }
            }

            /// The HTTP status that this type has unless the case demands another.
            pub const fn status(self) -> u16 {
                match self { $(ProblemKind::$kind => $status,)* }
            }
        }

        impl Problem {
            $($(#[$doc])* pub fn $constructor(detail: impl Into<String>) -> Self {
                Problem::new(ProblemKind::$kind, detail)
            })*
        }
    };
}

kinds! {
    /// The request names an account that does not exist.
    AccountDoesNotExist = "accountDoesNotExist", 400, account_does_not_exist;
    /// The certificate that `replaces` names already has a replacement (RFC 9773 §5).
    AlreadyReplaced = "alreadyReplaced", 409, already_replaced;
    /// The certificate is already revoked.
    AlreadyRevoked = "alreadyRevoked", 400, already_revoked;
    /// The CSR is unacceptable.
    BadCsr = "badCSR", 400, bad_csr;
    /// The nonce is unknown, spent or too old.
    BadNonce = "badNonce", 400, bad_nonce;
    /// The JWS was signed by a key that the server does not support.
    BadPublicKey = "badPublicKey", 400, bad_public_key;
    /// The reason for the revocation is not allowed.
    BadRevocationReason = "badRevocationReason", 400, bad_revocation_reason;
    /// The JWS was signed with an algorithm that the server does not support.
    BadSignatureAlgorithm = "badSignatureAlgorithm", 400, bad_signature_algorithm;
    /// CAA records forbid issuance.
    Caa = "caa", 403, caa;
    /// Several errors; the subproblems tell which.
    Compound = "compound", 400, compound;
    /// The server could not connect to the validation target.
    Connection = "connection", 400, connection;
    /// A dns look-up failed during validation.
    Dns = "dns", 400, dns;
    /// The request must carry an external account binding.
    ExternalAccountRequired = "externalAccountRequired", 403, external_account_required;
    /// The response did not match the challenge.
    IncorrectResponse = "incorrectResponse", 403, incorrect_response;
    /// A contact URL is invalid.
    InvalidContact = "invalidContact", 400, invalid_contact;
    /// The profile is unknown or not allowed (draft-ietf-acme-profiles).
    InvalidProfile = "invalidProfile", 400, invalid_profile;
    /// The request is malformed.
    Malformed = "malformed", 400, malformed;
    /// The order is not ready to be finalized.
    OrderNotReady = "orderNotReady", 403, order_not_ready;
    /// The request exceeds a rate limit.
    RateLimited = "rateLimited", 429, rate_limited;
    /// The server will not issue for this identifier.
    RejectedIdentifier = "rejectedIdentifier", 403, rejected_identifier;
    /// The server met an internal error.
    ServerInternal = "serverInternal", 500, server_internal;
    /// A TLS error during validation.
    Tls = "tls", 400, tls;
    /// The client lacks sufficient authorization.
    Unauthorized = "unauthorized", 403, unauthorized;
    /// A contact URL uses an unsupported scheme.
    UnsupportedContact = "unsupportedContact", 400, unsupported_contact;
    /// The identifier's type is unsupported.
    UnsupportedIdentifier = "unsupportedIdentifier", 400, unsupported_identifier;
    /// The account's holder must act outside the protocol; `instance` tells where.
    UserActionRequired = "userActionRequired", 403, user_action_required;
}

impl Serialize for ProblemKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{NAMESPACE}{}", self.name()))
    }
}

impl<'de> Deserialize<'de> for ProblemKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.strip_prefix(NAMESPACE)
            .and_then(|name| ProblemKind::ALL.iter().copied().find(|kind| kind.name() == name))
            .ok_or_else(|| serde::de::Error::custom("an unknown ACME error type"))
    }
}

/// An error type of this server's own. RFC 8555 §6.7: what is not registered stays out of the ACME namespace, so its type is
/// the URL of the page that explains it. Resources of RFC 8555 itself answer registered types only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnKind {
    /// What the request wants to change has changed since it was read, or its idempotency key was used otherwise.
    Conflict,
    /// The organisation would be left without an administrator.
    LastAdministrator,
}

impl OwnKind {
    /// Every type.
    pub const ALL: &[OwnKind] = &[OwnKind::Conflict, OwnKind::LastAdministrator];

    /// The name: the last part of its URL.
    pub const fn name(self) -> &'static str {
        match self {
            OwnKind::Conflict => "conflict",
            OwnKind::LastAdministrator => "lastAdministrator",
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            OwnKind::Conflict | OwnKind::LastAdministrator => 409,
        }
    }
}

/// A problem document, as sent to clients and as kept with an order or a challenge that failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The error type.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The URL of a type of our own, which then stands in the place of the registered one.
    #[serde(skip)]
    pub own: Option<Box<str>>,
    /// What happened and what to do next, for a person.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    /// One problem per identifier (RFC 8555 §6.7.1), or per failed attempt (§8.2).
    #[serde(default)]
    pub subproblems: Vec<Subproblem>,
    /// The supported signature algorithms, with `badSignatureAlgorithm` (RFC 8555 §6.2).
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// The page to visit, with `userActionRequired` (RFC 8555 §7.3.3).
    #[serde(default)]
    pub instance: Option<String>,
}

/// A problem as it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "type")]
    kind: WrittenKind<'a>,
    detail: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    subproblems: &'a [Subproblem],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    algorithms: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenKind<'a> {
    Registered(ProblemKind),
    Own(&'a str),
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.own.as_deref().map_or(WrittenKind::Registered(self.kind), WrittenKind::Own);
        Written {
            kind,
            detail: &self.detail,
            status: self.status,
            subproblems: &self.subproblems,
            algorithms: &self.algorithms,
            instance: self.instance.as_deref(),
        }
        .serialize(serializer)
    }
}

/// A part of a [`Problem`]. RFC 8555 §6.7.1: `identifier` stands here only, never on the outer problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subproblem {
    /// The error type.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// What is wrong with this part.
    pub detail: String,
    /// The identifier that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
}

impl Problem {
    /// A problem of `kind` with its usual HTTP status.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Problem {
            kind,
            own: None,
            detail: detail.into(),
            status: kind.status(),
            subproblems: Vec::new(),
            algorithms: Vec::new(),
            instance: None,
        }
    }

    /// A problem of our own type, explained at `page`.
    pub fn of_our_own(kind: OwnKind, page: String, detail: impl Into<String>) -> Self {
        Problem { own: Some(page.into()), status: kind.status(), ..Problem::new(ProblemKind::Malformed, detail) }
    }

    /// The same problem with another HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same problem with `subproblems`.
    pub fn with_subproblems(mut self, subproblems: Vec<Subproblem>) -> Self {
        self.subproblems = subproblems;
        self
    }

    /// This problem as a part of another one.
    pub fn about(self, identifier: Option<Identifier>) -> Subproblem {
        Subproblem { kind: self.kind, detail: self.detail, identifier }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_back_as_it_was_written() {
        let identifier = Identifier::Dns("www.example.fi".parse().unwrap());
        let problem = Problem::rejected_identifier("one name is refused")
            .with_subproblems(vec![Problem::rejected_identifier("outside the zones").about(Some(identifier))]);
        let json = serde_json::to_string(&problem).unwrap();
        assert!(json.contains("urn:ietf:params:acme:error:rejectedIdentifier"));
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
    }

    #[test]
    fn a_type_of_our_own_is_the_url_of_its_page() {
        let page = "https://ca.example.fi/errors/conflict";
        let problem = Problem::of_our_own(OwnKind::Conflict, page.into(), "it has changed");
        let json = serde_json::to_value(problem).unwrap();
        assert_eq!(json, serde_json::json!({ "type": page, "detail": "it has changed", "status": 409 }));
        assert!(OwnKind::ALL.iter().all(|own| ProblemKind::ALL.iter().all(|kind| kind.name() != own.name())));
    }
}

//! Authorizations and challenges (RFC 8555 §7.1.4, §7.1.5, §7.4.1 and §7.5).

use serde::{Deserialize, Serialize};

use super::{deactivation, is_false};
use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::RawIdentifier;
use crate::acme::problem::Problem;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::time::Timestamp;

/// The payload of newAuthz.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuthorization {
    /// What the account wants to be authorised for.
    pub identifier: RawIdentifier,
}

/// The payload of an update of an authorization (RFC 8555 §7.5.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationUpdate {
    /// Whether to deactivate the authorization.
    #[serde(rename = "status", default, skip_serializing_if = "is_false", with = "deactivation")]
    pub deactivate: bool,
}

/// The payload that answers a challenge: an object whose members are ignored (RFC 8555 §7.5.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAnswer {}

/// An authorization as the server shows it.
///
/// acme.sh finds the name of a dns authorization by the first `"value"` and a challenge by the braces around its `"type"`,
/// so no other member here may be called `value`, and a challenge holds no object but its `error`, which stands last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationObject {
    /// What is authorised, without `*.`.
    pub identifier: RawIdentifier,
    /// The authorization's status.
    pub status: AuthorizationStatus,
    /// When it ends. RFC 8555 §7.1.4: required while it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The challenges: those that stock clients know come first.
    pub challenges: Vec<ChallengeObject>,
    /// Whether it was made for a wildcard. RFC 8555 erratum 6364: true, or absent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wildcard: bool,
}

/// A challenge as the server shows it, flat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeObject {
    /// The challenge's type: its registered label.
    #[serde(rename = "type")]
    pub kind: String,
    /// The URL that takes the answer.
    pub url: String,
    /// The challenge's status.
    pub status: ChallengeStatus,
    /// The token. Every challenge has one, also where its type needs none: uacme and the Ruby client fail without.
    #[serde(default)]
    pub token: String,
    /// When the server validated it. RFC 8555 §8: required when it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validated: Option<Timestamp>,
    /// The last failure, with one subproblem per attempt; without identifiers, which would bring a second `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

impl ChallengeObject {
    /// The type, if it is one of those that this code speaks.
    pub fn challenge_type(&self) -> Option<ChallengeType> {
        ChallengeType::from_label(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization() -> AuthorizationObject {
        let challenge = |kind: ChallengeType, error| ChallengeObject {
            kind: kind.label().into(),
            url: format!("https://ca.example/{}", kind.label()),
            status: ChallengeStatus::Invalid,
            token: "dG9rZW4".into(),
            validated: None,
            error,
        };
        let error = Problem::dns("no record").with_subproblems(vec![Problem::dns("first attempt").about(None)]);
        AuthorizationObject {
            identifier: RawIdentifier { kind: "dns".into(), value: "a.fi".into() },
            status: AuthorizationStatus::Invalid,
            expires: None,
            challenges: vec![challenge(ChallengeType::Http01, None), challenge(ChallengeType::Dns01, Some(error))],
            wildcard: false,
        }
    }

    /// The patterns by which acme.sh reads: `"value":"…"`, and `[^{]*"type":"dns-01"[^}]*`.
    #[test]
    fn acme_sh_finds_the_name_and_the_challenge_by_its_patterns() {
        let json = serde_json::to_string(&authorization()).unwrap();
        assert_eq!(json.matches("\"value\":\"").count(), 1);
        let at = json.find("\"type\":\"dns-01\"").unwrap();
        let begin = json[..at].rfind('{').unwrap() + 1;
        let entry = &json[begin..at + json[at..].find('}').unwrap()];
        assert!(entry.contains("\"url\":\"https://ca.example/dns-01\""), "{entry}");
        assert!(entry.contains("\"token\":\"dG9rZW4\""), "{entry}");
    }

    #[test]
    fn an_authorization_reads_back_and_shows_wildcard_only_when_true() {
        let mut authorization = authorization();
        let json = serde_json::to_string(&authorization).unwrap();
        assert!(!json.contains("wildcard") && !json.contains("expires"));
        assert_eq!(serde_json::from_str::<AuthorizationObject>(&json).unwrap(), authorization);
        authorization.wildcard = true;
        assert!(serde_json::to_string(&authorization).unwrap().contains("\"wildcard\":true"));
    }

    #[test]
    fn a_challenge_of_an_unknown_type_is_read_all_the_same() {
        let json = r#"{"type":"dns-persist-01","url":"u","status":"pending","issuer-domain-names":["ca.example"]}"#;
        assert_eq!(serde_json::from_str::<ChallengeObject>(json).unwrap().challenge_type(), None);
    }
}

//! Authorizations and challenges (RFC 8555 §7.1.4, §7.1.5, §7.4.1 and §7.5).

use serde::{Deserialize, Serialize};

use super::{ProgressStep, deactivation, is_false};
use crate::acme::challenge_type::ChallengeType;
use crate::acme::identifier::RawIdentifier;
use crate::acme::problem::Problem;
use crate::acme::status::{AuthorizationStatus, ChallengeStatus};
use crate::names::base64url;
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

/// The payload that answers a challenge for a dns name: an object whose members are ignored (RFC 8555 §7.5.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAnswer {}

/// The payload that answers tkauth-01 (RFC 9447 §3.3). Other members are refused, as in all answers for organisations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAnswer {
    /// The authority token, a compact JWS.
    pub tkauth: String,
}

/// The payload that answers org-signature-01.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureAnswer {
    /// What the card signed, a compact JWS.
    pub signature: String,
    /// A mandate of the card's holder from a mandate register, a compact JWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate: Option<String>,
}

/// The payload that answers org-approval-01: what the registration officer is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalAnswer {
    /// Who applies.
    pub applicant: Applicant,
    /// Why the applicant may act for the organisation.
    pub justification: String,
    /// Documents that the officer gets by another way, each named by its hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<ApplicationDocument>,
}

/// A person who applies for an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applicant {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// The telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// A document that supports an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationDocument {
    /// SHA-256 of its octets, base64url.
    #[serde(with = "base64url::bytes")]
    pub sha256: [u8; 32],
    /// What it is called.
    pub title: String,
}

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
    /// tkauth-01: the kind of token, `atc` (RFC 9447 §3).
    #[serde(rename = "tkauth-type", default, skip_serializing_if = "Option::is_none")]
    pub tkauth_type: Option<String>,
    /// tkauth-01: where a token can be had (RFC 9447 §3), a hint.
    #[serde(rename = "token-authority", default, skip_serializing_if = "Option::is_none")]
    pub token_authority: Option<String>,
    /// org-signature-01: the certificate policies of the cards that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// org-approval-01: a page that tells how applications are decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// org-approval-01: how the applicant and the officer name the application to each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// org-approval-01: where the application stands, for a person. Its words are those of an order's `progress`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<ProgressStep>,
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
            tkauth_type: None,
            token_authority: None,
            policies: Vec::new(),
            instructions: None,
            reference: None,
            progress: Vec::new(),
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
    fn the_members_of_one_challenge_type_do_not_show_in_another() {
        let json = serde_json::to_string(&authorization()).unwrap();
        for member in ["tkauth-type", "token-authority", "policies", "instructions", "reference", "progress"] {
            assert!(!json.contains(member), "{member}");
        }
    }

    #[test]
    fn an_answer_for_an_organisation_has_its_members_and_no_others() {
        let token = |text: &str| crate::acme::json::object::<TokenAnswer>(text.as_bytes());
        assert!(token(r#"{"tkauth":"a.b.c"}"#).is_ok());
        for bad in ["{}", r#"{"tkauth":"a.b.c","x":1}"#, r#"{"tkauth":null}"#, r#"{"signature":"a.b.c"}"#] {
            assert!(token(bad).is_err(), "{bad}");
        }
        let application = |text: &str| crate::acme::json::object::<ApprovalAnswer>(text.as_bytes());
        let whole = r#"{"applicant":{"name":"A","email":"a@b.fi"},"justification":"j"}"#;
        assert!(application(whole).is_ok());
        assert!(application(r#"{"applicant":{"name":"A","email":"a@b.fi","hetu":"x"},"justification":"j"}"#).is_err());
    }

    #[test]
    fn a_challenge_of_an_unknown_type_is_read_all_the_same() {
        let json = r#"{"type":"dns-persist-01","url":"u","status":"pending","issuer-domain-names":["ca.example"]}"#;
        assert_eq!(serde_json::from_str::<ChallengeObject>(json).unwrap().challenge_type(), None);
    }
}

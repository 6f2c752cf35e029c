//! The challenge types that this server speaks.

use serde::{Deserialize, Serialize};

/// A validation method (RFC 8555 §9.7.8) by its registered label. Authorizations list challenges in this order: stock
/// clients read the well-known ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChallengeType {
    /// RFC 8555 §8.3.
    #[serde(rename = "http-01")]
    Http01,
    /// RFC 8555 §8.4.
    #[serde(rename = "dns-01")]
    Dns01,
    /// RFC 8737.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl ChallengeType {
    /// Every type, in the order in which authorizations list them.
    pub const ALL: &[ChallengeType] = &[ChallengeType::Http01, ChallengeType::Dns01, ChallengeType::TlsAlpn01];

    /// The label of the IANA registry, which RFC 8657 `validationmethods` uses too.
    pub const fn label(self) -> &'static str {
        match self {
            ChallengeType::Http01 => "http-01",
            ChallengeType::Dns01 => "dns-01",
            ChallengeType::TlsAlpn01 => "tls-alpn-01",
        }
    }

    /// The type with this label.
    pub fn from_label(label: &str) -> Option<Self> {
        ChallengeType::ALL.iter().copied().find(|kind| kind.label() == label)
    }
}

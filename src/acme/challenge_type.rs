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
    /// RFC 9447, with the token type of organisations.
    #[serde(rename = "tkauth-01")]
    Tkauth01,
    /// Ours: a signature by an organisation card or a professional card.
    #[serde(rename = "org-signature-01")]
    OrgSignature01,
    /// Ours: a registration officer decides.
    #[serde(rename = "org-approval-01")]
    OrgApproval01,
}

impl ChallengeType {
    /// Every type, in the order in which authorizations list them.
    pub const ALL: &[ChallengeType] = &[
        ChallengeType::Http01,
        ChallengeType::Dns01,
        ChallengeType::TlsAlpn01,
        ChallengeType::Tkauth01,
        ChallengeType::OrgSignature01,
        ChallengeType::OrgApproval01,
    ];

    /// The label of the IANA registry, which RFC 8657 `validationmethods` uses too.
    pub const fn label(self) -> &'static str {
        match self {
            ChallengeType::Http01 => "http-01",
            ChallengeType::Dns01 => "dns-01",
            ChallengeType::TlsAlpn01 => "tls-alpn-01",
            ChallengeType::Tkauth01 => "tkauth-01",
            ChallengeType::OrgSignature01 => "org-signature-01",
            ChallengeType::OrgApproval01 => "org-approval-01",
        }
    }

    /// Whether it proves an organisation.
    pub const fn is_of_organisations(self) -> bool {
        match self {
            ChallengeType::Tkauth01 | ChallengeType::OrgSignature01 | ChallengeType::OrgApproval01 => true,
            ChallengeType::Http01 | ChallengeType::Dns01 | ChallengeType::TlsAlpn01 => false,
        }
    }

    /// The type with this label.
    pub fn from_label(label: &str) -> Option<Self> {
        ChallengeType::ALL.iter().copied().find(|kind| kind.label() == label)
    }
}

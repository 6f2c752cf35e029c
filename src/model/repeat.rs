//! Requests that may be sent twice: what a creating request made is remembered for a day under the key that it carried, so
//! that a client whose answer was lost gets it again and makes nothing twice.

use serde::{Deserialize, Serialize};

use crate::names::{AccountId, CertificateId, InvitationId};
use crate::time::Timestamp;

/// For how many seconds a key is remembered.
pub const REMEMBERED: i64 = 86_400;

/// What one request with a key made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// Whose request.
    pub account: AccountId,
    /// SHA-256 of its key.
    #[serde(with = "crate::names::base64url::bytes")]
    pub key: [u8; 32],
    /// SHA-256 of its URL and payload.
    #[serde(with = "crate::names::base64url::bytes")]
    pub request: [u8; 32],
    /// What it made.
    pub made: Made,
    /// Until when it is remembered.
    pub expires: Timestamp,
}

/// What a request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum Made {
    /// An invitation.
    Invitation(InvitationId),
    /// The revocation of this certificate.
    Revocation(CertificateId),
}

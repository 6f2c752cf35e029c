//! Reasons for a revocation: one vocabulary for ACME, CRL and OCSP.

use serde::{Deserialize, Serialize};

use super::NameError;

/// A reason code of RFC 5280 §5.3.1. Code 0 (unspecified) is the absence of a reason, and code 7 is unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum RevocationReason {
    /// The certificate's private key is, or may be, disclosed.
    KeyCompromise = 1,
    /// The CA's key is disclosed.
    CaCompromise = 2,
    /// The organisation's name or affiliation changed.
    AffiliationChanged = 3,
    /// Another certificate has taken its place.
    Superseded = 4,
    /// It is no longer needed.
    CessationOfOperation = 5,
    /// Held for a while; this service has no hold.
    CertificateHold = 6,
    /// Taken off the list; in delta CRLs only.
    RemoveFromCrl = 8,
    /// A right named in it has ended.
    PrivilegeWithdrawn = 9,
    /// The attribute authority's key is disclosed.
    AaCompromise = 10,
}

impl RevocationReason {
    /// The code of CRL, OCSP and ACME.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this code; `None` for 0, which is no reason at all.
    pub fn from_code(code: u8) -> Result<Option<Self>, NameError> {
        if code == 0 { Ok(None) } else { Self::try_from(code).map(Some) }
    }
}

impl From<RevocationReason> for u8 {
    fn from(reason: RevocationReason) -> u8 {
        reason.code()
    }
}

impl TryFrom<u8> for RevocationReason {
    type Error = NameError;

    fn try_from(code: u8) -> Result<Self, NameError> {
        use RevocationReason::*;
        [
            KeyCompromise,
            CaCompromise,
            AffiliationChanged,
            Superseded,
            CessationOfOperation,
            CertificateHold,
            RemoveFromCrl,
            PrivilegeWithdrawn,
            AaCompromise,
        ]
        .into_iter()
        .find(|reason| reason.code() == code)
        .ok_or_else(|| NameError::new(format!("{code} is no reason code of RFC 5280 §5.3.1")))
    }
}

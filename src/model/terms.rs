//! Terms of service and what accounts agreed to (RFC 8555 §7.3, §7.3.3).

use serde::{Deserialize, Serialize};

use crate::names::{AccountId, TermsPageId};
use crate::time::Timestamp;

/// That someone agreed to a version of the terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsAgreement {
    /// The version, as configured.
    pub version: String,
    /// When.
    pub at: Timestamp,
    /// From which address, when it was agreed on a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A page on which an account's holder agrees to changed terms: its id cannot be guessed, and it is valid for seven days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsPage {
    /// Its id, the last part of its URL.
    pub id: TermsPageId,
    /// Whose agreement it takes.
    pub account: AccountId,
    /// The version that it shows.
    pub version: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// How long a page may be used: seven days, in seconds.
pub const PAGE_LIFETIME: i64 = 7 * 86_400;

impl TermsPage {
    /// A new page for `account`.
    pub fn new(account: AccountId, version: &str, now: Timestamp) -> Self {
        TermsPage { id: TermsPageId::mint(now), account, version: version.to_owned(), expires: now.plus(PAGE_LIFETIME) }
    }

    /// Whether it can still be used.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

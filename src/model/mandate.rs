//! Mandates: that a person may act for an organisation.

use serde::{Deserialize, Serialize};

use crate::names::{MandateId, OrganisationId};
use crate::time::Timestamp;

/// A mandate, added by a registration officer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    /// Its id.
    pub id: MandateId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The person, as a keyed hash: the identifier itself is never kept.
    #[serde(with = "crate::names::base64url::bytes")]
    pub person: [u8; 32],
    /// What the person may do.
    pub scope: MandateScope,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The officer who added it.
    pub added_by: String,
    /// When and by whom it was ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<MandateEnd>,
}

/// What a mandate covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MandateScope {
    /// Proving the organisation and becoming its administrator.
    Verification,
}

/// The early end of a mandate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MandateEnd {
    /// When.
    pub at: Timestamp,
    /// The officer.
    pub by: String,
}

impl Mandate {
    /// Whether it is in force at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.from <= now && now < self.until
    }
}

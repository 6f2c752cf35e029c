//! The membership of an account in an organisation. An account belongs to exactly one organisation for its whole life.

use serde::{Deserialize, Serialize};

use super::Void;
use crate::names::{AccountId, InvitationId, OrganisationId};
use crate::time::Timestamp;

/// What a member may do; the words of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Orders, invites, sees and revokes everything of the organisation.
    Administrator,
    /// Orders, and sees and revokes its own.
    TechnicalContact,
    /// Sees; orders nothing.
    Auditor,
}

/// An account's membership. Its key is the account's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The account.
    pub account: AccountId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The member's role.
    pub role: Role,
    /// The invitation that brought it, unless it proved the organisation itself.
    pub invitation: Option<InvitationId>,
    /// Since when.
    pub since: Timestamp,
    /// Whether it is in force.
    pub state: MembershipState,
    /// Open orders older than this are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_void: Option<Void>,
}

/// Whether a membership is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum MembershipState {
    /// It is.
    Member,
    /// It waits for an administrator or two registration officers.
    Pending,
    /// It was ended.
    Removed {
        /// When.
        at: Timestamp,
        /// Why, for the account's holder.
        reason: String,
    },
}

impl Membership {
    /// The membership ended, with the account's open orders void.
    pub fn removed(&self, reason: &str, now: Timestamp) -> Membership {
        Membership {
            state: MembershipState::Removed { at: now, reason: reason.to_owned() },
            orders_void: Some(Void { before: now, reason: reason.to_owned() }),
            ..self.clone()
        }
    }
}

//! The membership of an account in an organisation. An account belongs to exactly one organisation for its whole life.

use serde::{Deserialize, Serialize};

use super::{Approval, Verification, Void};
use crate::names::{AccountId, InvitationId, OrganisationId, Role};
use crate::time::Timestamp;

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
    /// Its own proof of the organisation, kept while it waits: it becomes the organisation's when the member is admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Verification>,
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
    /// It waits.
    Pending {
        /// For what.
        #[serde(default)]
        awaits: Awaited,
        /// The officers who have admitted it so far, where two are needed.
        #[serde(default)]
        approvals: Vec<Approval>,
    },
    /// It was ended.
    Removed {
        /// When.
        at: Timestamp,
        /// Why, for the account's holder.
        reason: String,
    },
}

/// What a pending membership waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaited {
    /// It proved an organisation that has, or had, administrators: an administrator or two registration officers admit it.
    #[default]
    Admission,
    /// It was invited with confirmation: an administrator or one registration officer admits it.
    Confirmation,
    /// It was invited as an administrator: it proves the organisation itself, or one registration officer admits it.
    Proof,
}

impl Awaited {
    /// How many registration officers, each with a name of their own, admit the member.
    pub const fn officers(self) -> usize {
        match self {
            Awaited::Admission => 2,
            Awaited::Confirmation | Awaited::Proof => 1,
        }
    }

    /// Whether an administrator may admit the member.
    pub const fn by_administrator(self) -> bool {
        match self {
            Awaited::Admission | Awaited::Confirmation => true,
            // Who invites an administrator does not also vouch for who took the invitation.
            Awaited::Proof => false,
        }
    }
}

impl Membership {
    /// A membership in force that no invitation brought.
    pub fn administrator(account: AccountId, organisation: OrganisationId, now: Timestamp) -> Membership {
        Membership {
            account,
            organisation,
            role: Role::Administrator,
            invitation: None,
            since: now,
            state: MembershipState::Member,
            proof: None,
            orders_void: None,
        }
    }

    /// Whether it is in force.
    pub fn is_in_force(&self) -> bool {
        matches!(self.state, MembershipState::Member)
    }

    /// Whether it is an administrator's and in force.
    pub fn is_administrator(&self) -> bool {
        self.is_in_force() && self.role == Role::Administrator
    }

    /// The membership that waits for `awaits`; the account's open orders are void.
    pub fn pending(&self, awaits: Awaited, proof: Option<Verification>, now: Timestamp) -> Membership {
        let reason = "the membership waits to be admitted".to_owned();
        Membership {
            state: MembershipState::Pending { awaits, approvals: Vec::new() },
            proof,
            orders_void: Some(Void { before: now, reason }),
            ..self.clone()
        }
    }

    /// The waiting membership with one more officer's approval; another one's is still needed.
    pub fn approved_by(&self, approval: Approval) -> Membership {
        let state = match &self.state {
            MembershipState::Pending { awaits, approvals } => MembershipState::Pending {
                awaits: *awaits,
                approvals: approvals.iter().cloned().chain([approval]).collect(),
            },
            state @ (MembershipState::Member | MembershipState::Removed { .. }) => state.clone(),
        };
        Membership { state, ..self.clone() }
    }

    /// The membership in force with this role.
    pub fn admitted(&self, role: Role, now: Timestamp) -> Membership {
        Membership { role, state: MembershipState::Member, since: now, proof: None, ..self.clone() }
    }

    /// The membership ended, with the account's open orders void.
    pub fn removed(&self, reason: &str, now: Timestamp) -> Membership {
        Membership {
            state: MembershipState::Removed { at: now, reason: reason.to_owned() },
            proof: None,
            orders_void: Some(Void { before: now, reason: reason.to_owned() }),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn member() -> Membership {
        Membership::administrator(AccountId::from_bytes([1; 16]), OrganisationId::from_bytes([2; 16]), NOW)
    }

    #[test]
    fn a_waiting_member_is_no_member_until_it_is_admitted() {
        let waiting = member().pending(Awaited::Admission, None, NOW);
        assert!(!waiting.is_in_force() && !waiting.is_administrator());
        let one = waiting.approved_by(Approval { officer: "one".into(), at: NOW });
        assert!(matches!(&one.state, MembershipState::Pending { approvals, .. } if approvals.len() == 1));
        assert!(one.admitted(Role::Administrator, NOW).is_administrator());
        assert!(!one.admitted(Role::TechnicalContact, NOW).is_administrator());
    }

    #[test]
    fn a_membership_of_an_earlier_form_reads_back() {
        let json = r#"{"account":"AZ2rAAAAAAAAAAAAAAAAAA","organisation":"AZ2rAAAAAAAAAAAAAAAAAA","role":"administrator",
            "invitation":null,"since":"2026-11-24T00:00:00Z","state":{"state":"pending"}}"#;
        let read: Membership = serde_json::from_str(json).unwrap();
        assert_eq!(read.state, MembershipState::Pending { awaits: Awaited::Admission, approvals: vec![] });
    }
}

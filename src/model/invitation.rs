//! Invitations: external account binding credentials with limits. They replace the forms.

use serde::{Deserialize, Serialize};

use super::{Awaited, MembershipState, Role, Void};
use crate::names::{InvitationId, OrganisationId, ProfileName, UnitOid, Zone};
use crate::time::Timestamp;

/// An invitation into an organisation. How often it may still be spent is counted apart; its key is derived, not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The generation of the master key from which its key is derived.
    pub key_generation: String,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The role of the accounts that it creates.
    pub role: Role,
    /// The unit that is the subject of everything ordered by dns names alone.
    pub unit: Option<UnitOid>,
    /// Other units, which an order may name.
    #[serde(default)]
    pub units: Vec<UnitOid>,
    /// The profiles that may be ordered.
    pub profiles: Vec<ProfileName>,
    /// The profile of orders that name none; with one profile, that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<ProfileName>,
    /// The dns zones within which names may lie.
    pub zones: Vec<Zone>,
    /// How many accounts it may create, in all.
    pub uses: u32,
    /// When it can no longer be spent.
    pub expires: Timestamp,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it: an officer's name or an account.
    pub created_by: String,
    /// What the memberships that it brings wait for, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaited>,
    /// Set when it was revoked: it cannot be spent, and the accounts that it created are stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Void>,
}

impl Invitation {
    /// Whether it can be spent now, uses apart.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires
    }

    /// The invitation, revoked: the accounts that it created are stopped.
    pub fn revoked(&self, reason: &str, now: Timestamp) -> Invitation {
        Invitation { revoked: Some(Void { before: now, reason: reason.to_owned() }), ..self.clone() }
    }

    /// The state in which the memberships that it brings begin.
    pub fn first_state(&self) -> MembershipState {
        match self.awaits {
            Some(awaits) => MembershipState::Pending { awaits, approvals: Vec::new() },
            None => MembershipState::Member,
        }
    }

    /// The profile of an order that names none.
    pub fn profile_by_default(&self) -> Option<&ProfileName> {
        match (&self.default_profile, self.profiles.as_slice()) {
            (Some(profile), _) => Some(profile),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The key id of its external account binding: the master key's generation and its own id.
    pub fn kid(&self) -> String {
        format!("{}_{}", self.key_generation, self.id)
    }
}

/// The parts of an external account binding's kid, `GENERATION_ID`.
pub fn kid_parts(kid: &str) -> Option<(&str, InvitationId)> {
    // An id may itself contain `_`, a generation may not: the first one divides.
    let (generation, id) = kid.split_once('_')?;
    Some((generation, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_is_divided_at_its_first_underscore() {
        let id = InvitationId::from_bytes([0xff; 16]);
        let kid = format!("k1_{id}");
        assert_eq!(kid_parts(&kid), Some(("k1", id)));
        assert_eq!(kid_parts("k1"), None);
        assert_eq!(kid_parts("k1_short"), None);
    }
}

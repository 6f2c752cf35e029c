//! Invitations: external account binding credentials with limits. They replace the forms.

use serde::{Deserialize, Serialize};

use super::{Awaited, Limits, MembershipState, Refusal, Role, Void};
use crate::names::{AccountId, InvitationId, OrganisationId, ProfileName, UnitOid, Zone};
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
    /// The administrator's account that made it. It can be spent only while that account is an administrator in force;
    /// none if an officer made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inviter: Option<AccountId>,
    /// For whom it was made, a checked `mailto:`, as the organisation's own note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// What the memberships that it brings wait for, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaited>,
    /// Set when it was revoked: it cannot be spent, and the accounts that it created are stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Void>,
}

/// An invitation that somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The role of the accounts that it shall create.
    pub role: Role,
    /// The unit of orders by dns names alone.
    pub unit: Option<UnitOid>,
    /// Other units.
    pub units: Vec<UnitOid>,
    /// The profiles.
    pub profiles: Vec<ProfileName>,
    /// The profile of orders that name none.
    pub default_profile: Option<ProfileName>,
    /// The dns zones.
    pub zones: Vec<Zone>,
    /// How many accounts it may create.
    pub uses: u32,
    /// When it can no longer be spent.
    pub expires: Timestamp,
    /// For whom it is.
    pub contact: Option<String>,
    /// What the memberships that it brings wait for, if they do.
    pub awaits: Option<Awaited>,
}

/// An invitation to be administrator can be spent for 14 days at most.
const ADMINISTRATORS_LIFETIME: i64 = 14 * 86_400;

impl Draft {
    /// Nothing, if the invitation is sound and does not exceed the limits of whoever makes it.
    pub fn within(&self, limits: &Limits, now: Timestamp) -> Result<(), Refusal> {
        let refused = |why: String| Err(Refusal::Malformed { why });
        if self.uses == 0 || self.expires <= now {
            return refused("an invitation needs at least one use and a lifetime".into());
        }
        let lasts_too_long = self.expires > now.plus(ADMINISTRATORS_LIFETIME);
        if self.role == Role::Administrator && (self.uses > 1 || lasts_too_long) {
            return refused("an invitation to be administrator has one use and ends within 14 days".into());
        }
        if let Some(profile) = self.profiles.iter().find(|profile| !limits.profiles.contains(profile)) {
            return refused(format!("the organisation, or who invites for it, may not use profile {profile}"));
        }
        if let Some(default) = self.default_profile.iter().find(|profile| !self.profiles.contains(profile)) {
            return refused(format!("the default profile {default} is not among the invitation's profiles"));
        }
        if self.profiles.len() > 1 && self.default_profile.is_none() {
            return refused("an invitation with several profiles names its default profile".into());
        }
        if let Some(zone) = self.zones.iter().find(|zone| !limits.contain(zone)) {
            return refused(format!("the dns zone {zone} lies outside the zones that may be given"));
        }
        match self.unit.iter().chain(&self.units).find(|unit| limits.unit(Some(unit)).is_err()) {
            Some(unit) => refused(format!("the unit {unit} is not among those that who invites may choose")),
            None => Ok(()),
        }
    }

    /// The invitation that is made of it.
    pub fn invitation(
        self,
        organisation: OrganisationId,
        key_generation: &str,
        created_by: String,
        inviter: Option<AccountId>,
        now: Timestamp,
    ) -> Invitation {
        Invitation {
            id: InvitationId::mint(now),
            key_generation: key_generation.to_owned(),
            organisation,
            role: self.role,
            unit: self.unit,
            units: self.units,
            profiles: self.profiles,
            default_profile: self.default_profile,
            zones: self.zones,
            uses: self.uses,
            expires: self.expires,
            created: now,
            created_by,
            inviter,
            contact: self.contact,
            awaits: self.awaits,
            revoked: None,
        }
    }
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

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn draft() -> Draft {
        Draft {
            role: Role::TechnicalContact,
            unit: Some("1.2.246.10.2454372.10.1".parse().unwrap()),
            units: vec![],
            profiles: vec!["sote-server".parse().unwrap()],
            default_profile: None,
            zones: vec!["www.example.fi".parse().unwrap()],
            uses: 10,
            expires: NOW.plus(100),
            contact: None,
            awaits: None,
        }
    }

    fn limits() -> Limits {
        Limits {
            profiles: vec!["sote-server".parse().unwrap(), "sote-short".parse().unwrap()],
            default_profile: None,
            zones: vec![vec![Zone::any()], vec!["example.fi".parse().unwrap()]],
            unit: None,
            units: Some(vec!["1.2.246.10.2454372.10.1".parse().unwrap()]),
        }
    }

    // X23
    #[test]
    fn an_invitation_never_exceeds_its_inviters_limits() {
        assert_eq!(draft().within(&limits(), NOW), Ok(()));
        let refused = |change: fn(&mut Draft)| {
            let mut draft = draft();
            change(&mut draft);
            draft.within(&limits(), NOW).unwrap_err().rule()
        };
        let changes: [fn(&mut Draft); 9] = [
            |draft| draft.uses = 0,
            |draft| draft.expires = NOW,
            |draft| draft.profiles.push("sote-other".parse().unwrap()),
            |draft| draft.profiles.push("sote-short".parse().unwrap()),
            |draft| draft.default_profile = Some("sote-short".parse().unwrap()),
            |draft| draft.zones = vec![Zone::any()],
            |draft| draft.zones = vec!["badexample.fi".parse().unwrap()],
            |draft| draft.unit = Some("1.2.246.10.2454372.10.2".parse().unwrap()),
            |draft| draft.units = vec!["1.2.246.10.2454372.10.2".parse().unwrap()],
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(refused(change), "malformed", "change {number}");
        }
    }

    #[test]
    fn an_invitation_to_be_administrator_is_for_one_and_for_two_weeks() {
        let draft = |uses, lifetime| Draft { role: Role::Administrator, uses, expires: NOW.plus(lifetime), ..draft() };
        assert!(draft(1, 14 * 86_400).within(&limits(), NOW).is_ok());
        assert!(draft(2, 100).within(&limits(), NOW).is_err());
        assert!(draft(1, 14 * 86_400 + 1).within(&limits(), NOW).is_err());
    }

    #[test]
    fn a_kid_is_divided_at_its_first_underscore() {
        let id = InvitationId::from_bytes([0xff; 16]);
        let kid = format!("k1_{id}");
        assert_eq!(kid_parts(&kid), Some(("k1", id)));
        assert_eq!(kid_parts("k1"), None);
        assert_eq!(kid_parts("k1_short"), None);
    }
}

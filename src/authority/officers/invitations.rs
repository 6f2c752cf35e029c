//! Making, listing and revoking invitations.

use serde::{Deserialize, Serialize};

use super::super::{Attempt, Authority, Fault, Result};
use super::unusable;
use crate::model::audit::{Act, Actor, Event};
use crate::model::invitation::kid_parts;
use crate::model::{Invitation, Organisation, Refusal, Role, policy};
use crate::names::{BusinessId, InvitationId, OrganisationId, ProfileName, UnitOid, Zone, base64url};
use crate::store::index::Index;
use crate::store::{Change, Counter, Range};
use crate::time::Timestamp;

/// An invitation to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateInvitation {
    /// The organisation.
    pub business_id: BusinessId,
    /// The role of the accounts that it creates.
    pub role: Role,
    /// The unit that is the subject of orders by dns names alone.
    #[serde(default)]
    pub unit: Option<UnitOid>,
    /// Other units that may be chosen.
    #[serde(default)]
    pub units: Vec<UnitOid>,
    /// The profiles.
    pub profiles: Vec<ProfileName>,
    /// The profile of orders that name none.
    #[serde(default)]
    pub default_profile: Option<ProfileName>,
    /// The dns zones.
    pub zones: Vec<Zone>,
    /// How many accounts it may create.
    pub uses: u32,
    /// For how many seconds it can be spent.
    pub lifetime: i64,
}

/// An invitation with its secret, which is shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewInvitation {
    /// The record.
    #[serde(flatten)]
    pub invitation: Invitation,
    /// The key id of the external account binding.
    pub kid: String,
    /// The HMAC key of the external account binding, base64url, for HS256.
    pub hmac_key: String,
}

/// An invitation as officers see it later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InvitationView {
    /// The record.
    #[serde(flatten)]
    pub invitation: Invitation,
    /// The key id.
    pub kid: String,
    /// How often it may still be spent.
    pub uses_left: i64,
}

/// A page of an organisation's invitations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InvitationPage {
    /// The invitations.
    pub invitations: Vec<InvitationView>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<InvitationId>,
}

/// An invitation to revoke.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeInvitation {
    /// Its key id.
    pub kid: String,
    /// Why, for those who used it.
    pub reason: String,
}

const PAGE: usize = 100;

impl Authority {
    /// Makes an invitation within the organisation's limits.
    pub async fn create_invitation(
        &self,
        officer: &str,
        request: CreateInvitation,
        now: Timestamp,
    ) -> Result<NewInvitation> {
        let organisation = self.organisation_by_business_id(&request.business_id).await?;
        within_limits(&request, &organisation)?;
        let administrators = self.administrators_expected(organisation.id).await?;
        for unit in request.unit.iter().chain(&request.units) {
            self.belongs(&organisation, unit, now).await?;
        }
        let invitation = Invitation {
            id: InvitationId::mint(now),
            key_generation: self.invitation_keys.current().to_owned(),
            organisation: organisation.id,
            role: request.role,
            unit: request.unit,
            units: request.units,
            profiles: request.profiles,
            default_profile: request.default_profile,
            zones: request.zones,
            uses: request.uses,
            expires: now.plus(request.lifetime),
            created: now,
            created_by: officer.to_owned(),
            awaits: None,
            revoked: None,
        };
        let key = self.invitation_keys.mac_key(&invitation);
        let key = key.ok_or_else(|| Fault::Internal("the current invitation master key is missing".into()))?;
        let event = Event::done(now, Actor::Officer(officer.to_owned()), Act::InvitationCreated)
            .on("invitation", invitation.id)
            .on("organisation", organisation.id);
        let mut changes = vec![
            Change::insert(&invitation),
            organisation.expect(),
            Change::add(Counter::UsesLeft(invitation.id), i64::from(invitation.uses)),
            Change::Audit(event),
        ];
        changes.extend(administrators);
        match self.commit(changes, ()).await? {
            Attempt::Done(()) => {
                let hmac_key = base64url::encode(&key[..]);
                Ok(NewInvitation { kid: invitation.kid(), hmac_key, invitation })
            }
            Attempt::Overtaken => Err(Fault::Unavailable("the organisation has just changed; try again".into()).into()),
        }
    }

    /// That an organisation which was ever administered still has an administrator: an orphaned one invites nobody.
    async fn administrators_expected(&self, id: OrganisationId) -> Result<Option<Change>> {
        if !self.was_ever_administered(id).await? {
            return Ok(None);
        }
        if self.store.count(Counter::Administrators(id)).await? == 0 {
            return Err(Refusal::OrganisationOrphaned.into());
        }
        Ok(Some(Change::Add { counter: Counter::Administrators(id), by: 0, floor: 1, ceiling: i64::MAX }))
    }

    async fn belongs(&self, organisation: &Organisation, unit: &UnitOid, now: Timestamp) -> Result<()> {
        let rows = self.unit_rows(unit, now).await?;
        if policy::owns(organisation, &rows, now) {
            return Ok(());
        }
        let id = &organisation.business_id;
        Err(unusable(format!(
            "unit {unit} has no row in force that belongs to organisation {id}; import the register first"
        ))
        .into())
    }

    /// A page of an organisation's invitations.
    pub async fn list_invitations(
        &self,
        organisation: &BusinessId,
        after: Option<InvitationId>,
    ) -> Result<InvitationPage> {
        let organisation = self.organisation_by_business_id(organisation).await?;
        let range = Range::of(Index::InvitationsByOrganisation, *organisation.id.as_bytes(), PAGE)
            .after(after.map(|id| id.as_bytes().to_vec()));
        let keys = self.store.list(range).await?;
        let mut invitations = Vec::with_capacity(keys.len());
        for key in &keys {
            let Ok(id) = InvitationId::try_from(key.as_slice()) else { continue };
            let Some(invitation) = self.store.get::<Invitation>(&id).await? else { continue };
            let uses_left = self.store.count(Counter::UsesLeft(id)).await?;
            invitations.push(InvitationView { kid: invitation.kid(), uses_left, invitation: invitation.record });
        }
        let last = invitations.last().map(|view| view.invitation.id);
        Ok(InvitationPage { invitations, next: last.filter(|_| keys.len() == PAGE) })
    }

    /// Revokes an invitation: it cannot be spent, and the accounts that it created are stopped.
    pub async fn revoke_invitation(
        &self,
        officer: &str,
        request: RevokeInvitation,
        now: Timestamp,
    ) -> Result<Invitation> {
        let unknown = || unusable(format!("there is no invitation with the key id {}", request.kid));
        let (_, id) = kid_parts(&request.kid).ok_or_else(unknown)?;
        self.decide(|| async {
            let invitation = self.store.get::<Invitation>(&id).await?.ok_or_else(unknown)?;
            if invitation.revoked.is_some() {
                return Ok(Attempt::Done(invitation.record));
            }
            let revoked = invitation.revoked(&request.reason, now);
            let event = Event::done(now, Actor::Officer(officer.to_owned()), Act::InvitationRevoked)
                .on("invitation", id)
                .on("organisation", invitation.organisation)
                .with("reason", &request.reason);
            self.commit(vec![invitation.replace(&revoked), Change::Audit(event)], revoked).await
        })
        .await
    }
}

/// No invitation exceeds the limits of its organisation.
fn within_limits(request: &CreateInvitation, organisation: &Organisation) -> Result<()> {
    let refused = |why: String| Err(unusable(why).into());
    if request.uses == 0 || request.lifetime <= 0 {
        return refused("an invitation needs at least one use and a lifetime".into());
    }
    if let Some(profile) = request.profiles.iter().find(|profile| !organisation.profiles.contains(profile)) {
        return refused(format!("the organisation may not use profile {profile}"));
    }
    if let Some(default) = request.default_profile.iter().find(|profile| !request.profiles.contains(profile)) {
        return refused(format!("the default profile {default} is not among the invitation's profiles"));
    }
    if request.profiles.len() > 1 && request.default_profile.is_none() {
        return refused("an invitation with several profiles names its default profile".into());
    }
    let outside = |zone: &&Zone| !organisation.zones.iter().any(|outer| outer.contains(zone));
    match request.zones.iter().find(outside) {
        Some(zone) => refused(format!("the dns zone {zone} lies outside the organisation's zones")),
        None => Ok(()),
    }
}

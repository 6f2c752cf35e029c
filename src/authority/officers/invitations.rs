//! Making, listing and revoking invitations.

use serde::{Deserialize, Serialize};

use super::super::organisation::{LastAdministrator, made_by};
use super::super::{Attempt, Authority, Result};
use super::unusable;
use crate::model::audit::Actor;
use crate::model::invitation::{Draft, kid_parts};
use crate::model::{Invitation, Refusal, Role, policy};
use crate::names::{BusinessId, InvitationId, OrganisationId, ProfileName, UnitOid, Zone};
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
        let actor = Actor::Officer(officer.to_owned());
        let invitation = self.decide(|| self.try_create_invitation(&actor, &request, now)).await?;
        self.with_secret(invitation)
    }

    async fn try_create_invitation(
        &self,
        actor: &Actor,
        request: &CreateInvitation,
        now: Timestamp,
    ) -> Result<Attempt<Invitation>> {
        let organisation = self.organisation_by_business_id(&request.business_id).await?;
        let administrators = self.administrators_expected(organisation.id).await?;
        let limits = policy::limits(&organisation, None);
        let invitation = self.invitation(&organisation, drafted(request, now), actor, &limits, now).await?;
        let mut changes = vec![organisation.expect()];
        changes.extend(administrators);
        changes.extend(made_by(actor, &invitation, now));
        self.commit(changes, invitation).await
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
            let actor = Actor::Officer(officer.to_owned());
            let last = LastAdministrator::MayGo;
            let changes = self.invitation_revoked(&invitation, &actor, &request.reason, last, now).await?;
            self.commit(changes, invitation.revoked(&request.reason, now)).await
        })
        .await
    }
}

fn drafted(request: &CreateInvitation, now: Timestamp) -> Draft {
    Draft {
        role: request.role,
        unit: request.unit.clone(),
        units: request.units.clone(),
        profiles: request.profiles.clone(),
        default_profile: request.default_profile.clone(),
        zones: request.zones.clone(),
        uses: request.uses,
        expires: now.plus(request.lifetime),
        contact: None,
        awaits: None,
    }
}

//! Invitations, made and revoked by administrators; officers share how they are made.

use super::super::{Attempt, Authority, Fault, Result};
use super::members::LastAdministrator;
use super::repeats::{Earlier, RepeatKey};
use super::{Gathering, LOOKED_AT, PAGE, Page, Touched, at_version, kept_text, malformed};
use crate::authority::officers::invitations::NewInvitation;
use crate::model::account::checked_contact;
use crate::model::audit::{Act, Actor, Event};
use crate::model::invitation::Draft;
use crate::model::{
    Account, Awaited, Deed, EventKind, EventSubject, Invitation, Limits, Made, Membership, Organisation,
    OrganisationEvent, Refusal, Role, policy,
};
use crate::names::{AccountId, InvitationId, OrganisationId, ProfileName, UnitOid, Zone, base64url};
use crate::store::index::Index;
use crate::store::{Change, Counter, Range, Read};
use crate::time::Timestamp;

/// An invitation that an administrator asks for. What is left out is as wide as the administrator's own limits.
#[derive(Debug, Clone)]
pub struct InvitationRequest {
    /// The role of the accounts that it creates.
    pub role: Role,
    /// For whom it is.
    pub contact: Option<String>,
    /// The profiles.
    pub profiles: Option<Vec<ProfileName>>,
    /// The profile of orders that name none.
    pub default_profile: Option<ProfileName>,
    /// The dns zones.
    pub zones: Option<Vec<Zone>>,
    /// The unit of orders by dns names alone.
    pub unit: Option<UnitOid>,
    /// Other units.
    pub units: Vec<UnitOid>,
    /// How many accounts it may create.
    pub uses: Option<u32>,
    /// Until when it can be spent.
    pub expires: Option<Timestamp>,
    /// Whether its accounts wait to be admitted.
    pub confirmation: bool,
    /// Whether the request may be sent again.
    pub repeat: Option<RepeatKey>,
}

/// An invitation with what follows from the records around it.
#[derive(Debug, Clone)]
pub struct InvitationDetail {
    /// The record and its version.
    pub invitation: Read<Invitation>,
    /// Whether it can be spent.
    pub standing: InvitationStanding,
    /// How often it may still be spent.
    pub uses_left: i64,
    /// Accounts that it created, at most a page.
    pub members: Vec<AccountId>,
}

/// Whether an invitation can be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationStanding {
    /// It can.
    Pending,
    /// All uses were spent.
    Redeemed,
    /// Its time is over.
    Expired,
    /// Whoever made it is no administrator any more.
    Closed,
    /// It was revoked.
    Revoked,
}

/// The most accounts that an administrator's invitation may create.
const MOST_USES: u32 = 1_000;
/// How long it can be spent if nothing else is asked for, and an administrator's at most: 14 days.
const USUAL_LIFETIME: i64 = 14 * 86_400;
/// How long it can be spent at most: 398 days.
const LONGEST_LIFETIME: i64 = 398 * 86_400;
/// The most zones, profiles and units of one invitation, each.
const LONGEST_LIST: usize = 100;

impl Authority {
    /// A page of invitations, oldest first.
    pub async fn organisation_invitations(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        after: Option<Vec<u8>>,
    ) -> Result<Page<InvitationId>> {
        self.access(account, id, Deed::SeeInvitations).await?;
        let range = Range::of(Index::InvitationsByOrganisation, *id.as_bytes(), LOOKED_AT).after(after);
        let keys = self.store.list(range).await?;
        let (count, mut page) = (keys.len(), Gathering::new());
        for key in keys {
            if page.is_full() {
                break;
            }
            let invitation = InvitationId::try_from(key.as_slice()).ok();
            page.looked(key, invitation);
        }
        Ok(page.page(count))
    }

    /// An invitation, without its secret.
    pub async fn organisation_invitation(
        &self,
        account: &Read<Account>,
        (id, invitation): (OrganisationId, InvitationId),
        now: Timestamp,
    ) -> Result<InvitationDetail> {
        self.access(account, id, Deed::SeeInvitations).await?;
        self.invitation_detail(self.invitation_of(id, invitation).await?, now).await
    }

    async fn invitation_of(&self, id: OrganisationId, invitation: InvitationId) -> Result<Read<Invitation>> {
        let found = self.store.get::<Invitation>(&invitation).await?;
        Ok(found.filter(|invitation| invitation.organisation == id).ok_or(Refusal::NotFound)?)
    }

    async fn invitation_detail(&self, invitation: Read<Invitation>, now: Timestamp) -> Result<InvitationDetail> {
        let uses_left = self.store.count(Counter::UsesLeft(invitation.id)).await?;
        let inviter = self.inviter(&invitation).await?;
        let standing = if invitation.revoked.is_some() {
            InvitationStanding::Revoked
        } else if uses_left <= 0 {
            InvitationStanding::Redeemed
        } else if inviter.is_err() {
            InvitationStanding::Closed
        } else if !invitation.is_open(now) {
            InvitationStanding::Expired
        } else {
            InvitationStanding::Pending
        };
        let members = self.members_by_invitation(invitation.id, PAGE).await?;
        Ok(InvitationDetail { invitation, standing, uses_left, members })
    }

    /// The membership of the administrator that made an invitation, none if an officer did; an error of its own if that
    /// account is no administrator in force any more: then the invitation cannot be spent.
    pub(in crate::authority) async fn inviter(
        &self,
        invitation: &Invitation,
    ) -> Result<std::result::Result<Option<Read<Membership>>, Refusal>> {
        let Some(inviter) = invitation.inviter else { return Ok(Ok(None)) };
        let membership = self.store.get::<Membership>(&inviter).await?;
        let in_force = |membership: &Read<Membership>| {
            membership.is_administrator() && membership.organisation == invitation.organisation
        };
        Ok(match membership.filter(in_force) {
            Some(membership) => Ok(Some(membership)),
            None => Err(Refusal::BindingRefused),
        })
    }

    /// Makes an invitation within the limits of the administrator that asks for it.
    pub async fn invite(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        request: InvitationRequest,
        now: Timestamp,
    ) -> Result<(InvitationDetail, NewInvitation)> {
        if let Some(contact) = &request.contact {
            checked_contact(vec![contact.clone()])?;
        }
        let result = self.decide(|| self.try_invite(account, id, &request, now)).await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::InvitationCreated, &id.to_string(), error, now).await;
        }
        let made = self.with_secret(self.invitation_of(id, result?).await?.record)?;
        let detail = self.invitation_detail(self.invitation_of(id, made.invitation.id).await?, now).await?;
        Ok((detail, made))
    }

    async fn try_invite(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        request: &InvitationRequest,
        now: Timestamp,
    ) -> Result<Attempt<InvitationId>> {
        let access = self.access(account, id, Deed::Invite).await?;
        let mut also = access.facts.expected();
        let remember = match self.earlier(account.id, request.repeat, now).await? {
            Some(Earlier::Made(Made::Invitation(made))) => return Ok(Attempt::Done(made)),
            Some(Earlier::Made(Made::Revocation(_))) => return Err(Refusal::RepeatDiffers.into()),
            Some(Earlier::Free(remember)) => Some(remember),
            None => None,
        };
        let limits = access.facts.standing().limits(now)?;
        let draft = drafted(request, &limits, now)?;
        let invitation =
            self.invitation(&access.organisation, draft, &Actor::Account(account.id), &limits, now).await?;
        also.extend(remember.map(|remember| remember(Made::Invitation(invitation.id))));
        also.extend(made_by(&Actor::Account(account.id), &invitation, now));
        self.commit(also, invitation.id).await
    }

    /// An invitation of `draft`, checked against `limits`, the register and what every invitation must obey.
    pub(in crate::authority) async fn invitation(
        &self,
        organisation: &Organisation,
        draft: Draft,
        actor: &Actor,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Invitation> {
        draft.within(limits, now)?;
        for unit in draft.unit.iter().chain(&draft.units) {
            if !policy::owns(organisation, &self.unit_rows(unit, now).await?, now) {
                let id = &organisation.business_id;
                let why = format!(
                    "unit {unit} has no row in force that belongs to organisation {id}; import the register first"
                );
                return Err(malformed(why).into());
            }
        }
        let (created_by, inviter) = match actor {
            Actor::Account(account) => (account.to_string(), Some(*account)),
            Actor::Officer(name) | Actor::CertificateKey(name) => (name.clone(), None),
            Actor::Server => ("server".to_owned(), None),
        };
        Ok(draft.invitation(organisation.id, self.invitation_keys.current(), created_by, inviter, now))
    }

    /// An invitation with its secret, which is derived and never kept.
    pub(in crate::authority) fn with_secret(&self, invitation: Invitation) -> Result<NewInvitation> {
        let missing = || Fault::Internal("the master key of an invitation is missing".into());
        let key = self.invitation_keys.mac_key(&invitation).ok_or_else(missing)?;
        Ok(NewInvitation { kid: invitation.kid(), hmac_key: base64url::encode(&key[..]), invitation })
    }

    /// Revokes an invitation: it cannot be spent, and the accounts that it created are stopped.
    pub async fn revoke_organisation_invitation(
        &self,
        account: &Read<Account>,
        (id, invitation): (OrganisationId, InvitationId),
        reason: Option<String>,
        version: Option<u64>,
        now: Timestamp,
    ) -> Result<InvitationDetail> {
        let reason = kept_text("reason", reason)?.unwrap_or_else(|| "an administrator revoked the invitation".into());
        let result = self
            .decide(|| async {
                let access = self.access(account, id, Deed::Invite).await?;
                let found = self.invitation_of(id, invitation).await?;
                if found.revoked.is_some() {
                    return Ok(Attempt::Done(()));
                }
                at_version(&found, version)?;
                let actor = Actor::Account(account.id);
                let mut changes = access.facts.expected();
                changes.extend(self.invitation_revoked(&found, &actor, &reason, LastAdministrator::Stays, now).await?);
                self.commit_keeping_an_administrator(changes, ()).await
            })
            .await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::InvitationRevoked, &invitation.to_string(), error, now).await;
        }
        result?;
        self.invitation_detail(self.invitation_of(id, invitation).await?, now).await
    }

    /// What the revocation of an invitation would touch.
    pub async fn invitation_preview(
        &self,
        account: &Read<Account>,
        (id, invitation): (OrganisationId, InvitationId),
        now: Timestamp,
    ) -> Result<Touched> {
        self.access(account, id, Deed::Invite).await?;
        let invitation = self.invitation_of(id, invitation).await?;
        self.revocation_preview(&invitation, now).await
    }
}

/// The request with the inviter's own limits where it names none.
fn drafted(request: &InvitationRequest, limits: &Limits, now: Timestamp) -> Result<Draft> {
    let lists = [request.profiles.as_ref().map_or(0, Vec::len), request.zones.as_ref().map_or(0, Vec::len)];
    if lists.into_iter().chain([request.units.len()]).any(|length| length > LONGEST_LIST) {
        return Err(malformed(format!("a list of an invitation has at most {LONGEST_LIST} entries")).into());
    }
    let uses = request.uses.unwrap_or(1);
    if uses > MOST_USES {
        return Err(malformed(format!("an invitation creates at most {MOST_USES} accounts")).into());
    }
    let expires = request.expires.unwrap_or_else(|| now.plus(USUAL_LIFETIME));
    if expires > now.plus(LONGEST_LIFETIME) {
        return Err(malformed("an invitation can be spent within 398 days at most").into());
    }
    let profiles = request.profiles.clone().unwrap_or_else(|| limits.profiles.clone());
    // An inviter's own default goes on where the invitation has several profiles and names none.
    let inherited =
        || limits.default_profile.clone().filter(|default| profiles.len() > 1 && profiles.contains(default));
    Ok(Draft {
        role: request.role,
        unit: request.unit.clone().or_else(|| limits.unit.clone()),
        units: request.units.clone(),
        default_profile: request.default_profile.clone().or_else(inherited),
        profiles,
        zones: request.zones.clone().unwrap_or_else(|| limits.common_zones()),
        uses,
        expires,
        contact: request.contact.clone(),
        awaits: match request.role {
            Role::Administrator => Some(Awaited::Proof),
            Role::TechnicalContact | Role::Auditor => request.confirmation.then_some(Awaited::Confirmation),
        },
    })
}

/// The changes that make an invitation.
pub(in crate::authority) fn made_by(actor: &Actor, invitation: &Invitation, now: Timestamp) -> Vec<Change> {
    let (id, organisation) = (invitation.id, invitation.organisation);
    let audit = Event::done(now, actor.clone(), Act::InvitationCreated)
        .on("invitation", id)
        .on("organisation", organisation)
        .with("role", invitation.role.name());
    let event = OrganisationEvent::new(organisation, EventKind::InvitationCreated, actor.clone(), now)
        .about(EventSubject::Invitation(id))
        .with("role", invitation.role);
    vec![
        Change::insert(invitation),
        Change::add(Counter::UsesLeft(id), i64::from(invitation.uses)),
        Change::Audit(audit),
        Change::insert(&event),
    ]
}

//! Members: read, admitted, given another role, removed. The last administrator stays one.

use super::super::officers::members::{AdmitMember, Admitter};
use super::super::{Attempt, Authority, Fault, Result, committed_fault};
use super::{Gathering, LOOKED_AT, PAGE, Page, at_version, kept_text, malformed};
use crate::acme::jwk::Thumbprint;
use crate::model::audit::{Act, Actor, Event};
use crate::model::{
    Account, Awaited, Certificate, Deed, EventKind, EventSubject, Invitation, Membership, MembershipState,
    OrganisationEvent, Refusal, Role, Stage,
};
use crate::names::{AccountId, CertificateId, InvitationId, OrganisationId};
use crate::store::index::Index;
use crate::store::{Change, CommitError, Conflict, Counter, Range, Read};
use crate::time::Timestamp;

/// A member with what follows from the records around it.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// The record and its version.
    pub membership: Read<Membership>,
    /// Whether it may act.
    pub standing: MemberStanding,
    /// The thumbprint of its account's key, if the account is still there.
    pub thumbprint: Option<Thumbprint>,
}

/// Whether a member may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberStanding {
    /// It waits for this.
    Pending(Awaited),
    /// It may.
    Valid,
    /// Its invitation was revoked, for this reason.
    Stopped(String),
    /// It was removed, for this reason.
    Removed(Timestamp, String),
}

/// A change of a member.
#[derive(Debug, Clone)]
pub enum MemberChange {
    /// Admits one that waits.
    Admit,
    /// Gives it another role.
    Role(Role),
    /// Ends the membership.
    Remove {
        /// Why, for the account's holder.
        reason: Option<String>,
        /// Whether to revoke its invitations too, which stops the accounts that they created.
        cascade: bool,
    },
}

/// What a removal or a revocation touches: at most a page of each.
#[derive(Debug, Clone, Default)]
pub struct Touched {
    /// Accounts that are stopped.
    pub stopped: Vec<AccountId>,
    /// Accounts that the stopped member's invitations created.
    pub invited: Vec<AccountId>,
    /// Certificates in force of those who are stopped. They are not revoked.
    pub certificates: Vec<CertificateId>,
    /// Invitations that can no longer be spent.
    pub invitations: Vec<InvitationId>,
    /// Whether there is more than is named here.
    pub more: bool,
}

/// Whether an organisation may be left without an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::authority) enum LastAdministrator {
    /// It keeps one: a commit that would take the last one conflicts with the bound of the count.
    Stays,
    /// It may: the organisation is then told that it is orphaned.
    MayGo,
}

/// How many invitations are revoked in one commit, at most.
const CASCADE: usize = 100;

impl Authority {
    /// A page of members, those that wait included.
    pub async fn organisation_members(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        after: Option<Vec<u8>>,
    ) -> Result<Page<AccountId>> {
        self.access(account, id, Deed::SeeMembers).await?;
        let range = Range::of(Index::MembersByOrganisation, *id.as_bytes(), LOOKED_AT).after(after);
        let keys = self.store.list(range).await?;
        let (count, mut page) = (keys.len(), Gathering::new());
        for key in keys {
            if page.is_full() {
                break;
            }
            let member = AccountId::try_from(key.as_slice()).ok();
            page.looked(key, member);
        }
        Ok(page.page(count))
    }

    /// A member.
    pub async fn organisation_member(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        member: AccountId,
    ) -> Result<MemberView> {
        self.access(account, id, Deed::SeeMembers).await?;
        self.member_view(self.member_of(id, &member).await?).await
    }

    async fn member_view(&self, membership: Read<Membership>) -> Result<MemberView> {
        let invitation = match membership.invitation {
            Some(id) => self.store.get::<Invitation>(&id).await?,
            None => None,
        };
        let stopped = invitation.and_then(|invitation| invitation.record.revoked);
        let standing = match (&membership.state, stopped) {
            (MembershipState::Removed { at, reason }, _) => MemberStanding::Removed(*at, reason.clone()),
            (_, Some(void)) => MemberStanding::Stopped(void.reason),
            (MembershipState::Pending { awaits, .. }, None) => MemberStanding::Pending(*awaits),
            (MembershipState::Member, None) => MemberStanding::Valid,
        };
        let thumbprint = self.account(membership.account).await?.map(|account| account.key.thumbprint());
        Ok(MemberView { membership, standing, thumbprint })
    }

    /// Changes a member.
    pub async fn change_member(
        &self,
        account: &Read<Account>,
        (id, member): (OrganisationId, AccountId),
        change: MemberChange,
        version: Option<u64>,
        now: Timestamp,
    ) -> Result<MemberView> {
        let change = match change {
            MemberChange::Remove { reason, cascade } => {
                MemberChange::Remove { reason: kept_text("reason", reason)?, cascade }
            }
            other @ (MemberChange::Admit | MemberChange::Role(_)) => other,
        };
        let result = self.decide(|| self.try_change_member(account, (id, member), &change, version, now)).await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::MembershipChanged, &member.to_string(), error, now).await;
        }
        result?;
        if let MemberChange::Remove { reason, cascade: true } = &change {
            self.revoke_invitations_of(account, (id, member), reason.as_deref(), now).await?;
        }
        self.member_view(self.member_of(id, &member).await?).await
    }

    async fn try_change_member(
        &self,
        account: &Read<Account>,
        (id, who): (OrganisationId, AccountId),
        change: &MemberChange,
        version: Option<u64>,
        now: Timestamp,
    ) -> Result<Attempt<()>> {
        let access = self.access(account, id, Deed::ChangeMembers).await?;
        let member = self.member_of(id, &who).await?;
        let changes = match change {
            // Asked before the version: whoever repeats a removal, perhaps with a cascade, finds it done.
            MemberChange::Remove { .. } if matches!(member.state, MembershipState::Removed { .. }) => {
                return Ok(Attempt::Done(()));
            }
            MemberChange::Remove { reason, .. } => {
                at_version(&member, version)?;
                let reason = reason.as_deref().unwrap_or("an administrator ended the membership");
                self.membership_ended(&member, &Actor::Account(account.id), reason, LastAdministrator::Stays, now)
                    .await?
            }
            MemberChange::Admit => {
                at_version(&member, version)?;
                if let Some(suspension) = &access.organisation.suspended {
                    return Err(Refusal::OrganisationSuspended { reason: suspension.reason.clone() }.into());
                }
                let admitter = Admitter::Administrator(&access.facts);
                let admission = AdmitMember { account: who, role: None };
                return match self.try_admit(admitter, &admission, now).await? {
                    Attempt::Done(_) => Ok(Attempt::Done(())),
                    Attempt::Overtaken => Ok(Attempt::Overtaken),
                };
            }
            MemberChange::Role(role) if *role == member.role => return Ok(Attempt::Done(())),
            MemberChange::Role(role) => {
                at_version(&member, version)?;
                with_role(&member, *role, &Actor::Account(account.id), now)?
            }
        };
        let mut all = access.facts.expected();
        all.extend(changes);
        self.commit_keeping_an_administrator(all, ()).await
    }

    /// Commits; a commit that would take away the last administrator is refused.
    pub(super) async fn commit_keeping_an_administrator<T>(
        &self,
        changes: Vec<Change>,
        value: T,
    ) -> Result<Attempt<T>> {
        match self.store.commit(changes).await {
            Ok(()) => Ok(Attempt::Done(value)),
            Err(CommitError::Conflict(Conflict::Bound(Counter::Administrators(_)))) => {
                Err(Refusal::LastAdministrator.into())
            }
            Err(CommitError::Conflict(_)) => Ok(Attempt::Overtaken),
            Err(error) => Err(committed_fault(error)),
        }
    }

    /// Revokes the invitations that a removed member had made, some in each commit. Whoever repeats the removal goes on
    /// where this broke off.
    async fn revoke_invitations_of(
        &self,
        account: &Read<Account>,
        (id, inviter): (OrganisationId, AccountId),
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let reason = reason.unwrap_or("an administrator ended the membership of the account that made the invitation");
        let mut after = None;
        loop {
            let range = Range::of(Index::InvitationsByInviter, *inviter.as_bytes(), CASCADE).after(after);
            let keys = self.store.list(range).await?;
            self.decide(|| self.try_revoke_invitations(account, id, &keys, reason, now)).await?;
            match keys.last().filter(|_| keys.len() == CASCADE) {
                Some(last) => after = Some(last.clone()),
                None => return Ok(()),
            }
        }
    }

    async fn try_revoke_invitations(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        keys: &[Vec<u8>],
        reason: &str,
        now: Timestamp,
    ) -> Result<Attempt<()>> {
        let access = self.access(account, id, Deed::ChangeMembers).await?;
        let actor = Actor::Account(account.id);
        let mut changes = access.facts.expected();
        let known = changes.len();
        for key in keys {
            let Ok(invitation) = InvitationId::try_from(key.as_slice()) else { continue };
            let Some(invitation) = self.store.get::<Invitation>(&invitation).await? else { continue };
            if invitation.revoked.is_none() {
                changes
                    .extend(self.invitation_revoked(&invitation, &actor, reason, LastAdministrator::Stays, now).await?);
            }
        }
        if changes.len() == known {
            return Ok(Attempt::Done(()));
        }
        self.commit_keeping_an_administrator(changes, ()).await
    }

    /// What the removal of a member would touch.
    pub async fn removal_preview(
        &self,
        account: &Read<Account>,
        (id, member): (OrganisationId, AccountId),
        cascade: bool,
        now: Timestamp,
    ) -> Result<Touched> {
        self.access(account, id, Deed::ChangeMembers).await?;
        let member = self.member_of(id, &member).await?;
        let mut touched = Touched { stopped: vec![member.account], ..Touched::default() };
        let made =
            self.store.list(Range::of(Index::InvitationsByInviter, *member.account.as_bytes(), LOOKED_AT)).await?;
        touched.more |= made.len() == LOOKED_AT;
        for key in made {
            let Ok(invitation) = InvitationId::try_from(key.as_slice()) else { continue };
            let Some(invitation) = self.store.get::<Invitation>(&invitation).await? else { continue };
            self.touch_invitation(&mut touched, &invitation, now).await?;
        }
        if cascade {
            touched.stopped.extend(touched.invited.iter().copied());
        }
        self.touch_certificates(&mut touched, now).await?;
        Ok(touched)
    }

    /// What the revocation of an invitation would touch.
    pub(super) async fn revocation_preview(&self, invitation: &Invitation, now: Timestamp) -> Result<Touched> {
        let mut touched = Touched::default();
        self.touch_invitation(&mut touched, invitation, now).await?;
        touched.stopped = std::mem::take(&mut touched.invited);
        self.touch_certificates(&mut touched, now).await?;
        Ok(touched)
    }

    async fn touch_invitation(&self, touched: &mut Touched, invitation: &Invitation, now: Timestamp) -> Result<()> {
        if invitation.is_open(now) && self.store.count(Counter::UsesLeft(invitation.id)).await? > 0 {
            touched.more |= touched.invitations.len() == PAGE;
            if touched.invitations.len() < PAGE {
                touched.invitations.push(invitation.id);
            }
        }
        let room = PAGE - touched.invited.len();
        let members = self.members_by_invitation(invitation.id, room + 1).await?;
        touched.more |= members.len() > room;
        touched.invited.extend(members.into_iter().take(room));
        Ok(())
    }

    async fn touch_certificates(&self, touched: &mut Touched, now: Timestamp) -> Result<()> {
        let mut looked_at = 0;
        for account in &touched.stopped {
            let range = Range::of(Index::CertificatesByAccount, *account.as_bytes(), LOOKED_AT - looked_at);
            let keys = self.store.list(range).await?;
            looked_at += keys.len();
            for key in keys {
                let Ok(certificate) = CertificateId::try_from(key.as_slice()) else { continue };
                let certificate = self.store.get::<Certificate>(&certificate).await?;
                let in_force = |c: &Read<Certificate>| {
                    matches!(c.stage, Stage::Issued { .. }) && c.revocation.is_none() && now <= c.not_after
                };
                let Some(certificate) = certificate.filter(in_force) else { continue };
                if touched.certificates.len() == PAGE {
                    touched.more = true;
                    return Ok(());
                }
                touched.certificates.push(certificate.id);
            }
            if looked_at >= LOOKED_AT {
                touched.more = true;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Accounts that an invitation created and that are members still, in force or waiting.
    pub(super) async fn members_by_invitation(&self, invitation: InvitationId, most: usize) -> Result<Vec<AccountId>> {
        let keys = self.store.list(Range::of(Index::MembersByInvitation, *invitation.as_bytes(), most)).await?;
        Ok(keys.iter().filter_map(|key| AccountId::try_from(key.as_slice()).ok()).collect())
    }

    /// The changes that revoke an invitation: it cannot be spent, and the accounts that it created are stopped. One that
    /// was to create an administrator ends that membership too, so that the count of administrators stays true.
    pub(in crate::authority) async fn invitation_revoked(
        &self,
        invitation: &Read<Invitation>,
        actor: &Actor,
        reason: &str,
        last: LastAdministrator,
        now: Timestamp,
    ) -> Result<Vec<Change>> {
        let (id, organisation) = (invitation.id, invitation.organisation);
        let audit = Event::done(now, actor.clone(), Act::InvitationRevoked)
            .on("invitation", id)
            .on("organisation", organisation)
            .with("reason", reason);
        let event = OrganisationEvent::new(organisation, EventKind::InvitationRevoked, actor.clone(), now)
            .about(EventSubject::Invitation(id))
            .with("reason", reason);
        let mut changes =
            vec![invitation.replace(&invitation.revoked(reason, now)), Change::Audit(audit), Change::insert(&event)];
        if invitation.role == Role::Administrator {
            let created = self.members_by_invitation(id, LOOKED_AT).await?;
            if created.len() == LOOKED_AT {
                return Err(Fault::Internal(format!("invitation {id} created more administrators than can be")).into());
            }
            for account in created {
                let Some(member) = self.store.get::<Membership>(&account).await? else { continue };
                if !matches!(member.state, MembershipState::Removed { .. }) {
                    changes.extend(self.membership_ended(&member, actor, reason, last, now).await?);
                }
            }
        }
        Ok(changes)
    }

    /// The changes that end a membership.
    pub(in crate::authority) async fn membership_ended(
        &self,
        member: &Read<Membership>,
        actor: &Actor,
        reason: &str,
        last: LastAdministrator,
        now: Timestamp,
    ) -> Result<Vec<Change>> {
        let organisation = member.organisation;
        let audit = Event::done(now, actor.clone(), Act::MembershipEnded)
            .on("account", member.account)
            .on("organisation", organisation)
            .with("reason", reason);
        let told = |kind| OrganisationEvent::new(organisation, kind, actor.clone(), now);
        let left = told(EventKind::MemberRemoved).about(EventSubject::Account(member.account)).with("reason", reason);
        let mut changes =
            vec![member.replace(&member.removed(reason, now)), Change::Audit(audit), Change::insert(&left)];
        if !member.is_administrator() {
            return Ok(changes);
        }
        match last {
            LastAdministrator::Stays => changes.push(one_administrator_less(organisation, 1, i64::MAX)),
            LastAdministrator::MayGo => {
                // That it is the last one is expected by the bounds of the count, so that two who go at once are told of, too.
                let is_last = self.store.count(Counter::Administrators(organisation)).await? <= 1;
                let (floor, ceiling) = if is_last { (0, 0) } else { (1, i64::MAX) };
                changes.push(one_administrator_less(organisation, floor, ceiling));
                changes.extend(is_last.then(|| Change::insert(&told(EventKind::OrganisationOrphaned))));
            }
        }
        Ok(changes)
    }
}

fn one_administrator_less(organisation: OrganisationId, floor: i64, ceiling: i64) -> Change {
    Change::Add { counter: Counter::Administrators(organisation), by: -1, floor, ceiling }
}

fn with_role(member: &Read<Membership>, role: Role, actor: &Actor, now: Timestamp) -> Result<Vec<Change>> {
    if matches!(member.state, MembershipState::Removed { .. }) {
        return Err(malformed("this member was removed").into());
    }
    if role == Role::Administrator {
        let why = "a member is not made an administrator: invite the person as administrator, for a new account";
        return Err(malformed(why).into());
    }
    let changed = Membership { role, ..member.record.clone() };
    let mut changes = told(member, &changed, (Act::MembershipChanged, EventKind::MemberChanged), actor, now);
    if member.is_administrator() {
        changes.push(one_administrator_less(member.organisation, 1, i64::MAX));
    }
    Ok(changes)
}

/// A membership in its new state, with what the audit trail and the organisation are told.
fn told(
    member: &Read<Membership>,
    new: &Membership,
    (act, kind): (Act, EventKind),
    actor: &Actor,
    now: Timestamp,
) -> Vec<Change> {
    let audit = Event::done(now, actor.clone(), act)
        .on("account", new.account)
        .on("organisation", new.organisation)
        .with("role", new.role.name());
    let event = OrganisationEvent::new(new.organisation, kind, actor.clone(), now)
        .about(EventSubject::Account(new.account))
        .with("role", new.role.name());
    vec![member.replace(new), Change::Audit(audit), Change::insert(&event)]
}

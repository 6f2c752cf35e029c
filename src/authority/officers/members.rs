//! Who waits to become a member: admitted or refused by an administrator of the organisation, or by registration officers,
//! two of them where the account proved an organisation that has, or had, administrators.

use serde::{Deserialize, Serialize};

use super::super::verification::new_administrator;
use super::super::{Attempt, Authority, Facts, Result};
use super::unusable;
use crate::model::application::is_another;
use crate::model::audit::{Act, Actor, Event};
use crate::model::{
    Account, Approval, EventKind, EventSubject, Membership, MembershipState, Organisation, OrganisationEvent, Refusal,
    Role, Verification,
};
use crate::names::{AccountId, BusinessId};
use crate::store::index::Index;
use crate::store::{Change, Range, Read};
use crate::time::Timestamp;

/// A member as officers see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberView {
    /// The record.
    #[serde(flatten)]
    pub membership: Membership,
    /// The account's contacts.
    pub contact: Vec<String>,
}

/// A page of an organisation's members.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberPage {
    /// The members, those that wait among them.
    pub members: Vec<MemberView>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AccountId>,
}

/// A waiting member to admit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitMember {
    /// The account.
    pub account: AccountId,
    /// The role that it gets; without, the one that it waits for.
    #[serde(default)]
    pub role: Option<Role>,
}

/// A waiting member to refuse.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseMember {
    /// The account.
    pub account: AccountId,
    /// Why: the account's holder is told.
    pub reason: String,
}

/// Who decides about a waiting member.
#[derive(Debug, Clone, Copy)]
pub enum Admitter<'a> {
    /// A registration officer, by name.
    Officer(&'a str),
    /// An administrator of the organisation; what it is was just read, and is expected unchanged.
    Administrator(&'a Facts),
}

impl Admitter<'_> {
    fn actor(&self) -> Actor {
        match self {
            Admitter::Officer(name) => Actor::Officer((*name).to_owned()),
            Admitter::Administrator(facts) => Actor::Account(facts.account.id),
        }
    }

    /// What the decision rests on besides the member.
    fn expected(&self) -> Vec<Change> {
        match self {
            Admitter::Officer(_) => Vec::new(),
            // The organisation is written or expected by the decision itself.
            Admitter::Administrator(facts) => facts.expected_but_organisation(),
        }
    }
}

/// A waiting membership with what is behind it.
struct Waiting {
    membership: Read<Membership>,
    account: Read<Account>,
    organisation: Read<Organisation>,
}

const PAGE: usize = 100;

impl Authority {
    /// A page of an organisation's members.
    pub async fn list_members(&self, organisation: &BusinessId, after: Option<AccountId>) -> Result<MemberPage> {
        let organisation = self.organisation_by_business_id(organisation).await?;
        let range = Range::of(Index::MembersByOrganisation, *organisation.id.as_bytes(), PAGE)
            .after(after.map(|id| id.as_bytes().to_vec()));
        let keys = self.store.list(range).await?;
        let mut members = Vec::with_capacity(keys.len());
        for key in &keys {
            let Ok(id) = AccountId::try_from(key.as_slice()) else { continue };
            let Some(membership) = self.store.get::<Membership>(&id).await? else { continue };
            let contact = self.account(id).await?.map(|account| account.record.contact).unwrap_or_default();
            members.push(MemberView { membership: membership.record, contact });
        }
        let last = members.last().map(|view| view.membership.account);
        Ok(MemberPage { members, next: last.filter(|_| keys.len() == PAGE) })
    }

    /// Admits a waiting member, or records the first of two officers' approvals. Answers with the membership as it is then.
    pub async fn admit_member(
        &self,
        admitter: Admitter<'_>,
        request: &AdmitMember,
        now: Timestamp,
    ) -> Result<Membership> {
        self.decide(|| self.try_admit(admitter, request, now)).await
    }

    pub(in crate::authority) async fn try_admit(
        &self,
        admitter: Admitter<'_>,
        request: &AdmitMember,
        now: Timestamp,
    ) -> Result<Attempt<Membership>> {
        let Waiting { membership, account, organisation } = self.waiting(admitter, request.account).await?;
        let MembershipState::Pending { awaits, approvals } = &membership.state else {
            return Err(Refusal::MemberNotWaiting.into());
        };
        account.standing()?;
        let role = request.role.unwrap_or(membership.role);
        let act = Event::done(now, admitter.actor(), Act::MembershipAdmitted)
            .on("account", account.id)
            .on("organisation", organisation.id)
            .with("role", role.name());
        let mut changes = admitter.expected();
        changes.extend([account.expect(), Change::Audit(act)]);
        match admitter {
            Admitter::Administrator(_) if !awaits.by_administrator() => return Err(Refusal::ProofAwaited.into()),
            Admitter::Administrator(_) => {}
            Admitter::Officer(name) => {
                if !is_another(name, approvals) {
                    return Err(Refusal::OwnConfirmation.into());
                }
                if approvals.len() + 1 < awaits.officers() {
                    let approved = membership.approved_by(Approval { officer: name.to_owned(), at: now });
                    changes.extend([membership.replace(&approved), organisation.expect()]);
                    return self.commit(changes, approved).await;
                }
            }
        }
        let admitted = membership.admitted(role, now);
        changes.push(membership.replace(&admitted));
        changes.push(match later_proof(&membership, &organisation).filter(|_| admitted.is_administrator()) {
            Some(verification) => organisation.replace(&organisation.verified(verification.clone())),
            None => organisation.expect(),
        });
        if admitted.is_administrator() {
            changes.extend(new_administrator(organisation.id, i64::MAX));
        }
        let told = OrganisationEvent::new(organisation.id, EventKind::MemberAdmitted, admitter.actor(), now)
            .about(EventSubject::Account(account.id))
            .with("role", role.name());
        changes.push(Change::insert(&told));
        self.commit(changes, admitted).await
    }

    /// Refuses a waiting member: its membership ends with the reason.
    pub async fn refuse_member(
        &self,
        admitter: Admitter<'_>,
        request: &RefuseMember,
        now: Timestamp,
    ) -> Result<Membership> {
        self.decide(|| async {
            let Waiting { membership, account, organisation } = self.waiting(admitter, request.account).await?;
            if !matches!(membership.state, MembershipState::Pending { .. }) {
                return Err(Refusal::MemberNotWaiting.into());
            }
            let refused = membership.removed(&request.reason, now);
            let act = Event::done(now, admitter.actor(), Act::MembershipRefused)
                .on("account", account.id)
                .on("organisation", organisation.id)
                .with("reason", &request.reason);
            let told = OrganisationEvent::new(organisation.id, EventKind::MemberRefused, admitter.actor(), now)
                .about(EventSubject::Account(account.id))
                .with("reason", &request.reason);
            let mut changes = admitter.expected();
            changes.extend([membership.replace(&refused), organisation.expect()]);
            changes.extend([Change::Audit(act), Change::insert(&told)]);
            self.commit(changes, refused).await
        })
        .await
    }

    /// A member of the administrator's organisation, or of any for an officer. Others' members look like none.
    async fn waiting(&self, admitter: Admitter<'_>, account: AccountId) -> Result<Waiting> {
        let unknown = || match admitter {
            Admitter::Officer(_) => unusable(format!("there is no member {account}; see sote-acme member list")),
            Admitter::Administrator(_) => Refusal::NotFound,
        };
        let membership = self.store.get::<Membership>(&account).await?.ok_or_else(unknown)?;
        if let Admitter::Administrator(facts) = admitter {
            let standing = facts.standing();
            let own = standing.member()?;
            if own.organisation != membership.organisation {
                return Err(unknown().into());
            }
            if own.role != Role::Administrator {
                return Err(Refusal::AdministratorNeeded.into());
            }
        }
        let account = self.account(account).await?.ok_or_else(unknown)?;
        let organisation = self.organisation(&membership.organisation).await?.ok_or_else(unknown)?;
        Ok(Waiting { membership, account, organisation })
    }
}

/// The waiting member's own proof, if it holds longer than the organisation's verification.
fn later_proof<'a>(membership: &'a Membership, organisation: &Organisation) -> Option<&'a Verification> {
    let present = organisation.verification.as_ref().map(|verification| verification.expires);
    membership.proof.as_ref().filter(|proof| present.is_none_or(|present| present < proof.expires))
}

//! What members do with what belongs to their organisation, over the wire. Every use case begins with `Authority::access`:
//! who is no member learns nothing, whose role does not suffice is told which one does, and what was read for that answer
//! is expected unchanged by the commit that follows. Officers' use cases share the changes that are made here.

mod certificates;
mod events;
mod invitations;
mod members;
mod orders;
mod repeats;
mod revocations;
mod units;

pub use certificates::{CertificateFilter, CertificateStanding, CertificateView};
pub use invitations::{InvitationDetail, InvitationRequest, InvitationStanding};
pub use members::{MemberChange, MemberStanding, MemberView, Touched};
pub use repeats::RepeatKey;
pub use revocations::RevocationRequest;

pub(super) use invitations::made_by;
pub(super) use members::LastAdministrator;

use super::{Attempt, Authority, Facts, Result};
use crate::model::audit::{Act, Actor, Event};
use crate::model::policy;
use crate::model::{
    Account, Deed, EventKind, Membership, Organisation, OrganisationEvent, Reach, Refusal, Role, TermsAgreement,
    UnitRow, deed,
};
use crate::names::OrganisationId;
use crate::store::{Change, Read};
use crate::time::Timestamp;

/// How many things a page of a list has at most.
const PAGE: usize = 100;
/// How many keys of an index one request looks at, at most: a page may come back short, and there may be more.
const LOOKED_AT: usize = 500;

/// Part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there may be one: the cursor of the index that was read.
    pub next: Option<Vec<u8>>,
}

/// A page while it is being made from the keys of an index.
struct Gathering<T> {
    items: Vec<T>,
    last: Option<Vec<u8>>,
    looked_at: usize,
}

/// A member in force that may do what it asks for.
pub(super) struct Access {
    /// Everything behind the account, for the commit.
    facts: Facts,
    membership: Read<Membership>,
    organisation: Read<Organisation>,
    /// On what it may do it.
    reach: Reach,
}

/// An organisation as its members see it.
#[derive(Debug, Clone)]
pub struct OrganisationView {
    /// The record and its version.
    pub organisation: Read<Organisation>,
    /// The role of whoever asks.
    pub role: Role,
    /// Its rows in force, the top one first.
    pub units: Vec<UnitRow>,
    /// Whether there are more.
    pub more_units: bool,
}

impl Authority {
    /// The right of an account to do `deed` in an organisation.
    // Whoever is no member of it gets the answer for an unknown URL; a member may know that its organisation exists.
    async fn access(&self, account: &Read<Account>, id: OrganisationId, deed: Deed) -> Result<Access> {
        let facts = self.facts(account).await?;
        let (Some(membership), Some(organisation)) = (facts.membership.clone(), facts.organisation.clone()) else {
            return Err(Refusal::NotFound.into());
        };
        if organisation.id != id {
            return Err(Refusal::NotFound.into());
        }
        policy::in_force(&membership, facts.invitation.as_deref())?;
        match deed::reach(membership.role, deed) {
            Reach::Nothing => Err(Refusal::RoleNeeded { role: membership.role, needed: deed.roles().collect() }.into()),
            reach @ (Reach::Own | Reach::All) => Ok(Access { facts, membership, organisation, reach }),
        }
    }

    /// The organisation of which an account is, or was, a member.
    pub async fn organisation_of_account(&self, account: &Account) -> Result<Option<OrganisationId>> {
        let membership = self.store.get::<Membership>(&account.id).await?;
        Ok(membership.map(|membership| membership.organisation))
    }

    /// An organisation, for a member.
    pub async fn organisation_view(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        now: Timestamp,
    ) -> Result<OrganisationView> {
        let access = self.access(account, id, Deed::SeeOrganisation).await?;
        let (units, more_units) = self.units_of(&access.organisation, PAGE, now).await?;
        Ok(OrganisationView { role: access.membership.role, organisation: access.organisation, units, more_units })
    }

    /// Agrees to the present terms of service for all accounts of an organisation.
    pub async fn agree_for_organisation(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        agreed: &str,
        version: u64,
        now: Timestamp,
    ) -> Result<()> {
        let result = self.decide(|| self.try_agree(account, id, agreed, version, now)).await;
        if let Err(error) = &result {
            self.audit_refusal(account.id, Act::TermsAgreed, &id.to_string(), error, now).await;
        }
        result
    }

    async fn try_agree(
        &self,
        account: &Read<Account>,
        id: OrganisationId,
        agreed: &str,
        version: u64,
        now: Timestamp,
    ) -> Result<Attempt<()>> {
        let access = self.access(account, id, Deed::AgreeToTerms).await?;
        let present = self.settings.terms.as_ref().ok_or_else(|| malformed("there are no terms of service"))?;
        if agreed != present.version {
            let present = &present.version;
            return Err(malformed(format!("the present version of the terms of service is {present}")).into());
        }
        if access.organisation.terms.as_ref().is_some_and(|terms| terms.version == agreed) {
            return Ok(Attempt::Done(()));
        }
        at_version(&access.organisation, Some(version))?;
        let terms = TermsAgreement { version: agreed.to_owned(), at: now, address: None };
        let changed = Organisation { terms: Some(terms), ..access.organisation.record.clone() };
        let actor = Actor::Account(account.id);
        let mut changes = access.facts.expected();
        changes.extend([
            access.organisation.replace(&changed),
            Change::Audit(
                Event::done(now, actor.clone(), Act::TermsAgreed).on("organisation", id).with("version", agreed),
            ),
            Change::insert(&OrganisationEvent::new(id, EventKind::TermsAgreed, actor, now).with("version", agreed)),
        ]);
        self.commit(changes, ()).await
    }

    /// A member of an organisation, in force or not.
    async fn member_of(&self, id: OrganisationId, account: &crate::names::AccountId) -> Result<Read<Membership>> {
        let membership = self.store.get::<Membership>(account).await?;
        Ok(membership.filter(|membership| membership.organisation == id).ok_or(Refusal::NotFound)?)
    }
}

impl Access {
    /// Whether it may do it on what `account` ordered.
    fn reaches(&self, account: crate::names::AccountId) -> bool {
        match self.reach {
            Reach::Nothing => false,
            Reach::Own => account == self.membership.account,
            Reach::All => true,
        }
    }
}

impl<T> Gathering<T> {
    fn new() -> Self {
        Gathering { items: Vec::new(), last: None, looked_at: 0 }
    }

    /// Whether the page has all that it may have.
    fn is_full(&self) -> bool {
        self.items.len() == PAGE
    }

    /// `key` was looked at, and held this for the page.
    fn looked(&mut self, key: Vec<u8>, item: Option<T>) {
        self.last = Some(key);
        self.looked_at += 1;
        self.items.extend(item);
    }

    /// The page, if the index had `keys` keys for it.
    fn page(self, keys: usize) -> Page<T> {
        let more = self.looked_at < keys || keys == LOOKED_AT;
        Page { items: self.items, next: self.last.filter(|_| more) }
    }
}

/// That what was read is what the request is about.
fn at_version<R: crate::store::Record>(read: &Read<R>, version: Option<u64>) -> Result<()> {
    match version {
        Some(version) if version == read.version() => Ok(()),
        Some(_) => Err(Refusal::VersionDiffers { version: read.version() }.into()),
        None => Err(malformed("a change names the \"version\" that was read").into()),
    }
}

fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::Malformed { why: why.into() }
}

/// The longest note or reason.
const LONGEST_TEXT: usize = 200;

/// A note or reason as it may be kept.
fn kept_text(name: &str, text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().count() > LONGEST_TEXT || text.chars().any(char::is_control) {
        return Err(malformed(format!("{name} has at most {LONGEST_TEXT} characters and no controls")).into());
    }
    Ok(Some(text))
}

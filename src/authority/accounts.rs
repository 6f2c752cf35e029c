//! Accounts (RFC 8555 §7.3): creation with an external account binding, look-up, update, key change, deactivation.

use super::authorizations::restart;
use super::organisation::LastAdministrator;
use super::verification::new_administrator;
use super::{Attempt, Authority, Result, committed_fault};
use crate::acme::external_account::ExternalAccountBinding;
use crate::acme::jwk::{Jwk, Thumbprint};
use crate::model::account::checked_contact;
use crate::model::audit::{Act, Actor, Event};
use crate::model::invitation::kid_parts;
use crate::model::{
    Account, AccountStanding, Authorization, BlockedKey, EventKind, EventSubject, ExternalBinding, Invitation,
    Membership, MembershipState, OrganisationEvent, Refusal, TermsAgreement,
};
use crate::names::{AccountId, AuthorizationId};
use crate::public_key::PublicKey;
use crate::store::index::{self, Index};
use crate::store::{Change, CommitError, Conflict, Counter, Range, Read};
use crate::time::Timestamp;

/// A newAccount request whose signature was checked.
#[derive(Debug, Clone)]
pub struct NewAccountRequest {
    /// The key that signed it.
    pub key: Jwk,
    /// The contacts as sent.
    pub contact: Vec<String>,
    /// Whether the terms of service were agreed to.
    pub terms_agreed: bool,
    /// Whether the client only asks for an account that exists.
    pub only_existing: bool,
    /// The external account binding, its form checked and its MAC not yet.
    pub binding: Option<ExternalAccountBinding>,
    /// Whether this directory creates accounts with a binding only.
    pub binding_required: bool,
}

/// What newAccount came to.
#[derive(Debug, Clone)]
pub enum AccountOutcome {
    /// There is a new account: 201.
    Created(Account),
    /// The key already had one: 200.
    Existing(Account),
}

/// An invitation whose key signed a binding.
struct Invited {
    invitation: Read<Invitation>,
    /// The administrator that made it, unless an officer did.
    inviter: Option<Read<Membership>>,
    binding: ExternalBinding,
}

/// So many answers are undone in the commit of a key change. Any beyond are found out when they are validated.
const MOST_UNDONE: usize = 500;

impl Authority {
    /// The account with this id.
    pub async fn account(&self, id: AccountId) -> Result<Option<Read<Account>>> {
        Ok(self.store.get::<Account>(&id).await?)
    }

    /// The account with this key.
    pub async fn account_by_key(&self, key: &Thumbprint) -> Result<Option<Read<Account>>> {
        Ok(self.store.lookup::<Account>(Index::AccountByKey, &index::account_by_key(key)).await?)
    }

    /// Creates an account, or finds the one that the key already has.
    pub async fn create_account(&self, request: NewAccountRequest, now: Timestamp) -> Result<AccountOutcome> {
        // RFC 8555 §7.3.1: the key of an existing account gets that account; every other field is ignored.
        if let Some(account) = self.account_by_key(&request.key.thumbprint()).await? {
            account.standing()?;
            return Ok(AccountOutcome::Existing(account.record));
        }
        // Asked before the binding: clients look for their account without one first.
        if request.only_existing {
            return Err(Refusal::AccountDoesNotExist.into());
        }
        self.key_may_be_an_accounts(request.key.public_key()).await?;
        let contact = checked_contact(request.contact)?;
        let terms = self.agreed_terms(request.terms_agreed, now)?;
        let invited = match request.binding {
            Some(binding) => Some(self.invited(binding, now).await?),
            None if request.binding_required => return Err(Refusal::ExternalAccountRequired.into()),
            None => None,
        };
        let account = Account {
            id: AccountId::mint(now),
            key: request.key,
            contact,
            terms,
            standing: AccountStanding::Valid,
            binding: invited.as_ref().map(|invited| invited.binding.clone()),
            created: now,
            touched: now,
            bound: invited.is_some(),
        };
        self.insert_account(account, invited, now).await
    }

    // RFC 8555 §11.1: an account key is no certified key; a key known to be disclosed is none either.
    async fn key_may_be_an_accounts(&self, key: &PublicKey) -> Result<()> {
        let hash = key.spki_sha256();
        if self.store.get::<BlockedKey>(&hash).await?.is_some() {
            return Err(
                Refusal::BadAccountKey { why: "this key is known to be disclosed; make a new one".into() }.into()
            );
        }
        if !self.store.list(Range::of(Index::CertificatesByKey, hash, 1)).await?.is_empty() {
            let why = "this key is certified by us; an account needs a key of its own (RFC 8555 §11.1)".into();
            return Err(Refusal::BadAccountKey { why }.into());
        }
        Ok(())
    }

    fn agreed_terms(&self, agreed: bool, now: Timestamp) -> Result<Option<TermsAgreement>> {
        match &self.settings.terms {
            None => Ok(None),
            Some(terms) if agreed => {
                Ok(Some(TermsAgreement { version: terms.version.clone(), at: now, address: None }))
            }
            Some(terms) => Err(Refusal::TermsNotAgreed { terms: terms.url.clone() }.into()),
        }
    }

    /// The invitation behind a binding. Unknown, ended, used up, wrong MAC: one answer after the same work.
    async fn invited(&self, binding: ExternalAccountBinding, now: Timestamp) -> Result<Invited> {
        let kid = binding.kid().to_owned();
        let found = match kid_parts(&kid) {
            Some((generation, id)) => {
                let invitation = self.store.get::<Invitation>(&id).await?;
                invitation.filter(|invitation| invitation.key_generation == generation)
            }
            None => None,
        };
        // An invitation ends with the administrator who made it.
        let inviter = match &found {
            Some(invitation) => self.inviter(invitation).await?,
            None => Ok(None),
        };
        let key = found.as_ref().and_then(|invitation| self.invitation_keys.mac_key(invitation));
        let decoy = self.invitation_keys.decoy(&kid);
        let verified = binding.verify(&key.as_ref().unwrap_or(&decoy)[..]);
        match (found, inviter, key, verified) {
            (Some(invitation), Ok(inviter), Some(_), Ok(verified)) if invitation.is_open(now) => {
                let binding = ExternalBinding { invitation: invitation.id, jws: verified.original().clone() };
                Ok(Invited { invitation, inviter, binding })
            }
            _ => Err(Refusal::BindingRefused.into()),
        }
    }

    async fn insert_account(
        &self,
        account: Account,
        invited: Option<Invited>,
        now: Timestamp,
    ) -> Result<AccountOutcome> {
        let actor = Actor::Account(account.id);
        let created = Event::done(now, actor.clone(), Act::AccountCreated)
            .on("account", account.id)
            .with("key", account.key.thumbprint());
        let mut changes = vec![Change::insert(&account), Change::add(Counter::Accounts, 1), Change::Audit(created)];
        if let Some(invited) = &invited {
            changes.extend(joined(&account, &invited.invitation, now));
            changes.extend(invited.inviter.as_ref().map(Read::expect));
        }
        match self.store.commit(changes).await {
            Ok(()) => Ok(AccountOutcome::Created(account)),
            Err(CommitError::Conflict(Conflict::Bound(Counter::UsesLeft(_)))) => Err(Refusal::BindingRefused.into()),
            // Two requests with one key: the other was first, and its account is this one's, too.
            Err(CommitError::Conflict(Conflict::Taken(Index::AccountByKey))) => {
                match self.account_by_key(&account.key.thumbprint()).await? {
                    Some(existing) => Ok(AccountOutcome::Existing(existing.record)),
                    None => Err(Refusal::AccountDoesNotExist.into()),
                }
            }
            // The invitation was revoked in this moment.
            Err(CommitError::Conflict(Conflict::Version(_))) => Err(Refusal::BindingRefused.into()),
            Err(error) => Err(committed_fault(error)),
        }
    }

    /// Changes an account's contacts, or ends it (RFC 8555 §7.3.2, §7.3.6).
    pub async fn update_account(
        &self,
        id: AccountId,
        contact: Option<Vec<String>>,
        deactivate: bool,
        now: Timestamp,
    ) -> Result<Account> {
        let contact = contact.map(checked_contact).transpose()?;
        self.decide(|| async {
            let account = self.valid_account(id).await?;
            if deactivate {
                let changes = self.deactivation(&account, now).await?;
                return self.commit(changes, account.deactivated(now)).await;
            }
            let Some(contact) = contact.clone().filter(|contact| *contact != account.contact) else {
                return Ok(Attempt::Done(account.record));
            };
            let changed = account.with_contact(contact, now);
            let event =
                Event::done(now, Actor::Account(id), Act::AccountUpdated).on("account", id).with("what", "contact");
            self.commit(vec![account.replace(&changed), Change::Audit(event)], changed).await
        })
        .await
    }

    async fn deactivation(&self, account: &Read<Account>, now: Timestamp) -> Result<Vec<Change>> {
        let id = account.id;
        let event = Event::done(now, Actor::Account(id), Act::AccountDeactivated).on("account", id);
        let mut changes = vec![account.replace(&account.deactivated(now)), Change::Audit(event)];
        // Its membership ends with it; when it was the last administrator, the organisation is orphaned.
        let membership = self.store.get::<Membership>(&id).await?;
        if let Some(membership) = membership.filter(|m| !matches!(m.state, MembershipState::Removed { .. })) {
            // RFC 8555 §7.3.6 must succeed, so the last administrator can go.
            let (actor, reason) = (Actor::Account(id), "the account was deactivated");
            changes.extend(self.membership_ended(&membership, &actor, reason, LastAdministrator::MayGo, now).await?);
        }
        Ok(changes)
    }

    /// Gives an account another key (RFC 8555 §7.3.5).
    pub async fn change_key(&self, id: AccountId, key: Jwk, now: Timestamp) -> Result<Account> {
        self.key_may_be_an_accounts(key.public_key()).await?;
        self.decide(|| async {
            let account = self.valid_account(id).await?;
            // RFC 8555 §7.3.5: 409 and the Location of the account that has the key, be it this very one.
            if let Some(owner) = self.account_by_key(&key.thumbprint()).await? {
                return Err(Refusal::KeyInUse { account: owner.id }.into());
            }
            let changed = account.with_key(key.clone(), now);
            let mut changes = self.answers_undone(&account, now).await?;
            changes.extend(self.key_change_told(id, now).await?);
            let event = Event::done(now, Actor::Account(id), Act::AccountKeyChanged)
                .on("account", id)
                .with("old", account.key.thumbprint())
                .with("new", key.thumbprint());
            changes.extend([account.replace(&changed), Change::Audit(event)]);
            self.commit(changes, changed).await
        })
        .await
    }

    /// Undoes every answer of the account that is not decided yet: it names the old key.
    async fn answers_undone(&self, account: &Account, now: Timestamp) -> Result<Vec<Change>> {
        let range = Range::of(Index::AuthorizationsAnswered, *account.id.as_bytes(), MOST_UNDONE);
        let mut changes = Vec::new();
        for id in self.store.list(range).await? {
            let Ok(id) = AuthorizationId::try_from(id.as_slice()) else { continue };
            let Some(authorization) = self.store.get::<Authorization>(&id).await? else { continue };
            changes.extend(restart(&authorization, Actor::Account(account.id), now));
        }
        Ok(changes)
    }

    /// Tells the account's organisation of its new key.
    async fn key_change_told(&self, id: AccountId, now: Timestamp) -> Result<Option<Change>> {
        let membership = self.store.get::<Membership>(&id).await?;
        Ok(membership.filter(|membership| membership.is_in_force()).map(|membership| {
            let event =
                OrganisationEvent::new(membership.organisation, EventKind::MemberKeyChanged, Actor::Account(id), now)
                    .about(EventSubject::Account(id))
                    .with("role", membership.role.name());
            Change::insert(&event)
        }))
    }

    async fn valid_account(&self, id: AccountId) -> Result<Read<Account>> {
        let account = self.account(id).await?.ok_or(Refusal::AccountDoesNotExist)?;
        account.standing()?;
        Ok(account)
    }
}

/// What joins a new account to the organisation that invited it. Spending the invitation is part of the same commit.
fn joined(account: &Account, invitation: &Read<Invitation>, now: Timestamp) -> Vec<Change> {
    let membership = Membership {
        account: account.id,
        organisation: invitation.organisation,
        role: invitation.role,
        invitation: Some(invitation.id),
        since: now,
        state: invitation.first_state(),
        proof: None,
        orders_void: None,
    };
    let (act, kind) = match membership.is_in_force() {
        true => (Act::MembershipBegan, EventKind::MemberJoined),
        false => (Act::MembershipPending, EventKind::MemberPending),
    };
    let actor = Actor::Account(account.id);
    let told = OrganisationEvent::new(invitation.organisation, kind, actor.clone(), now)
        .about(EventSubject::Account(account.id))
        .about(EventSubject::Invitation(invitation.id))
        .with("role", membership.role.name());
    let event = Event::done(now, actor, act)
        .on("account", account.id)
        .on("organisation", invitation.organisation)
        .on("invitation", invitation.id);
    let mut changes = vec![
        Change::insert(&membership),
        invitation.expect(),
        Change::add(Counter::UsesLeft(invitation.id), -1),
        Change::Audit(event),
        Change::insert(&told),
    ];
    if membership.is_administrator() {
        changes.extend(new_administrator(invitation.organisation, i64::MAX));
    }
    changes
}

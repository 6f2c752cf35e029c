//! How the proof of an organisation begins, and what a member need not prove: newAuthz for organisations and their units, and
//! the authorizations that an order gets by membership.

use super::super::{Attempt, Authority, Facts, Result};
use crate::acme::identifier::Identifier;
use crate::acme::status::AuthorizationStatus;
use crate::model::{Account, Authorization, Grant, Organisation, Origin, Refusal, policy};
use crate::names::{AuthorizationId, OrganisationIdentifier, UnitOid};
use crate::store::index::Index;
use crate::store::{Change, Range, Read};
use crate::time::Timestamp;

/// So many unproved authorizations of organisations an account has at most.
const MOST_UNPROVED: usize = 5;
/// The index also lists those whose time is over and that are not removed yet.
const MOST_LISTED: usize = 1_000;

impl Authority {
    /// Nothing, if the account may prove this organisation: any one while it belongs to none, its own else.
    pub(in super::super) fn may_prove(&self, facts: &Facts, organisation: &OrganisationIdentifier) -> Result<()> {
        facts.account.standing()?;
        let own = match (&facts.membership, &facts.organisation) {
            (None, _) => true,
            (Some(_), Some(own)) => own.business_id == organisation.business_id(),
            (Some(_), None) => false,
        };
        match own {
            true => Ok(()),
            false => Err(Refusal::OrganisationRejected { organisation: organisation.clone() }.into()),
        }
    }

    /// The account as it is now, if it still has the key by which the request was signed.
    pub(in super::super) async fn present(&self, account: &Read<Account>) -> Result<Read<Account>> {
        let present = self.account(account.id).await?;
        let same = present.filter(|present| present.key.thumbprint() == account.key.thumbprint());
        Ok(same.ok_or(Refusal::AccountDoesNotExist)?)
    }

    /// newAuthz for an organisation: its unproved authorization, made if there is none.
    pub(in super::super) async fn begin_proof(
        &self,
        facts: &Facts,
        identifier: &Identifier,
        organisation: &OrganisationIdentifier,
        now: Timestamp,
    ) -> Result<Attempt<Authorization>> {
        self.may_prove(facts, organisation)?;
        // One answer for an unknown organisation and for one that this account may not prove.
        if self.rows_naming(&organisation.business_id(), now).await?.is_empty() {
            return Err(Refusal::OrganisationRejected { organisation: organisation.clone() }.into());
        }
        let unproved = self.unproved(&facts.account, now).await?;
        if let Some(same) = unproved.iter().find(|authorization| authorization.identifier == *identifier) {
            return Ok(Attempt::Done(same.record.clone()));
        }
        if unproved.len() >= MOST_UNPROVED {
            return Err(Refusal::TooManyOpenProofs { most: MOST_UNPROVED }.into());
        }
        let authorization = self.new_authorization(&facts.account, identifier, Origin::PreAuthorization, now);
        // The account itself is written: requests at once follow each other, so that none goes beyond the bound, and an
        // account that asks for something is no forgotten one.
        let mut changes = facts.expected_but_account();
        changes.push(facts.account.replace(&facts.account.touched(now)));
        changes.push(Change::insert(&authorization));
        self.commit(changes, authorization).await
    }

    /// The account's pending authorizations of organisations.
    pub(in super::super) async fn unproved(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<Vec<Read<Authorization>>> {
        let range = Range::of(Index::OrganisationsUnproved, *account.id.as_bytes(), MOST_LISTED);
        let mut unproved = Vec::new();
        for id in self.store.list(range).await? {
            let Ok(id) = AuthorizationId::try_from(id.as_slice()) else { continue };
            let authorization = self.store.get::<Authorization>(&id).await?;
            unproved.extend(authorization.filter(|found| found.status(now) == AuthorizationStatus::Pending));
        }
        Ok(unproved)
    }

    /// newAuthz for a unit of the member's organisation: valid by inheritance.
    pub(in super::super) async fn grant_unit(
        &self,
        facts: &Facts,
        identifier: &Identifier,
        unit: &UnitOid,
        now: Timestamp,
    ) -> Result<Attempt<Authorization>> {
        let limits = facts.standing().limits(now)?;
        let organisation = facts.organisation.as_ref().ok_or(Refusal::NotAMember)?;
        limits.unit(Some(unit))?;
        let rows = self.unit_rows(unit, now).await?;
        if !policy::owns(organisation, &rows, now) {
            return Err(Refusal::UnitRejected { unit: unit.clone() }.into());
        }
        let granted = granted(&facts.account, organisation, identifier, Origin::PreAuthorization, now);
        let mut changes = facts.expected();
        changes.push(Change::insert(&granted));
        self.commit(changes, granted).await
    }
}

/// An authorization that a member need not prove: for the organisation itself or a unit of it.
// As RFC 9444 lets an authorization of a parent domain count for names below it; it ends with its parent.
pub(in super::super) fn granted(
    account: &Account,
    organisation: &Organisation,
    identifier: &Identifier,
    origin: Origin,
    now: Timestamp,
) -> Authorization {
    Authorization {
        id: AuthorizationId::mint(now),
        account: account.id,
        identifier: identifier.clone(),
        origin,
        created: now,
        expires: organisation.verification.as_ref().map_or(now, |verification| verification.expires),
        challenges: Vec::new(),
        granted: Some(Grant { organisation: organisation.id, at: now }),
        deactivated: None,
    }
}

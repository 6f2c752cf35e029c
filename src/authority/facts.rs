//! The stored facts behind an account's right to order, read together and expected together.

use super::{Authority, Result};
use crate::model::policy::Standing;
use crate::model::{Account, Invitation, Membership, Organisation};
use crate::names::OrganisationId;
use crate::store::{Change, Read};

/// An account, its membership, organisation and invitation, as they were read.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The account.
    pub account: Read<Account>,
    /// Its membership.
    pub membership: Option<Read<Membership>>,
    /// The member's organisation.
    pub organisation: Option<Read<Organisation>>,
    /// The invitation behind the membership.
    pub invitation: Option<Read<Invitation>>,
}

impl Facts {
    /// The facts as the rules take them.
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            account: &self.account,
            membership: self.membership.as_deref(),
            organisation: self.organisation.as_deref(),
            invitation: self.invitation.as_deref(),
        }
    }

    /// That none of them has changed, for the commit of whatever was decided from them.
    pub fn expected(&self) -> Vec<Change> {
        let mut changes = self.expected_but_account();
        changes.push(self.account.expect());
        changes
    }

    /// The same where the commit writes or expects the organisation itself.
    pub fn expected_but_organisation(&self) -> Vec<Change> {
        let membership = match &self.membership {
            Some(membership) => membership.expect(),
            None => Change::expect_absent::<Membership>(&self.account.id),
        };
        [Some(self.account.expect()), Some(membership), self.invitation.as_ref().map(Read::expect)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The same where the commit writes the account itself.
    pub fn expected_but_account(&self) -> Vec<Change> {
        let membership = match &self.membership {
            Some(membership) => membership.expect(),
            None => Change::expect_absent::<Membership>(&self.account.id),
        };
        [Some(membership), self.organisation.as_ref().map(Read::expect), self.invitation.as_ref().map(Read::expect)]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Authority {
    /// The facts of `account` as they are now; the account itself is the one that authenticated.
    pub async fn facts(&self, account: &Read<Account>) -> Result<Facts> {
        let membership = self.store.get::<Membership>(&account.id).await?;
        let organisation = match &membership {
            Some(membership) => self.organisation(&membership.organisation).await?,
            None => None,
        };
        let invitation = match membership.as_ref().and_then(|membership| membership.invitation) {
            Some(id) => self.store.get::<Invitation>(&id).await?,
            None => None,
        };
        Ok(Facts { account: account.clone(), membership, organisation, invitation })
    }

    pub(super) async fn organisation(&self, id: &OrganisationId) -> Result<Option<Read<Organisation>>> {
        Ok(self.store.get::<Organisation>(id).await?)
    }
}

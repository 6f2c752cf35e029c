//! The stored facts behind an account's right to order, read together and expected together.

use super::{Authority, Result};
use crate::model::Register;
use crate::model::policy::{self, Standing};
use crate::model::{Account, Invitation, Membership, Organisation, UnitRow};
use crate::names::{BusinessId, OrganisationId, UnitOid};
use crate::store::index::{self, Index};
use crate::store::{Change, Range, Read};
use crate::time::Timestamp;

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

/// A unit's rows in force, from its own upwards. Parents in a circle or above this height are cut off.
const HIGHEST: usize = 16;
/// So many states of rows are looked at for one organisation, or below one row.
const MOST_ROWS: usize = 4_096;

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

    /// The rows in force of `unit` and of those above it.
    pub(super) async fn unit_rows(&self, unit: &UnitOid) -> Result<Vec<UnitRow>> {
        let generation = self.generation().await?;
        let mut rows: Vec<UnitRow> = Vec::new();
        let mut next = Some(unit.clone());
        while let Some(oid) = next.filter(|oid| rows.len() < HIGHEST && rows.iter().all(|row| row.oid != *oid)) {
            let Some(row) = self.unit_row(&oid, generation).await? else { break };
            next = row.parent.clone();
            rows.push(row);
        }
        Ok(rows)
    }

    /// The rows in force that name this Business ID, one per OID.
    pub(super) async fn rows_naming(&self, id: &BusinessId, now: Timestamp) -> Result<Vec<UnitRow>> {
        let generation = self.generation().await?;
        let range = Range::of(Index::UnitsByBusinessId, index::business_id(id), MOST_ROWS);
        let mut rows: Vec<UnitRow> = Vec::new();
        for key in self.store.list(range).await? {
            // Every state of a row that ever named it is listed; the one in force decides.
            let Some((oid, _)) = index::unit_and_generation(&key) else { continue };
            if rows.iter().any(|row| row.oid == oid) {
                continue;
            }
            let row = self.unit_row(&oid, generation).await?;
            rows.extend(row.filter(|row| row.is_in_force(now) && row.business_id.as_ref() == Some(id)));
        }
        Ok(rows)
    }

    /// The only row in force that belongs to the organisation, if there is exactly one.
    pub(super) async fn only_unit(&self, organisation: &Organisation, now: Timestamp) -> Result<Option<UnitOid>> {
        let rows = self.rows_naming(&organisation.business_id, now).await?;
        let [only] = rows.as_slice() else { return Ok(None) };
        let range = Range::of(Index::UnitsByParent, index::unit(&only.oid), MOST_ROWS);
        for key in self.store.list(range).await? {
            let Some((oid, _)) = index::unit_and_generation(&key) else { continue };
            if policy::owns(organisation, &self.unit_rows(&oid).await?, now) {
                return Ok(None);
            }
        }
        Ok(Some(only.oid.clone()))
    }

    /// The generation of the register that is in force.
    pub(super) async fn generation(&self) -> Result<u64> {
        Ok(self.store.get::<Register>(&()).await?.map_or(0, |register| register.current))
    }

    /// The newest state of a row that is not above `generation`.
    pub(super) async fn unit_row(&self, oid: &UnitOid, generation: u64) -> Result<Option<UnitRow>> {
        // A row's states are few: one per import that changed it.
        let range = Range::of(Index::UnitRows, index::unit(oid), 4_096).below((generation + 1).to_be_bytes());
        let states = self.store.list(range).await?;
        let Some(newest) = states.last().and_then(|rest| <[u8; 8]>::try_from(rest.as_slice()).ok()) else {
            return Ok(None);
        };
        let row = self.store.get::<UnitRow>(&(oid.clone(), u64::from_be_bytes(newest))).await?;
        Ok(row.map(|row| row.record))
    }
}

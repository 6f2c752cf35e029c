//! Register rows as they are read: the row in force on a day, and those above it.

use std::collections::HashSet;

use super::{Authority, Result};
use crate::model::{Organisation, Register, UnitRow, policy, row_at};
use crate::names::{BusinessId, UnitOid};
use crate::store::index::{self, Index};
use crate::store::{Range, Read};
use crate::time::Timestamp;

/// A unit's rows in force, from its own upwards. Parents in a circle or above this height are cut off.
const HIGHEST: usize = 16;
/// A row's states are few: one per import that changed it.
const MOST_STATES: usize = 8_192;
/// So many states of rows are looked at for one organisation, or below one row.
const MOST_ROWS: usize = 4_096;

impl Authority {
    /// The rows of `unit` and of those above it that are in force at `now`.
    pub(super) async fn unit_rows(&self, unit: &UnitOid, now: Timestamp) -> Result<Vec<UnitRow>> {
        let register = self.register().await?;
        let mut rows: Vec<UnitRow> = Vec::new();
        let mut next = Some(unit.clone());
        while let Some(oid) = next.filter(|oid| rows.len() < HIGHEST && rows.iter().all(|row| row.oid != *oid)) {
            let Some(row) = self.unit_row(&oid, &register, now).await? else { break };
            next = row.parent.clone();
            rows.push(row);
        }
        Ok(rows)
    }

    /// The rows in force that name this Business ID, one per OID.
    pub(super) async fn rows_naming(&self, id: &BusinessId, now: Timestamp) -> Result<Vec<UnitRow>> {
        let register = self.register().await?;
        let range = Range::of(Index::UnitsByBusinessId, index::business_id(id), MOST_ROWS);
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        for key in self.store.list(range).await? {
            // Every state of a row that ever named it is listed; the one in force decides.
            let Some((oid, ..)) = index::unit_row(&key).filter(|(oid, ..)| seen.insert(oid.clone())) else { continue };
            let row = self.unit_row(&oid, &register, now).await?;
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
            let Some((oid, ..)) = index::unit_row(&key) else { continue };
            if policy::owns(organisation, &self.unit_rows(&oid, now).await?, now) {
                return Ok(None);
            }
        }
        Ok(Some(only.oid.clone()))
    }

    /// Which imports are in force.
    pub(super) async fn register(&self) -> Result<Register> {
        Ok(self.stored_register().await?.map(|read| read.record).unwrap_or_default())
    }

    pub(super) async fn stored_register(&self) -> Result<Option<Read<Register>>> {
        Ok(self.store.get::<Register>(&()).await?)
    }

    /// The row of an OID that counts at `now`: the one in force, or else the last that was.
    pub(super) async fn unit_row(&self, oid: &UnitOid, register: &Register, now: Timestamp) -> Result<Option<UnitRow>> {
        let rows = self.newest_state(oid, register).await?;
        Ok(row_at(&rows, now).cloned())
    }

    /// The rows of an OID as the newest import in force wrote them.
    pub(super) async fn newest_state(&self, oid: &UnitOid, register: &Register) -> Result<Vec<UnitRow>> {
        let states = self.unit_states(oid, register).await?;
        let Some((newest, _)) = states.last().copied() else { return Ok(Vec::new()) };
        let parts = states.into_iter().filter(|(generation, _)| *generation == newest);
        self.rows_of(oid, parts).await
    }

    /// Generation and part of every row of an OID that an import brought into force, the oldest first.
    pub(super) async fn unit_states(&self, oid: &UnitOid, register: &Register) -> Result<Vec<(u64, u8)>> {
        let above = register.current.saturating_add(1).to_be_bytes();
        let range = Range::of(Index::UnitRows, index::unit(oid), MOST_STATES).below(above);
        let keys = self.store.list(range).await?;
        let states = keys.iter().filter_map(|rest| index::state_parts(rest));
        Ok(states.filter(|(generation, _)| register.holds(*generation)).collect())
    }

    /// Those rows of an OID.
    pub(super) async fn rows_of(
        &self,
        oid: &UnitOid,
        states: impl IntoIterator<Item = (u64, u8)>,
    ) -> Result<Vec<UnitRow>> {
        let mut rows = Vec::new();
        for (generation, part) in states {
            let id = (oid.clone(), generation, part);
            rows.extend(self.store.get::<UnitRow>(&id).await?.map(|read| read.record));
        }
        Ok(rows)
    }
}

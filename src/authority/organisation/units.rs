//! The register rows of an organisation.

use std::collections::{HashSet, VecDeque};

use super::super::{Authority, Result};
use crate::model::{Organisation, UnitRow};
use crate::names::UnitOid;
use crate::store::Range;
use crate::store::index::{self, Index};
use crate::time::Timestamp;

/// How many rows are looked at, at most.
const LOOKED_AT: usize = 1_000;

impl Authority {
    /// At most `most` rows in force of an organisation, those that name its Business ID first, and whether there are more.
    pub(in crate::authority) async fn units_of(
        &self,
        organisation: &Organisation,
        most: usize,
        now: Timestamp,
    ) -> Result<(Vec<UnitRow>, bool)> {
        let register = self.register().await?;
        let mut waiting: VecDeque<UnitRow> = self.rows_naming(&organisation.business_id, now).await?.into();
        let mut seen: HashSet<UnitOid> = waiting.iter().map(|row| row.oid.clone()).collect();
        let mut rows = Vec::new();
        while let Some(row) = waiting.pop_front() {
            if rows.len() == most || seen.len() >= LOOKED_AT {
                return Ok((rows, true));
            }
            let below = Range::of(Index::UnitsByParent, index::unit(&row.oid), LOOKED_AT);
            for key in self.store.list(below).await? {
                // Every state of a row that ever stood below is listed; the one in force decides.
                let Some((oid, ..)) = index::unit_row(&key).filter(|(oid, ..)| seen.insert(oid.clone())) else {
                    continue;
                };
                let child = self.unit_row(&oid, &register, now).await?;
                let own = |child: &UnitRow| {
                    child.is_in_force(now)
                        && child.parent.as_ref() == Some(&row.oid)
                        && child.business_id.as_ref().is_none_or(|id| *id == organisation.business_id)
                };
                waiting.extend(child.filter(own));
            }
            rows.push(row);
        }
        Ok((rows, false))
    }
}

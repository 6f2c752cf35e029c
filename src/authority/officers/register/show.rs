//! Looking units up: by OID, by Business ID, by words of their names; as they are, and as they were. Every look-up goes
//! through an index and is bounded.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::authority::officers::unusable;
use crate::authority::{Authority, Result};
use crate::model::{Register, RowId, UnitRow, folded_words, row_at};
use crate::names::{BusinessId, UnitOid};
use crate::store::Range;
use crate::store::index::{self, Index};
use crate::time::Timestamp;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterQuery {
    /// An OID, a Business ID, or words of a name, each from its beginning.
    pub what: String,
    /// As it was at this time.
    pub at: Option<Timestamp>,
    /// As this generation, or the newest one before it, wrote it: a certificate names the generation of its row.
    pub generation: Option<u64>,
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownUnit {
    /// The row that counts at the time asked for.
    pub row: UnitRow,
    /// Whether it is in force then, by its dates.
    pub in_force: bool,
    /// The rows above it at that time, the nearest first.
    pub above: Vec<UnitRow>,
    /// Every row that was ever in force for the OID, the newest first; when an OID was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<UnitRow>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownUnits {
    /// The units, by OID.
    pub units: Vec<ShownUnit>,
    /// Whether there are more than are shown.
    pub more: bool,
}

/// Units shown at most.
const MOST: usize = 100;
/// Index entries looked at for each word.
const MOST_ENTRIES: usize = 5_000;
/// Rows above a row.
const HIGHEST: usize = 16;
/// States of one OID that are shown.
const LONGEST_HISTORY: usize = 1_000;

impl Authority {
    /// The units that are meant by an OID, a Business ID or words of a name.
    pub async fn show_register(&self, query: RegisterQuery, now: Timestamp) -> Result<ShownUnits> {
        let at = query.at.unwrap_or(now);
        let view = View { register: self.register().await?, at, query: &query };
        let what = query.what.trim();
        if let Ok(oid) = what.parse::<UnitOid>() {
            let unit = self.shown_unit(&oid, &view).await?;
            let mut unit = unit.ok_or_else(|| unusable(format!("no register holds {oid} at that time")))?;
            unit.history = self.unit_history(&oid, &view.register).await?;
            return Ok(ShownUnits { units: vec![unit], more: false });
        }
        match what.parse::<BusinessId>() {
            Ok(id) => self.units_of_business_id(&id, &view).await,
            Err(_) => self.units_named(what, &view).await,
        }
    }

    async fn units_of_business_id(&self, id: &BusinessId, view: &View<'_>) -> Result<ShownUnits> {
        let range = Range::of(Index::UnitsByBusinessId, index::business_id(id), MOST_ENTRIES);
        let keys = self.store.list(range).await?;
        let oids = distinct(keys.iter().filter_map(|rest| index::unit_row(rest)));
        self.units_meant(oids, keys.len() == MOST_ENTRIES, view, |row| row.business_id.as_ref() == Some(id)).await
    }

    /// The units whose names have all the words, each at least in its beginning.
    async fn units_named(&self, name: &str, view: &View<'_>) -> Result<ShownUnits> {
        let words: Vec<String> = folded_words(name).collect();
        let mut rarest: Option<Vec<Vec<u8>>> = None;
        for word in &words {
            let keys = self.store.list(Range::of(Index::UnitsByName, word.as_bytes(), MOST_ENTRIES)).await?;
            if rarest.as_ref().is_none_or(|rarest| keys.len() < rarest.len()) {
                rarest = Some(keys);
            }
        }
        let missing = || unusable(format!("\"{name}\" is no OID, no Business ID and no name of two letters or more"));
        let keys = rarest.ok_or_else(missing)?;
        let oids = distinct(keys.iter().filter_map(|rest| index::named_unit_row(rest)));
        let has_all = |row: &UnitRow| {
            let own = row.name_words();
            words.iter().all(|word| own.iter().any(|known| known.starts_with(word.as_str())))
        };
        self.units_meant(oids, keys.len() == MOST_ENTRIES, view, has_all).await
    }

    /// Those of `oids` whose row is meant: entries of earlier states are in the indexes too.
    async fn units_meant(
        &self,
        oids: BTreeSet<UnitOid>,
        mut more: bool,
        view: &View<'_>,
        is_meant: impl Fn(&UnitRow) -> bool,
    ) -> Result<ShownUnits> {
        let mut units = Vec::new();
        for oid in oids {
            let Some(unit) = self.shown_unit(&oid, view).await?.filter(|unit| is_meant(&unit.row)) else { continue };
            if units.len() == MOST {
                more = true;
                break;
            }
            units.push(unit);
        }
        Ok(ShownUnits { units, more })
    }

    async fn shown_unit(&self, oid: &UnitOid, view: &View<'_>) -> Result<Option<ShownUnit>> {
        let Some(row) = self.unit_row_in(oid, view).await? else { return Ok(None) };
        let mut above: Vec<UnitRow> = Vec::new();
        let mut next = row.parent.clone();
        while let Some(oid) = next.filter(|oid| above.len() < HIGHEST && above.iter().all(|row| row.oid != *oid)) {
            let Some(parent) = self.unit_row_in(&oid, view).await? else { break };
            next = parent.parent.clone();
            above.push(parent);
        }
        Ok(Some(ShownUnit { in_force: row.is_in_force(view.at), row, above, history: Vec::new() }))
    }

    /// The row of an OID as the view has it.
    async fn unit_row_in(&self, oid: &UnitOid, view: &View<'_>) -> Result<Option<UnitRow>> {
        let mut states = self.unit_states(oid, &view.register).await?;
        states.retain(|(generation, _)| view.query.generation.is_none_or(|wanted| *generation <= wanted));
        while let Some((newest, _)) = states.last().copied() {
            let parts = states.iter().copied().filter(|(generation, _)| *generation == newest);
            let rows = self.rows_of(oid, parts).await?;
            if rows.iter().any(|row| view.knew(row)) {
                return Ok(row_at(&rows, view.at).cloned());
            }
            states.retain(|(generation, _)| *generation != newest);
        }
        Ok(None)
    }

    async fn unit_history(&self, oid: &UnitOid, register: &Register) -> Result<Vec<UnitRow>> {
        let states = self.unit_states(oid, register).await?;
        self.rows_of(oid, states.into_iter().rev().take(LONGEST_HISTORY)).await
    }
}

/// Which states a look-up is about.
struct View<'a> {
    register: Register,
    at: Timestamp,
    query: &'a RegisterQuery,
}

impl View<'_> {
    /// Whether the row was recorded by then; one that does not say when is as old as the register.
    fn knew(&self, row: &UnitRow) -> bool {
        self.query.at.is_none() || row.recorded.is_none_or(|recorded| recorded <= self.at)
    }
}

fn distinct(rows: impl Iterator<Item = RowId>) -> BTreeSet<UnitOid> {
    rows.map(|(oid, _, _)| oid).collect()
}

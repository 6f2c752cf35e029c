//! Bringing register rows into force: written in small batches under a new generation, made current by one small commit,
//! so that requests are served meanwhile and an import that breaks off changes nothing.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::super::{Attempt, Authority, Result};
use crate::model::audit::{Act, Actor, Event};
use crate::model::{Register, UnitRow};
use crate::names::UnitOid;
use crate::store::{Change, Read};
use crate::time::Timestamp;

/// What an import came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ImportReport {
    /// The generation that it brought into force; the old one when nothing differed.
    pub generation: u64,
    /// OIDs that were not known.
    pub added: Vec<UnitOid>,
    /// OIDs whose row differs from the one in force.
    pub changed: Vec<UnitOid>,
    /// How many rows were as they are already.
    pub unchanged: u64,
}

/// Rows per commit.
const BATCH: usize = 500;

impl Authority {
    /// Brings `rows` into force; their generation is set here. Rows that are not named stay as they are. With `dry_run`
    /// nothing is written.
    pub async fn import_register(
        &self,
        officer: &str,
        rows: Vec<UnitRow>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<ImportReport> {
        let current = self.generation().await?;
        let mut report = ImportReport { generation: current, ..ImportReport::default() };
        let mut differing = Vec::new();
        for row in rows {
            match self.unit_row(&row.oid, current).await? {
                Some(old) if (UnitRow { generation: old.generation, ..row.clone() }) == old => report.unchanged += 1,
                Some(_) => {
                    report.changed.push(row.oid.clone());
                    differing.push(row);
                }
                None => {
                    report.added.push(row.oid.clone());
                    differing.push(row);
                }
            }
        }
        if dry_run || differing.is_empty() {
            return Ok(report);
        }
        let generation = self.begin_generation().await?;
        for batch in differing.chunks(BATCH) {
            let insert = |row: &UnitRow| Change::insert(&UnitRow { generation, ..row.clone() });
            self.decide(|| self.commit(batch.iter().map(insert).collect(), ())).await?;
        }
        self.bring_into_force(officer, generation, &report, now).await?;
        Ok(ImportReport { generation, ..report })
    }

    /// Those of `oids` that have a row in force.
    pub async fn known_units(&self, oids: HashSet<UnitOid>) -> Result<HashSet<UnitOid>> {
        let current = self.generation().await?;
        let mut known = HashSet::new();
        for oid in oids {
            if self.unit_row(&oid, current).await?.is_some() {
                known.insert(oid);
            }
        }
        Ok(known)
    }

    /// A number that no import ever used.
    async fn begin_generation(&self) -> Result<u64> {
        self.decide(|| async {
            let stored = self.store.get::<Register>(&()).await?;
            let old = stored.as_ref().map(|read| read.record.clone()).unwrap_or_default();
            let begun = Register { begun: old.begun.max(old.current) + 1, ..old };
            let number = begun.begun;
            self.commit(vec![written(stored.as_ref(), &begun)], number).await
        })
        .await
    }

    async fn bring_into_force(
        &self,
        officer: &str,
        generation: u64,
        report: &ImportReport,
        now: Timestamp,
    ) -> Result<()> {
        self.decide(|| async {
            let stored = self.store.get::<Register>(&()).await?;
            let old = stored.as_ref().map(|read| read.record.clone()).unwrap_or_default();
            if old.current >= generation {
                return Ok(Attempt::Done(()));
            }
            let units = old.units + report.added.len() as u64;
            let register = Register { current: generation, imported: Some(now), units, ..old };
            let event = Event::done(now, Actor::Officer(officer.to_owned()), Act::RegisterImported)
                .with("generation", generation)
                .with("added", report.added.len())
                .with("changed", report.changed.len());
            self.commit(vec![written(stored.as_ref(), &register), Change::Audit(event)], ()).await
        })
        .await
    }
}

fn written(stored: Option<&Read<Register>>, register: &Register) -> Change {
    match stored {
        Some(read) => read.replace(register),
        None => Change::insert(register),
    }
}

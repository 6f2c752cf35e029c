//! Bringing register rows into force: compared with the rows in force, written in small batches under a new generation, made
//! current by one small commit, so that requests are served meanwhile and an import that breaks off changes nothing. Start
//! with [`Authority::import_register`].

mod comparison;
mod show;
mod versions;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use self::comparison::Comparison;
use self::versions::Versions;
use super::super::{Authority, Fault, Result};
use super::unusable;
use crate::model::audit::{Act, Actor, Event};
use crate::model::{Register, UnitRow, row_at};
use crate::names::UnitOid;
use crate::register::{Elsewhere, Reading, Remark, Source};
use crate::store::{Change, Read};
use crate::time::Timestamp;
pub use show::{RegisterQuery, ShownUnit, ShownUnits};

/// An export that was read, and how it is meant.
#[derive(Debug, Clone)]
pub struct Import {
    /// What was read.
    pub reading: Reading,
    /// It holds some rows of its register only: what it does not name is not missing.
    pub partial: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// It comes into force however many rows it leaves out or ends.
    pub force: bool,
    /// How many of a hundred rows in force of its register it may leave out or end, without `force`.
    pub most_lost: u8,
    /// These are the changes up to this time, fetched from the register itself.
    pub synced: Option<Timestamp>,
}

impl Import {
    /// An import of `reading` as an officer means it who says nothing more.
    pub fn of(reading: Reading) -> Self {
        let partial = !reading.source().is_complete();
        Import { reading, partial, dry_run: false, force: false, most_lost: 10, synced: None }
    }
}

/// What an import came to. Each row of the file is in one list, or unchanged; one that is warned of is in another too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The generation that it brought into force; the old one when nothing differed.
    pub generation: u64,
    /// How many OIDs were as they are already.
    pub unchanged: u64,
    /// How many are in each list.
    pub counts: Counts,
    /// Why it comes into force by force only, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_force: Option<String>,
    /// OIDs that were not known.
    pub added: Vec<Remark>,
    /// OIDs of which something else is said now.
    pub changed: Vec<Remark>,
    /// OIDs that got an end, or an earlier one.
    pub ended: Vec<Remark>,
    /// OIDs in force from this register that a complete export no longer names. They stay in force.
    pub missing: Vec<Remark>,
    /// Rows that somebody should look at. They come into force.
    pub warned: Vec<Remark>,
    /// Rows that do not come into force.
    pub refused: Vec<Remark>,
}

/// How many entries the lists of a report have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Of `added`.
    pub added: usize,
    /// Of `changed`.
    pub changed: usize,
    /// Of `ended`.
    pub ended: usize,
    /// Of `missing`.
    pub missing: usize,
    /// Of `warned`.
    pub warned: usize,
    /// Of `refused`.
    pub refused: usize,
}

/// Rows per commit: other commits wait for one batch at most.
const BATCH: usize = 200;

impl Authority {
    /// Brings the sound rows of an export into force. Rows that it does not name stay as they are.
    ///
    /// # Errors
    /// That it lacks something or would lose too much; that another import came first.
    pub async fn import_register(&self, officer: &str, import: Import, now: Timestamp) -> Result<ImportReport> {
        if let Some(lacking) = import.reading.lacking().filter(|_| !import.partial) {
            return Err(unusable(format!("the export is not complete: {lacking}")).into());
        }
        let source = import.reading.source();
        let register = self.register().await?;
        let versions = self.unit_versions(&register).await?;
        let elsewhere = self.parents_in_force(&import.reading, &versions, now).await?;
        let partial = import.partial;
        let reading = import.reading;
        // Comparing a hundred thousand rows would keep everything else on this thread waiting.
        let compared = tokio::task::spawn_blocking(move || {
            Comparison::of(reading.checked(&elsewhere), source, partial, &versions, now)
        });
        let compared = compared.await.map_err(|error| Fault::Internal(error.to_string()))?;
        let (mut report, written) = self.import_report(compared, &register, import.most_lost, now).await?;
        if import.dry_run {
            return Ok(report);
        }
        if let Some(why) = report.needs_force.as_ref().filter(|_| !import.force) {
            return Err(unusable(why.clone()).into());
        }
        if written.is_empty() {
            self.note_sync(source, import.synced).await?;
            return Ok(report);
        }
        report.generation = self.begin_generation().await?;
        self.write_rows(written, report.generation, now).await?;
        self.bring_into_force(officer, source, import.synced, register.current, &report, now).await?;
        Ok(report)
    }

    /// The parents in force of rows whose parents the file does not hold.
    async fn parents_in_force(&self, reading: &Reading, versions: &Versions, now: Timestamp) -> Result<Elsewhere> {
        let own: HashSet<&UnitOid> = reading.oids().collect();
        let mut elsewhere = Elsewhere::new();
        for oid in reading.parents().filter(|oid| versions.contains(oid)) {
            if elsewhere.contains_key(oid) {
                continue;
            }
            // A parent whose own row is refused now may be in force already.
            let above = match own.contains(oid) {
                true => None,
                false => {
                    self.unit_rows(oid, now).await?.into_iter().skip(1).map(|row| row.oid).find(|oid| own.contains(oid))
                }
            };
            elsewhere.insert(oid.clone(), above);
        }
        Ok(elsewhere)
    }

    async fn write_rows(&self, rows: Vec<UnitRow>, generation: u64, now: Timestamp) -> Result<()> {
        for batch in rows.chunks(BATCH) {
            let insert = |row: &UnitRow| Change::insert(&UnitRow { generation, recorded: Some(now), ..row.clone() });
            self.decide(|| self.commit(batch.iter().map(insert).collect(), ())).await?;
        }
        Ok(())
    }

    /// A number that no import ever used.
    async fn begin_generation(&self) -> Result<u64> {
        self.decide(|| async {
            let stored = self.stored_register().await?;
            let begun = stored.as_deref().cloned().unwrap_or_default().with_begun();
            let number = begun.begun;
            self.commit(vec![written(stored.as_ref(), &begun)], number).await
        })
        .await
    }

    async fn bring_into_force(
        &self,
        officer: &str,
        source: Source,
        synced: Option<Timestamp>,
        base: u64,
        report: &ImportReport,
        now: Timestamp,
    ) -> Result<()> {
        self.decide(|| async {
            let stored = self.stored_register().await?;
            let old = stored.as_deref().cloned().unwrap_or_default();
            // What was compared with is no longer what is in force.
            if old.current != base {
                return Err(
                    unusable("another import came into force meanwhile; import this one again".to_owned()).into()
                );
            }
            let mut register = old.with_current(report.generation);
            register.imported = Some(now);
            register.units += report.added.len() as u64;
            let state = register.sources.entry(source).or_default();
            state.imported = Some(now);
            state.synced = synced.or(state.synced);
            let event = Event::done(now, Actor::Officer(officer.to_owned()), Act::RegisterImported)
                .with("generation", report.generation)
                .with("source", source)
                .with("added", report.counts.added)
                .with("changed", report.counts.changed)
                .with("ended", report.counts.ended);
            self.commit(vec![written(stored.as_ref(), &register), Change::Audit(event)], ()).await
        })
        .await
    }

    /// Notes that the changes of a register were fetched up to a time, and that there were none.
    async fn note_sync(&self, source: Source, synced: Option<Timestamp>) -> Result<()> {
        let Some(synced) = synced else { return Ok(()) };
        self.decide(|| async {
            let stored = self.stored_register().await?;
            let mut register = stored.as_deref().cloned().unwrap_or_default();
            register.sources.entry(source).or_default().synced = Some(synced);
            self.commit(vec![written(stored.as_ref(), &register)], ()).await
        })
        .await
    }

    /// Up to when the changes of a register were fetched.
    pub async fn register_synced(&self, source: Source) -> Result<Option<Timestamp>> {
        Ok(self.register().await?.sources.get(&source).and_then(|state| state.synced))
    }

    /// The report of a comparison, and the rows to write. What changed and what is missing is read, row by row.
    async fn import_report(
        &self,
        comparison: Comparison,
        register: &Register,
        most_lost: u8,
        now: Timestamp,
    ) -> Result<(ImportReport, Vec<UnitRow>)> {
        let Comparison { mut report, written, differing, missing, mut in_force, known } = comparison;
        report.generation = register.current;
        let mut lost = 0;
        for group in differing {
            let new = written.get(group.rows.clone()).unwrap_or_default();
            let old = self.newest_state(&group.oid, register).await?;
            let was_in_force = old.iter().any(|row| row.is_in_force(now));
            in_force += u64::from(was_in_force);
            lost += u64::from(was_in_force && !new.iter().any(|row| row.is_in_force(now)));
            let remark = |reason| Remark { oid: group.oid.to_string(), row: Some(group.row), reason };
            match comparison::end(&old, new) {
                Some(end) => report.ended.push(remark(format!("it ends at {end}"))),
                None => report.changed.push(remark(comparison::difference(&old, new, now))),
            }
        }
        for oid in missing {
            let rows = self.newest_state(&oid, register).await?;
            if row_at(&rows, now).is_some_and(|row| row.is_in_force(now)) {
                (in_force, lost) = (in_force + 1, lost + 1);
                let reason = "the export does not name it; the row in force stays".to_owned();
                report.missing.push(Remark { oid: oid.to_string(), row: None, reason });
            }
        }
        // Of a part of the rows nobody can tell how many are in force.
        report.needs_force = too_many(lost, in_force.max(known), most_lost);
        report.counts = report.counted();
        Ok((report, written))
    }
}

impl ImportReport {
    fn counted(&self) -> Counts {
        Counts {
            added: self.added.len(),
            changed: self.changed.len(),
            ended: self.ended.len(),
            missing: self.missing.len(),
            warned: self.warned.len(),
            refused: self.refused.len(),
        }
    }
}

/// Why so much is not lost without asking: an export that was made wrongly ends a whole register.
fn too_many(lost: u64, in_force: u64, most: u8) -> Option<String> {
    (lost * 100 > in_force * u64::from(most)).then(|| {
        format!(
            "the export leaves out or ends {lost} of the {in_force} rows in force of its register, and at most {most} % are \
             lost unasked: see with --dry-run which they are, and import it with --force if that is right"
        )
    })
}

fn written(stored: Option<&Read<Register>>, register: &Register) -> Change {
    match stored {
        Some(read) => read.replace(register),
        None => Change::insert(register),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_share_needs_force_and_the_share_itself_does_not() {
        assert_eq!(too_many(10, 100, 10), None);
        assert!(too_many(11, 100, 10).is_some_and(|why| why.contains("11 of the 100")));
        assert_eq!(too_many(0, 0, 10), None);
        assert!(too_many(1, 1, 99).is_some() && too_many(1, 1, 100).is_none());
    }
}

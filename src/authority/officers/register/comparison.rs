//! What an export would change: its rows compared with those in force. Nothing is read and nothing written here.

use std::collections::HashSet;
use std::ops::Range;

use super::ImportReport;
use super::versions::{Version, Versions};
use crate::model::{DIGEST, UnitRow, row_at};
use crate::names::UnitOid;
use crate::register::{Checked, RegisterRow, Remark, Source};
use crate::time::Timestamp;

/// The outcome of a comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The report as far as it can be told without reading rows.
    pub(super) report: ImportReport,
    /// The rows to write, those of one OID together.
    pub(super) written: Vec<UnitRow>,
    /// The OIDs in force of which something else is said.
    pub(super) differing: Vec<Differing>,
    /// The OIDs in force that a complete export does not name.
    pub(super) missing: Vec<UnitOid>,
    /// How many OIDs are in force now and stay as they are.
    pub(super) in_force: u64,
    /// How many OIDs of the register there are at least, where the export is a part only.
    pub(super) known: u64,
}

/// An OID of which something else is said.
#[derive(Debug)]
pub(super) struct Differing {
    /// The OID.
    pub(super) oid: UnitOid,
    /// Its place in the file.
    pub(super) row: u64,
    /// Its new rows among those written.
    pub(super) rows: Range<usize>,
}

impl Comparison {
    /// Compares the sound rows of an export of `source` with what is in force.
    pub(super) fn of(checked: Checked, source: Source, partial: bool, versions: &Versions, now: Timestamp) -> Self {
        let Checked { mut rows, warned, refused } = checked;
        let mut compared = Comparison {
            report: ImportReport { warned, refused, ..ImportReport::default() },
            written: Vec::new(),
            differing: Vec::new(),
            missing: Vec::new(),
            in_force: 0,
            known: 0,
        };
        compared.missing = missing(&rows, &compared.report.refused, source, partial, versions);
        compared.known = if partial { versions.from(source).count() as u64 } else { 0 };
        // Ascending keys are what the store writes fastest, and the rows of one OID come together.
        rows.sort_by(|a, b| (&a.oid, a.valid_from).cmp(&(&b.oid, b.valid_from)));
        let mut rows = rows.into_iter().peekable();
        while let Some(first) = rows.next() {
            let mut group = vec![first];
            while let Some(next) = rows.next_if(|row| row.oid == group[0].oid) {
                group.push(next);
            }
            compared.compare(group, source, versions, now);
        }
        compared.report.warned.sort_by_key(|remark| remark.row);
        compared.report.refused.sort_by_key(|remark| remark.row);
        compared
    }

    /// Takes the rows of one OID.
    fn compare(&mut self, group: Vec<RegisterRow>, source: Source, versions: &Versions, now: Timestamp) {
        let Some(first) = group.first() else { return };
        let (oid, row) = (first.oid.clone(), first.row);
        let remark = |reason: &str| Remark { oid: oid.to_string(), row: Some(row), reason: reason.to_owned() };
        let known = versions.of(&oid);
        if let Some(other) = known.map(|version| version.source).filter(|other| *other != source) {
            // What an operator wrote may stand in for a register, and gives way to it; two registers contradict each other.
            if source != Source::Csv && other != Source::Csv {
                self.report.refused.push(remark(&format!("it is in force from the register \"{other}\"")));
                return;
            }
            self.report.warned.push(remark(&format!("it was in force from \"{other}\" before")));
        }
        let new: Vec<UnitRow> = group.into_iter().map(|row| UnitRow::of(row, source)).collect();
        if known.is_some_and(|version| is_equal(version, &new)) {
            self.report.unchanged += 1;
            self.in_force += u64::from(new.iter().any(|row| row.is_in_force(now)));
            return;
        }
        let begin = self.written.len();
        let part = |(place, row): (usize, UnitRow)| UnitRow { part: u8::try_from(place).unwrap_or(u8::MAX), ..row };
        self.written.extend(new.into_iter().enumerate().map(part));
        match known {
            Some(_) => self.differing.push(Differing { oid, row, rows: begin..self.written.len() }),
            None => self.report.added.push(remark("it is new")),
        }
    }
}

fn is_equal(version: &Version, new: &[UnitRow]) -> bool {
    let digests: Vec<[u8; DIGEST]> = new.iter().map(UnitRow::digest).collect();
    version.digests == digests
}

/// The OIDs of the register that no row of a complete export names, be it sound or not.
fn missing(
    rows: &[RegisterRow],
    refused: &[Remark],
    source: Source,
    partial: bool,
    versions: &Versions,
) -> Vec<UnitOid> {
    if partial {
        return Vec::new();
    }
    let mut named: HashSet<&str> = rows.iter().map(|row| row.oid.as_str()).collect();
    named.extend(refused.iter().map(|remark| remark.oid.as_str()));
    let mut missing: Vec<UnitOid> =
        versions.from(source).filter(|oid| !named.contains(oid.as_str())).cloned().collect();
    missing.sort_unstable();
    missing
}

/// The end that the new rows have and the old ones had not, or had later.
pub(super) fn end(old: &[UnitRow], new: &[UnitRow]) -> Option<Timestamp> {
    let last = |rows: &[UnitRow]| rows.iter().map(|row| row.valid_to).collect::<Option<Vec<_>>>()?.into_iter().max();
    let end = last(new)?;
    last(old).is_none_or(|before| end < before).then_some(end)
}

/// What differs, by name.
pub(super) fn difference(old: &[UnitRow], new: &[UnitRow], now: Timestamp) -> String {
    if old.len() != new.len() {
        return format!("{} rows with dates of their own instead of {}", new.len(), old.len());
    }
    match row_at(old, now).zip(row_at(new, now)).map(|(old, new)| old.differences(new)) {
        Some(names) if !names.is_empty() => format!("it differs in {}", names.join(", ")),
        _ => "it differs in a row of another time".to_owned(),
    }
}

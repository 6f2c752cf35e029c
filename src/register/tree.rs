//! What rows say about each other: each OID once, every parent known, no circle.

use std::collections::{HashMap, HashSet};

use super::{RefusedRow, RegisterRow};
use crate::names::UnitOid;

/// A file that was read: rows that are sound in themselves, and those that are not.
#[derive(Debug, Clone)]
pub struct Reading {
    rows: Vec<RegisterRow>,
    refused: Vec<RefusedRow>,
}

/// The rows that may come into force, and those that may not. Both in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Sound rows.
    pub rows: Vec<RegisterRow>,
    /// Refused rows.
    pub refused: Vec<RefusedRow>,
}

impl Reading {
    pub(super) fn new(rows: Vec<RegisterRow>, refused: Vec<RefusedRow>) -> Self {
        Reading { rows, refused }
    }

    /// The parents that are not in this file: whoever imports looks for them among the rows in force.
    pub fn parents_elsewhere(&self) -> HashSet<UnitOid> {
        let own: HashSet<&UnitOid> = self.rows.iter().map(|row| &row.oid).collect();
        self.rows.iter().filter_map(|row| row.parent.as_ref()).filter(|parent| !own.contains(parent)).cloned().collect()
    }

    /// The rows whose parents are in the file or among `known`, without doubles and circles. A row below a refused one is
    /// refused too.
    pub fn checked(self, known: &HashSet<UnitOid>) -> Checked {
        let Reading { rows, mut refused } = self;
        let (mut rows, doubles) = without_doubles(rows);
        refused.extend(doubles);
        loop {
            let faults = faults(&rows, known);
            if faults.is_empty() {
                break;
            }
            rows.retain(|row| !faults.contains_key(&row.line));
            refused.extend(faults.into_values());
        }
        refused.sort_by_key(|row| row.line);
        Checked { rows, refused }
    }
}

fn refusal(row: &RegisterRow, why: String) -> RefusedRow {
    RefusedRow { line: row.line, oid: row.oid.to_string(), why }
}

/// Two rows with one OID contradict each other, so that neither is taken.
fn without_doubles(rows: Vec<RegisterRow>) -> (Vec<RegisterRow>, Vec<RefusedRow>) {
    let mut lines: HashMap<UnitOid, Vec<u64>> = HashMap::new();
    for row in &rows {
        lines.entry(row.oid.clone()).or_default().push(row.line);
    }
    let (kept, doubled): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| lines.get(&row.oid).is_none_or(|lines| lines.len() == 1));
    let refused = doubled
        .iter()
        .map(|row| {
            let lines: Vec<String> = lines.get(&row.oid).into_iter().flatten().map(u64::to_string).collect();
            refusal(row, format!("the OID stands in lines {}", lines.join(", ")))
        })
        .collect();
    (kept, refused)
}

/// The rows whose parent is nowhere, or whose parents lead back to themselves, by line.
fn faults(rows: &[RegisterRow], known: &HashSet<UnitOid>) -> HashMap<u64, RefusedRow> {
    let parents: HashMap<&UnitOid, Option<&UnitOid>> = rows.iter().map(|row| (&row.oid, row.parent.as_ref())).collect();
    let mut settled: HashSet<&UnitOid> = HashSet::new();
    let mut faults = HashMap::new();
    for row in rows {
        if let Some(parent) =
            row.parent.as_ref().filter(|parent| !parents.contains_key(parent) && !known.contains(parent))
        {
            faults.insert(row.line, refusal(row, format!("its parent {parent} is unknown, or was refused")));
        } else if leads_back(&row.oid, &parents, &mut settled) {
            faults.insert(row.line, refusal(row, "its parents lead back to itself".to_owned()));
        }
    }
    faults
}

/// Whether the way upwards from `start` comes back to it. Ways that end are remembered, so that the whole takes linear time.
fn leads_back<'a>(
    start: &'a UnitOid,
    parents: &HashMap<&'a UnitOid, Option<&'a UnitOid>>,
    settled: &mut HashSet<&'a UnitOid>,
) -> bool {
    let mut way: Vec<&UnitOid> = Vec::new();
    let mut on_way: HashSet<&UnitOid> = HashSet::new();
    let mut next = Some(start);
    while let Some(oid) = next {
        if settled.contains(oid) {
            break;
        }
        if !on_way.insert(oid) {
            return oid == start;
        }
        way.push(oid);
        next = parents.get(oid).copied().flatten();
    }
    settled.extend(way);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, oid: &str, parent: Option<&str>) -> RegisterRow {
        RegisterRow {
            line,
            oid: oid.parse().unwrap(),
            parent: parent.map(|parent| parent.parse().unwrap()),
            business_id: None,
            name_fi: "Yksikkö".into(),
            name_sv: None,
            abbreviation: None,
            municipality: None,
            sector: None,
            kind: None,
            valid_from: None,
            valid_to: None,
        }
    }

    fn checked(rows: &[(&str, Option<&str>)], known: &[&str]) -> (Vec<u64>, Vec<u64>) {
        let rows = rows.iter().zip(2..).map(|((oid, parent), line)| row(line, oid, *parent)).collect();
        let known = known.iter().map(|oid| oid.parse().unwrap()).collect();
        let checked = Reading::new(rows, Vec::new()).checked(&known);
        (checked.rows.iter().map(|r| r.line).collect(), checked.refused.iter().map(|r| r.line).collect())
    }

    #[test]
    fn an_unknown_parent_refuses_the_row_and_all_below_it() {
        let rows = [("1.2.3", None), ("1.2.4", Some("1.2.9")), ("1.2.5", Some("1.2.4")), ("1.2.6", Some("1.2.3"))];
        assert_eq!(checked(&rows, &[]), (vec![2, 5], vec![3, 4]));
        assert_eq!(checked(&rows, &["1.2.9"]), (vec![2, 3, 4, 5], vec![]));
    }

    #[test]
    fn circles_are_refused_and_what_hangs_below_them() {
        let rows =
            [("1.2.3", Some("1.2.4")), ("1.2.4", Some("1.2.3")), ("1.2.5", Some("1.2.3")), ("1.2.6", Some("1.2.6"))];
        assert_eq!(checked(&rows, &[]), (vec![], vec![2, 3, 4, 5]));
    }

    #[test]
    fn of_two_rows_with_one_oid_neither_is_taken() {
        assert_eq!(checked(&[("1.2.3", None), ("1.2.3", None), ("1.2.4", None)], &[]), (vec![4], vec![2, 3]));
    }

    #[test]
    fn a_long_chain_takes_no_long_time() {
        let oid = |n: usize| format!("1.2.{n}");
        let rows: Vec<_> =
            (0..50_000).map(|n| row(n as u64 + 2, &oid(n), (n > 0).then(|| oid(n - 1)).as_deref())).collect();
        assert_eq!(Reading::new(rows, Vec::new()).checked(&HashSet::new()).rows.len(), 50_000);
    }

    #[test]
    fn parents_outside_the_file_are_named() {
        let reading = Reading::new(vec![row(2, "1.2.3", Some("1.2.9"))], Vec::new());
        assert_eq!(reading.parents_elsewhere(), HashSet::from(["1.2.9".parse().unwrap()]));
    }
}

//! What rows say about each other: each OID once (or in several rows with dates of their own, where the register does so),
//! every parent known, no circle.

use std::collections::HashMap;

use super::{RegisterRow, Remark, Source};
use crate::names::{BusinessId, UnitOid};

/// The rows in force that are parents of a file's rows and not in the file themselves. Each has, where one of its own
/// parents is in the file, the OID of that one: so a circle across imports is found.
pub type Elsewhere = HashMap<UnitOid, Option<UnitOid>>;

/// A file that was read: rows that are sound in themselves, and those that are not.
#[derive(Debug, Clone)]
pub struct Reading {
    source: Source,
    rows: Vec<RegisterRow>,
    refused: Vec<Remark>,
    lacking: Option<String>,
}

/// The rows that may come into force, and those that may not. All in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Sound rows.
    pub rows: Vec<RegisterRow>,
    /// Sound rows that somebody should look at.
    pub warned: Vec<Remark>,
    /// Refused rows.
    pub refused: Vec<Remark>,
}

impl Reading {
    pub(super) fn new(source: Source, rows: Vec<RegisterRow>, refused: Vec<Remark>, lacking: Option<String>) -> Self {
        Reading { source, rows, refused, lacking }
    }

    /// The register that it comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// What the file itself says that it lacks: pages, for one.
    pub fn lacking(&self) -> Option<&str> {
        self.lacking.as_deref()
    }

    /// The OIDs of the rows that are sound in themselves.
    pub fn oids(&self) -> impl Iterator<Item = &UnitOid> {
        self.rows.iter().map(|row| &row.oid)
    }

    /// The parents of the rows that are sound in themselves.
    pub fn parents(&self) -> impl Iterator<Item = &UnitOid> {
        self.rows.iter().filter_map(|row| row.parent.as_ref())
    }

    /// The rows whose parents are in the file or `elsewhere` in force, without doubles and circles. A row below a refused one
    /// is refused too, unless the parent is in force already.
    pub fn checked(self, elsewhere: &Elsewhere) -> Checked {
        let Reading { source, rows, mut refused, .. } = self;
        let (rows, doubles) = without_doubles(rows, source);
        let (rows, orphans) = without_orphans(rows, elsewhere);
        refused.extend(doubles);
        refused.extend(orphans);
        refused.sort_by_key(|remark| remark.row);
        let warned = foreign_arcs(&rows);
        Checked { rows, warned, refused }
    }
}

fn refusal(row: &RegisterRow, reason: String) -> Remark {
    Remark { oid: row.oid.to_string(), row: Some(row.row), reason }
}

/// Keeps the rows that `reason` has nothing against.
fn parted(rows: Vec<RegisterRow>, reasons: Vec<Option<String>>) -> (Vec<RegisterRow>, Vec<Remark>) {
    let mut refused = Vec::new();
    let mut kept = Vec::with_capacity(rows.len());
    for (row, reason) in rows.into_iter().zip(reasons) {
        match reason {
            Some(reason) => refused.push(refusal(&row, reason)),
            None => kept.push(row),
        }
    }
    (kept, refused)
}

/// The places of the rows of each OID.
fn by_oid(rows: &[RegisterRow]) -> HashMap<&UnitOid, Vec<usize>> {
    let mut places: HashMap<&UnitOid, Vec<usize>> = HashMap::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        places.entry(&row.oid).or_default().push(place);
    }
    places
}

/// How many dated rows one OID may have.
const MOST_DATED: usize = 100;

/// Two rows with one OID contradict each other, so that none is taken, unless the register has dated rows and no two of them
/// are in force on one day.
fn without_doubles(rows: Vec<RegisterRow>, source: Source) -> (Vec<RegisterRow>, Vec<Remark>) {
    let mut reasons = vec![None; rows.len()];
    for places in by_oid(&rows).into_values().filter(|places| places.len() > 1) {
        if source.has_dated_rows() && places.len() <= MOST_DATED && are_disjoint(&rows, &places) {
            continue;
        }
        let numbers: Vec<String> = places.iter().take(10).map(|place| rows[*place].row.to_string()).collect();
        let overlap = if source.has_dated_rows() { ", and their dates overlap" } else { "" };
        for place in places {
            reasons[place] = Some(format!("the OID stands in rows {}{overlap}", numbers.join(", ")));
        }
    }
    parted(rows, reasons)
}

fn are_disjoint(rows: &[RegisterRow], places: &[usize]) -> bool {
    let mut spans: Vec<_> = places.iter().map(|place| (rows[*place].valid_from, rows[*place].valid_to)).collect();
    spans.sort_unstable();
    // Without an end nothing may follow, and only the first may be from ever.
    spans.windows(2).all(|pair| pair[0].1.zip(pair[1].0).is_some_and(|(end, begin)| end < begin))
}

/// Follows the parents downwards from those that are surely there. What is not reached hangs in the air.
fn without_orphans(rows: Vec<RegisterRow>, elsewhere: &Elsewhere) -> (Vec<RegisterRow>, Vec<Remark>) {
    let own = by_oid(&rows);
    let mut below: HashMap<&UnitOid, Vec<usize>> = HashMap::new();
    let mut waiting: HashMap<&UnitOid, Vec<&UnitOid>> = HashMap::new();
    let mut ready: Vec<&UnitOid> = Vec::new();
    for (oid, above) in elsewhere.iter().filter(|(oid, _)| !own.contains_key(oid)) {
        match above.as_ref().filter(|above| own.contains_key(above)) {
            Some(above) => waiting.entry(above).or_default().push(oid),
            None => ready.push(oid),
        }
    }
    let mut reached = vec![false; rows.len()];
    for (place, row) in rows.iter().enumerate() {
        match &row.parent {
            Some(parent) => below.entry(parent).or_default().push(place),
            None => {
                reached[place] = true;
                ready.push(&row.oid);
            }
        }
    }
    while let Some(oid) = ready.pop() {
        ready.extend(waiting.remove(oid).into_iter().flatten());
        for place in below.remove(oid).into_iter().flatten() {
            reached[place] = true;
            ready.push(&rows[place].oid);
        }
    }
    let circles = in_circles(&rows, &own, &reached);
    let reason = |place: usize| match &rows[place].parent {
        Some(_) if reached[place] => None,
        Some(_) if circles[place] => Some("its parents lead back to itself".to_owned()),
        Some(parent) => Some(format!("its parent {parent} is unknown, or was refused")),
        None => None,
    };
    let reasons = (0..rows.len()).map(reason).collect();
    parted(rows, reasons)
}

/// Which of the rows that were not reached are part of a circle.
fn in_circles(rows: &[RegisterRow], own: &HashMap<&UnitOid, Vec<usize>>, reached: &[bool]) -> Vec<bool> {
    let above = |place: usize| {
        let parents = rows[place].parent.as_ref().and_then(|parent| own.get(parent)).into_iter().flatten();
        parents.copied().find(|parent| !reached[*parent])
    };
    let mut circles = vec![false; rows.len()];
    // The walk on which a row was met first.
    let mut met: Vec<Option<usize>> = vec![None; rows.len()];
    for start in (0..rows.len()).filter(|place| !reached[*place]) {
        let mut next = Some(start);
        while let Some(place) = next.filter(|place| met[*place].is_none()) {
            met[place] = Some(start);
            next = above(place);
        }
        // Back on this very walk: everything from here round to here again is the circle.
        let mut member = next.filter(|place| met[*place] == Some(start));
        while let Some(place) = member.filter(|place| !circles[*place]) {
            circles[place] = true;
            member = above(place);
        }
    }
    circles
}

/// The arc below which organisations have OIDs of their own, their Business ID being the next number.
const ORGANISATIONS: &str = "1.2.246.10.";

/// Rows whose OID lies in the arc of another organisation than the one whose Business ID they, or the rows above them, name.
fn foreign_arcs(rows: &[RegisterRow]) -> Vec<Remark> {
    let own = by_oid(rows);
    let warned = |row: &RegisterRow| {
        let arc = row.oid.as_str().strip_prefix(ORGANISATIONS)?.split('.').next()?;
        let named = nearest_business_id(row, rows, &own)?;
        match BusinessId::from_oid_arc(arc) {
            Ok(id) if id == *named => None,
            Ok(id) => Some(refusal(row, format!("its OID lies in the arc of {id}, and it belongs to {named}"))),
            Err(_) => Some(refusal(row, format!("the arc {arc} of its OID is no Business ID; it belongs to {named}"))),
        }
    };
    rows.iter().filter_map(warned).collect()
}

/// No register is deeper.
const DEEPEST: usize = 16;

fn nearest_business_id<'a>(
    row: &'a RegisterRow,
    rows: &'a [RegisterRow],
    own: &HashMap<&UnitOid, Vec<usize>>,
) -> Option<&'a BusinessId> {
    let above = |row: &&'a RegisterRow| {
        let places = row.parent.as_ref().and_then(|parent| own.get(parent))?;
        places.first().and_then(|place| rows.get(*place))
    };
    std::iter::successors(Some(row), above).take(DEEPEST).find_map(|row| row.business_id.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(number: u64, oid: &str, parent: Option<&str>) -> RegisterRow {
        RegisterRow {
            row: number,
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

    fn reading(source: Source, rows: Vec<RegisterRow>) -> Reading {
        Reading::new(source, rows, Vec::new(), None)
    }

    fn checked(rows: &[(&str, Option<&str>)], elsewhere: &[(&str, Option<&str>)]) -> (Vec<u64>, Vec<u64>) {
        let rows = rows.iter().zip(2..).map(|((oid, parent), number)| row(number, oid, *parent)).collect();
        let oid = |text: &str| text.parse::<UnitOid>().unwrap();
        let elsewhere = elsewhere.iter().map(|(known, above)| (oid(known), above.map(oid))).collect();
        let checked = reading(Source::Thl, rows).checked(&elsewhere);
        (checked.rows.iter().map(|r| r.row).collect(), checked.refused.iter().filter_map(|r| r.row).collect())
    }

    #[test]
    fn an_unknown_parent_refuses_the_row_and_all_below_it() {
        let rows = [("1.2.3", None), ("1.2.4", Some("1.2.9")), ("1.2.5", Some("1.2.4")), ("1.2.6", Some("1.2.3"))];
        assert_eq!(checked(&rows, &[]), (vec![2, 5], vec![3, 4]));
        assert_eq!(checked(&rows, &[("1.2.9", None)]), (vec![2, 3, 4, 5], vec![]));
    }

    #[test]
    fn circles_are_refused_and_what_hangs_below_them() {
        let rows =
            [("1.2.3", Some("1.2.4")), ("1.2.4", Some("1.2.3")), ("1.2.5", Some("1.2.3")), ("1.2.6", Some("1.2.6"))];
        assert_eq!(checked(&rows, &[]), (vec![], vec![2, 3, 4, 5]));
        let rows = rows.iter().zip(2..).map(|((oid, parent), number)| row(number, oid, *parent)).collect();
        let reasons = reading(Source::Thl, rows).checked(&Elsewhere::new()).refused;
        let circles: Vec<_> = reasons.iter().map(|remark| remark.reason.contains("lead back")).collect();
        assert_eq!(circles, [true, true, false, true]);
    }

    #[test]
    fn a_circle_through_a_row_in_force_is_found_too() {
        let rows = [("1.2.3", Some("1.2.9")), ("1.2.4", None)];
        assert_eq!(checked(&rows, &[("1.2.9", Some("1.2.3"))]), (vec![3], vec![2]));
        assert_eq!(checked(&rows, &[("1.2.9", Some("1.2.4"))]), (vec![2, 3], vec![]));
    }

    #[test]
    fn a_parent_that_is_refused_now_and_in_force_already_is_a_parent() {
        let rows = [("1.2.3", None), ("1.2.3", None), ("1.2.4", Some("1.2.3"))];
        assert_eq!(checked(&rows, &[]), (vec![], vec![2, 3, 4]));
        assert_eq!(checked(&rows, &[("1.2.3", None)]), (vec![4], vec![2, 3]));
    }

    #[test]
    fn of_two_rows_with_one_oid_neither_is_taken() {
        assert_eq!(checked(&[("1.2.3", None), ("1.2.3", None), ("1.2.4", None)], &[]), (vec![4], vec![2, 3]));
    }

    #[test]
    fn dated_rows_of_one_pharmacy_are_all_taken() {
        use crate::time::Timestamp;
        let dated = |number, from: Option<i64>, to: Option<i64>| RegisterRow {
            valid_from: from.map(Timestamp::from_seconds),
            valid_to: to.map(Timestamp::from_seconds),
            ..row(number, "1.2.3", None)
        };
        let taken = |rows: Vec<RegisterRow>| reading(Source::Pharmacy, rows).checked(&Elsewhere::new()).rows.len();
        assert_eq!(taken(vec![dated(1, Some(11), None), dated(2, None, Some(10))]), 2);
        assert_eq!(taken(vec![dated(1, None, Some(10)), dated(2, Some(10), None)]), 0);
        assert_eq!(taken(vec![dated(1, None, None), dated(2, Some(11), None)]), 0);
        assert_eq!(taken(vec![dated(1, None, Some(10)), dated(2, None, Some(20))]), 0);
    }

    #[test]
    fn an_oid_in_the_arc_of_another_organisation_is_warned_of() {
        let of = |number, oid, parent, id: Option<&str>| RegisterRow {
            business_id: id.map(|id| id.parse().unwrap()),
            ..row(number, oid, parent)
        };
        let top = "1.2.246.10.2454372.10.0";
        let rows = vec![
            of(1, top, None, Some("0245437-2")),
            of(2, "1.2.246.10.2454372.10.1", Some(top), None),
            of(3, "1.2.246.10.2048198.10.1", Some(top), None),
            of(4, "1.2.246.10.1234.10.1", None, Some("0245437-2")),
            of(5, "1.2.246.537.6.40003.1", None, Some("0204819-8")),
        ];
        let checked = reading(Source::Thl, rows).checked(&Elsewhere::new());
        assert_eq!((checked.rows.len(), checked.refused.len()), (5, 0));
        assert_eq!(checked.warned.iter().map(|remark| remark.row).collect::<Vec<_>>(), [Some(3), Some(4)]);
    }

    #[test]
    fn long_chains_take_no_long_time() {
        let oid = |n: usize| format!("1.2.{n}");
        let chain = |top: Option<&str>| -> Vec<_> {
            let parent = |n: usize| if n > 0 { Some(oid(n - 1)) } else { top.map(str::to_owned) };
            (0..50_000).map(|n| row(n as u64 + 2, &oid(n), parent(n).as_deref())).collect()
        };
        let rows = |top: Option<&str>| reading(Source::Thl, chain(top)).checked(&Elsewhere::new()).rows.len();
        assert_eq!((rows(None), rows(Some("1.2.99999")), rows(Some("1.2.49999"))), (50_000, 0, 0));
    }

    proptest! {
        /// Whatever the parents are: what is taken hangs together, and what is refused could not be taken.
        #[test]
        fn every_row_taken_leads_to_a_top(parents in proptest::collection::vec(proptest::option::of(0_usize..40), 1..40)) {
            let oid = |n: usize| format!("1.2.{n}");
            let rows: Vec<_> = parents.iter().enumerate()
                .map(|(n, parent)| row(n as u64, &oid(n), parent.map(oid).as_deref())).collect();
            let checked = reading(Source::Thl, rows).checked(&Elsewhere::new());
            let leads_up = |start: usize| {
                std::iter::successors(Some(start), |n| parents.get(*n).copied().flatten()).take(41).last()
                    .is_some_and(|top| matches!(parents.get(top), Some(None)))
            };
            let taken: Vec<usize> = checked.rows.iter().map(|row| row.row as usize).collect();
            let expected: Vec<usize> = (0..parents.len()).filter(|n| leads_up(*n)).collect();
            prop_assert_eq!(taken, expected);
            prop_assert_eq!(checked.rows.len() + checked.refused.len(), parents.len());
        }
    }
}

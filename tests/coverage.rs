//! Holds `docs/protocol.md` against the code: every rule of the standards has its row, every row names files and tests that
//! exist, the list of rules without a test cannot grow unseen, and the tables of resources and errors are those of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sote_acme::acme::problem::{OwnKind, ProblemKind};
use sote_acme::acme::route::{OrganisationResource, Proof, Route};
use sote_acme::config::{AttemptSettings, CrlSettings, HttpSettings, Lifetimes, OrganisationSettings};
use sote_acme::validation;

/// The rows of the requirement table: a letter and its numbers, first and last.
const ROWS: [(&str, u8, u8); 18] = [
    ("T", 1, 13),
    ("J", 1, 28),
    ("G", 1, 6),
    ("N", 1, 13),
    ("E", 1, 7),
    ("D", 1, 8),
    ("A", 1, 22),
    ("A", 30, 37),
    ("A", 40, 44),
    ("O", 1, 25),
    ("O", 30, 34),
    ("Z", 1, 26),
    ("R", 1, 12),
    ("S", 1, 6),
    ("X", 1, 18),
    ("X", 20, 26),
    ("X", 28, 28),
    ("X", 30, 30),
];

/// An id that could be one of any resource.
const SAMPLE_ID: &str = "AZ2rAAAAAAAAAAAAAAAAAA";

/// A row of the requirement table.
struct Row {
    id: String,
    rule: String,
    files: Vec<String>,
    tests: Vec<String>,
    departs: bool,
}

fn document() -> String {
    read("docs/protocol.md")
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of the section with this number.
fn section(number: &str) -> String {
    let document = document();
    let sections = document.split("\n## ").filter_map(|section| section.split_once(". "));
    let found = sections.filter(|(title, _)| *title == number).map(|(_, text)| text.to_owned()).next();
    found.unwrap_or_else(|| panic!("there is no section {number}"))
}

fn expected_ids() -> Vec<String> {
    ROWS.into_iter()
        .flat_map(|(letter, first, last)| (first..=last).map(move |number| format!("{letter}{number:02}")))
        .collect()
}

fn is_id(text: &str) -> bool {
    let mut characters = text.chars();
    text.len() == 3
        && characters.next().is_some_and(|c| c.is_ascii_uppercase())
        && characters.all(|c| c.is_ascii_digit())
}

/// The cells of every table row.
fn table_rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let inner = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    inner.map(|line| line.split(" | ").map(str::trim).collect())
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn requirement_rows() -> Vec<Row> {
    let document = document();
    let rows = table_rows(&document).filter(|cells| cells.first().is_some_and(|id| is_id(id)));
    rows.map(|cells| {
        let [id, rule, files, tests] = cells[..] else { panic!("row {} has {} cells, not 4", cells[0], cells.len()) };
        let (named, departs) = match tests.split_once("departs: ") {
            Some((named, reason)) => {
                assert!(reason.len() > 20, "row {id} departs and does not say why");
                (named, true)
            }
            None => (tests, false),
        };
        Row { id: id.to_owned(), rule: rule.to_owned(), files: quoted(files), tests: quoted(named), departs }
    })
    .collect()
}

/// The ids of the list "Not yet tested", and the count that it states.
fn not_yet_tested() -> (usize, BTreeSet<String>) {
    let section = section("22");
    let count = section.lines().find_map(|line| line.strip_prefix("Count: ")).expect("a line \"Count: N\"");
    let ids = section.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect();
    (count.parse().expect("the count is a number"), ids)
}

/// Whether `source` has a function `name` that the test harness runs: with a test attribute, not ignored.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let is_function = |line: &&str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().filter(|(_, line)| is_function(line)).any(|(at, _)| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        let attributes: Vec<_> = above.filter(|line| line.starts_with("#[")).collect();
        let is_run = |line: &&&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        attributes.iter().any(is_run) && !attributes.iter().any(|line| line.starts_with("#[ignore"))
    })
}

#[test]
fn every_rule_has_exactly_one_row() {
    let found: Vec<String> = requirement_rows().into_iter().map(|row| row.id).collect();
    assert_eq!(found, expected_ids());
}

#[test]
fn every_row_says_what_it_demands_and_which_file_obeys() {
    for row in requirement_rows() {
        assert!(row.rule.len() > 5, "row {} says nothing", row.id);
        assert!(!row.files.is_empty(), "row {} names no file that obeys", row.id);
        for file in &row.files {
            assert!(file.starts_with("src/"), "row {}: {file} is no source file", row.id);
            read(file);
        }
    }
}

#[test]
fn every_named_test_exists_and_is_run() {
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    for row in requirement_rows() {
        for test in &row.tests {
            let (file, name) =
                test.split_once("::").unwrap_or_else(|| panic!("row {}: {test} is no FILE::TEST", row.id));
            let source = sources.entry(file.to_owned()).or_insert_with(|| read(file));
            assert!(is_test(source, name), "row {}: {file} has no test {name} that is run", row.id);
        }
    }
}

#[test]
fn rows_without_a_test_depart_or_are_listed_and_counted() {
    let untested: BTreeSet<String> =
        requirement_rows().into_iter().filter(|row| row.tests.is_empty() && !row.departs).map(|row| row.id).collect();
    let (count, listed) = not_yet_tested();
    println!("not yet tested: {} rows: {}", listed.len(), listed.iter().cloned().collect::<Vec<_>>().join(" "));
    assert_eq!(listed, untested, "the list \"Not yet tested\" and the table differ");
    assert_eq!(count, listed.len(), "the count beside the list is wrong");
}

#[test]
fn what_departs_is_told_in_its_section() {
    let section = section("21");
    let told: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**")).map(|(id, _)| id).collect();
    let departing: Vec<String> = requirement_rows().into_iter().filter(|row| row.departs).map(|row| row.id).collect();
    assert_eq!(told, departing);
}

#[test]
fn the_table_of_errors_is_the_code_s() {
    let section = section("14");
    let told: BTreeSet<(String, u16)> = table_rows(&section)
        .filter_map(|cells| match cells[..] {
            [kind, status, _] => Some((quoted(kind).pop()?, status.parse().ok()?)),
            _ => None,
        })
        .collect();
    let registered = ProblemKind::ALL.iter().map(|kind| (kind.name().to_owned(), kind.status()));
    let own = OwnKind::ALL.iter().map(|kind| (format!("BASE/errors/{}", kind.name()), kind.status()));
    let known: BTreeSet<(String, u16)> = registered.chain(own).collect();
    assert_eq!(told, known);
}

#[test]
fn the_table_of_resources_is_the_code_s() {
    let section = section("1");
    let mut seen = BTreeSet::new();
    for cells in table_rows(&section) {
        let [resource, methods, proof, _] = cells[..] else { continue };
        let Some(proof) = proof_of(proof) else { continue };
        let resource = quoted(resource).pop().expect("a resource between backticks");
        let target = resource.replace("ID", SAMPLE_ID).replace("NAME", "revoked");
        let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
        let route = Route::parse(path, query).unwrap_or_else(|| panic!("{resource} is not served"));
        assert_eq!(route.methods().join(", "), methods, "{resource}");
        assert_eq!(route.proof(), proof, "{resource}");
        seen.insert(kind_of(&route));
    }
    assert_eq!(seen.len(), KINDS, "a resource is served that the table does not tell");
}

/// The proof that a cell tells, if it is such a cell.
fn proof_of(cell: &str) -> Option<Proof> {
    match cell {
        "kid" => Some(Proof::Kid),
        "jwk" => Some(Proof::Jwk),
        "kid or jwk" => Some(Proof::KidOrJwk),
        "nobody" => Some(Proof::None),
        _ => None,
    }
}

/// How many kinds of resource there are.
const KINDS: usize = 31;

/// The kind of a resource. A new one stops this from compiling until it is told in the document.
fn kind_of(route: &Route) -> u8 {
    match route {
        Route::Directory(_) => 0,
        Route::NewNonce => 1,
        Route::NewAccount(_) => 2,
        Route::NewOrder(_) => 3,
        Route::NewAuthorization(_) => 4,
        Route::RevokeCertificate => 5,
        Route::KeyChange => 6,
        Route::Account(_) => 7,
        Route::Orders(..) => 8,
        Route::Order(_) => 9,
        Route::Finalize(_) => 10,
        Route::Authorization(_) => 11,
        Route::Challenge(_) => 12,
        Route::Certificate(_) => 13,
        Route::AlternateChain(..) => 14,
        Route::RenewalInfo(_) => 15,
        Route::Terms => 16,
        Route::TermsPage(_) => 17,
        Route::ErrorPage(_) => 18,
        Route::ExplanationPage(_) => 19,
        Route::OfOrganisation(_, resource) => match resource {
            OrganisationResource::Organisation => 20,
            OrganisationResource::Members(_) => 21,
            OrganisationResource::Member(_) => 22,
            OrganisationResource::Invitations(_) => 23,
            OrganisationResource::Invitation(_) => 24,
            OrganisationResource::Orders(_) => 25,
            OrganisationResource::Certificates(_) => 26,
            OrganisationResource::Certificate(_) => 27,
            OrganisationResource::Revocations(_) => 28,
            OrganisationResource::Revocation(_) => 29,
            OrganisationResource::Events(_) => 30,
        },
    }
}

/// Settings that concern the machine rather than its peers.
const NOT_TOLD: [&str; 10] = [
    "http.admin_body_size",
    "http.nonce_memory",
    "http.rate_limits.keys",
    "http.stop_timeout",
    "organisation.defaults.language",
    "lifetimes.prepared",
    "lifetimes.stop",
    "validation.connect_timeout",
    "validation.dns_attempts",
    "validation.dns_timeout",
];

#[test]
fn the_table_of_limits_and_times_is_the_code_s() {
    let section = section("15");
    let told: BTreeMap<String, String> = table_rows(&section)
        .filter_map(|cells| Some((quoted(cells.first()?).pop()?, (*cells.get(1)?).to_owned())))
        .collect();
    let known: BTreeMap<String, String> =
        defaults().into_iter().filter(|(key, _)| !NOT_TOLD.contains(&key.as_str())).collect();
    assert_eq!(told, known);
}

/// The defaults of everything that bounds peers, by key.
fn defaults() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut add = |table: &str, value: Result<toml::Value, toml::ser::Error>| {
        flatten(table, &value.expect("defaults can be written"), &mut found);
    };
    add("http", toml::Value::try_from(HttpSettings::default()));
    add("lifetimes", toml::Value::try_from(Lifetimes::default()));
    add("organisation", toml::Value::try_from(OrganisationSettings::default()));
    add("attempts", toml::Value::try_from(AttemptSettings::default()));
    add("issuers.crl", toml::Value::try_from(CrlSettings::default()));
    add("validation", toml::Value::try_from(validation::Settings::default()));
    found
}

/// Every number, size and duration below `key`; a rate is one value.
fn flatten(key: &str, value: &toml::Value, found: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => match (table.get("count"), table.get("per").and_then(toml::Value::as_str)) {
            (Some(count), Some(per)) => found.push((key.to_owned(), format!("{count} per {per}"))),
            _ => table.iter().for_each(|(name, value)| flatten(&format!("{key}.{name}"), value, found)),
        },
        toml::Value::String(text) => found.push((key.to_owned(), text.clone())),
        toml::Value::Integer(number) => found.push((key.to_owned(), number.to_string())),
        // Switches and lists are told where they matter.
        toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) | toml::Value::Array(_) => {}
    }
}

#[test]
fn a_function_counts_only_when_the_harness_runs_it() {
    let source = "#[test]\nfn run() {}\n\n#[test]\n#[ignore]\nfn ignored() {}\n\nfn helper() {}\n\n\
                  // T01\n#[tokio::test(start_paused = true)]\nasync fn waits() {}\n";
    assert!(is_test(source, "run") && is_test(source, "waits"));
    assert!(!is_test(source, "ignored") && !is_test(source, "helper") && !is_test(source, "wait"));
}

#[test]
fn every_reference_to_a_requirement_names_one_that_exists() {
    let document = document();
    let defined: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("**")?.split_once("**"))
        .map(|(number, _)| number)
        .collect();
    let (text, _) = document.split_once("## 20. ").expect("section 20");
    let mut missing = BTreeSet::new();
    for reference in references(text) {
        if !defined.contains(reference.as_str()) {
            missing.insert(reference);
        }
    }
    assert!(missing.is_empty(), "references to nothing: {missing:?}");
}

/// Numbers in the form of a requirement's within parentheses and in the last cell of the table of errors.
fn references(text: &str) -> Vec<String> {
    let groups = text.split('(').skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
    let cells = table_rows(text).filter(|cells| cells.len() == 3).map(|cells| cells[2].to_owned());
    groups.chain(cells).flat_map(|group| numbers(&group)).collect()
}

fn numbers(group: &str) -> Vec<String> {
    let words = group.split(|c: char| !(c.is_ascii_digit() || c == '.')).map(|word| word.trim_matches('.'));
    let is_number = |word: &&str| {
        word.split_once('.').is_some_and(|(section, number)| {
            [section, number].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    words.filter(is_number).map(str::to_owned).collect()
}

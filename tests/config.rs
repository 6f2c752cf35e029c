//! The shipped configuration files are complete and sound, and wrong ones are told one line per fault.

use std::collections::BTreeSet;
use std::path::Path;

use sote_acme::config::{Config, HttpSettings, Lifetimes};
use sote_acme::register::{self, Source};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");

fn example() -> String {
    std::fs::read_to_string(Path::new(DIRECTORY).join("sote-acme.toml")).unwrap()
}

/// The example with every commented key in force.
fn uncommented() -> String {
    let is_key = |line: &str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        line.starts_with("[[")
            || (line.contains('=')
                && !key.is_empty()
                && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
    };
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') && is_key(rest) => rest.to_owned(),
        _ => line.to_owned(),
    };
    example().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_read_without_a_fault() {
    let config = Config::read(&Path::new(DIRECTORY).join("sote-acme.toml")).unwrap();
    assert_eq!(config.profiles[0].name.as_str(), "sote-server");
    assert_eq!(config.issuers[0].name.as_str(), "sote-1");
    assert_eq!(config.roots.len(), 2);
    assert!(config.issuers[0].key.starts_with(DIRECTORY));
}

#[test]
fn what_the_example_shows_as_default_is_the_default() {
    let plain = Config::parse(&example(), Path::new(DIRECTORY)).unwrap();
    let whole = Config::parse(&uncommented(), Path::new(DIRECTORY)).unwrap();
    assert_eq!(plain.lifetimes, Lifetimes::default());
    assert_eq!(whole.lifetimes, plain.lifetimes);
    assert_eq!(whole.http, HttpSettings::default());
    assert_eq!(whole.attempts, plain.attempts);
    assert_eq!(whole.store, plain.store);
    assert_eq!(whole.work, plain.work);
    assert_eq!(whole.log, plain.log);
    let mut organisation = whole.organisation.clone();
    assert_eq!(organisation.token_authority.len(), 1, "the example shows how a token authority is written");
    assert_eq!(organisation.card_authority.len(), 1, "and how an authority of cards is");
    organisation.token_authority.clear();
    organisation.card_authority.clear();
    assert_eq!(organisation, plain.organisation);
    assert_eq!(whole.issuers, plain.issuers);
    let mut validation = whole.validation.clone();
    assert_eq!(validation.zones.len(), 1, "the example shows how a zone is written");
    assert_eq!(validation.allow_networks.len(), 1, "and how a network is");
    validation.zones.clear();
    validation.allow_networks.clear();
    assert_eq!(validation, plain.validation);
}

/// Every key of the default's TOML, as `table.key`.
fn keys(value: &toml::Value, parent: &str, into: &mut BTreeSet<String>) {
    let toml::Value::Table(table) = value else { return };
    for (key, value) in table {
        let path = format!("{parent}{key}");
        match value {
            toml::Value::Table(_) if !matches!(value.get("count"), Some(toml::Value::Integer(_))) => {
                keys(value, &format!("{path}."), into);
            }
            _ => drop(into.insert(path)),
        }
    }
}

#[test]
fn the_example_names_every_key_that_has_a_default() {
    let whole = Config::parse(&uncommented(), Path::new(DIRECTORY)).unwrap();
    let mut known = BTreeSet::new();
    for (table, value) in [
        ("http", toml::Value::try_from(&whole.http).unwrap()),
        ("lifetimes", toml::Value::try_from(&whole.lifetimes).unwrap()),
        ("attempts", toml::Value::try_from(&whole.attempts).unwrap()),
        ("store", toml::Value::try_from(&whole.store).unwrap()),
        ("work", toml::Value::try_from(&whole.work).unwrap()),
        ("log", toml::Value::try_from(&whole.log).unwrap()),
        ("validation", toml::Value::try_from(&whole.validation).unwrap()),
    ] {
        keys(&value, &format!("{table}."), &mut known);
    }
    let mut written = BTreeSet::new();
    keys(&toml::from_str(&uncommented()).unwrap(), "", &mut written);
    let missing: Vec<_> = known.difference(&written).collect();
    assert!(missing.is_empty(), "config/sote-acme.toml does not show {missing:?}");
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    let text = example().replace("listen = \"0.0.0.0:443\"", "lisen = \"0.0.0.0:443\"");
    let faults = Config::parse(&text, Path::new(DIRECTORY)).unwrap_err();
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(
        lines.iter().any(|line| line.contains("lisen: unknown key; the nearest known key is \"listen\"")),
        "{lines:?}"
    );
}

#[test]
fn unknown_keys_are_found_at_every_depth() {
    let text = uncommented()
        .replace("body_size = \"128KiB\"", "body_sise = \"128KiB\"")
        .replace("validity = \"12h\"", "valdity = \"12h\"")
        .replace("dns_attempts = 2", "dns_attemps = 2");
    let faults = Config::parse(&text, Path::new(DIRECTORY)).unwrap_err();
    let lines = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for expected in [
        "http.body_sise: unknown key; the nearest known key is \"body_size\"",
        "issuers[0].ocsp.valdity: unknown key; the nearest known key is \"validity\"",
        "validation.dns_attemps: unknown key; the nearest known key is \"dns_attempts\"",
    ] {
        assert!(lines.contains(expected), "{expected} is not in\n{lines}");
    }
    assert_eq!(faults.len(), 3, "{lines}");
}

#[test]
fn a_profile_file_that_is_wrong_is_told_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("profiles")).unwrap();
    let profile = directory.path().join("profiles/sote-server.toml");
    std::fs::write(&profile, "[profile]\nname = \"sote-server\"\ndescripton = \"x\"\n").unwrap();
    let faults = Config::parse(&example(), directory.path()).unwrap_err();
    let lines = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(lines.contains("profile_files: profiles/sote-server.toml: profile.descripton: unknown key"), "{lines}");
}

#[test]
fn the_sample_registers_have_no_row_that_is_refused_or_warned_of() {
    for (source, name, least) in [
        (Source::Thl, "sample-register.xml", 15),
        (Source::Pharmacy, "sample-pharmacies.csv", 5),
        (Source::Practitioner, "sample-practitioners.xml", 3),
    ] {
        let file = std::fs::File::open(Path::new(DIRECTORY).join(name)).unwrap();
        let checked = register::read(source, std::io::BufReader::new(file)).unwrap().checked(&Default::default());
        assert_eq!((checked.refused, checked.warned), (vec![], vec![]), "{name}");
        assert!(checked.rows.len() >= least, "{name}");
    }
}

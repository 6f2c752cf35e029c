//! The commands about the organisation itself.

use std::path::Path;

use serde_json::{Value, json};

use super::organisation as organisation_of;
use super::report::{Report, facts, table};
use super::word;
use crate::acme::messages::organisation::{ActorObject, EventObject, Names, OrganisationObject};
use crate::client::error::{Error, Result};
use crate::client::organisation::{Organisation, Resource};
use crate::client::state_directory::StateDirectory;

/// The names under which organisations are kept in the directory. No server is asked.
pub(super) fn kept(directory: &Path) -> Result<Report> {
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for name in StateDirectory::names(directory)? {
        let account = StateDirectory::named(directory, &name)?.account()?;
        let url = account.as_ref().map(|account| account.account.clone());
        let server = account.map(|account| account.directory);
        rows.push(vec![name.clone(), url.clone().unwrap_or_default(), server.clone().unwrap_or_default()]);
        documents.push(json!({ "name": name, "account": url, "directory": server }));
    }
    Report::done(table(&["name", "account", "server"], &rows), &json!({ "organisations": documents }))
}

pub(super) async fn show(state: &StateDirectory) -> Result<Report> {
    let organisation = organisation_of(state).await?;
    Report::done(described(&organisation), &document(&organisation)?)
}

pub(super) async fn agree(state: &StateDirectory) -> Result<Report> {
    let mut organisation = organisation_of(state).await?;
    let terms = organisation.object().terms_of_service.clone();
    let terms = terms.ok_or_else(|| Error::local("the server has no terms of service"))?;
    organisation.agree_to_terms(&terms.version).await?;
    let text = format!("agreed to version {} of the terms of service at {} for all accounts", terms.version, terms.url);
    Report::done(text, &document(&organisation)?)
}

pub(super) async fn events(state: &StateDirectory) -> Result<Report> {
    let events = organisation_of(state).await?.events().await?;
    let row = |event: &EventObject| {
        let facts: Vec<_> = event.facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        vec![event.at.to_string(), event.event.clone(), actor(&event.by), facts.join(" ")]
    };
    let rows: Vec<_> = events.iter().map(row).collect();
    Report::done(table(&["at", "event", "by", "facts"], &rows), &json!({ "events": events }))
}

/// Who did something, in a few words.
fn actor(actor: &ActorObject) -> String {
    match actor {
        ActorObject::Account { account } => account.rsplit('/').next().unwrap_or(account).to_owned(),
        ActorObject::Officer => "officer".to_owned(),
        ActorObject::CertificateKey => "certificate-key".to_owned(),
        ActorObject::Server => "server".to_owned(),
    }
}

/// The organisation as a program sees it.
pub(super) fn document(organisation: &Organisation) -> Result<Value> {
    let resource = Resource { url: organisation.url().to_owned(), object: organisation.object() };
    serde_json::to_value(resource).map_err(|error| Error::local(error.to_string()))
}

/// The organisation as a person sees it.
pub(super) fn described(organisation: &Organisation) -> String {
    let object: &OrganisationObject = organisation.object();
    let time = |time: Option<crate::time::Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let terms = object.terms_of_service.as_ref().map(|terms| match &terms.agreed {
        Some(agreed) if *agreed == terms.version => format!("version {agreed}, agreed to"),
        Some(agreed) => format!("version {} at {}, agreed to version {agreed}", terms.version, terms.url),
        None => format!("version {} at {}, not agreed to for all accounts", terms.version, terms.url),
    });
    let mut text = facts(&[
        ("organisation", object.identifier.value.clone()),
        ("name", object.name.as_ref().map(both).unwrap_or_default()),
        ("status", word(object.status)),
        ("reason", object.reason.clone().unwrap_or_default()),
        ("verified", time(object.verified_at)),
        ("until", time(object.expires)),
        ("by", object.method.clone().unwrap_or_default()),
        ("your role", object.role.to_string()),
        ("profiles", object.profiles.join(", ")),
        ("dns zones", object.dns_zones.join(", ")),
        ("terms", terms.unwrap_or_default()),
        ("url", organisation.url().to_owned()),
    ]);
    let units: Vec<_> = object.units.iter().map(|unit| vec![unit.oid.clone(), both(&unit.name)]).collect();
    text.push_str("\n\n");
    text.push_str(&table(&["unit", "name"], &units));
    if object.more_units {
        text.push_str("\nand more");
    }
    text
}

/// A name in both languages.
fn both(names: &Names) -> String {
    match &names.sv {
        Some(swedish) => format!("{} / {swedish}", names.fi),
        None => names.fi.clone(),
    }
}

//! What happened to an organisation.

use hyper::StatusCode;
use serde_json::Value;

use super::lists::Filters;
use super::{Asked, actor};
use crate::acme::messages::organisation::{EventObject, EventsList};
use crate::acme::route::{ListQuery, OrganisationResource as R};
use crate::http::reply::{Error, Reply};
use crate::model::{EventKind, EventSubject, OrganisationEvent};

/// A page of events.
pub(super) async fn list(asked: &Asked<'_>, query: &ListQuery) -> Result<Reply, Error> {
    asked.signed.read_only()?;
    let after = Filters::of(query, &[])?.cursor()?;
    let page = asked.app.authority.organisation_events(asked.account(), asked.id, after).await?;
    let events = page.items.iter().map(|event| object(asked, event)).collect();
    let reply = Reply::json(StatusCode::OK, &EventsList { events });
    Ok(asked.linked(reply, page.next, query, R::Events))
}

fn object(asked: &Asked<'_>, event: &OrganisationEvent) -> EventObject {
    EventObject {
        id: event.id.to_string(),
        at: event.at,
        event: word(event.kind),
        by: actor(asked.urls(), &event.actor),
        about: event.subjects.iter().filter_map(|subject| url(asked, *subject)).collect(),
        facts: event.facts.iter().cloned().collect(),
    }
}

/// The word of the wire, as the record has it.
fn word(kind: EventKind) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

fn url(asked: &Asked<'_>, subject: EventSubject) -> Option<String> {
    match subject {
        EventSubject::Account(id) => Some(asked.member_url(id)),
        EventSubject::Invitation(id) => Some(asked.url(R::Invitation(id))),
        EventSubject::Certificate(id) => Some(asked.url(R::Certificate(id))),
        // Mandates have no resource yet.
        EventSubject::Mandate(_) => None,
    }
}

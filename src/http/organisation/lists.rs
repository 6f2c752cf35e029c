//! The queries of lists, and the link from a page to the next one.

use std::fmt::Display;
use std::str::FromStr;

use super::{Asked, malformed};
use crate::acme::route::{Cursor, ListQuery, OrganisationResource};
use crate::http::query::percent_decoded;
use crate::http::reply::{Error, Reply};
use crate::names::base64url;

/// A query whose names are known.
pub(super) struct Filters(Vec<(String, String)>);

impl Filters {
    /// The pairs of a query, each name one of `known` or `cursor`, and once.
    pub(super) fn of(query: &ListQuery, known: &[&str]) -> Result<Self, Error> {
        let mut filters: Vec<(String, String)> = Vec::new();
        for (name, value) in query.pairs() {
            if name != "cursor" && !known.contains(&name) {
                let names = known.iter().chain(&["cursor"]).copied().collect::<Vec<_>>().join(", ");
                return Err(malformed(format!("the list's query knows {names}, and nothing else")));
            }
            if filters.iter().any(|(other, _)| other == name) {
                return Err(malformed(format!("{name} stands twice in the query")));
            }
            let value = percent_decoded(value).ok_or_else(|| malformed(format!("the value of {name} is broken")))?;
            filters.push((name.to_owned(), value));
        }
        Ok(Filters(filters))
    }

    /// The value of this name, if there is one.
    pub(super) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| malformed(format!("{name}: {error}")))
    }

    /// The text of this name, if there is one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, text)| text.as_str())
    }

    /// Where the page begins.
    pub(super) fn cursor(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        base64url::decode(text).map(Some).map_err(|_| malformed("the cursor is none that this list gave"))
    }
}

impl Asked<'_> {
    /// A page with the link to the next one.
    pub(super) fn linked(
        &self,
        reply: Reply,
        next: Option<Vec<u8>>,
        query: &ListQuery,
        list: fn(ListQuery) -> OrganisationResource,
    ) -> Reply {
        match next.and_then(|next| Cursor::parse(&base64url::encode(&next))) {
            // RFC 8555 §7.1.2.1: more pages are linked by "next"; ours are linked the same way.
            Some(cursor) => reply.link(&self.url(list(query.from(&cursor))), "next"),
            None => reply,
        }
    }
}

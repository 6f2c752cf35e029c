//! The resources of one organisation, all below `/organisation/ID`, and the queries of its lists.

use std::fmt;

use super::{Cursor, QueryText};
use crate::names::{AccountId, CertificateId, InvitationId, OrganisationId};

/// A resource of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OrganisationResource {
    /// The organisation itself.
    Organisation,
    /// Its members.
    Members(ListQuery),
    /// One member, named by its account.
    Member(AccountId),
    /// Its invitations; a POST makes one.
    Invitations(ListQuery),
    /// An invitation.
    Invitation(InvitationId),
    /// The orders of its accounts.
    Orders(ListQuery),
    /// Its certificates.
    Certificates(ListQuery),
    /// The record of a certificate.
    Certificate(CertificateId),
    /// The revocations of its certificates; a POST revokes.
    Revocations(ListQuery),
    /// The revocation of one certificate, named by that certificate.
    Revocation(CertificateId),
    /// What happened to it.
    Events(ListQuery),
}

/// The query of a list as it came, since the URL that was signed has to be written back octet by octet: pairs
/// `name=value` joined by `&`, none empty. What the names mean is for whoever answers to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ListQuery(Option<QueryText>);

impl OrganisationResource {
    /// The resource at these segments below `/organisation`.
    pub(super) fn parse(segments: &[&str], query: Option<&str>) -> Option<(OrganisationId, Self)> {
        let (id, rest) = segments.split_first()?;
        let id = id.parse().ok()?;
        Some((id, OrganisationResource::below(rest, query)?))
    }

    fn below(segments: &[&str], query: Option<&str>) -> Option<Self> {
        use OrganisationResource as R;
        match segments {
            [] => Some(R::Organisation),
            ["members"] => Some(R::Members(ListQuery::parse(query)?)),
            ["members", id] => Some(R::Member(id.parse().ok()?)),
            ["invitations"] => Some(R::Invitations(ListQuery::parse(query)?)),
            ["invitations", id] => Some(R::Invitation(id.parse().ok()?)),
            ["orders"] => Some(R::Orders(ListQuery::parse(query)?)),
            ["certificates"] => Some(R::Certificates(ListQuery::parse(query)?)),
            ["certificates", id] => Some(R::Certificate(id.parse().ok()?)),
            ["revocations"] => Some(R::Revocations(ListQuery::parse(query)?)),
            ["revocations", id] => Some(R::Revocation(id.parse().ok()?)),
            ["events"] => Some(R::Events(ListQuery::parse(query)?)),
            _ => None,
        }
    }

    /// The path below `/organisation/ID`, with the query of a list.
    pub(super) fn path(&self) -> String {
        use OrganisationResource as R;
        match self {
            R::Organisation => String::new(),
            R::Members(query) => format!("/members{query}"),
            R::Member(id) => format!("/members/{id}"),
            R::Invitations(query) => format!("/invitations{query}"),
            R::Invitation(id) => format!("/invitations/{id}"),
            R::Orders(query) => format!("/orders{query}"),
            R::Certificates(query) => format!("/certificates{query}"),
            R::Certificate(id) => format!("/certificates/{id}"),
            R::Revocations(query) => format!("/revocations{query}"),
            R::Revocation(id) => format!("/revocations/{id}"),
            R::Events(query) => format!("/events{query}"),
        }
    }
}

impl ListQuery {
    /// No query at all, or one that could stand in a URL as it is.
    fn parse(query: Option<&str>) -> Option<Self> {
        match query {
            None => Some(ListQuery(None)),
            Some(text) => QueryText::parse(text).map(|text| ListQuery(Some(text))),
        }
    }

    /// The pairs, undecoded.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.0.as_ref().map_or("", QueryText::as_str);
        text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// The same list from `cursor` on.
    pub fn from(&self, cursor: &Cursor) -> Self {
        let cursor = format!("cursor={cursor}");
        let others = self.pairs().filter(|(name, _)| *name != "cursor").map(|(name, value)| format!("{name}={value}"));
        let text: Vec<String> = others.chain([cursor]).collect();
        ListQuery(QueryText::parse(&text.join("&")))
    }
}

/// `?` and the query, or nothing.
impl fmt::Display for ListQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, "?{}", text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_page_keeps_the_filters_and_has_one_cursor() {
        let query = ListQuery::parse(Some("status=valid&cursor=old&unit=1.2.3")).unwrap();
        let next = query.from(&Cursor::parse("new").unwrap());
        assert_eq!(next.to_string(), "?status=valid&unit=1.2.3&cursor=new");
        assert_eq!(ListQuery::default().from(&Cursor::parse("new").unwrap()).to_string(), "?cursor=new");
    }

    #[test]
    fn a_query_that_could_not_be_signed_as_it_is_is_none() {
        for query in ["", "a=b c", "a=\u{e4}", "a=#", &"a".repeat(600)] {
            assert_eq!(ListQuery::parse(Some(query)), None, "{query}");
        }
        assert!(ListQuery::parse(Some("expiresBefore=2026-12-01T00:00:00Z&serial=0A%3A1B")).is_some());
    }
}

//! Every URL of the ACME listener, in one exhaustive list: how it is written, which methods it takes and what a POST to it must
//! prove. A path that is not listed does not exist; an id that does not parse makes its path unlisted.

mod organisation;

use std::fmt;

pub use organisation::{ListQuery, OrganisationResource};

use crate::names::{AccountId, AuthorizationId, CertificateId, ChallengeId, OrderId, OrganisationId, TermsPageId};

/// Longest name of a page and longest cursor that is worth a look.
const NAME_LIMIT: usize = 64;
/// Longest query of a list that is worth a look.
const QUERY_LIMIT: usize = 512;

/// A resource of the ACME listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Route {
    /// A directory (RFC 8555 §7.1.1).
    Directory(Door),
    /// Gives nonces (§7.2).
    NewNonce,
    /// Registers accounts (§7.3).
    NewAccount(Door),
    /// Takes orders (§7.4).
    NewOrder(Door),
    /// Takes pre-authorizations (§7.4.1).
    NewAuthorization(Door),
    /// Revokes certificates (§7.6).
    RevokeCertificate,
    /// Changes account keys (§7.3.5).
    KeyChange,
    /// An account (§7.1.2).
    Account(AccountId),
    /// A page of an account's orders (§7.1.2.1); without a cursor the first one.
    Orders(AccountId, Option<Cursor>),
    /// An order (§7.1.3).
    Order(OrderId),
    /// Takes an order's CSR (§7.4).
    Finalize(OrderId),
    /// An authorization (§7.1.4).
    Authorization(AuthorizationId),
    /// A challenge (§7.1.5).
    Challenge(ChallengeId),
    /// A certificate with its default chain (§7.4.2).
    Certificate(CertificateId),
    /// A certificate with another chain, counted from 1.
    AlternateChain(CertificateId, u16),
    /// When to renew a certificate (RFC 9773 §4). The name is checked later, since a malformed one has its own answer.
    RenewalInfo(String),
    /// An organisation, or something that belongs to it.
    OfOrganisation(OrganisationId, OrganisationResource),
    /// The terms of service.
    Terms,
    /// The page on which an account's holder agrees to changed terms (RFC 8555 §7.3.3).
    TermsPage(TermsPageId),
    /// The page that explains an error type of our own.
    ErrorPage(PageName),
    /// The page that explains an unusual renewal window (RFC 9773 §4.2).
    ExplanationPage(PageName),
}

/// By which directory a client came. The URLs that behave differently are different URLs, so that the signed `url`, also the one in
/// an external account binding, cannot be moved from one directory to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// `/directory`: for servers, with an external account binding.
    Server,
    /// `/organisation/directory`: for organisations, without one.
    Organisation,
}

/// What a POST must prove. GET and HEAD never prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Nothing: the resource is a page, or takes no POST.
    None,
    /// A signature by the key in the header (RFC 8555 §6.2: newAccount).
    Jwk,
    /// A signature by an account's key.
    Kid,
    /// Either: a revocation is signed by the account or by the certificate's key (§7.6).
    KidOrJwk,
}

/// Where a page of a list begins: what the list itself gave in `Link rel="next"`. Letters, digits, `-` and `_` only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(String);

/// The name of a page: letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageName(String);

/// A query that can stand in a URL as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct QueryText(String);

const READ: &[&str] = &["GET", "HEAD"];
const POST: &[&str] = &["POST"];
const READ_AND_POST: &[&str] = &["GET", "HEAD", "POST"];

impl Route {
    /// The resource at this path, compared octet by octet, without decoding. A query means something to a list only.
    pub fn parse(path: &str, query: Option<&str>) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match segments.as_slice() {
            ["directory"] => Some(Route::Directory(Door::Server)),
            ["organisation", rest @ ..] => Route::below_organisation(rest, query),
            ["acme", rest @ ..] => Route::below_acme(rest, query),
            ["terms"] => Some(Route::Terms),
            ["terms", id] => Some(Route::TermsPage(id.parse().ok()?)),
            ["errors", name] => Some(Route::ErrorPage(PageName::parse(name)?)),
            ["explanations", name] => Some(Route::ExplanationPage(PageName::parse(name)?)),
            _ => None,
        }
    }

    fn below_organisation(segments: &[&str], query: Option<&str>) -> Option<Self> {
        match segments {
            ["directory"] => Some(Route::Directory(Door::Organisation)),
            ["new-account"] => Some(Route::NewAccount(Door::Organisation)),
            ["new-order"] => Some(Route::NewOrder(Door::Organisation)),
            ["new-authz"] => Some(Route::NewAuthorization(Door::Organisation)),
            _ => OrganisationResource::parse(segments, query).map(|(id, part)| Route::OfOrganisation(id, part)),
        }
    }

    fn below_acme(segments: &[&str], query: Option<&str>) -> Option<Self> {
        match segments {
            ["new-nonce"] => Some(Route::NewNonce),
            ["new-account"] => Some(Route::NewAccount(Door::Server)),
            ["new-order"] => Some(Route::NewOrder(Door::Server)),
            ["new-authz"] => Some(Route::NewAuthorization(Door::Server)),
            ["revoke"] => Some(Route::RevokeCertificate),
            ["key-change"] => Some(Route::KeyChange),
            ["account", id] => Some(Route::Account(id.parse().ok()?)),
            ["account", id, "orders"] => Some(Route::Orders(id.parse().ok()?, Cursor::of_query(query)?)),
            ["order", id] => Some(Route::Order(id.parse().ok()?)),
            ["order", id, "finalize"] => Some(Route::Finalize(id.parse().ok()?)),
            ["authorization", id] => Some(Route::Authorization(id.parse().ok()?)),
            ["challenge", id] => Some(Route::Challenge(id.parse().ok()?)),
            ["certificate", id] => Some(Route::Certificate(id.parse().ok()?)),
            ["certificate", id, chain] => Some(Route::AlternateChain(id.parse().ok()?, chain_number(chain)?)),
            ["renewal-info", name] => Some(Route::RenewalInfo((*name).to_owned())),
            _ => None,
        }
    }

    /// The path, and for a later page of a list the query; [`Route::parse`] reads it back.
    pub fn path(&self) -> String {
        match self {
            Route::Directory(Door::Server) => "/directory".to_owned(),
            Route::Directory(Door::Organisation) => "/organisation/directory".to_owned(),
            Route::NewNonce => "/acme/new-nonce".to_owned(),
            Route::NewAccount(door) => format!("{}/new-account", door.prefix()),
            Route::NewOrder(door) => format!("{}/new-order", door.prefix()),
            Route::NewAuthorization(door) => format!("{}/new-authz", door.prefix()),
            Route::RevokeCertificate => "/acme/revoke".to_owned(),
            Route::KeyChange => "/acme/key-change".to_owned(),
            Route::Account(id) => format!("/acme/account/{id}"),
            Route::Orders(id, None) => format!("/acme/account/{id}/orders"),
            Route::Orders(id, Some(cursor)) => format!("/acme/account/{id}/orders?cursor={cursor}"),
            Route::Order(id) => format!("/acme/order/{id}"),
            Route::Finalize(id) => format!("/acme/order/{id}/finalize"),
            Route::Authorization(id) => format!("/acme/authorization/{id}"),
            Route::Challenge(id) => format!("/acme/challenge/{id}"),
            Route::Certificate(id) => format!("/acme/certificate/{id}"),
            Route::AlternateChain(id, chain) => format!("/acme/certificate/{id}/{chain}"),
            Route::RenewalInfo(name) => format!("/acme/renewal-info/{name}"),
            Route::OfOrganisation(id, resource) => format!("/organisation/{id}{}", resource.path()),
            Route::Terms => "/terms".to_owned(),
            Route::TermsPage(id) => format!("/terms/{id}"),
            Route::ErrorPage(name) => format!("/errors/{name}"),
            Route::ExplanationPage(name) => format!("/explanations/{name}"),
        }
    }

    /// The methods that the resource takes, for routing and for `Allow`; OPTIONS, which every resource takes, is not listed.
    pub fn methods(&self) -> &'static [&'static str] {
        self.access().0
    }

    /// What a POST to the resource must prove.
    pub fn proof(&self) -> Proof {
        self.access().1
    }

    /// Who may do what.
    fn access(&self) -> (&'static [&'static str], Proof) {
        match self {
            // RFC 8555 §6.3: directory and newNonce take GET and POST-as-GET.
            Route::Directory(_) | Route::NewNonce => (READ_AND_POST, Proof::Kid),
            Route::NewAccount(_) => (POST, Proof::Jwk),
            Route::RevokeCertificate => (POST, Proof::KidOrJwk),
            Route::NewOrder(_)
            | Route::NewAuthorization(_)
            | Route::KeyChange
            | Route::Account(_)
            | Route::Orders(..)
            | Route::Order(_)
            | Route::Finalize(_)
            | Route::Authorization(_)
            | Route::Challenge(_)
            | Route::Certificate(_)
            | Route::AlternateChain(..)
            | Route::OfOrganisation(..) => (POST, Proof::Kid),
            // RFC 9773 §4.1: renewal information is read by an unauthenticated GET.
            Route::RenewalInfo(_) => (READ, Proof::None),
            Route::Terms | Route::ErrorPage(_) | Route::ExplanationPage(_) => (READ, Proof::None),
            // The page's form is sent by a person's browser.
            Route::TermsPage(_) => (READ_AND_POST, Proof::None),
        }
    }

    /// The directory that `Link rel="index"` of an answer names (RFC 8555 §7.1).
    pub fn index(&self) -> Door {
        match self {
            Route::Directory(door)
            | Route::NewAccount(door)
            | Route::NewOrder(door)
            | Route::NewAuthorization(door) => *door,
            Route::OfOrganisation(..) => Door::Organisation,
            Route::NewNonce
            | Route::RevokeCertificate
            | Route::KeyChange
            | Route::Account(_)
            | Route::Orders(..)
            | Route::Order(_)
            | Route::Finalize(_)
            | Route::Authorization(_)
            | Route::Challenge(_)
            | Route::Certificate(_)
            | Route::AlternateChain(..)
            | Route::RenewalInfo(_)
            | Route::Terms
            | Route::TermsPage(_)
            | Route::ErrorPage(_)
            | Route::ExplanationPage(_) => Door::Server,
        }
    }
}

impl Door {
    /// Both directories.
    pub const ALL: &[Door] = &[Door::Server, Door::Organisation];

    fn prefix(self) -> &'static str {
        match self {
            Door::Server => "/acme",
            Door::Organisation => "/organisation",
        }
    }
}

impl Cursor {
    /// The cursor with this text; none if it could not stand in a URL as it is.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        named(text, sound).map(Cursor)
    }

    /// No query means the first page; a query must be exactly the one that the list gave.
    fn of_query(query: Option<&str>) -> Option<Option<Self>> {
        match query {
            None => Some(None),
            Some(query) => query.strip_prefix("cursor=").and_then(Cursor::parse).map(Some),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PageName {
    /// The name with this text; none if it could not stand in a URL as it is.
    pub fn parse(text: &str) -> Option<Self> {
        named(text, |b| b.is_ascii_alphanumeric() || b == b'-').map(PageName)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl QueryText {
    fn parse(text: &str) -> Option<Self> {
        let sound = |b: u8| b.is_ascii_alphanumeric() || b"-._~%:=&*,+".contains(&b);
        ((1..=QUERY_LIMIT).contains(&text.len()) && text.bytes().all(sound)).then(|| QueryText(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

fn named(text: &str, sound: impl Fn(u8) -> bool) -> Option<String> {
    ((1..=NAME_LIMIT).contains(&text.len()) && text.bytes().all(sound)).then(|| text.to_owned())
}

/// `1` to `65535`, without a sign or a leading zero, so that a chain has one URL.
fn chain_number(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::names::InvitationId;
    use crate::time::Timestamp;

    pub(in crate::acme) fn examples() -> Vec<Route> {
        let now = Timestamp::from_seconds(1_795_000_000);
        let (account, order, certificate) = (AccountId::mint(now), OrderId::mint(now), CertificateId::mint(now));
        let organisation = OrganisationId::mint(now);
        let next = ListQuery::default().from(&Cursor::parse("next").unwrap());
        let name = |text| PageName::parse(text).unwrap();
        let mut routes = vec![
            Route::NewNonce,
            Route::RevokeCertificate,
            Route::KeyChange,
            Route::Account(account),
            Route::Orders(account, None),
            Route::Orders(account, Cursor::parse(&order.to_string())),
            Route::Order(order),
            Route::Finalize(order),
            Route::Authorization(AuthorizationId::mint(now)),
            Route::Challenge(ChallengeId::mint(now)),
            Route::Certificate(certificate),
            Route::AlternateChain(certificate, 1),
            Route::RenewalInfo("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".into()),
            Route::Terms,
            Route::OfOrganisation(organisation, OrganisationResource::Organisation),
            Route::OfOrganisation(organisation, OrganisationResource::Members(ListQuery::default())),
            Route::OfOrganisation(organisation, OrganisationResource::Members(next.clone())),
            Route::OfOrganisation(organisation, OrganisationResource::Member(account)),
            Route::OfOrganisation(organisation, OrganisationResource::Invitations(next.clone())),
            Route::OfOrganisation(organisation, OrganisationResource::Invitation(InvitationId::mint(now))),
            Route::OfOrganisation(organisation, OrganisationResource::Orders(next.clone())),
            Route::OfOrganisation(organisation, OrganisationResource::Certificates(next.clone())),
            Route::OfOrganisation(organisation, OrganisationResource::Certificate(certificate)),
            Route::OfOrganisation(organisation, OrganisationResource::Revocations(next.clone())),
            Route::OfOrganisation(organisation, OrganisationResource::Revocation(certificate)),
            Route::OfOrganisation(organisation, OrganisationResource::Events(next)),
            Route::TermsPage(TermsPageId::mint(now)),
            Route::ErrorPage(name("unitEnded")),
            Route::ExplanationPage(name("replacement")),
        ];
        for door in Door::ALL {
            routes.extend([
                Route::Directory(*door),
                Route::NewAccount(*door),
                Route::NewOrder(*door),
                Route::NewAuthorization(*door),
            ]);
        }
        routes
    }

    fn parse(path: &str) -> Option<Route> {
        match path.split_once('?') {
            Some((path, query)) => Route::parse(path, Some(query)),
            None => Route::parse(path, None),
        }
    }

    #[test]
    fn every_route_reads_back_from_its_path_and_no_two_share_one() {
        let routes = examples();
        let mut paths = std::collections::HashSet::new();
        for route in routes {
            assert_eq!(parse(&route.path()), Some(route.clone()));
            assert!(paths.insert(route.path()), "{}", route.path());
        }
    }

    #[test]
    fn a_path_that_differs_by_anything_does_not_exist() {
        for path in [
            "",
            "/",
            "directory",
            "/directory/",
            "//directory",
            "/Directory",
            "/acme",
            "/acme/",
            "/acme/new-order/",
            "/acme/new%2Dorder",
            "/acme/./new-order",
            "/acme/account/",
            "/acme/account/x",
            "/acme/account/AAAAAAAAAAAAAAAAAAAAAB",
            "/acme/certificate/AAAAAAAAAAAAAAAAAAAAAA/0",
            "/acme/certificate/AAAAAAAAAAAAAAAAAAAAAA/01",
            "/acme/certificate/AAAAAAAAAAAAAAAAAAAAAA/+1",
            "/acme/certificate/AAAAAAAAAAAAAAAAAAAAAA/65536",
            "/acme/account/AAAAAAAAAAAAAAAAAAAAAA/orders?cursor=",
            "/acme/account/AAAAAAAAAAAAAAAAAAAAAA/orders?cursor=a&cursor=b",
            "/acme/account/AAAAAAAAAAAAAAAAAAAAAA/orders?page=1",
            "/organisation/key-change",
            "/organisation/AAAAAAAAAAAAAAAAAAAAAA/",
            "/organisation/AAAAAAAAAAAAAAAAAAAAAB",
            "/organisation/AAAAAAAAAAAAAAAAAAAAAA/members?",
            "/organisation/AAAAAAAAAAAAAAAAAAAAAA/members/x",
            "/organisation/AAAAAAAAAAAAAAAAAAAAAA/secrets",
            "/errors/",
            "/errors/a.b",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn each_resource_takes_the_methods_and_the_proof_of_the_rfc() {
        for route in examples() {
            let posts = route.methods().contains(&"POST");
            assert_eq!(route.methods().contains(&"GET"), route.methods().contains(&"HEAD"));
            assert!(posts || route.proof() == Proof::None, "{route:?}");
        }
        assert_eq!(Route::NewAccount(Door::Server).proof(), Proof::Jwk);
        assert_eq!(Route::RevokeCertificate.proof(), Proof::KidOrJwk);
        assert_eq!(Route::NewOrder(Door::Organisation).methods(), ["POST"]);
        assert_eq!(Route::NewNonce.methods(), ["GET", "HEAD", "POST"]);
        assert_eq!(Route::RenewalInfo("x.y".into()).methods(), ["GET", "HEAD"]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_path_is_read_is_written_back_the_same(path in "/(acme|organisation|terms|errors)(/[a-z0-9A-Z_.~%-]{0,24}){0,4}") {
            if let Some(route) = Route::parse(&path, None) {
                proptest::prop_assert_eq!(route.path(), path);
            }
        }
    }
}

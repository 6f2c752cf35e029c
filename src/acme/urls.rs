//! Absolute URLs, all built from the one configured base: a Host header never shapes an answer.

use super::messages::{Directory, DirectoryMeta};
use super::renewal::RenewalId;
use super::route::{Cursor, Door, OrganisationResource, Route};
use crate::names::{AccountId, AuthorizationId, CertificateId, ChallengeId, NameError, OrderId, OrganisationId};

/// The base URL of the ACME listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    base: String,
}

impl Urls {
    /// URLs below `base`: `https://` and a host, perhaps a port and a path; a final slash does not matter.
    pub fn new(base: &str) -> Result<Self, NameError> {
        let base = base.strip_suffix('/').unwrap_or(base);
        // RFC 8555 §6.1: HTTPS only.
        let rest = base.strip_prefix("https://").unwrap_or_default();
        let sound = |c: char| c.is_ascii_graphic() && !"?#\"<>\\^`{|}@".contains(c);
        if rest.is_empty() || rest.starts_with('/') || !rest.chars().all(sound) {
            return Err(NameError::new("a base URL is written https://ca.example.fi, with neither query nor fragment"));
        }
        Ok(Urls { base: base.to_owned() })
    }

    /// The base, without a final slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The URL of a resource.
    pub fn of(&self, route: &Route) -> String {
        format!("{}{}", self.base, route.path())
    }

    /// The resource at this URL; none if it is not exactly one of ours.
    // RFC 8555 §6.4: URLs are compared as strings, without any normalisation.
    pub fn route(&self, url: &str) -> Option<Route> {
        let path = url.strip_prefix(&self.base)?;
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        Route::parse(path, query).filter(|route| self.of(route) == url)
    }

    /// The account that a `kid` names.
    pub fn account_of_kid(&self, kid: &str) -> Option<AccountId> {
        match self.route(kid) {
            Some(Route::Account(id)) => Some(id),
            Some(_) | None => None,
        }
    }

    /// A directory's URL.
    pub fn directory(&self, door: Door) -> String {
        self.of(&Route::Directory(door))
    }

    /// An account's URL.
    pub fn account(&self, id: AccountId) -> String {
        self.of(&Route::Account(id))
    }

    /// The URL of an account's orders, or of the page that begins at `cursor`.
    pub fn orders(&self, id: AccountId, cursor: Option<Cursor>) -> String {
        self.of(&Route::Orders(id, cursor))
    }

    /// An order's URL.
    pub fn order(&self, id: OrderId) -> String {
        self.of(&Route::Order(id))
    }

    /// The URL that takes an order's CSR.
    pub fn finalize(&self, id: OrderId) -> String {
        self.of(&Route::Finalize(id))
    }

    /// An authorization's URL.
    pub fn authorization(&self, id: AuthorizationId) -> String {
        self.of(&Route::Authorization(id))
    }

    /// A challenge's URL.
    pub fn challenge(&self, id: ChallengeId) -> String {
        self.of(&Route::Challenge(id))
    }

    /// A certificate's URL.
    pub fn certificate(&self, id: CertificateId) -> String {
        self.of(&Route::Certificate(id))
    }

    /// The URL of a certificate with its `number`th alternate chain, counted from 1.
    pub fn alternate_chain(&self, id: CertificateId, number: u16) -> String {
        self.of(&Route::AlternateChain(id, number))
    }

    /// The URL of a certificate's renewal information.
    pub fn renewal_info(&self, id: &RenewalId) -> String {
        self.of(&Route::RenewalInfo(id.to_string()))
    }

    /// The URL of a resource of an organisation.
    pub fn of_organisation(&self, id: OrganisationId, resource: OrganisationResource) -> String {
        self.of(&Route::OfOrganisation(id, resource))
    }

    /// The directory's content.
    pub fn directory_object(&self, door: Door, meta: DirectoryMeta) -> Directory {
        let renewal_info = self.of(&Route::RenewalInfo(String::new()));
        Directory {
            new_nonce: self.of(&Route::NewNonce),
            new_account: self.of(&Route::NewAccount(door)),
            new_order: self.of(&Route::NewOrder(door)),
            new_authz: Some(self.of(&Route::NewAuthorization(door))),
            revoke_cert: self.of(&Route::RevokeCertificate),
            key_change: self.of(&Route::KeyChange),
            // RFC 9773 §4.1: the client appends a slash and the certificate's id.
            renewal_info: Some(renewal_info.trim_end_matches('/').to_owned()),
            meta: Some(meta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::route::tests::examples;

    fn urls() -> Urls {
        Urls::new("https://localhost:14000/").unwrap()
    }

    #[test]
    fn every_resource_is_found_at_its_url_and_nowhere_else() {
        for route in examples() {
            let url = urls().of(&route);
            assert_eq!(urls().route(&url), Some(route));
            for other in [
                url.replace("https://", "http://"),
                url.replace(":14000", ":14001"),
                url.replace("localhost", "LOCALHOST"),
                url.replace(":14000", ""),
                format!("{url}/"),
                format!("{url}?"),
                format!(" {url}"),
            ] {
                assert!(urls().route(&other).is_none() || other.contains("renewal-info"), "{other}");
            }
        }
    }

    #[test]
    fn a_kid_is_exactly_an_account_url() {
        let id = AccountId::mint(crate::time::Timestamp::from_seconds(1_795_000_000));
        assert_eq!(urls().account_of_kid(&urls().account(id)), Some(id));
        for kid in [id.to_string(), format!("/acme/account/{id}"), format!("https://evil.example/acme/account/{id}")] {
            assert_eq!(urls().account_of_kid(&kid), None, "{kid}");
        }
        assert_eq!(urls().account_of_kid(&urls().orders(id, None)), None);
    }

    #[test]
    fn a_base_is_an_https_url_without_query() {
        assert_eq!(Urls::new("https://ca.example.fi/pki/").unwrap().base(), "https://ca.example.fi/pki");
        assert!(Urls::new("https://[::1]:14000").is_ok());
        for bad in [
            "",
            "https://",
            "http://ca.example.fi",
            "ca.example.fi",
            "https://a b",
            "https:///x",
            "https://a?b",
            "https://u@a",
        ] {
            assert!(Urls::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_two_directories_differ_where_they_behave_differently() {
        let directory = |door| urls().directory_object(door, DirectoryMeta::default());
        let (server, organisation) = (directory(Door::Server), directory(Door::Organisation));
        assert_ne!(server.new_account, organisation.new_account);
        assert_ne!(server.new_authz, organisation.new_authz);
        assert_eq!(server.key_change, organisation.key_change);
        assert_eq!(server.renewal_info.as_deref(), Some("https://localhost:14000/acme/renewal-info"));
    }
}

//! What the listeners share: the authority behind them, the clock, the nonces, the bounds. Start with [`App::new`].

use std::path::PathBuf;
use std::sync::Arc;

use hyper::body::Bytes;

use super::limits::Slots;
use super::nonces::Nonces;
use super::officers::Officers;
use super::rate_limits::Limiter;
use super::{acme, admin, public};
use crate::acme::route::Door;
use crate::acme::urls::Urls;
use crate::authority::Authority;
use crate::config::{HttpSettings as Settings, OrganisationDefaults, RegisterSettings};
use crate::issuer::status::Status;
use crate::time::Clock;

/// What [`App::new`] is made of.
pub struct Parts {
    /// The decisions.
    pub authority: Authority,
    /// The present time.
    pub clock: Arc<dyn Clock>,
    /// The nonces: new ones, or those that an earlier process saved.
    pub nonces: Nonces,
    /// URLs of the ACME listener, below the configured base.
    pub urls: Urls,
    /// The bounds.
    pub settings: Settings,
    /// What the directories say about the service.
    pub about: About,
    /// Who may use the admin socket.
    pub officers: Officers,
    /// The limits of organisations for which officers name none.
    pub organisation_defaults: OrganisationDefaults,
    /// How imports of registers are bounded, and where changes are fetched.
    pub register: RegisterSettings,
    /// CRLs, OCSP answers and chains.
    pub status: Status,
    /// The base URL of the public listener, as it stands in certificates. Only its path matters here.
    pub public_url: String,
    /// The state directory: where sealed audit segments are read and uploads over the admin socket wait.
    pub directory: PathBuf,
}

/// What the directories say about the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// A page about the service.
    pub website: Option<String>,
    /// The issuer domain names that CAA records may name.
    pub caa_identities: Vec<String>,
    /// The terms of service as plain text, when this server is to show them itself at `<base>/terms`.
    pub terms_text: Option<String>,
}

/// The state behind the listeners.
pub struct App {
    pub(super) authority: Authority,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) nonces: Nonces,
    pub(super) urls: Urls,
    pub(super) settings: Settings,
    pub(super) about: About,
    pub(super) officers: Officers,
    pub(super) organisation_defaults: OrganisationDefaults,
    pub(super) register: RegisterSettings,
    pub(super) status: Status,
    pub(super) directory: PathBuf,
    /// The public listener's base URL, as it stands in certificates, without a final slash.
    pub(super) public_url: String,
    /// The path of the public listener's base URL, without a final slash; usually empty.
    pub(super) public_path: String,
    pub(super) limiter: Limiter,
    /// Requests that are being worked on.
    pub(super) requests: Arc<Slots>,
    /// Scheme, host and port of the base URL: what a request's target is appended to.
    pub(super) origin: String,
    directories: [Bytes; 2],
}

impl App {
    /// The state made of `parts`.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            authority,
            clock,
            nonces,
            urls,
            settings,
            about,
            officers,
            organisation_defaults,
            register,
            status,
            public_url,
            directory,
        } = parts;
        let directories = [Door::Server, Door::Organisation]
            .map(|door| Bytes::from(acme::directory::rendered(door, &urls, &authority, &about)));
        Arc::new(App {
            limiter: Limiter::new(&settings.rate_limits),
            requests: Slots::new(settings.requests_in_flight, settings.requests_per_address),
            origin: origin(urls.base()).to_owned(),
            public_path: public_url
                .strip_prefix(origin(&public_url))
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned(),
            public_url: public_url.trim_end_matches('/').to_owned(),
            directories,
            authority,
            clock,
            nonces,
            urls,
            settings,
            about,
            officers,
            organisation_defaults,
            register,
            status,
            directory,
        })
    }

    /// The nonces, to be saved after the listeners have stopped.
    pub fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// A directory as it is sent.
    pub(super) fn directory(&self, door: Door) -> Bytes {
        let [server, organisation] = &self.directories;
        match door {
            Door::Server => server.clone(),
            Door::Organisation => organisation.clone(),
        }
    }

    /// Who answers on which listener.
    pub(super) fn services(self: &Arc<Self>) -> super::server::Services {
        super::server::Services {
            acme: Arc::new(acme::AcmeListener(Arc::clone(self))),
            public: Arc::new(public::PublicListener(Arc::clone(self))),
            admin: Arc::new(admin::AdminListener(Arc::clone(self))),
        }
    }
}

/// Scheme, host and port of a base URL.
fn origin(base: &str) -> &str {
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base.get(authority..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| authority + at);
    base.get(..end).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_base_has_no_path() {
        assert_eq!(origin("https://localhost:14000"), "https://localhost:14000");
        assert_eq!(origin("https://ca.example.fi/pki/acme"), "https://ca.example.fi");
    }
}

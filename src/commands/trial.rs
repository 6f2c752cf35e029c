//! A server on trial: it makes everything that it needs in one directory, unasked, and finds it there again at its next
//! start. `dev`, `demo` and the tests run it; `serve` never does, since nothing of a real authority comes into being
//! silently. Start with [`Trial::start`].

mod configuration;
mod material;
mod population;
mod token_authority;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;

use self::material::{Made, Material};
pub use self::population::organisation;
pub use self::token_authority::TokenAuthorityFacts;
use super::dns::RECORDS_FILE;
use super::dns_responder::{DnsResponder, ResponderSettings};
use super::hierarchy::HierarchyError;
use super::server::{self, Parts, Server, StartError};
use super::token_authority::{TokenAuthority, TokenAuthorityError};
use crate::acme::route::{Door, Route};
use crate::acme::urls::Urls;
use crate::authority;
use crate::config::Config;
use crate::http::{Addresses, BindError, Listeners};
use crate::names::{OrganisationIdentifier, Zone};
use crate::store::Store;
use crate::store::sled::{OpenError, Options, SledStore};
use crate::time::{Clock, SystemClock};

/// Changes a configuration before the server starts.
pub type Adjustment = Box<dyn FnOnce(&mut Config) + Send>;

/// Puts something between the server and its store.
pub type Wrapping = Box<dyn FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + Send>;

/// What a server on trial is told. Everything has a default.
pub struct TrialSettings {
    /// The directory with all of its state.
    pub directory: PathBuf,
    /// Where the ACME listener listens; port 0 takes any.
    pub listen: SocketAddr,
    /// Where the public listener listens; port 0 takes any, and in a directory with state the one that it had.
    pub public_listen: SocketAddr,
    /// The port of http-01 on the validated machine.
    pub http_01_port: u16,
    /// The port of tls-alpn-01 on the validated machine.
    pub tls_alpn_01_port: u16,
    /// The dns resolver; none for the embedded responder.
    pub dns: Option<SocketAddr>,
    /// Where the embedded responder listens; port 0 takes any.
    pub dns_listen: SocketAddr,
    /// The names that the invitation may have.
    pub zones: Vec<Zone>,
    /// Networks that validation may reach besides 127.0.0.1 and ::1.
    pub networks: Vec<IpNet>,
    /// Whether rate limits hold.
    pub rate_limits: bool,
    /// The present time, except for TLS: its peers look at their own clocks.
    pub clock: Arc<dyn Clock>,
    /// The organisation to which the client of a token authority is entitled that runs beside the server and is believed;
    /// none for no such authority.
    pub token_authority: Option<OrganisationIdentifier>,
    /// Changes the configuration.
    pub adjust: Option<Adjustment>,
    /// Wraps the store.
    pub wrap_store: Option<Wrapping>,
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl TrialSettings {
    /// A server in `directory` on free ports, for tests: every port is 0.
    pub fn on_free_ports(directory: &Path) -> Self {
        TrialSettings {
            directory: directory.to_owned(),
            listen: SocketAddr::new(LOCALHOST, 0),
            public_listen: SocketAddr::new(LOCALHOST, 0),
            http_01_port: 5002,
            tls_alpn_01_port: 5001,
            dns: None,
            dns_listen: SocketAddr::new(LOCALHOST, 0),
            zones: vec!["test".parse().expect("test is a zone")],
            networks: Vec::new(),
            rate_limits: false,
            clock: Arc::new(SystemClock),
            token_authority: None,
            adjust: None,
            wrap_store: None,
        }
    }
}

/// Why a server on trial does not start.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Another server runs in the directory.
    #[error(
        "{}: a server is running in this directory ({by}); stop it, or give another directory with --dir",
        directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// Who runs there.
        by: String,
    },
    /// The public listener would be elsewhere than the certificates say.
    #[error(
        "{}: the certificates made in this directory name {url}; start it with --public-listen {address}, or give another \
         directory with --dir",
        directory.display()
    )]
    OtherPublicAddress {
        /// The directory.
        directory: PathBuf,
        /// What stands in the certificates.
        url: String,
        /// The address to give.
        address: SocketAddr,
    },
    /// The first start in the directory was broken off.
    #[error("{}: the first start in this directory was broken off; remove it and start again", .0.display())]
    Unfinished(PathBuf),
    /// The embedded dns responder.
    #[error(
        "cannot answer dns on {address}: {error}; give another address with --dns-listen, or a resolver with --dns"
    )]
    Dns {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Another listener.
    #[error("{0}; give other addresses with --listen and --public-listen, or port 0 for any that is free")]
    Bind(#[from] BindError),
    /// CA material could not be made.
    #[error(transparent)]
    Hierarchy(#[from] HierarchyError),
    /// The server.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A file.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
    /// The token authority.
    #[error("the token authority: {0}")]
    TokenAuthority(#[from] TokenAuthorityError),
    /// The sample organisation and its invitation.
    #[error("the sample organisation: {0}")]
    Population(#[from] authority::Error),
}

/// What clients of a server on trial need to know.
#[derive(Debug, Clone)]
pub struct TrialFacts {
    /// The directory with the server's state, absolute.
    pub directory: PathBuf,
    /// The directory URL for servers.
    pub acme_directory: String,
    /// The directory URL for organisations.
    pub organisation_directory: String,
    /// The base of CRL, OCSP and issuer URLs.
    pub public_url: String,
    /// What HTTPS clients must trust, PEM.
    pub tls_root: PathBuf,
    /// The root of the issued certificates, PEM.
    pub issuer_root: PathBuf,
    /// The root of the alternate chain, PEM.
    pub alternate_root: PathBuf,
    /// The invitation's key id.
    pub eab_kid: String,
    /// The invitation's HMAC key, base64url.
    pub eab_hmac_key: String,
    /// The admin socket.
    pub admin_socket: PathBuf,
    /// The second officer's socket.
    pub second_admin_socket: PathBuf,
    /// The dns server that validation asks.
    pub dns: SocketAddr,
    /// The port of http-01.
    pub http_01_port: u16,
    /// The port of tls-alpn-01.
    pub tls_alpn_01_port: u16,
    /// The token authority, if one runs.
    pub token_authority: Option<TokenAuthorityFacts>,
}

/// A running server on trial.
pub struct Trial {
    /// The server.
    pub server: Server,
    /// What its clients need.
    pub facts: TrialFacts,
    /// The embedded dns responder, unless a resolver was given.
    pub dns: Option<DnsResponder>,
    token_authority: Option<TokenAuthority>,
    store: Arc<SledStore>,
}

impl Trial {
    /// Starts it, making whatever is not there. It is ready when this returns.
    ///
    /// # Errors
    /// The first thing that stands in the way, with the flag that avoids it.
    pub async fn start(mut settings: TrialSettings) -> Result<Self, TrialError> {
        let now = settings.clock.now();
        let store = Arc::new(opened_or_made(&settings.directory, now)?);
        let directory = fs::canonicalize(&settings.directory).map_err(at(&settings.directory))?;
        let made = Made::read(&directory)?;
        if let Some(made) = &made {
            settings.public_listen = made.public_address(&directory, settings.public_listen)?;
        }
        let sockets = [directory.join("admin.sock"), directory.join("officer-2.sock")];
        let addresses = Addresses { acme: settings.listen, public: settings.public_listen, admin: sockets.to_vec() };
        let listeners = Listeners::bind(&addresses).await?;
        let material = match made {
            Some(made) => Material::found(&directory, made),
            None => Material::make(&directory, listeners.public_address(), now)?,
        };
        let dns = started_dns(&settings, &directory).await?;
        let resolver = dns.as_ref().map(DnsResponder::address).or(settings.dns).unwrap_or(settings.dns_listen);
        let mut config = configuration::config(&settings, &directory, &material, &listeners, resolver);
        let beside = match settings.token_authority.take() {
            Some(organisation) => {
                let clock = Arc::clone(&settings.clock);
                Some(token_authority::started(&directory, &mut config, organisation, clock).await?)
            }
            None => None,
        };
        let (token_authority, token_facts) = beside.unzip();
        if let Some(adjust) = settings.adjust.take() {
            adjust(&mut config);
        }
        let shared: Arc<dyn Store> = Arc::<SledStore>::clone(&store);
        let parts = Parts {
            store: settings.wrap_store.take().map_or_else(|| Arc::clone(&shared), |wrap| wrap(Arc::clone(&shared))),
            listeners,
            clock: Arc::clone(&settings.clock),
            further_officers: configuration::second_officer(),
            on_trial: true,
        };
        drop(shared);
        let server = Server::start(&config, parts).await?;
        let invitation = population::prepared(server.authority(), &config, &settings.zones, now).await?;
        let facts = facts(&directory, &config, &material, &sockets, invitation, resolver)?;
        Ok(Trial { server, facts: TrialFacts { token_authority: token_facts, ..facts }, dns, token_authority, store })
    }

    /// The store, for whoever looks at records in the same process.
    pub fn store(&self) -> &Arc<SledStore> {
        &self.store
    }

    /// Stops the server and closes the store: the directory can be used again when this returns.
    pub async fn stop(self) {
        let Trial { server, dns, token_authority, store, .. } = self;
        server.stop().await;
        if let Some(token_authority) = token_authority {
            token_authority.stop().await;
        }
        if let Some(dns) = dns {
            dns.stop().await;
        }
        server::close(store).await;
    }

    /// The parts of a running server whose stop is someone else's: the server, and what remains to be closed after it. A
    /// token authority beside it goes on until the runtime ends.
    pub fn into_parts(self) -> (Server, Option<DnsResponder>, Arc<SledStore>) {
        (self.server, self.dns, self.store)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> TrialError + '_ {
    move |error| TrialError::Io { path: path.to_owned(), error }
}

fn opened_or_made(directory: &Path, now: crate::time::Timestamp) -> Result<SledStore, TrialError> {
    let opened = match SledStore::open(directory, Options::default()) {
        Err(OpenError::Missing(_)) => SledStore::create(directory, Options::default(), now),
        opened => opened,
    };
    opened.map_err(|error| match error {
        OpenError::InUse { pid, .. } => TrialError::InUse {
            directory: directory.to_owned(),
            by: pid.map_or_else(|| "its process is unknown".to_owned(), |pid| format!("process {pid}")),
        },
        other => StartError::Store(other).into(),
    })
}

/// The embedded responder; none when a resolver was given, so that its port stays free.
async fn started_dns(settings: &TrialSettings, directory: &Path) -> Result<Option<DnsResponder>, TrialError> {
    if settings.dns.is_some() {
        return Ok(None);
    }
    let mut zones: Vec<Zone> = vec!["test".parse().expect("test is a zone")];
    // Any name at all cannot be answered for: those outside the zones that are named do not exist.
    zones.extend(settings.zones.iter().filter(|zone| **zone != Zone::any() && zone.as_str() != "test").cloned());
    let responder = ResponderSettings {
        listen: settings.dns_listen,
        zones,
        addresses: vec![LOCALHOST],
        records: Some(directory.join(RECORDS_FILE)),
    };
    let address = settings.dns_listen;
    DnsResponder::start(responder).await.map(Some).map_err(|error| TrialError::Dns { address, error })
}

fn facts(
    directory: &Path,
    config: &Config,
    material: &Material,
    sockets: &[PathBuf; 2],
    invitation: population::Credentials,
    dns: SocketAddr,
) -> Result<TrialFacts, TrialError> {
    let urls = Urls::new(&config.base_url).map_err(StartError::BaseUrl)?;
    let [admin_socket, second_admin_socket] = sockets.clone();
    Ok(TrialFacts {
        directory: directory.to_owned(),
        acme_directory: urls.of(&Route::Directory(Door::Server)),
        organisation_directory: urls.of(&Route::Directory(Door::Organisation)),
        public_url: config.public_url.clone(),
        tls_root: material.tls.root.clone(),
        issuer_root: material.authority.root.certificate.clone(),
        alternate_root: material.authority.alternate_root.certificate.clone(),
        eab_kid: invitation.kid,
        eab_hmac_key: invitation.hmac_key,
        admin_socket,
        second_admin_socket,
        dns,
        http_01_port: config.validation.http_01_port,
        tls_alpn_01_port: config.validation.tls_alpn_01_port,
        token_authority: None,
    })
}

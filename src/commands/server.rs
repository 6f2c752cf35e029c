//! Assembles a server from its configuration and runs it: store, authority, issuers, validators, worker, listeners. `serve`,
//! `dev`, `demo` and the tests all start servers here and nowhere else. Start with [`Server::start`].

pub mod evidence;
pub mod issuers;

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use self::issuers::{IssuerMaterial, MaterialFault, MaterialFaults, opened_root};
use crate::acme::challenge_type::ChallengeType;
use crate::acme::urls::Urls;
use crate::authority::{
    self, Authority, InvitationKeyError, InvitationKeys, IssuerFacts, OfferedProof, OrganisationRules,
};
use crate::config::{self, Config};
use crate::http::{self, Addresses, App, BindError, Listeners, Nonces, Officers, Tls, TlsError};
use crate::issuer::{self, Issuers, PublishError, Status};
use crate::model::PersonKey;
use crate::model::challenge::Attempts;
use crate::names::{BootId, NameError};
use crate::public_key::PublicKey;
use crate::store::Store;
use crate::store::sled::{OpenError, Options, SledStore};
use crate::time::{Clock, Timestamp};
use crate::validation::resolver::ResolverError;
use crate::validation::{Believed, Validators};
use crate::worker::{self, Worker};
use crate::x509::Certificate;

/// Why a server does not start. Nothing that was stored is changed by the attempt.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// An address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate of the ACME listener.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// CA material.
    #[error(transparent)]
    Material(#[from] MaterialFaults),
    /// A thread for a key of the CA material.
    #[error(transparent)]
    Signing(#[from] MaterialFault),
    /// The file of an invitation master key, or of the key for persons.
    #[error("{}: {why}", path.display())]
    InvitationKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The set of invitation master keys.
    #[error(transparent)]
    InvitationKeys(#[from] InvitationKeyError),
    /// The base URL.
    #[error("base_url: {0}")]
    BaseUrl(NameError),
    /// The officers.
    #[error("officers: {0}")]
    Officers(String),
    /// The dns resolver.
    #[error("validation: {0}")]
    Resolver(#[from] ResolverError),
    /// A file of another kind.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
    /// The CRLs, without which nothing may be issued.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Something else that the store or the authority could not do.
    #[error(transparent)]
    Authority(#[from] authority::Error),
}

/// What a server is made of besides its configuration.
pub struct Parts {
    /// The store: opened by the caller, who so holds the state directory's lock before anything else is touched.
    pub store: Arc<dyn Store>,
    /// Bound listeners. The configuration's URLs name their real ports.
    pub listeners: Listeners,
    /// The present time.
    pub clock: Arc<dyn Clock>,
    /// Officers on further sockets than the configured one, in the order of the sockets: trial servers only.
    pub further_officers: Vec<config::Officer>,
    /// Whether this is a server on trial, which may believe a token authority on trial.
    pub on_trial: bool,
}

/// A running server. Dropped without [`Server::stop`] it goes on until the runtime ends.
pub struct Server {
    authority: Authority,
    app: Arc<App>,
    tls: Arc<Tls>,
    status: Status,
    roots: Vec<config::Root>,
    clock: Arc<dyn Clock>,
    listeners: http::Server,
    worker: JoinHandle<()>,
    stop_worker: watch::Sender<bool>,
    register_sync: Option<JoinHandle<()>>,
    nonces_file: PathBuf,
}

impl Server {
    /// Starts a server. It is ready when this returns: every CRL is published and every listener answers.
    ///
    /// # Errors
    /// The first thing that stands in the way.
    pub async fn start(config: &Config, parts: Parts) -> Result<Self, StartError> {
        let Parts { store, listeners, clock, further_officers, on_trial } = parts;
        let now = clock.now();
        let urls = Urls::new(&config.base_url).map_err(StartError::BaseUrl)?;
        let tls = Arc::new(Tls::from_files(&config.tls.certificate, &config.tls.key)?);
        let material = issuer_material(config, now)?;
        let person_key = config.organisation.person_key.as_deref().map(person_key).transpose()?;
        let believed = believed(config, &urls, &material, person_key.clone(), on_trial, now)?;
        let authority = Authority::new(
            Arc::clone(&store),
            authority_settings(config, &urls, &material, person_key),
            config.profiles.clone(),
            invitation_keys(&config.invitation_keys)?,
        );
        let issuers = Arc::new(issuers(config, material, now)?);
        issuers.load_crls(store.as_ref(), now).await?;
        let status = status(config, Arc::clone(&store), Arc::clone(&issuers), now)?;
        let worker = Worker::new(
            authority.clone(),
            issuers,
            Arc::new(Validators::believing(&config.validation, believed)?),
            Arc::clone(&clock),
            urls.clone(),
            worker_settings(config),
        );
        // A certificate names its CRL, so every CRL is there before the first request is.
        worker.publish_due().await?;
        let nonces_file = config.state.join("nonces");
        let nonces = Nonces::load(&nonces_file, config.http.nonce_memory, config.http.nonce_lifetime, now)
            .map_err(at(&nonces_file))?;
        let app = App::new(http::Parts {
            authority: authority.clone(),
            clock: Arc::clone(&clock),
            nonces,
            urls,
            settings: config.http.clone(),
            about: about(config)?,
            officers: officers(config, further_officers)?,
            organisation_defaults: config.organisation.defaults.clone(),
            register: config.register.clone(),
            status: status.clone(),
            public_url: config.public_url.clone(),
            directory: config.state.clone(),
        });
        let (stop_worker, stopped) = watch::channel(false);
        let worker = tokio::spawn(worker.run(stopped));
        let listeners = listeners.serve(&app, Arc::clone(&tls));
        let register_sync = register_sync(config, &app);
        let roots = config.roots.clone();
        Ok(Server {
            authority,
            app,
            tls,
            status,
            roots,
            clock,
            listeners,
            worker,
            stop_worker,
            register_sync,
            nonces_file,
        })
    }

    /// The decisions, for whoever prepares records in the same process.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Reads again what others may have put in place of it: the listener's certificate and the roots' CRLs. What cannot be
    /// used is logged, and the old one goes on being used.
    pub fn read_again(&self) {
        match self.tls.reload() {
            Ok(()) => tracing::info!("the certificate of the ACME listener was read again"),
            Err(error) => tracing::error!(%error, "the certificate of the ACME listener stays as it was"),
        }
        for root in &self.roots {
            match opened_root(root, self.clock.now()) {
                Ok(opened) if self.status.replace_root_crl(&opened) => {
                    tracing::info!(root = %root.name, "the root's CRL was read again");
                }
                Ok(_) => tracing::error!(root = %root.name, "the root's new CRL has a lower number: the old one stays"),
                Err(faults) => faults.0.iter().for_each(|error| {
                    tracing::error!(root = %root.name, %error, "the root's CRL stays as it was");
                }),
            }
        }
    }

    /// Returns when the worker has ended although nobody stopped it: a fault that no request can survive.
    pub async fn failed(&mut self) {
        let ended = (&mut self.worker).await;
        tracing::error!(?ended, "the worker has ended unexpectedly");
    }

    /// Stops: no new connections, requests in flight finish within the configured time, then validations and issuances,
    /// then the nonces are saved for the next start.
    pub async fn stop(self) {
        let Server {
            authority, app, tls, status, listeners, mut worker, stop_worker, register_sync, nonces_file, ..
        } = self;
        listeners.stop().await;
        // An import that has begun goes on to its end, or counts for nothing.
        if let Some(register_sync) = register_sync {
            register_sync.abort();
        }
        // The receiver is gone if the worker has ended already.
        let _ = stop_worker.send(true);
        if !worker.is_finished()
            && let Err(error) = (&mut worker).await
        {
            tracing::error!(%error, "the worker did not stop cleanly");
        }
        if let Err(error) = app.nonces().save(&nonces_file) {
            tracing::warn!(file = %nonces_file.display(), %error, "the nonces are not saved: clients get fresh ones");
        }
        drop((authority, app, tls, status));
    }
}

/// Opens the store of a configuration; it is never made here.
///
/// # Errors
/// Every reason not to open it, among them that another process holds it.
pub fn open_store(config: &Config) -> Result<SledStore, OpenError> {
    SledStore::open(&config.state, store_options(&config.store))
}

/// The store's options, as configured.
pub fn store_options(settings: &config::StoreSettings) -> Options {
    Options { cache_bytes: settings.cache as u64, reserve_bytes: settings.reserve as u64, ..Options::default() }
}

/// Where a configuration's server listens.
pub fn addresses(config: &Config) -> Addresses {
    Addresses { acme: config.listen, public: config.public_listen, admin: vec![config.admin_socket.clone()] }
}

/// Closes a store once nobody uses it any more, so that the next process or the next start finds it unlocked.
pub async fn close(store: Arc<SledStore>) {
    let mut store = store;
    for _ in 0..500 {
        match Arc::try_unwrap(store) {
            // Closing waits for the committer's last sync.
            Ok(store) => {
                let _ = tokio::task::spawn_blocking(move || drop(store)).await;
                return;
            }
            Err(shared) => store = shared,
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    tracing::warn!("something still uses the store at the end; what was acknowledged is on disk all the same");
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StartError + '_ {
    move |error| StartError::Io { path: path.to_owned(), error }
}

fn issuer_material(config: &Config, now: Timestamp) -> Result<Vec<IssuerMaterial>, MaterialFaults> {
    config.issuers.iter().map(|issuer| IssuerMaterial::open(issuer, now)).collect()
}

fn issuers(config: &Config, material: Vec<IssuerMaterial>, now: Timestamp) -> Result<Issuers, MaterialFault> {
    let started = config.issuers.iter().zip(material).map(|(issuer, material)| material.started(issuer, &config.work));
    let started = started.collect::<Result<_, _>>()?;
    Ok(Issuers::new(started, config.state.join("crl"), &config.public_url, BootId::mint(now)))
}

fn status(
    config: &Config,
    store: Arc<dyn Store>,
    issuers: Arc<Issuers>,
    now: Timestamp,
) -> Result<Status, MaterialFaults> {
    let roots = config.roots.iter().map(|root| opened_root(root, now)).collect::<Result<_, _>>()?;
    let budget = NonZeroU32::new(config.work.ocsp_signatures).unwrap_or(issuer::status::DEFAULT_BUDGET);
    Ok(Status::new(store, issuers, roots, budget))
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn authority_settings(
    config: &Config,
    urls: &Urls,
    material: &[IssuerMaterial],
    person_key: Option<PersonKey>,
) -> authority::Settings {
    let facts = |(issuer, material): (&config::Issuer, &IssuerMaterial)| IssuerFacts {
        name: issuer.name.clone(),
        key_identifier: material.certificate().subject_key().map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        not_after: material.certificate().not_after(),
    };
    let (lifetimes, attempts) = (&config.lifetimes, &config.attempts);
    authority::Settings {
        order_lifetime: seconds(lifetimes.order),
        pending_lifetime: seconds(lifetimes.pending_authorization),
        valid_lifetime: seconds(lifetimes.valid_authorization),
        attempts: Attempts {
            most: attempts.most,
            first_pause: seconds(attempts.first_pause),
            longest_pause: seconds(attempts.longest_pause),
            within: seconds(attempts.within),
        },
        caa_lifetime: seconds(lifetimes.caa),
        terms: config.terms.as_ref().map(|terms| authority::Terms {
            version: terms.version.clone(),
            url: terms.url.clone().unwrap_or_else(|| format!("{}/terms", urls.base())),
            required_from: terms.required_from,
        }),
        verification_lifetime: seconds(config.organisation.verification_lifetime),
        organisations: organisation_rules(&config.organisation, person_key),
        issuers: config.issuers.iter().zip(material).map(facts).collect(),
        renewal_retry_after: lifetimes.renewal_check.as_secs(),
        state_directory: config.state.clone(),
    }
}

fn organisation_rules(settings: &config::OrganisationSettings, person_key: Option<PersonKey>) -> OrganisationRules {
    let offered = |challenge: &ChallengeType| match challenge {
        ChallengeType::Tkauth01 => Some(OfferedProof::Token {
            authority: settings.token_authority.iter().find_map(|authority| authority.url.clone()),
        }),
        ChallengeType::OrgSignature01 => Some(OfferedProof::CardSignature { policies: card_policies(settings) }),
        ChallengeType::OrgApproval01 => Some(OfferedProof::Approval { instructions: settings.instructions.clone() }),
        // The configuration's checks let no challenge of dns names stand there.
        ChallengeType::Http01 | ChallengeType::Dns01 | ChallengeType::TlsAlpn01 => None,
    };
    OrganisationRules {
        offered: settings.challenges.iter().filter_map(offered).collect(),
        approval_lifetime: seconds(settings.approval_lifetime),
        two_officers: settings.two_officers,
        evidence_lifetime: seconds(settings.evidence_lifetime),
        defaults: settings.defaults.clone(),
        person_key,
    }
}

/// The policies of the cards that are accepted, each once.
fn card_policies(settings: &config::OrganisationSettings) -> Vec<String> {
    let mut policies: Vec<String> =
        settings.card_authority.iter().flat_map(|authority| authority.policies.iter().cloned()).collect();
    policies.sort();
    policies.dedup();
    policies
}

/// Whose evidence of organisations is believed.
fn believed(
    config: &Config,
    urls: &Urls,
    material: &[IssuerMaterial],
    people: Option<PersonKey>,
    on_trial: bool,
    now: Timestamp,
) -> Result<Believed, StartError> {
    let own = own_keys(config, material.iter().map(IssuerMaterial::certificate), now)?;
    let evidence::Evidence { tokens, cards } = evidence::opened(config, urls, &own, on_trial, now)?;
    let directory = evidence::organisation_directory(urls);
    Ok(Believed { tokens, cards, directory, people, largest_crl: config.organisation.crl_size })
}

/// The keys of this authority's issuers and roots.
fn own_keys<'a>(
    config: &Config,
    issuers: impl Iterator<Item = &'a Certificate>,
    now: Timestamp,
) -> Result<Vec<PublicKey>, MaterialFaults> {
    let mut keys: Vec<PublicKey> = issuers.map(|certificate| certificate.public_key().clone()).collect();
    for root in &config.roots {
        keys.push(opened_root(root, now)?.certificate.public_key().clone());
    }
    Ok(keys)
}

fn worker_settings(config: &Config) -> worker::Settings {
    worker::Settings {
        validations: config.work.validations,
        issuances: config.work.issuances,
        retention: seconds(config.lifetimes.retention),
        strangers: seconds(config.lifetimes.strangers),
        abandon_after: seconds(config.lifetimes.prepared),
        seal_audit_after: seconds(config.store.seal_audit_after),
        ..worker::Settings::default()
    }
}

fn about(config: &Config) -> Result<http::About, StartError> {
    let text = config.terms.as_ref().and_then(|terms| terms.text.as_ref());
    Ok(http::About {
        website: config.website.clone(),
        caa_identities: config.validation.caa_identities.clone(),
        terms_text: text.map(|path| fs::read_to_string(path).map_err(at(path))).transpose()?,
    })
}

/// Fetches what has changed in the configured register, at the configured interval.
fn register_sync(config: &Config, app: &Arc<App>) -> Option<JoinHandle<()>> {
    let interval = config.register.sync.as_ref()?.interval?;
    let app = Arc::clone(app);
    Some(tokio::spawn(async move {
        tokio::time::sleep(app.until_sync(interval).await).await;
        loop {
            match app.sync_register("interval").await {
                Ok(report) => tracing::info!(
                    generation = report.generation,
                    added = report.counts.added,
                    changed = report.counts.changed,
                    ended = report.counts.ended,
                    refused = report.counts.refused,
                    "the register's changes were fetched"
                ),
                Err(error) => tracing::warn!(%error, "the register's changes were not fetched"),
            }
            tokio::time::sleep(interval).await;
        }
    }))
}

fn officers(config: &Config, further: Vec<config::Officer>) -> Result<Officers, StartError> {
    let named = |officer: &config::Officer, socket| http::Officer {
        name: officer.name.clone(),
        uid: officer.uid,
        role: match officer.role {
            config::OfficerRole::RegistrationOfficer => http::OfficerRole::RegistrationOfficer,
            config::OfficerRole::Operator => http::OfficerRole::Operator,
            config::OfficerRole::Auditor => http::OfficerRole::Auditor,
        },
        socket,
    };
    let configured = config.officers.iter().map(|officer| named(officer, 0));
    let further = further.iter().enumerate().map(|(index, officer)| named(officer, index + 1));
    Officers::new(configured.chain(further).collect()).map_err(StartError::Officers)
}

/// Octets of an invitation master key.
pub const MASTER_KEY_OCTETS: usize = 32;

/// Reads the invitation master keys.
///
/// # Errors
/// A file that cannot be read, that others may read, or that holds anything but 32 octets.
pub fn invitation_keys(files: &config::InvitationKeyFiles) -> Result<InvitationKeys, StartError> {
    let masters = files.files.iter().map(|(generation, path)| Ok((generation.clone(), master_key(path)?)));
    let masters = masters.collect::<Result<Vec<_>, StartError>>()?;
    Ok(InvitationKeys::new(masters, &files.current)?)
}

/// Reads the key under which the identifiers of persons are hashed.
///
/// # Errors
/// As [`invitation_keys`].
pub fn person_key(path: &Path) -> Result<PersonKey, StartError> {
    Ok(PersonKey::new(master_key(path)?))
}

fn master_key(path: &Path) -> Result<Zeroizing<[u8; MASTER_KEY_OCTETS]>, StartError> {
    use std::os::unix::fs::MetadataExt as _;
    let refused = |why: String| StartError::InvitationKey { path: path.to_owned(), why };
    let mode = fs::metadata(path).map_err(at(path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(refused(format!("mode {mode:04o} lets others read the master key; run `chmod 0600` on it")));
    }
    let octets = Zeroizing::new(fs::read(path).map_err(at(path))?);
    let octets: &[u8; MASTER_KEY_OCTETS] = octets.as_slice().try_into().map_err(|_| {
        refused(format!("a master key has exactly {MASTER_KEY_OCTETS} octets; restore it from its backup"))
    })?;
    Ok(Zeroizing::new(*octets))
}

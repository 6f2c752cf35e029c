//! `token-authority`: a token authority (RFC 9447) with the interface that a national one has. It gives tokens, over mutual TLS,
//! to holders of certificates that its own list entitles, and serves the CRL by which its own certificates are checked. Start
//! with [`TokenAuthority::start`]; what it decides is in `issuing.rs`.

mod accounts;
mod issuing;
mod listeners;
pub mod material;
mod settings;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::issuing::Issuing;
pub use self::issuing::{Entitlement, TokenRefusal};
use self::material::{MaterialFiles, Plan};
pub use self::settings::{Settings, SettingsError};
use super::hierarchy::HierarchyError;
use super::lifetime::Signals;
use super::logging::Logging;
use super::{CommandError, CommandResult, Outcome, print_line};
use crate::config::LogSettings;
use crate::names::OrganisationIdentifier;
use crate::signer::KeyFileError;
use crate::time::{Clock, SystemClock};
use crate::x509::CertificateError;

/// A token authority: gives tokens to those whom its list entitles.
#[derive(Debug, Subcommand)]
pub(super) enum TokenAuthorityCommand {
    /// Run it.
    Serve(ServeCommand),
    /// Make its keys, certificates, configuration and list, and a client certificate to try it out.
    Init(InitCommand),
}

#[derive(Debug, Args)]
pub(super) struct ServeCommand {
    /// The token authority's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct InitCommand {
    /// The directory; it is made unless it exists. Nothing in it is written over.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The URL that tokens name as their issuer; clients ask at URL/at/account/ID/token.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// A directory URL of a certificate authority that the tokens are for; repeatable.
    #[arg(long, value_name = "URL", required = true)]
    audience: Vec<String>,
    /// Where the token interface listens (HTTPS).
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:14600")]
    listen: SocketAddr,
    /// Where the CRL is served (HTTP).
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:14680")]
    public_listen: SocketAddr,
    /// A host name or address of the HTTPS certificate; repeatable.
    #[arg(long, value_name = "NAME", default_values_t = ["localhost".to_owned(), "127.0.0.1".to_owned()])]
    host: Vec<String>,
    /// The organisation that the client certificate made here is entitled to speak for.
    #[arg(long, value_name = "NTRFI-ID")]
    organisation: OrganisationIdentifier,
    /// Make an authority for operation. Without this its certificates say that it is on trial, and no certificate authority but
    /// one on trial takes its tokens.
    #[arg(long)]
    for_operation: bool,
}

pub(super) async fn run(command: TokenAuthorityCommand) -> CommandResult {
    match command {
        TokenAuthorityCommand::Serve(command) => serve(command).await,
        TokenAuthorityCommand::Init(command) => init(command),
    }
}

async fn serve(command: ServeCommand) -> CommandResult {
    let settings = Settings::read(&command.config).map_err(CommandError::failed)?;
    let _logging = Logging::start(&LogSettings::default()).map_err(CommandError::failed)?;
    let mut signals = Signals::listen().map_err(CommandError::failed)?;
    let authority = TokenAuthority::start(&settings, Arc::new(SystemClock)).await.map_err(CommandError::failed)?;
    tracing::info!(listen = %authority.address(), public = %authority.public_address(), "ready");
    signals.stop().await;
    authority.stop().await;
    Ok(Outcome::Done)
}

fn init(command: InitCommand) -> CommandResult {
    let plan = Plan {
        issuer: command.issuer,
        audiences: command.audience,
        listen: command.listen,
        public_listen: command.public_listen,
        hosts: command.host,
        organisation: command.organisation,
        on_trial: !command.for_operation,
    };
    let files = material::create(&command.dir, &plan, SystemClock.now()).map_err(CommandError::failed)?;
    let MaterialFiles { config, accounts, root, tls_root, client, client_key, .. } = files;
    for (what, path) in [
        ("configuration", &config),
        ("accounts and what they are entitled to", &accounts),
        ("anchor for certificate authorities", &root),
        ("root of its HTTPS certificate", &tls_root),
        ("client certificate to try it out", &client),
        ("its key", &client_key),
    ] {
        print_line(format_args!("made {} ({what})", path.display()));
    }
    print_line(format_args!("next: sote-acme token-authority serve --config {}", config.display()));
    Ok(Outcome::Done)
}

/// Why a token authority does not start.
#[derive(Debug, thiserror::Error)]
pub enum TokenAuthorityError {
    /// Its configuration.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A certificate.
    #[error("{}: {error}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// A CRL that cannot be made.
    #[error(transparent)]
    Crl(#[from] HierarchyError),
    /// What does not fit together.
    #[error("{}: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file or an address.
    #[error("{what}: {error}")]
    Io {
        /// Which.
        what: String,
        /// What the system said.
        error: io::Error,
    },
}

impl TokenAuthorityError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| TokenAuthorityError::Io { what: path.display().to_string(), error }
    }
}

/// A running token authority.
pub struct TokenAuthority {
    address: SocketAddr,
    public_address: SocketAddr,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl TokenAuthority {
    /// Starts one. It answers when this returns.
    ///
    /// # Errors
    /// The first thing that stands in the way.
    pub async fn start(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, TokenAuthorityError> {
        let issuing = Arc::new(Issuing::open(settings)?);
        let tls = listeners::tls(settings)?;
        let bound = |what: SocketAddr| move |error| TokenAuthorityError::Io { what: what.to_string(), error };
        let tokens = TcpListener::bind(settings.listen).await.map_err(bound(settings.listen))?;
        let public = TcpListener::bind(settings.public_listen).await.map_err(bound(settings.public_listen))?;
        let address = tokens.local_addr().map_err(bound(settings.listen))?;
        let public_address = public.local_addr().map_err(bound(settings.public_listen))?;
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let context = listeners::Context { issuing, clock, stopping: stopping.clone(), tasks: tasks.clone() };
        tasks.spawn(context.clone().serve(tokens, Some(tls)));
        tasks.spawn(context.serve(public, None));
        Ok(TokenAuthority { address, public_address, stopping, tasks })
    }

    /// Where tokens are asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the CRL is served, at `/crl/authority.crl`.
    pub fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    /// Stops it: connections end with the request that they are in.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

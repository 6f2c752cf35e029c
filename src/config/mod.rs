//! The configuration: one TOML file, read in two stages. First its form, key by key ([`reading`]); then what it means
//! (`checks.rs`): what is missing, what contradicts. Every fault of a stage is told at once, one line each with its key.
//! Secrets are named by path only. Nothing here opens what a path names. Start with [`Config::read`].

mod checks;
mod http;
mod proofs;
pub mod reading;
mod register;
mod sections;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::Profile;
use crate::validation;
pub use http::{HttpSettings, Rate, RateLimits};
pub use proofs::{CardAuthoritySettings, CardHolder, CardUsage, RevocationSource, TokenAuthoritySettings};
pub use reading::Fault;
pub use register::{Place, RegisterSettings, SyncSettings};
pub use sections::{
    AttemptSettings, CrlSettings, InvitationKeyFiles, Issuer, Lifetimes, LogFormat, LogSettings, OcspResponder,
    Officer, OfficerRole, OrganisationDefaults, OrganisationSettings, Root, StoreSettings, Terms, TlsFiles,
    WorkSettings,
};

/// A configuration that is whole and does not contradict itself. Paths are absolute, or relative to the working directory
/// when the file's own path was.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The state directory: store, CRLs, audit segments, nonces.
    pub state: PathBuf,
    /// The base of all ACME URLs, `https://`, without a final slash. It stands in clients' configurations.
    pub base_url: String,
    /// Where the ACME listener listens.
    pub listen: SocketAddr,
    /// The base of CRL, OCSP and issuer URLs, `http://`, without a final slash. It stands in certificates for years.
    pub public_url: String,
    /// Where the public listener listens.
    pub public_listen: SocketAddr,
    /// A page about the service, for the directory's `website`.
    pub website: Option<String>,
    /// The bounds of the listeners.
    pub http: HttpSettings,
    /// The ACME listener's certificate.
    pub tls: TlsFiles,
    /// The admin socket.
    pub admin_socket: PathBuf,
    /// Who may use it.
    pub officers: Vec<Officer>,
    /// The issuers; at least one.
    pub issuers: Vec<Issuer>,
    /// The roots above them, as far as this server publishes for them.
    pub roots: Vec<Root>,
    /// The profiles; at least one, each of a known issuer.
    pub profiles: Vec<Profile>,
    /// The master keys of invitations.
    pub invitation_keys: InvitationKeyFiles,
    /// The terms of service, if there are any.
    pub terms: Option<Terms>,
    /// Validation and CAA.
    pub validation: validation::Settings,
    /// How long things hold and are kept.
    pub lifetimes: Lifetimes,
    /// How often challenges are tried.
    pub attempts: AttemptSettings,
    /// The embedded store.
    pub store: StoreSettings,
    /// How much is done at once.
    pub work: WorkSettings,
    /// What is logged.
    pub log: LogSettings,
    /// How organisations prove themselves, and their limits where none are named.
    pub organisation: OrganisationSettings,
    /// The national registers.
    pub register: RegisterSettings,
}

/// What stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    state: Option<PathBuf>,
    base_url: Option<String>,
    listen: Option<SocketAddr>,
    public_url: Option<String>,
    public_listen: Option<SocketAddr>,
    website: Option<String>,
    http: HttpSettings,
    tls: Option<TlsFiles>,
    admin_socket: Option<PathBuf>,
    officers: Vec<Officer>,
    issuers: Vec<Issuer>,
    roots: Vec<Root>,
    profiles: Vec<Profile>,
    profile_files: Vec<PathBuf>,
    invitation_keys: Option<InvitationKeyFiles>,
    terms: Option<Terms>,
    validation: validation::Settings,
    lifetimes: Lifetimes,
    attempts: AttemptSettings,
    store: StoreSettings,
    work: WorkSettings,
    log: LogSettings,
    organisation: OrganisationSettings,
    register: RegisterSettings,
}

/// A file of one profile.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ProfileFile {
    profile: Option<Profile>,
}

/// Why there is no configuration: every fault that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it; never empty.
    pub faults: Vec<Fault>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    /// One line per fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}: {fault}", self.file.display())?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file at `path` and the profile files that it names. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Every fault of form, or, if there is none, every fault of meaning.
    pub fn read(path: &Path) -> Result<Self, Faults> {
        let refused = |faults| Faults { file: path.to_owned(), faults };
        let text = text_of(path).map_err(|why| refused(vec![Fault::of("", why)]))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Config::parse(&text, directory).map_err(refused)
    }

    /// Reads the text of a file in `directory`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, directory: &Path) -> Result<Self, Vec<Fault>> {
        let (mut written, mut faults) = reading::read::<Written>(text);
        for file in std::mem::take(&mut written.profile_files) {
            match profile_in(&directory.join(&file)) {
                Ok(profile) => written.profiles.push(profile),
                Err(found) => {
                    faults.extend(found.into_iter().map(|fault| Fault {
                        key: format!("profile_files: {}: {}", file.display(), fault.key),
                        ..fault
                    }))
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        checks::checked(written, directory)
    }
}

fn profile_in(path: &Path) -> Result<Profile, Vec<Fault>> {
    let text = text_of(path).map_err(|why| vec![Fault::of("", why)])?;
    let (file, mut faults) = reading::read::<ProfileFile>(&text);
    match file.profile {
        Some(profile) if faults.is_empty() => Ok(profile),
        None if faults.is_empty() => Err(vec![Fault::of("profile", "missing: the file has one table, [profile]")]),
        _ => {
            // The line of the other file would mislead.
            faults.iter_mut().for_each(|fault| fault.why = with_line(fault));
            Err(faults.into_iter().map(|fault| Fault { line: None, ..fault }).collect())
        }
    }
}

fn with_line(fault: &Fault) -> String {
    fault.line.map_or_else(|| fault.why.clone(), |line| format!("{} (its line {line})", fault.why))
}

/// No configuration has so many octets; a wrong path may name anything.
const LARGEST_FILE: u64 = 1 << 20;

fn text_of(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() || metadata.len() > LARGEST_FILE {
        return Err("is no configuration: not a file of at most 1 MiB".to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

//! `check-config`: reads a configuration and everything that it names, prints what it means, and changes nothing. The store
//! is not opened: a server may be running on it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::server::evidence;
use super::server::issuers::{IssuerMaterial, MaterialFaults, opened_root};
use super::{CommandError, CommandResult, Outcome, logging, print_line, server};
use crate::acme::urls::Urls;
use crate::config::{self, Config, Fault};
use crate::http::Tls;
use crate::issuer::Root;
use crate::names::quantity::{duration, size};
use crate::public_key::PublicKey;
use crate::store::sled::{Format, OpenError, holder};
use crate::time::{Clock as _, SystemClock, Timestamp};
use crate::x509::{Certificate, Crl};

/// Reads a configuration and everything that it names, prints what it means, changes nothing.
#[derive(Debug, Args)]
pub(super) struct CheckConfigCommand {
    /// The configuration.
    #[arg(value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(command: &CheckConfigCommand) -> CommandResult {
    let config = Config::read(&command.config).map_err(CommandError::failed)?;
    let findings = Findings::of(&config, SystemClock.now());
    findings.plan.iter().for_each(print_line);
    for warning in &findings.warnings {
        eprintln!("{}: warning: {warning}", command.config.display());
    }
    if findings.faults.is_empty() {
        print_line("the configuration is sound");
        return Ok(Outcome::Done);
    }
    for fault in &findings.faults {
        eprintln!("{}: {fault}", command.config.display());
    }
    let count = findings.faults.len();
    Err(CommandError::Failed(format!("{count} fault{} found", if count == 1 { "" } else { "s" })))
}

/// What was found: what the server would do, what will trouble it, what it would not start with.
#[derive(Default)]
struct Findings {
    plan: Vec<String>,
    warnings: Vec<Fault>,
    faults: Vec<Fault>,
}

impl Findings {
    fn of(config: &Config, now: Timestamp) -> Self {
        let mut findings = Findings::default();
        findings.state(config);
        findings.listeners(config, now);
        findings.admin(config);
        findings.authority(config, now);
        findings.register(config);
        findings.meaning(config);
        findings
    }

    fn say(&mut self, what: &str, text: impl std::fmt::Display) {
        self.plan.push(format!("{what:<12} {text}"));
    }

    fn state(&mut self, config: &Config) {
        let state = &config.state;
        let format = match Format::read(state) {
            Ok(format) => format!("format {}, store {}, made {}", format.format, format.store, format.created),
            Err(error) => {
                self.faults.push(Fault::of("state", error.to_string()));
                "no usable store".to_owned()
            }
        };
        let used = match holder(state) {
            Some(OpenError::InUse { pid: Some(pid), .. }) => format!("held by process {pid}"),
            Some(_) => "held by another process".to_owned(),
            None => "not in use".to_owned(),
        };
        self.owned(state);
        let free = match rustix::fs::statvfs(state) {
            Ok(disk) => {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                if free < config.store.reserve as u64 {
                    let reserve = size::text(config.store.reserve);
                    let why = format!("the disk has {} MiB left, less than store.reserve ({reserve})", free >> 20);
                    self.faults.push(Fault::of("store.reserve", why));
                }
                format!("{} MiB free", free >> 20)
            }
            Err(error) => format!("free space unknown ({error})"),
        };
        self.say("state", format!("{}: {format}; {used}; {free}", state.display()));
    }

    /// The state directory belongs to whoever runs the server, and to nobody else.
    fn owned(&mut self, state: &Path) {
        let Ok(metadata) = fs::metadata(state) else { return };
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            let why = format!("{}: mode {mode:04o} lets others in: run `chmod 0700` on it", state.display());
            self.faults.push(Fault::of("state", why));
        }
        let own = rustix::process::geteuid().as_raw();
        if metadata.uid() != own {
            let owner = metadata.uid();
            let why = format!("{}: belongs to uid {owner}; this check runs as uid {own}", state.display());
            // Root looks at it for another user.
            if own == 0 {
                self.warnings.push(Fault::of("state", why))
            } else {
                self.faults.push(Fault::of("state", why))
            }
        }
    }

    fn listeners(&mut self, config: &Config, now: Timestamp) {
        if let Err(error) = Urls::new(&config.base_url) {
            self.faults.push(Fault::of("base_url", error.to_string()));
        }
        if let Err(error) = Tls::from_files(&config.tls.certificate, &config.tls.key) {
            self.faults.push(Fault::of("tls", error.to_string()));
        }
        let until = self.tls_certificate(config, now);
        self.say("ACME", format!("{} on {}{until}", config.base_url, config.listen));
        self.say("public", format!("{} on {}", config.public_url, config.public_listen));
    }

    fn tls_certificate(&mut self, config: &Config, now: Timestamp) -> String {
        let text = fs::read_to_string(&config.tls.certificate).unwrap_or_default();
        let Some(certificate) = Certificate::parse_pem_chain(&text).ok().and_then(|chain| chain.into_iter().next())
        else {
            return String::new();
        };
        if !certificate.is_valid_at(now) {
            let why = format!("valid from {} to {}, and not now", certificate.not_before(), certificate.not_after());
            self.faults.push(Fault::of("tls.certificate", why));
        }
        let rest = config.base_url.strip_prefix("https://").unwrap_or_default();
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        let names: Vec<String> = certificate.alternative_names().iter().map(ToString::to_string).collect();
        let named = names.iter().any(|name| {
            let name = name.split_once(':').map_or(name.as_str(), |(_, value)| value);
            let below =
                name.strip_prefix("*.").is_some_and(|zone| host.split_once('.').is_some_and(|(_, rest)| rest == zone));
            name.eq_ignore_ascii_case(host) || below
        });
        if !named {
            let why = format!("does not name {host}, the host of base_url: clients will refuse it");
            self.warnings.push(Fault::of("tls.certificate", why));
        }
        format!("; TLS certificate until {}", certificate.not_after())
    }

    fn admin(&mut self, config: &Config) {
        let socket = &config.admin_socket;
        if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
            let why = format!("{}: a socket's path has at most {LONGEST_SOCKET_PATH} characters", socket.display());
            self.faults.push(Fault::of("admin_socket", why));
        }
        // A directory below /run is made by systemd when the server starts.
        if let Some(parent) = socket.parent().filter(|parent| !parent.is_dir()) {
            let why = format!("the directory {} does not exist yet", parent.display());
            self.warnings.push(Fault::of("admin_socket", why));
        }
        if config.officers.is_empty() {
            self.warnings.push(Fault::of("officers", "there are none: nobody can add organisations or invitations"));
        }
        self.say("admin", format!("{}, mode 0660", socket.display()));
        for officer in &config.officers {
            let role = serde_json::to_value(officer.role).unwrap_or_default();
            let role = role.as_str().unwrap_or_default().to_owned();
            self.say("officer", format!("uid {}: {}, {role}", officer.uid, officer.name));
        }
    }

    /// Whose evidence of organisations is believed.
    fn evidence(&mut self, config: &Config, own: &[PublicKey], now: Timestamp) {
        let Ok(urls) = Urls::new(&config.base_url) else { return };
        match evidence::opened(config, &urls, own, false, now) {
            Ok(evidence) => {
                for authority in &evidence.tokens {
                    self.say("tokens", format!("of {} ({})", authority.issuer, authority.name));
                }
                for authority in &evidence.cards {
                    let anchors: Vec<String> =
                        authority.trust.anchors.iter().map(|anchor| anchor.subject().to_string()).collect();
                    self.say("cards", format!("{}: {}", authority.name, anchors.join("; ")));
                }
            }
            Err(error) => self.faults.push(Fault::of("organisation", error.to_string())),
        }
    }

    fn authority(&mut self, config: &Config, now: Timestamp) {
        let (mut roots, mut own) = (Vec::new(), Vec::new());
        for (index, settings) in config.roots.iter().enumerate() {
            match opened_root(settings, now) {
                Ok(root) => roots.push(root),
                Err(found) => self.material(&format!("roots[{index}]"), &found),
            }
        }
        roots.iter().for_each(|root| self.root(root, now));
        for (index, settings) in config.issuers.iter().enumerate() {
            match IssuerMaterial::open(settings, now) {
                Ok(material) => {
                    own.push(material.certificate().public_key().clone());
                    self.rooted(index, &material, &roots);
                    self.issuer(config, settings, &material, now);
                }
                Err(found) => self.material(&format!("issuers[{index}]"), &found),
            }
        }
        own.extend(roots.iter().map(|root| root.certificate.public_key().clone()));
        self.evidence(config, &own, now);
        for profile in &config.profiles {
            let days = profile.validity_days;
            self.say(
                "profile",
                format!("{} by {}, {days} days: {}", profile.name, profile.issuer, profile.description),
            );
        }
        if let Err(error) = server::invitation_keys(&config.invitation_keys) {
            self.faults.push(Fault::of("invitation_keys", error.to_string()));
        }
        let person_key = config.organisation.person_key.as_deref().map(server::person_key);
        if let Some(Err(error)) = person_key {
            self.faults.push(Fault::of("organisation.person_key", error.to_string()));
        }
        let generations: Vec<&str> = config.invitation_keys.files.keys().map(String::as_str).collect();
        let current = &config.invitation_keys.current;
        self.say("invitations", format!("keys {}; new ones by {current}", generations.join(", ")));
    }

    fn material(&mut self, key: &str, found: &MaterialFaults) {
        self.faults.extend(found.0.iter().map(|fault| Fault::of(key, fault.to_string())));
    }

    fn root(&mut self, root: &Root, now: Timestamp) {
        let end = Crl::parse(&root.crl).ok().and_then(|crl| crl.next_update());
        if end.is_some_and(|end| end < now.plus(30 * DAY)) {
            let why = "ends within 30 days, or has ended: have the root sign a new one";
            self.warnings.push(Fault::of(format!("roots.{}.crl", root.name), why));
        }
        let (name, certificate) = (&root.name, &root.certificate);
        let until = end.map_or_else(String::new, |end| format!(", CRL until {end}"));
        self.say("root", format!("{name}: {}; until {}{until}", certificate.subject(), certificate.not_after()));
    }

    /// Every chain leads to a configured root, or relying services cannot follow it by what this server publishes.
    fn rooted(&mut self, index: usize, material: &IssuerMaterial, roots: &[Root]) {
        for chain in material.chains() {
            let Some(last) = chain.last() else { continue };
            let signed = |root: &&Root| last.verify_signed_by(root.certificate.public_key()).is_ok();
            if roots.iter().find(signed).is_none() {
                let why = format!(
                    "none of the [[roots]] signed {}: its CRL and certificate are not served here",
                    last.subject()
                );
                self.warnings.push(Fault::of(format!("issuers[{index}]"), why));
            }
        }
    }

    fn issuer(&mut self, config: &Config, settings: &config::Issuer, material: &IssuerMaterial, now: Timestamp) {
        let certificate = material.certificate();
        let longest = config.profiles.iter().filter(|profile| profile.issuer == settings.name);
        let longest = longest.map(|profile| i64::from(profile.validity_days)).max().unwrap_or(0);
        if certificate.not_after() < now.plus(longest * DAY) {
            let why = "the issuer's certificate ends before a certificate issued today would: plan its successor";
            self.warnings.push(Fault::of(format!("issuers.{}.certificate", settings.name), why));
        }
        if material.responder().not_after() < now.plus(30 * DAY) {
            let why = "ends within 30 days: issue a new one";
            self.warnings.push(Fault::of(format!("issuers.{}.ocsp.certificate", settings.name), why));
        }
        let (crl, chains) = (&settings.crl, material.chains().len() - 1);
        self.say(
            "issuer",
            format!(
                "{}: {}; {}; until {}; {} CRLs every {}, valid {}; alternate chains: {chains}; OCSP answers valid {}",
                settings.name,
                certificate.subject(),
                certificate.public_key(),
                certificate.not_after(),
                crl.shards,
                duration::text(crl.interval),
                duration::text(crl.validity),
                duration::text(settings.ocsp.validity),
            ),
        );
    }

    /// Where changes of a register are fetched.
    fn register(&mut self, config: &Config) {
        let Some(sync) = &config.register.sync else { return };
        if let Err(error) = crate::http::checked_sync(sync) {
            self.faults.push(Fault::of("register.sync", error.to_string()));
        }
        let often =
            sync.interval.map_or("when asked".to_owned(), |interval| format!("every {}", duration::text(interval)));
        self.say("register", format!("changes of {} from {}, {often}", sync.source, sync.url));
    }

    /// Values that only their users can judge.
    fn meaning(&mut self, config: &Config) {
        if let Err(error) = logging::checked_level(&config.log.level) {
            self.faults.push(Fault::of("log.level", error.to_string()));
        }
        if let Err(error) = crate::validation::Validators::new(&config.validation) {
            self.faults.push(Fault::of("validation", error.to_string()));
        }
        let validation = &config.validation;
        let servers: Vec<String> = validation.resolvers.iter().map(ToString::to_string).collect();
        let servers = if servers.is_empty() { "the system's resolvers".to_owned() } else { servers.join(", ") };
        let dnssec = if validation.dnssec { "DNSSEC" } else { "no DNSSEC" };
        self.say("validation", format!("{servers}, {dnssec}; CAA {}", validation.caa_identities.join(", ")));
        if validation.caa_identities.is_empty() {
            let why = "there are none: a CAA record with any name refuses";
            self.warnings.push(Fault::of("validation.caa_identities", why));
        }
    }
}

/// sun_path of unix(7), its final zero apart.
const LONGEST_SOCKET_PATH: usize = 107;

const DAY: i64 = 86_400;

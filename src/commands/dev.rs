//! `sote-acme dev`: a whole server for trying real clients. It says where it is in `DIR/dev.env`, which appears in one step
//! when the server is ready. Start with [`run`].

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ipnet::IpNet;

use super::dns::RECORDS_FILE;
use super::lifetime::{self, Signals};
use super::logging::{LogError, Logging};
use super::server;
use super::trial::{self, Trial, TrialError, TrialFacts, TrialSettings};
use crate::config::{LogFormat, LogSettings};
use crate::names::Zone;
use crate::store::sled::holder;
use crate::store::write_durably;
use crate::time::SystemClock;

/// Runs a whole server for trying real clients: keys, register, organisation and invitation are made unasked.
#[derive(Debug, Args)]
pub struct DevCommand {
    /// The directory with all of its state; used again at the next start.
    #[arg(long, default_value = "./dev")]
    dir: PathBuf,
    /// Where ACME is served (HTTPS). Port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:14000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where CRLs, OCSP answers and issuer certificates are served (plain HTTP). Port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:14080", value_name = "ADDRESS")]
    public_listen: SocketAddr,
    /// The port on which clients answer http-01.
    #[arg(long, default_value_t = 5002, value_name = "PORT")]
    http_01_port: u16,
    /// The port on which clients answer tls-alpn-01.
    #[arg(long, default_value_t = 5001, value_name = "PORT")]
    tls_alpn_01_port: u16,
    /// The dns resolver that validation and CAA ask, taken as it is; without it an embedded responder answers 127.0.0.1 for
    /// every name under `test` (records: sote-acme dns).
    #[arg(long, value_name = "ADDRESS", value_parser = resolver)]
    dns: Option<SocketAddr>,
    /// Where the embedded dns responder listens. Port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:8053", value_name = "ADDRESS")]
    dns_listen: SocketAddr,
    /// A dns zone in which the invitation may have names; may be repeated; `*` is any name.
    #[arg(long, default_values = ["test"], value_name = "ZONE")]
    allow_zone: Vec<Zone>,
    /// A network that validation may reach besides 127.0.0.1 and ::1; may be repeated.
    #[arg(long, value_name = "CIDR")]
    allow_network: Vec<IpNet>,
    /// Enforce the rate limits that `serve` has by default.
    #[arg(long)]
    rate_limits: bool,
    /// What is logged on standard error: error, warn, info, debug, trace, or directives.
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log: String,
    /// Log JSON lines.
    #[arg(long)]
    log_json: bool,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The server.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// A file or a signal.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// The server ended by itself.
    #[error("the server has failed; its log tells why")]
    Failed,
}

/// The address of a resolver; without a port it is 53.
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)));
    address.ok_or_else(|| "write an address such as 127.0.0.1:5353, or 192.0.2.53 for port 53".to_owned())
}

impl DevCommand {
    fn settings(&self) -> TrialSettings {
        TrialSettings {
            directory: self.dir.clone(),
            listen: self.listen,
            public_listen: self.public_listen,
            http_01_port: self.http_01_port,
            tls_alpn_01_port: self.tls_alpn_01_port,
            dns: self.dns,
            dns_listen: self.dns_listen,
            zones: self.allow_zone.clone(),
            networks: self.allow_network.clone(),
            rate_limits: self.rate_limits,
            clock: Arc::new(SystemClock),
            token_authority: Some(trial::organisation()),
            adjust: None,
            wrap_store: None,
        }
    }
}

const ENVIRONMENT: &str = "dev.env";

/// Runs the server until a signal stops it.
///
/// # Errors
/// Why it did not start, or that it failed.
pub async fn run(command: DevCommand) -> Result<(), DevError> {
    let format = if command.log_json { LogFormat::Json } else { LogFormat::Text };
    Logging::start(&LogSettings { level: command.log.clone(), format })?;
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| DevError::Io { what, error }
    };
    let mut signals = Signals::listen().map_err(io("listening for signals"))?;
    // A killed server leaves the file behind; opening the store may take a while, and nobody shall be misled meanwhile.
    if holder(&command.dir).is_none() {
        let _ = fs::remove_file(command.dir.join(ENVIRONMENT));
    }
    let trial = tokio::select! {
        trial = Trial::start(command.settings()) => trial?,
        // Nothing has been promised to anyone yet.
        () = signals.stop() => return Ok(()),
    };
    let facts = trial.facts.clone();
    let path = facts.directory.join(ENVIRONMENT);
    write_durably(&facts.directory, ENVIRONMENT, environment(&facts).as_bytes())
        .map_err(io(&path.display().to_string()))?;
    print!("{}", banner(&facts));
    let (server, dns, store) = trial.into_parts();
    let sound = lifetime::until_stopped(server, signals, || {}).await;
    // Whoever finds the file takes the server for running.
    let _ = fs::remove_file(&path);
    if let Some(dns) = dns {
        dns.stop().await;
    }
    server::close(store).await;
    if sound { Ok(()) } else { Err(DevError::Failed) }
}

/// The shell lines of `dev.env`.
fn environment(facts: &TrialFacts) -> String {
    let path = |path: &Path| path.display().to_string();
    let mut lines = vec![
        ("SOTE_ACME_DIRECTORY", facts.acme_directory.clone()),
        ("SOTE_ACME_ORGANISATION_DIRECTORY", facts.organisation_directory.clone()),
        ("SOTE_ACME_TLS_ROOT", path(&facts.tls_root)),
        ("SOTE_ACME_ISSUER_ROOT", path(&facts.issuer_root)),
        ("SOTE_ACME_ALT_ROOT", path(&facts.alternate_root)),
        // Test products have no issuer of their own yet.
        ("SOTE_ACME_TEST_ISSUER_ROOT", path(&facts.issuer_root)),
        ("SOTE_ACME_EAB_KID", facts.eab_kid.clone()),
        ("SOTE_ACME_EAB_HMAC_KEY", facts.eab_hmac_key.clone()),
        ("SOTE_ACME_ADMIN_SOCKET", path(&facts.admin_socket)),
        ("SOTE_ACME_OFFICER_2_SOCKET", path(&facts.second_admin_socket)),
        ("SOTE_ACME_PUBLIC_URL", facts.public_url.clone()),
        ("SOTE_ACME_DNS", facts.dns.to_string()),
        ("SOTE_ACME_HTTP_01_PORT", facts.http_01_port.to_string()),
        ("SOTE_ACME_TLS_ALPN_01_PORT", facts.tls_alpn_01_port.to_string()),
        ("SOTE_ACME_PID", std::process::id().to_string()),
    ];
    if let Some(authority) = &facts.token_authority {
        lines.extend([
            ("SOTE_ACME_TOKEN_AUTHORITY", authority.url.clone()),
            ("SOTE_ACME_TOKEN_AUTHORITY_ACCOUNT", authority.account.clone()),
            ("SOTE_ACME_TOKEN_AUTHORITY_TLS_ROOT", path(&authority.tls_root)),
            ("SOTE_ACME_TOKEN_AUTHORITY_CLIENT", path(&authority.client)),
            ("SOTE_ACME_TOKEN_AUTHORITY_CLIENT_KEY", path(&authority.client_key)),
            ("SOTE_ACME_TOKEN_AUTHORITY_ORGANISATION", authority.organisation.to_string()),
        ]);
    }
    lines.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

/// A shell word.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// What a person at the terminal needs first.
fn banner(facts: &TrialFacts) -> String {
    let TrialFacts { acme_directory, eab_kid, eab_hmac_key, http_01_port, public_url, .. } = facts;
    let root = quoted(&facts.tls_root.display().to_string());
    let dir = quoted(&facts.directory.display().to_string());
    let records = quoted(&facts.directory.join(RECORDS_FILE).display().to_string());
    format!(
        "\n\
         Sote-ACME is ready: {acme_directory}\n\
         CRL and OCSP:       {public_url}\n\
         State:              {dir} (dev.env tells programs all of this)\n\
         dns records:        sote-acme dns add --dir {dir} _acme-challenge.www.test TXT VALUE (or edit {records})\n\
         \n\
         certbot:\n\
         REQUESTS_CA_BUNDLE={root} certbot certonly --standalone --http-01-port {http_01_port} \\\n  \
           --server {acme_directory} --eab-kid {eab_kid} --eab-hmac-key {eab_hmac_key} \\\n  \
           --agree-tos --register-unsafely-without-email -n -d www.test \\\n  \
           --config-dir certbot --work-dir certbot --logs-dir certbot\n\
         \n\
         lego:\n\
         LEGO_CA_CERTIFICATES={root} lego --server {acme_directory} --accept-tos --email it@hospital.test \\\n  \
           --eab --kid {eab_kid} --hmac {eab_hmac_key} \\\n  \
           --domains www.test --http --http.port :{http_01_port} run\n\
         \n\
         Stop with Ctrl-C.\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        dev: DevCommand,
    }

    fn settings(arguments: &[&str]) -> TrialSettings {
        Program::parse_from(["dev"].iter().chain(arguments)).dev.settings()
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = settings(&[]);
        assert_eq!(settings.directory, Path::new("./dev"));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:14000");
        assert_eq!(settings.public_listen.to_string(), "127.0.0.1:14080");
        assert_eq!((settings.http_01_port, settings.tls_alpn_01_port), (5002, 5001));
        assert_eq!(settings.dns, None);
        assert_eq!(settings.dns_listen.to_string(), "127.0.0.1:8053");
        assert_eq!(settings.zones.iter().map(Zone::as_str).collect::<Vec<_>>(), ["test"]);
        assert!(settings.networks.is_empty() && !settings.rate_limits);
    }

    #[test]
    fn zones_and_networks_may_be_repeated_and_a_resolver_needs_no_port() {
        let settings = settings(&[
            "--allow-zone",
            "wtf",
            "--allow-zone",
            "*",
            "--allow-network",
            "10.0.0.0/8",
            "--allow-network",
            "fd00::/8",
            "--dns",
            "192.0.2.53",
        ]);
        assert_eq!(settings.zones.iter().map(Zone::as_str).collect::<Vec<_>>(), ["wtf", "*"]);
        assert_eq!(settings.networks.len(), 2);
        assert_eq!(settings.dns.unwrap().to_string(), "192.0.2.53:53");
    }

    #[test]
    fn values_are_shell_words() {
        assert_eq!(quoted("https://localhost:14000/directory"), "https://localhost:14000/directory");
        assert_eq!(quoted("/a b/it's"), "'/a b/it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}

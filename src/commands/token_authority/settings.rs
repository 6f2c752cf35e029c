//! The token authority's configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::SerialNumber;
use crate::names::quantity::duration;

/// What stands in the token authority's configuration. Paths are relative to its file's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where tokens are asked for (HTTPS).
    pub listen: SocketAddr,
    /// Where the CRL is served (HTTP).
    pub public_listen: SocketAddr,
    /// What tokens name as their issuer.
    pub issuer: String,
    /// The directories that tokens may be for. A request that names none gets the first.
    pub audiences: Vec<String>,
    /// For how long a token holds; at most 24h.
    #[serde(with = "duration", default = "an_hour")]
    pub lifetime: Duration,
    /// For how long what a token attests is asserted, unless the list says less.
    #[serde(with = "duration", default = "longest_assertion")]
    pub assertion: Duration,
    /// Who is entitled to what: a TOML file, read anew at every request.
    pub accounts: PathBuf,
    /// The certificate that signs tokens, PEM, below the root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The root: the anchor of certificate authorities.
    pub root: PathBuf,
    /// The root's key, which signs the CRL.
    pub root_key: PathBuf,
    /// Certificates below the root that are revoked.
    #[serde(default)]
    pub revoked: Vec<SerialNumber>,
    /// The HTTPS certificate, PEM.
    pub tls_certificate: PathBuf,
    /// Its key.
    pub tls_key: PathBuf,
    /// The authorities of client certificates, PEM.
    pub client_roots: PathBuf,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct SettingsError {
    path: PathBuf,
    why: String,
}

const fn an_hour() -> Duration {
    Duration::from_secs(3_600)
}

const fn longest_assertion() -> Duration {
    Duration::from_secs(398 * 86_400)
}

impl Settings {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let failed = |why: String| SettingsError { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let settings: Settings = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
        settings.checked().map_err(failed).map(|settings| settings.below(path.parent().unwrap_or(Path::new(""))))
    }

    fn checked(self) -> Result<Self, String> {
        if !self.issuer.starts_with("https://") {
            return Err("issuer must begin with https://".to_owned());
        }
        if self.audiences.is_empty() || !self.audiences.iter().all(|audience| audience.starts_with("https://")) {
            return Err("audiences must name at least one directory that begins with https://".to_owned());
        }
        // A longer one is refused by certificate authorities.
        if !(Duration::from_secs(60)..=Duration::from_secs(86_400)).contains(&self.lifetime) {
            return Err("lifetime must be between 1m and 24h".to_owned());
        }
        if !(Duration::from_secs(60)..=Duration::from_secs(1_830 * 86_400)).contains(&self.assertion) {
            return Err("assertion must be between 1m and 1830d".to_owned());
        }
        Ok(self)
    }

    fn below(mut self, directory: &Path) -> Self {
        for path in [
            &mut self.accounts,
            &mut self.certificate,
            &mut self.key,
            &mut self.root,
            &mut self.root_key,
            &mut self.tls_certificate,
            &mut self.tls_key,
            &mut self.client_roots,
        ] {
            *path = directory.join(&*path);
        }
        self
    }
}

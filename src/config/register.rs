//! `[register]`: the national registers, and where the changes of one are fetched.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::names::quantity::duration;
use crate::register::Source;

/// How imports of registers are bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegisterSettings {
    /// How many of a hundred rows in force of its register an export may leave out or end without `--force`.
    pub most_lost: u8,
    /// Where changes are fetched; without it nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncSettings>,
}

impl Default for RegisterSettings {
    fn default() -> Self {
        RegisterSettings { most_lost: 10, sync: None }
    }
}

/// `[register.sync]`: the code service that changes of a register are fetched from, page by page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncSettings {
    /// The list of concept codes, without a query: `https://HOST/.../conceptcodes`. `http://` for this machine only.
    pub url: String,
    /// The register that it is.
    #[serde(default = "thl")]
    pub source: Source,
    /// The certificates in PEM that the service's own must lead to; only these are trusted.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// Rows per page.
    #[serde(default = "five_hundred")]
    pub page_size: u16,
    /// How often changes are fetched unasked; without it only `sote-acme register sync` fetches them.
    #[serde(default, with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
}

fn thl() -> Source {
    Source::Thl
}

fn five_hundred() -> u16 {
    500
}

/// A duration that may be left out.
mod optional_duration {
    use super::{Duration, duration};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(deserializer).map(Some)
    }
}

impl RegisterSettings {
    /// What is wrong with the values; empty if nothing is.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, key: &str, why: &str| {
            if !holds {
                faults.push(Fault::of(format!("register.{key}"), why));
            }
        };
        must(self.most_lost <= 100, "most_lost", "must be between 0 and 100");
        if let Some(sync) = &self.sync {
            let place = Place::of(&sync.url);
            must(
                place.is_some(),
                "sync.url",
                "must be https://, or http:// and this machine, with a path and no query",
            );
            let is_open = place.is_some_and(|place| !place.is_secure);
            must(sync.root.is_some() || is_open, "sync.root", "missing: a PEM file with the roots that are trusted");
            must((1..=5_000).contains(&sync.page_size), "sync.page_size", "must be between 1 and 5000");
            must(sync.source != Source::Csv, "sync.source", "must be thl, pharmacy or practitioner");
            let sound =
                |interval: Duration| (Duration::from_secs(60)..=Duration::from_secs(30 * 86_400)).contains(&interval);
            must(sync.interval.is_none_or(sound), "sync.interval", "must be between 1m and 30d");
        }
        faults
    }
}

/// Where a URL leads, as far as it matters whom one speaks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether it is `https://`.
    pub is_secure: bool,
    /// The host: a name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path, which begins with a slash.
    pub path: String,
}

impl Place {
    /// The place of a URL that changes may be fetched from: `https`, or `http` where nobody else can listen.
    pub fn of(url: &str) -> Option<Self> {
        let (is_secure, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let (authority, path) = rest.split_at(rest.find('/')?);
        let (host, port) = match authority.strip_prefix('[') {
            Some(address) => address.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if port.is_empty() => {
                if is_secure {
                    443
                } else {
                    80
                }
            }
            None => return None,
        };
        let sound = !host.is_empty()
            && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.:".contains(&octet))
            && path.bytes().all(|octet| octet.is_ascii_graphic() && !b"?#\"<>\\".contains(&octet));
        let is_here =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        (sound && (is_secure || is_here)).then(|| Place { is_secure, host: host.into(), port, path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_places_to_fetch_from() {
        let of = |url: &str| Place::of(url).map(|place| (place.is_secure, place.host, place.port, place.path));
        let code_service = "https://koodistopalvelu.example.fi/codeserver/csapi/v3/conceptcodes";
        let expected = (true, "koodistopalvelu.example.fi".into(), 443, "/codeserver/csapi/v3/conceptcodes".into());
        assert_eq!(of(code_service), Some(expected));
        assert_eq!(of("http://127.0.0.1:8080/codes"), Some((false, "127.0.0.1".into(), 8080, "/codes".into())));
        assert_eq!(of("http://[::1]:1/c"), Some((false, "::1".into(), 1, "/c".into())));
        for url in [
            "http://register.example.fi/codes",
            "http://127.0.0.1.example.fi/codes",
            "ftp://localhost/codes",
            "https://host",
            "https:///codes",
            "https://host/codes?page=1",
            "https://user@host/codes",
            "https://host:x/codes",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
    }

    #[test]
    fn each_fault_names_its_key() {
        let settings: RegisterSettings = toml::from_str(
            "most_lost = 101\n[sync]\nurl = \"https://host/codes\"\npage_size = 0\nsource = \"csv\"\ninterval = \"1s\"",
        )
        .unwrap();
        let faults: Vec<_> = settings.faults().into_iter().map(|fault| fault.key).collect();
        let keys = ["most_lost", "sync.root", "sync.page_size", "sync.source", "sync.interval"];
        assert_eq!(faults, keys.map(|key| format!("register.{key}")));
        assert_eq!(RegisterSettings::default().faults(), []);
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let text = "most_lost = 5\n\n[sync]\nurl = \"http://localhost/c\"\nsource = \"pharmacy\"\npage_size = 9\ninterval = \"1d\"\n";
        let settings: RegisterSettings = toml::from_str(text).unwrap();
        assert_eq!(toml::from_str::<RegisterSettings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
    }
}

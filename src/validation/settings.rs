//! What an operator may set about validation, as it stands in the configuration's `[validation]` table, with the defaults
//! that hold on the public internet. Start with [`Settings`].

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::names::Zone;

/// How challenges are validated and CAA is checked. Every field has a default; an empty table is a good configuration for
/// names of the public dns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The port of http-01, 80 by RFC 8555 §8.3. Another one is for networks that forward it, and for trials.
    pub http_01_port: u16,
    /// The port of tls-alpn-01, 443 by RFC 8737 §3.
    pub tls_alpn_01_port: u16,
    /// Recursive dns servers, as `address:port`. Empty: those of the system (`/etc/resolv.conf`).
    pub resolvers: Vec<SocketAddr>,
    /// Whether answers are validated by DNSSEC, under the root's anchors and those of `zones`.
    pub dnssec: bool,
    /// Zones that are asked elsewhere or validated otherwise. The longest match decides.
    pub zones: Vec<ZoneSettings>,
    /// The time limit of one dns question to one server; it covers UDP and the TCP that may follow.
    #[serde(with = "duration")]
    pub dns_timeout: Duration,
    /// How often one question is asked before it counts as failed; at least once.
    pub dns_attempts: usize,
    /// Networks that validation may reach although they are refused by default: the hospital's own.
    pub allow_networks: Vec<IpNet>,
    /// Networks that validation never reaches. It goes before `allow_networks`.
    pub deny_networks: Vec<IpNet>,
    /// Whether public addresses may be reached at all. `false`: nothing but `allow_networks`.
    pub public_networks: bool,
    /// The time limit of one attempt, CAA included.
    #[serde(with = "duration")]
    pub attempt_timeout: Duration,
    /// The time limit for connecting to one address, so that an unreachable one leaves time for the next.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// The names by which CAA records permit this authority (RFC 8659 §4.2); also the directory's `caaIdentities`.
    pub caa_identities: Vec<String>,
    /// Zones in which a CAA look-up that fails does not refuse, because their dns cannot be reached from here. Answers that
    /// DNSSEC finds bogus refuse there too.
    pub caa_exceptions: Vec<Zone>,
}

/// How one dns zone, and everything below it, is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneSettings {
    /// The zone.
    pub name: Zone,
    /// Whether DNSSEC validates its answers. A private unsigned zone below a signed one needs `false`: its parent cannot
    /// prove it unsigned, so that every answer would be bogus.
    #[serde(default = "yes")]
    pub validate: bool,
    /// Anchors of its own, in the form of a zone file: `hospital.test. IN DNSKEY 257 3 13 <base64>`. They come beside the
    /// root's.
    #[serde(default)]
    pub anchors: Vec<String>,
    /// Servers of its own, as `address:port`. Empty: those of all other names.
    #[serde(default)]
    pub resolvers: Vec<SocketAddr>,
}

fn yes() -> bool {
    true
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            http_01_port: 80,
            tls_alpn_01_port: 443,
            resolvers: Vec::new(),
            dnssec: true,
            zones: Vec::new(),
            dns_timeout: Duration::from_secs(2),
            dns_attempts: 2,
            allow_networks: Vec::new(),
            deny_networks: Vec::new(),
            public_networks: true,
            attempt_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            caa_identities: Vec::new(),
            caa_exceptions: Vec::new(),
        }
    }
}

/// Serde adapter for durations written as `500ms`, `10s`, `5m`, `8h` or `30d`: `#[serde(with = "duration")]`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60 * 1_000), ("h", 60 * 60 * 1_000), ("d", 24 * 60 * 60 * 1_000)];

    /// The duration that `text` stands for: a whole number and its unit, at most 100 years.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let wrong = || {
            format!("\"{text}\" is not a duration: write a whole number and a unit, such as 500ms, 10s, 5m, 8h or 30d")
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let total = number.checked_mul(*milliseconds).filter(|total| *total <= 36_525 * 24 * 60 * 60 * 1_000);
        Ok(Duration::from_millis(total.ok_or_else(wrong)?))
    }

    /// The duration in its largest whole unit.
    pub fn text(duration: Duration) -> String {
        let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let whole = UNITS.iter().rev().find(|(_, unit)| total != 0 && total % unit == 0);
        match whole {
            Some((name, unit)) => format!("{}{name}", total / unit),
            None => "0s".to_owned(),
        }
    }

    /// Writes the largest whole unit.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*duration))
    }

    /// Reads a whole number and its unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_were_written() {
        for text in ["500ms", "10s", "90s", "5m", "8h", "30d", "0s"] {
            assert_eq!(duration::text(duration::parse(text).unwrap()), text);
        }
        assert_eq!(duration::parse("3600s").unwrap(), Duration::from_secs(3600));
        for wrong in ["", "10", "s", "1.5s", "-1s", "10 s", "10S", "1w", "99999999999999999999s", "40000d"] {
            assert!(duration::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_table_is_the_default_and_zones_validate_unless_told() {
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        let text = "attempt_timeout = \"1s\"\n[[zones]]\nname = \"hospital.test\"\nresolvers = [\"127.0.0.1:53\"]";
        let settings: Settings = toml::from_str(text).unwrap();
        assert_eq!(settings.attempt_timeout, Duration::from_secs(1));
        assert!(settings.zones[0].validate && settings.zones[0].anchors.is_empty());
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let mut settings = Settings { http_01_port: 5002, ..Settings::default() };
        settings.allow_networks.push("127.0.0.1/32".parse().unwrap());
        settings.caa_exceptions.push("test".parse().unwrap());
        assert_eq!(toml::from_str::<Settings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
    }
}

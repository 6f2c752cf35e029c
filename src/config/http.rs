//! `[http]`: what an operator may set about the listeners, with defaults for a server on the open internet.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::names::quantity::{duration, size};

/// Bounds of everything that a peer can make the listeners hold or wait for. Each field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// How many connections one listener holds; further ones wait to be accepted.
    pub connections: usize,
    /// How many of them one address (of IPv6 one /64) may hold; further ones are closed at once.
    pub connections_per_address: usize,
    /// How many requests are worked on at once; further ones get 503 and Retry-After.
    pub requests_in_flight: usize,
    /// How many of them one address (of IPv6 one /64) may have; further ones get 503 and Retry-After.
    pub requests_per_address: usize,
    /// How many requests one HTTP/2 connection may have open.
    pub streams: u32,
    /// The largest request body, in octets.
    #[serde(with = "size")]
    pub body_size: usize,
    /// How many header fields a request may have.
    pub headers: usize,
    /// The largest request head, in octets; at least 8 KiB.
    #[serde(with = "size")]
    pub head_size: usize,
    /// The largest body of the admin socket: a register's export is imported through it.
    #[serde(with = "size")]
    pub admin_body_size: usize,
    /// The time limit of a TLS handshake.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
    /// How long a new connection may wait with its first request.
    #[serde(with = "duration")]
    pub first_request_timeout: Duration,
    /// How long a request's head may take from its first octet.
    #[serde(with = "duration")]
    pub head_timeout: Duration,
    /// How long a request's body may take.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// How long a request may take in all, until its answer has been sent.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How long a connection without a request is kept open.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// How long a graceful stop waits for requests in flight.
    #[serde(with = "duration")]
    pub stop_timeout: Duration,
    /// How long the answer to a challenge waits for the first attempt before it answers `processing`. Clients answer the
    /// challenges of an order one after another, so it is short.
    #[serde(with = "duration")]
    pub answer_wait: Duration,
    /// How long finalize waits for the certificate before it answers `processing`.
    #[serde(with = "duration")]
    pub finalize_wait: Duration,
    /// How long a nonce may be used; at least an hour, since some clients never ask twice.
    #[serde(with = "duration")]
    pub nonce_lifetime: Duration,
    /// The memory that remembers spent nonces: one bit for each nonce given out within `nonce_lifetime`.
    #[serde(with = "size")]
    pub nonce_memory: usize,
    /// How long a CRL or an OCSP answer may be kept by caches; at most a minute, so that a revocation is seen at once.
    #[serde(with = "duration")]
    pub status_max_age: Duration,
    /// How many requests an account or an address may make.
    pub rate_limits: RateLimits,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            connections: 10_000,
            connections_per_address: 500,
            requests_in_flight: 1_000,
            requests_per_address: 250,
            streams: 100,
            body_size: 128 << 10,
            headers: 64,
            head_size: 16 << 10,
            admin_body_size: 512 << 20,
            handshake_timeout: Duration::from_secs(10),
            first_request_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(120),
            stop_timeout: Duration::from_secs(30),
            answer_wait: Duration::from_millis(250),
            finalize_wait: Duration::from_secs(2),
            nonce_lifetime: Duration::from_secs(8 * 3600),
            nonce_memory: 8 << 20,
            status_max_age: Duration::from_secs(60),
            rate_limits: RateLimits::default(),
        }
    }
}

impl HttpSettings {
    /// What is wrong with the values; empty if nothing is.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let positive = [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("requests_in_flight", self.requests_in_flight),
            ("requests_per_address", self.requests_per_address),
            ("streams", self.streams as usize),
            ("headers", self.headers),
        ];
        let mut faults: Vec<Fault> = positive
            .iter()
            .filter(|(_, value)| *value == 0)
            .map(|(key, _)| Fault::of(format!("http.{key}"), "must be at least 1"))
            .collect();
        let mut least = |key: &str, holds: bool, bound: &str| {
            if !holds {
                faults.push(Fault::of(format!("http.{key}"), format!("must be {bound}")));
            }
        };
        least("body_size", self.body_size >= 16 << 10, "at least 16KiB, or requests of stock clients do not fit");
        least("head_size", self.head_size >= 8 << 10, "at least 8KiB");
        least("nonce_lifetime", self.nonce_lifetime >= Duration::from_secs(3600), "at least 1h");
        let memory = (1 << 10)..=(1 << 30);
        least("nonce_memory", memory.contains(&self.nonce_memory), "between 1KiB and 1GiB");
        least("status_max_age", self.status_max_age <= Duration::from_secs(60), "at most 60s");
        least("answer_wait", self.answer_wait <= Duration::from_secs(20), "at most 20s");
        least("finalize_wait", self.finalize_wait <= Duration::from_secs(20), "at most 20s");
        let second = Duration::from_secs(1);
        for (key, limit) in [
            ("handshake_timeout", self.handshake_timeout),
            ("first_request_timeout", self.first_request_timeout),
            ("head_timeout", self.head_timeout),
            ("body_timeout", self.body_timeout),
            ("request_timeout", self.request_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            least(key, limit >= second, "at least 1s");
        }
        faults.extend(self.rate_limits.faults());
        faults
    }
}

/// The limits, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Whether there are any.
    pub enabled: bool,
    /// How many keys each limit remembers one by one; further ones share some.
    pub keys: usize,
    /// All requests of one source address (of IPv6: one /64), on every listener.
    pub requests_per_address: Rate,
    /// newAccount requests of one source address.
    pub new_accounts_per_address: Rate,
    /// newOrder requests of one account.
    pub new_orders_per_account: Rate,
    /// newOrder requests of all accounts of one organisation.
    pub new_orders_per_organisation: Rate,
    /// newAuthz requests of one account.
    pub new_authorizations_per_account: Rate,
    /// Challenge answers of one account.
    pub challenge_answers_per_account: Rate,
    /// Changes that one account makes to its organisation, its members and invitations, and revocations.
    pub organisation_changes_per_account: Rate,
}

/// So many at once; used ones come back evenly within `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// The time in which `count` requests come back.
    #[serde(with = "duration")]
    pub per: Duration,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Default for RateLimits {
    fn default() -> Self {
        let rate = |count, per| Rate { count, per };
        RateLimits {
            enabled: true,
            keys: 50_000,
            requests_per_address: rate(6_000, Duration::from_secs(60)),
            new_accounts_per_address: rate(100, HOUR),
            new_orders_per_account: rate(1_000, HOUR),
            new_orders_per_organisation: rate(5_000, HOUR),
            new_authorizations_per_account: rate(1_000, HOUR),
            challenge_answers_per_account: rate(2_000, HOUR),
            organisation_changes_per_account: rate(2_000, HOUR),
        }
    }
}

impl RateLimits {
    /// No limits at all.
    pub fn off() -> Self {
        RateLimits { enabled: false, ..RateLimits::default() }
    }

    /// What is wrong with the values, one sentence each.
    fn faults(&self) -> Vec<Fault> {
        let rates = [
            ("requests_per_address", self.requests_per_address),
            ("new_accounts_per_address", self.new_accounts_per_address),
            ("new_orders_per_account", self.new_orders_per_account),
            ("new_orders_per_organisation", self.new_orders_per_organisation),
            ("new_authorizations_per_account", self.new_authorizations_per_account),
            ("challenge_answers_per_account", self.challenge_answers_per_account),
            ("organisation_changes_per_account", self.organisation_changes_per_account),
        ];
        let mut faults: Vec<_> = rates
            .iter()
            .filter(|(_, rate)| rate.pause().is_none())
            .map(|(key, _)| {
                Fault::of(format!("http.rate_limits.{key}"), "count must be at least 1 and per longer than 0s")
            })
            .collect();
        if self.keys == 0 {
            faults.push(Fault::of("http.rate_limits.keys", "must be at least 1"));
        }
        faults
    }
}

impl Rate {
    /// How long it takes until one used request comes back; none if nothing ever does.
    pub fn pause(self) -> Option<Duration> {
        self.per.checked_div(self.count).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_the_default_and_the_default_has_no_fault() {
        assert_eq!(toml::from_str::<HttpSettings>("").unwrap(), HttpSettings::default());
        assert_eq!(HttpSettings::default().faults(), []);
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let mut settings = HttpSettings { body_size: 64 << 10, ..HttpSettings::default() };
        settings.rate_limits.enabled = false;
        assert_eq!(toml::from_str::<HttpSettings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
    }

    #[test]
    fn each_fault_names_its_key() {
        let settings: HttpSettings =
            toml::from_str("nonce_lifetime = \"10m\"\nconnections = 0\nbody_size = \"1KiB\"").unwrap();
        let faults = settings.faults();
        for key in ["http.connections", "http.nonce_lifetime", "http.body_size"] {
            assert!(faults.iter().any(|fault| fault.key == key), "{key} in {faults:?}");
        }
        assert_eq!(faults.len(), 3);
    }

    #[test]
    fn a_rate_of_nothing_is_a_fault() {
        let limits = RateLimits { requests_per_address: Rate { count: 0, per: HOUR }, ..RateLimits::default() };
        assert_eq!(limits.faults().len(), 1);
    }
}

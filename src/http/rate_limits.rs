//! How many requests an account, an organisation or a source address may make (RFC 8555 §6.6). Memory is bounded: keys that
//! have their whole burst again are forgotten, and when too many are known further ones share a few. Start with
//! [`Limiter::admit`].

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{Quota, RateLimiter, state::keyed::DefaultKeyedStateStore};

use crate::config::{Rate, RateLimits};
use crate::model::Refusal;
use crate::names::{AccountId, OrganisationId};

/// One request as the limits see it: which limit, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Any request from an address.
    Request(IpAddr),
    /// newAccount from an address.
    NewAccount(IpAddr),
    /// newOrder by an account.
    NewOrder(AccountId),
    /// newOrder for an organisation.
    OrganisationOrder(OrganisationId),
    /// newAuthz by an account.
    NewAuthorization(AccountId),
    /// A challenge answer by an account.
    ChallengeAnswer(AccountId),
    /// A change of something that belongs to an organisation, by an account.
    OrganisationChange(AccountId),
}

/// Counts attempts.
pub struct Limiter(Option<Limits>);

struct Limits {
    requests: Limit,
    new_accounts: Limit,
    new_orders: Limit,
    organisation_orders: Limit,
    new_authorizations: Limit,
    challenge_answers: Limit,
    organisation_changes: Limit,
}

impl Limiter {
    /// A limiter; a switched-off one admits everything. Impossible rates count as switched off.
    pub fn new(limits: &RateLimits) -> Self {
        Limiter(if limits.enabled { Limits::new(limits) } else { None })
    }

    /// Whether anything is limited.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Nothing, if the attempt is within its limit.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] with the seconds after which it will be.
    pub fn admit(&self, attempt: Attempt) -> Result<(), Refusal> {
        let Some(limits) = &self.0 else { return Ok(()) };
        let (limit, name) = limits.of(attempt);
        limit
            .admit(attempt.folded())
            .map_err(|wait| Refusal::RateLimited { limit: name.to_owned(), retry_after: whole_seconds(wait) })
    }
}

impl Limits {
    fn new(limits: &RateLimits) -> Option<Self> {
        let limit = |rate: Rate| Limit::new(rate, limits.keys);
        Some(Limits {
            requests: limit(limits.requests_per_address)?,
            new_accounts: limit(limits.new_accounts_per_address)?,
            new_orders: limit(limits.new_orders_per_account)?,
            organisation_orders: limit(limits.new_orders_per_organisation)?,
            new_authorizations: limit(limits.new_authorizations_per_account)?,
            challenge_answers: limit(limits.challenge_answers_per_account)?,
            organisation_changes: limit(limits.organisation_changes_per_account)?,
        })
    }

    fn of(&self, attempt: Attempt) -> (&Limit, &'static str) {
        match attempt {
            Attempt::Request(_) => (&self.requests, "requests per address"),
            Attempt::NewAccount(_) => (&self.new_accounts, "new accounts per address"),
            Attempt::NewOrder(_) => (&self.new_orders, "new orders per account"),
            Attempt::OrganisationOrder(_) => (&self.organisation_orders, "new orders per organisation"),
            Attempt::NewAuthorization(_) => (&self.new_authorizations, "new authorizations per account"),
            Attempt::ChallengeAnswer(_) => (&self.challenge_answers, "challenge answers per account"),
            Attempt::OrganisationChange(_) => (&self.organisation_changes, "changes of an organisation per account"),
        }
    }
}

impl Attempt {
    /// The attempt with its address as limits see it.
    fn folded(self) -> Attempt {
        match self {
            Attempt::Request(address) => Attempt::Request(network(address)),
            Attempt::NewAccount(address) => Attempt::NewAccount(network(address)),
            Attempt::NewOrder(_)
            | Attempt::OrganisationOrder(_)
            | Attempt::NewAuthorization(_)
            | Attempt::ChallengeAnswer(_)
            | Attempt::OrganisationChange(_) => self,
        }
    }
}

/// An IPv4 address, mapped or not; of an IPv6 address the /64, which one machine has for itself.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Further keys share so many, once a limit knows as many as it may.
const SHARED_KEYS: u64 = 4_096;
/// A full table is swept no more often: a sweep looks at every key.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Own(Attempt),
    Shared(u64),
}

struct Limit {
    limiter: RateLimiter<Key, DefaultKeyedStateStore<Key>, DefaultClock>,
    clock: DefaultClock,
    keys: usize,
    hash: RandomState,
    swept: Mutex<Option<Instant>>,
}

impl Limit {
    fn new(rate: Rate, keys: usize) -> Option<Self> {
        let quota = Quota::with_period(rate.pause()?)?.allow_burst(NonZeroU32::new(rate.count)?);
        let limiter = RateLimiter::keyed(quota);
        Some(Limit { limiter, clock: DefaultClock::default(), keys, hash: RandomState::new(), swept: Mutex::new(None) })
    }

    /// How long to wait, if not now.
    fn admit(&self, attempt: Attempt) -> Result<(), Duration> {
        let key = if self.has_room() { Key::Own(attempt) } else { self.shared(attempt) };
        self.limiter.check_key(&key).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    fn has_room(&self) -> bool {
        if self.limiter.len() < self.keys {
            return true;
        }
        let mut swept = self.swept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if swept.is_some_and(|at| at.elapsed() < SWEEP_PAUSE) {
            return false;
        }
        // Keys with a whole burst left need no memory.
        self.limiter.retain_recent();
        *swept = Some(Instant::now());
        self.limiter.len() < self.keys
    }

    fn shared(&self, attempt: Attempt) -> Key {
        Key::Shared(self.hash.hash_one(attempt) % SHARED_KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const HOUR: Duration = Duration::from_secs(3600);

    fn limits(count: u32) -> RateLimits {
        let rate = Rate { count, per: HOUR };
        RateLimits {
            requests_per_address: rate,
            new_orders_per_account: Rate { count: 1, per: HOUR },
            keys: 100,
            ..RateLimits::default()
        }
    }

    #[test]
    fn the_request_after_the_burst_waits_whole_seconds() {
        let limiter = Limiter::new(&limits(3));
        let request = Attempt::Request("192.0.2.1".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(limiter.admit(request), Ok(()));
        }
        let Err(Refusal::RateLimited { retry_after, .. }) = limiter.admit(request) else { panic!("admitted") };
        assert!((1195..=1200).contains(&retry_after), "{retry_after}");
        assert_eq!(limiter.admit(Attempt::Request("192.0.2.2".parse().unwrap())), Ok(()));
    }

    #[test]
    fn one_ipv6_network_of_64_bits_is_one_source() {
        let limiter = Limiter::new(&limits(1));
        let admit = |address: &str| limiter.admit(Attempt::Request(address.parse().unwrap())).is_ok();
        assert!(admit("2001:db8::1") && !admit("2001:db8::ffff") && admit("2001:db8:0:1::1"));
        assert!(admit("192.0.2.1") && !admit("::ffff:192.0.2.1"));
    }

    #[test]
    fn each_account_and_each_kind_of_request_counts_for_itself() {
        let limiter = Limiter::new(&limits(10));
        let now = Timestamp::from_seconds(1_795_000_000);
        let (one, other) = (AccountId::mint(now), AccountId::mint(now));
        assert!(limiter.admit(Attempt::NewOrder(one)).is_ok() && limiter.admit(Attempt::NewOrder(other)).is_ok());
        assert!(limiter.admit(Attempt::NewOrder(one)).is_err());
        assert!(limiter.admit(Attempt::NewAuthorization(one)).is_ok());
    }

    #[test]
    fn however_many_addresses_ask_the_memory_is_bounded() {
        let limiter = Limiter::new(&limits(2));
        for n in 0..20_000u32 {
            let _ = limiter.admit(Attempt::Request(IpAddr::from(n.to_be_bytes())));
        }
        let requests = &limiter.0.as_ref().unwrap().requests;
        assert!(requests.limiter.len() <= 100 + SHARED_KEYS as usize);
    }

    #[test]
    fn switched_off_limits_admit_everything() {
        let limiter = Limiter::new(&RateLimits { enabled: false, ..limits(1) });
        for _ in 0..1000 {
            assert!(limiter.admit(Attempt::Request("192.0.2.1".parse().unwrap())).is_ok());
        }
    }
}

//! The state of one CRL: which number was allocated, which file is published, and when the next one is due.

use serde::{Deserialize, Serialize};

use crate::names::IssuerName;
use crate::time::Timestamp;

/// One CRL shard of one issuer. Its number is allocated in a commit before the CRL is signed, so that a lower number is
/// never served after a higher one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The issuer.
    pub issuer: IssuerName,
    /// The shard.
    pub shard: u16,
    /// The highest CRL number ever allocated.
    pub number: u64,
    /// The CRL that is being served.
    pub published: Option<Published>,
    /// When the next scheduled one is due.
    pub due: Timestamp,
}

/// A published CRL. The list itself is a file of the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Its CRL number.
    pub number: u64,
    /// Its thisUpdate.
    pub this_update: Timestamp,
    /// Its nextUpdate.
    pub next_update: Timestamp,
    /// The file's name below `crl/ISSUER/`.
    pub file: String,
    /// The file's SHA-256.
    #[serde(with = "crate::names::base64url::bytes")]
    pub sha256: [u8; 32],
    /// How many entries it holds.
    pub entries: u64,
}

impl Publication {
    /// A shard that has not been published yet and is due at once.
    pub fn new(issuer: IssuerName, shard: u16, now: Timestamp) -> Self {
        Publication { issuer, shard, number: 0, published: None, due: now }
    }

    /// The shard with the next number allocated.
    pub fn numbered(&self) -> Publication {
        Publication { number: self.number + 1, ..self.clone() }
    }

    /// The shard with a newer CRL, the next one due at `due`. `None` if it would go back.
    pub fn with_published(&self, published: Published, due: Timestamp) -> Option<Publication> {
        let newer = self
            .published
            .as_ref()
            .is_none_or(|old| old.number < published.number && old.this_update <= published.this_update);
        (newer && published.number <= self.number).then(|| Publication {
            published: Some(published),
            due,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(number: u64, at: i64) -> Published {
        Published {
            number,
            this_update: Timestamp::from_seconds(at),
            next_update: Timestamp::from_seconds(at + 100),
            file: String::new(),
            sha256: [0; 32],
            entries: 0,
        }
    }

    #[test]
    fn a_lower_number_or_an_older_time_is_never_published() {
        let now = Timestamp::from_seconds(10);
        let shard = Publication::new("sote-1".parse().unwrap(), 0, now).numbered().numbered().numbered();
        let second = shard.with_published(published(2, 10), now).unwrap();
        assert!(second.with_published(published(1, 20), now).is_none());
        assert!(second.with_published(published(3, 9), now).is_none());
        assert!(second.with_published(published(4, 20), now).is_none(), "a number that was not allocated");
        assert!(second.with_published(published(3, 10), now).is_some());
    }
}

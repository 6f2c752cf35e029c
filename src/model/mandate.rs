//! Mandates: that a person may act for an organisation. The person is kept as a keyed hash only.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::names::{BusinessId, MandateId};
use crate::time::Timestamp;

/// A mandate, added by a registration officer. It names the organisation by its Business ID: the first card signature of an
/// organisation needs it before there is any other record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    /// Its id.
    pub id: MandateId,
    /// The organisation.
    pub business_id: BusinessId,
    /// The person, as a keyed hash: the identifier itself is never kept.
    pub person: PersonHash,
    /// What the person may do.
    pub scope: MandateScope,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The officer who added it.
    pub added_by: String,
    /// When and by whom it was ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<MandateEnd>,
}

/// What a mandate covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MandateScope {
    /// Proving the organisation and becoming its administrator.
    Verification,
}

/// The early end of a mandate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MandateEnd {
    /// When.
    pub at: Timestamp,
    /// The officer.
    pub by: String,
}

impl Mandate {
    /// Whether it is in force at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.from <= now && now < self.until
    }

    /// Whether it lets `person` prove the organisation at `now`.
    pub fn covers(&self, person: &PersonHash, now: Timestamp) -> bool {
        match self.scope {
            MandateScope::Verification => self.person == *person && self.is_in_force(now),
        }
    }

    /// The mandate, ended early.
    pub fn ended(&self, officer: &str, now: Timestamp) -> Mandate {
        Mandate { ended: Some(MandateEnd { at: now, by: officer.to_owned() }), ..self.clone() }
    }
}

/// HMAC-SHA-256 of a person's identifier under the [`PersonKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonHash(#[serde(with = "crate::names::base64url::bytes")] pub [u8; 32]);

/// The key under which identifiers of persons are hashed: without it, nobody who has the store can try identifiers out. It
/// is a file of its own, outside store and backup.
#[derive(Clone)]
pub struct PersonKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonKey(..)")
    }
}

impl PersonKey {
    /// The key of these octets.
    pub fn new(octets: Zeroizing<[u8; 32]>) -> Self {
        PersonKey(octets)
    }

    /// The hash of a person's identifier as a card's certificate or an officer writes it: space around it and the case of
    /// letters do not matter.
    pub fn hash(&self, identifier: &str) -> PersonHash {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0[..]);
        let canonical = Zeroizing::new(identifier.trim().to_uppercase());
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&key, canonical.as_bytes()).as_ref());
        PersonHash(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn key(octet: u8) -> PersonKey {
        PersonKey::new(Zeroizing::new([octet; 32]))
    }

    #[test]
    fn a_person_is_known_by_a_hash_that_needs_the_key() {
        let hash = key(1).hash("99910000001A");
        assert_eq!(key(1).hash(" 99910000001a\n"), hash);
        assert_ne!(key(1).hash("99910000002A"), hash);
        assert_ne!(key(2).hash("99910000001A"), hash);
        assert_eq!(format!("{:?}", key(1)), "PersonKey(..)");
    }

    #[test]
    fn a_mandate_covers_one_person_from_its_begin_to_its_end() {
        let person = key(1).hash("99910000001A");
        let mandate = Mandate {
            id: MandateId::from_bytes([1; 16]),
            business_id: "0245437-2".parse().unwrap(),
            person,
            scope: MandateScope::Verification,
            from: NOW,
            until: NOW.plus(100),
            added_by: "officer".into(),
            ended: None,
        };
        assert!(mandate.covers(&person, NOW) && mandate.covers(&person, NOW.plus(99)));
        assert!(!mandate.covers(&person, NOW.plus(-1)) && !mandate.covers(&person, NOW.plus(100)));
        assert!(!mandate.covers(&key(1).hash("another"), NOW));
        assert!(!mandate.ended("officer", NOW).covers(&person, NOW));
    }
}

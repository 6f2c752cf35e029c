//! The keys of invitations: derived from a master key and the invitation's kid, so that the store holds no secret.

use std::collections::BTreeMap;

use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use crate::model::Invitation;

/// The master keys by generation. The newest one, by name, makes new invitations.
pub struct InvitationKeys {
    masters: BTreeMap<String, Zeroizing<[u8; 32]>>,
    current: String,
}

/// Why a set of master keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvitationKeyError {
    /// There is none of the generation that shall make new invitations.
    #[error("there is no invitation master key of generation \"{0}\"")]
    NoCurrent(String),
    /// A generation's name does not fit a kid.
    #[error("the generation \"{0}\" of an invitation master key must have 1 to 16 characters of a-z and 0-9")]
    BadGeneration(String),
}

impl InvitationKeys {
    /// Master keys by generation; `current` makes new invitations.
    pub fn new(
        masters: impl IntoIterator<Item = (String, Zeroizing<[u8; 32]>)>,
        current: &str,
    ) -> Result<Self, InvitationKeyError> {
        let masters: BTreeMap<_, _> = masters.into_iter().collect();
        let fits = |name: &&String| {
            (1..=16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if let Some(bad) = masters.keys().find(|name| !fits(name)) {
            return Err(InvitationKeyError::BadGeneration(bad.clone()));
        }
        if !masters.contains_key(current) {
            return Err(InvitationKeyError::NoCurrent(current.to_owned()));
        }
        Ok(InvitationKeys { masters, current: current.to_owned() })
    }

    /// The generation of new invitations.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The MAC key of an invitation, unless its generation's master key is gone.
    pub fn mac_key(&self, invitation: &Invitation) -> Option<Zeroizing<[u8; 64]>> {
        let master = self.masters.get(&invitation.key_generation)?;
        Some(derived(master, &invitation.kid()))
    }

    /// A key that nobody holds: an unknown kid takes the same work as a known one.
    pub(super) fn decoy(&self, kid: &str) -> Zeroizing<[u8; 64]> {
        let master = self.masters.get(&self.current).cloned().unwrap_or_default();
        derived(&master, &format!("decoy {kid}"))
    }
}

/// 64 octets, as many as HS512 needs (RFC 7518 §3.2): HKDF-SHA-256 (RFC 5869) over the master key with the kid as its information.
fn derived(master: &Zeroizing<[u8; 32]>, kid: &str) -> Zeroizing<[u8; 64]> {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            64
        }
    }
    let mut key = Zeroizing::new([0u8; 64]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"sote-acme invitation")
        .extract(&master[..])
        .expand(&[kid.as_bytes()], Length)
        .and_then(|okm| okm.fill(&mut key[..]))
        .expect("64 octets are within HKDF's length");
    // In base64url a key of which this bit is set may begin with `-`, which certbot's command line takes for an option.
    key[0] &= 0x7f;
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::base64url;

    fn keys() -> InvitationKeys {
        InvitationKeys::new([("k1".to_owned(), Zeroizing::new([7; 32]))], "k1").unwrap()
    }

    #[test]
    fn keys_differ_by_kid_and_are_the_same_again() {
        let master = Zeroizing::new([7; 32]);
        assert_eq!(*derived(&master, "k1_a"), *derived(&master, "k1_a"));
        assert_ne!(*derived(&master, "k1_a"), *derived(&master, "k1_b"));
        assert_ne!(*keys().decoy("k1_a"), *derived(&master, "k1_a"));
    }

    #[test]
    fn no_key_begins_like_an_option_of_a_command_line() {
        let master = Zeroizing::new([7; 32]);
        for number in 0..1_000 {
            let key = derived(&master, &format!("k1_{number}"));
            assert!(!base64url::encode(&key[..]).starts_with(['-', '_']));
        }
    }

    #[test]
    fn a_generation_that_does_not_fit_a_kid_is_refused() {
        assert!(InvitationKeys::new([("k_1".to_owned(), Zeroizing::new([7; 32]))], "k_1").is_err());
        assert!(InvitationKeys::new([], "k1").is_err());
    }
}

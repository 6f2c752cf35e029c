//! Identifiers of records: 48 bits of milliseconds, then 80 random bits, so that keys ascend in the store and cannot be
//! guessed (RFC 8555 §10.5).

use std::str::FromStr;

use super::{NameError, base64url};
use crate::time::Timestamp;

/// Sixteen octets that begin with the time: the material of ids and serial numbers.
pub(super) fn ascending_octets(now: Timestamp) -> [u8; 16] {
    let mut octets = [0u8; 16];
    aws_lc_rs::rand::fill(&mut octets[6..]).expect("the operating system's random source works");
    // Within one second ids keep ascending by the process's own sub-second clock: order only, never a decision.
    let milliseconds = (now.seconds().max(0) as u64) * 1000 + u64::from(subsecond_milliseconds());
    octets[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    octets
}

fn subsecond_milliseconds() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.subsec_millis())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new id: its first 48 bits are `now` in milliseconds, the rest is random.
            pub fn mint(now: Timestamp) -> Self {
                $name(ascending_octets(now))
            }

            /// The octets, as the store's key.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The id with these octets.
            pub const fn from_bytes(octets: [u8; 16]) -> Self {
                $name(octets)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = NameError;

            fn try_from(octets: &[u8]) -> Result<Self, NameError> {
                octets.try_into().map($name).map_err(|_| NameError::new("an id has 16 octets"))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&base64url::encode(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                base64url::decode_array(text).map($name)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An ACME account (and its membership, which has the same key).
    AccountId,
    /// An order.
    OrderId,
    /// An authorization.
    AuthorizationId,
    /// A challenge of an authorization.
    ChallengeId,
    /// A certificate's record; not its serial number.
    CertificateId,
    /// An organisation.
    OrganisationId,
    /// An invitation; the last part of an external account binding's kid.
    InvitationId,
    /// A mandate.
    MandateId,
    /// An event of an organisation.
    EventId,
    /// A page on which an account's holder agrees to changed terms of service.
    TermsPageId,
    /// One run of the process.
    BootId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_22_characters_and_reads_back() {
        let id = OrderId::mint(Timestamp::from_seconds(1_795_000_000));
        let text = id.to_string();
        assert_eq!(text.len(), 22);
        assert_eq!(text.parse::<OrderId>().unwrap(), id);
    }

    #[test]
    fn ids_ascend_with_time() {
        let (early, late) = (Timestamp::from_seconds(1_795_000_000), Timestamp::from_seconds(1_795_000_002));
        assert!(OrderId::mint(early) < OrderId::mint(late));
    }

    #[test]
    fn another_spelling_is_no_id() {
        for text in ["", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAA"] {
            assert!(text.parse::<OrderId>().is_err(), "{text}");
        }
    }
}

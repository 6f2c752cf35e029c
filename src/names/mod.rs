//! Checked values: the vocabulary of every other module. Each type checks itself while it is parsed, so that whoever
//! holds one may trust it. Nothing here knows a record, a wire message or a clock. Start with [`DnsName`].

pub mod base64url;
mod business_id;
mod dns_name;
mod id;
mod oid;
mod profile_name;
pub mod quantity;
mod revocation_reason;
mod role;
mod serial_number;
mod zone;

pub use business_id::{BusinessId, OrganisationIdentifier};
pub use dns_name::DnsName;
pub use id::{
    AccountId, AuthorizationId, BootId, CertificateId, ChallengeId, EventId, InvitationId, MandateId, OrderId,
    OrganisationId, TermsPageId,
};
pub use oid::UnitOid;
pub use profile_name::{IssuerName, ProfileName};
pub use revocation_reason::RevocationReason;
pub use role::Role;
pub use serial_number::SerialNumber;
pub use zone::Zone;

/// Why a text is not the checked value that it claims to be. The message is written for whoever sent the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub(crate) String);

impl NameError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        NameError(text.into())
    }
}

/// `Display`, `Serialize` and `Deserialize` through `as_str` and `FromStr`, for types that hold their canonical text.
macro_rules! text_value {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_value;

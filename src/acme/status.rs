//! The statuses of RFC 8555 §7.1.6. No other word ever stands in a `status`: stock clients know these only.

use serde::{Deserialize, Serialize};

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $(#[doc = concat!("`", stringify!($variant), "`, in lower case on the wire.")] $variant,)*
        }
    )*};
}

statuses! {
    /// An account's status.
    AccountStatus { Valid, Deactivated, Revoked }
    /// An order's status.
    OrderStatus { Pending, Ready, Processing, Valid, Invalid }
    /// An authorization's status.
    AuthorizationStatus { Pending, Valid, Invalid, Deactivated, Expired, Revoked }
    /// A challenge's status.
    ChallengeStatus { Pending, Processing, Valid, Invalid }
}

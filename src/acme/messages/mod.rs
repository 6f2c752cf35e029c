//! The JSON of requests and answers (RFC 8555 §7.1 and its extensions), for server and client alike. Requests ignore
//! members that they do not know, since stock clients send odd ones; answers leave out what they do not have, and stay
//! flat where stock clients read them by pattern. Read a request with [`json::object`](super::json::object).

mod account;
mod authorization;
mod certificate;
mod directory;
mod order;
pub mod organisation;

pub use account::{AccountObject, AccountUpdate, KeyChange, NewAccount, OrdersList};
pub use authorization::{
    Applicant, ApplicationDocument, ApprovalAnswer, AuthorizationObject, AuthorizationUpdate, ChallengeAnswer,
    ChallengeObject, NewAuthorization, SignatureAnswer, TokenAnswer,
};
pub use certificate::{RenewalInfo, Revocation, SuggestedWindow, reason_code};
pub use directory::{Directory, DirectoryMeta};
pub use order::{Finalize, NewOrder, OrderObject, ProgressState, ProgressStep};

/// `"status": "deactivated"`, the only change of status that a client may ask for; any other content is ignored.
// RFC 8555 §7.3.2: the server ignores a status other than "deactivated"; §7.5.2 uses the same word.
mod deactivation {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(_deactivate: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("deactivated")
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        Ok(serde_json::Value::deserialize(deserializer)? == "deactivated")
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

//! The wire: what RFC 8555 and its extensions put into requests and answers. Server and client share it, so nothing here
//! knows a record, a store or a clock. Start with [`jws`] for a request's way in, with [`messages`] for its content.

pub mod authority_token;
pub mod card_signature;
pub mod challenge_type;
pub mod compact;
pub mod external_account;
mod flattened;
pub mod identifier;
pub mod json;
pub mod jwk;
pub mod jws;
pub mod jws_algorithm;
pub mod jws_signing;
pub mod key_authorization;
pub mod key_change;
pub mod messages;
pub mod problem;
mod protected_header;
pub mod renewal;
pub mod route;
pub mod status;
mod thumbprint;
pub mod urls;
mod verifier;

//! Sote-ACME: a certificate authority that issues, renews and revokes Finnish social welfare and healthcare service
//! certificates over ACME (RFC 8555). `docs/ARCHITECTURE.md` is the map; `tests/layers.rs` holds it true.

pub mod acme;
pub mod authority;
pub mod client;
pub mod commands;
pub mod config;
pub mod http;
pub mod issuer;
pub mod model;
pub mod names;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod public_key;
pub mod register;
pub mod signer;
pub mod store;
pub mod time;
pub mod validation;
pub mod worker;
pub mod x509;

//! RFC 8555 and its extensions as sentences, a file per chapter, over real TLS against a started server.

#[path = "../listeners/mod.rs"]
mod listeners;
#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod authorizations;
mod challenges;
mod external_account_binding;
mod finalize_and_certificates;
mod key_change;
mod membership;
mod nonces;
mod orders;
mod profiles;
mod renewal_information;
mod revocation;
mod transport_and_jws;

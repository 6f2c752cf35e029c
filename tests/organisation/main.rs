//! Organisations as sentences, over real TLS against started listeners: how they prove themselves, what their members may
//! order, who may take them over, and what officers decide. The rows X of `docs/protocol.md`.

#[path = "../listeners/mod.rs"]
mod listeners;

mod approval;
mod crashes;
mod identifiers;
mod orders;
mod proofs;
mod races;
mod takeover;
mod world;

//! Sote-ACME server.
fn main() {}

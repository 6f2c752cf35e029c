//! The body of a signed request: read, and verified by its own key if it brings one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::acme::jws::{KeySource, UnverifiedJws};

fuzz_target!(|body: &[u8]| {
    let Ok(jws) = UnverifiedJws::parse(body) else { return };
    if let KeySource::Jwk(key) = jws.header().key.clone()
        && let Ok(verified) = jws.verify(&key)
    {
        let _ = verified.object::<serde_json::Map<String, serde_json::Value>>();
    }
});

//! The protected header of a JWS, within a body that is sound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::acme::jws::UnverifiedJws;
use sote_acme::names::base64url;

fuzz_target!(|header: &[u8]| {
    let body = format!(r#"{{"protected":"{}","payload":"","signature":"AA"}}"#, base64url::encode(header));
    let _ = UnverifiedJws::parse(body.as_bytes());
});

//! A JWK: what is accepted is the same key when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sote_acme::acme::json;
use sote_acme::acme::jwk::Jwk;

fuzz_target!(|text: &[u8]| {
    let Ok(members) = json::members(text) else { return };
    let Ok(key) = Jwk::parse_unjudged(&Value::Object(members)) else { return };
    let _ = key.judge();
    let again = Jwk::parse_unjudged(&key.to_json()).expect("it reads what it writes");
    assert_eq!((again.thumbprint(), again.algorithm()), (key.thumbprint(), key.algorithm()));
});

//! The reader of single DER elements, all the way down, and names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::x509::{DistinguishedName, canonical};

fuzz_target!(|der: &[u8]| {
    let _ = canonical(der);
    if let Ok(name) = DistinguishedName::from_der(der) {
        let _ = name.to_string();
    }
});

//! An OCSP response.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::x509::ocsp::OcspResponse;

fuzz_target!(|der: &[u8]| {
    let _ = OcspResponse::parse(der);
});

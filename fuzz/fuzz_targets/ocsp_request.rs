//! An OCSP request: what is accepted means the same when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::x509::ocsp::OcspRequest;

fuzz_target!(|der: &[u8]| {
    let Ok(request) = OcspRequest::parse(der) else { return };
    let again = OcspRequest::parse(&request.to_der()).expect("it reads what it writes");
    assert_eq!(again.certificates(), request.certificates());
    assert_eq!(again.nonce().map(|nonce| nonce.as_bytes()), request.nonce().map(|nonce| nonce.as_bytes()));
});

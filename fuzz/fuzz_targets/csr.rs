//! A certificate request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::x509::CertificateRequest;

fuzz_target!(|der: &[u8]| {
    let Ok(request) = CertificateRequest::parse(der) else { return };
    assert_eq!(request.der(), der);
    let _ = (request.identifiers(), request.common_names().count(), request.organisation_identifiers().count());
});

//! PEM, as the server and the client read it: what is accepted means the same when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::client::CertificateChain;
use sote_acme::x509::{Certificate, pem};

fuzz_target!(|text: &str| {
    if let Ok(objects) = pem::decoded("CERTIFICATE", text) {
        let written: String = objects.iter().map(|object| pem::encoded("CERTIFICATE", object)).collect();
        assert_eq!(pem::decoded("CERTIFICATE", &written), Ok(objects));
    }
    let _ = CertificateChain::from_pem(text);
    let _ = Certificate::parse_pem_chain(text);
});

//! A certificate, as this crate and as the client read it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::client::relying_service::Link;
use sote_acme::x509::Certificate;

fuzz_target!(|der: &[u8]| {
    if let Ok(link) = Link::parsed(der) {
        let _ = (link.subject(), link.validity(), link.serial_number(), link.public_key());
    }
    let Ok(certificate) = Certificate::parse(der) else { return };
    let _ = (certificate.alternative_names().len(), certificate.crl_url(), certificate.issuer_url());
    let _ = certificate.verify_signed_by(certificate.public_key());
});

//! A CRL: what this crate reads, the client's reader reads as well, with as many entries.

#![no_main]

use der::Decode as _;
use libfuzzer_sys::fuzz_target;
use sote_acme::x509::Crl;
use x509_cert::crl::CertificateList;

fuzz_target!(|der: &[u8]| {
    let theirs: der::Result<CertificateList> = CertificateList::from_der(der);
    let Ok(crl) = Crl::parse(der) else { return };
    let _ = (crl.number(), crl.next_update(), crl.distribution_point());
    for entry in crl.entries() {
        assert!(crl.entry(&entry.serial).is_some());
    }
    if let Ok(theirs) = theirs {
        let entries = theirs.tbs_cert_list.revoked_certificates.unwrap_or_default();
        assert_eq!(crl.entries().len(), entries.len());
    }
});

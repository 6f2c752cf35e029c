//! A public key of a certificate request, parsed and judged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::acme::jwk::Jwk;
use sote_acme::public_key::PublicKey;

fuzz_target!(|der: &[u8]| {
    let Ok(key) = PublicKey::from_spki_der(der) else { return };
    let again = PublicKey::from_spki_der(&key.to_spki_der()).expect("it reads what it writes");
    assert_eq!(again.fingerprint(), key.fingerprint());
    if let Ok(jwk) = Jwk::try_from(key.clone()) {
        let _ = jwk.judge();
        assert_eq!(jwk.public_key(), &key);
    }
});

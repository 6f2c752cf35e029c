//! Identifiers as a message carries them: `{"identifiers":[{"type":…,"value":…}]}`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::acme::identifier::{Identifier, Identifiers, RawIdentifier};
use sote_acme::acme::json;
use sote_acme::acme::messages::NewOrder;

fuzz_target!(|text: &[u8]| {
    let Ok(order) = json::object::<NewOrder>(text) else { return };
    let identifiers: Vec<_> = order.identifiers.iter().filter_map(|raw| Identifier::try_from(raw).ok()).collect();
    for identifier in &identifiers {
        let raw = RawIdentifier::from(identifier);
        assert_eq!(&Identifier::try_from(&raw).expect("it reads what it writes"), identifier);
    }
    if let Ok(checked) = Identifiers::try_from(identifiers) {
        assert!(checked.iter().all(|identifier| checked.contains(identifier)));
    }
});

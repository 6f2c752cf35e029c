//! The records of the trial's dns responder.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sote_acme::commands::dns_responder::records::Record;

fuzz_target!(|line: &str| {
    let _ = line.parse::<Record>();
});

//! A configuration: whatever the text, an answer; every fault is one line.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sote_acme::config::Config;

fuzz_target!(|text: &str| {
    // Other files are none of this text's business.
    if text.contains("profile_files") {
        return;
    }
    if let Err(faults) = Config::parse(text, Path::new("/nonexistent")) {
        assert!(!faults.is_empty());
        assert!(faults.iter().all(|fault| fault.to_string().lines().count() == 1), "{faults:?}");
    }
});

//! An export of a register, read as each of the sources that there are: spreadsheets, JSON, XML and CSV.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sote_acme::register::{Elsewhere, Source, read, total_pages};

fuzz_target!(|file: &[u8]| {
    for source in Source::ALL {
        let _ = read(source, Cursor::new(file)).map(|reading| reading.checked(&Elsewhere::default()));
    }
    let _ = total_pages(file);
});

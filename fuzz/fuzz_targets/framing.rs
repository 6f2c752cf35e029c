//! The framing of HTTP/1.1 requests: however the octets come in pieces, the same heads are found ambiguous.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/http/framing.rs"]
mod framing;

use framing::Framing;

fuzz_target!(|octets: &[u8]| {
    let (mut whole, mut pieces) = (Framing::new(), Framing::new());
    whole.read(octets);
    octets.chunks(3).for_each(|piece| pieces.read(piece));
    for _ in 0..16 {
        assert_eq!(whole.next_is_ambiguous(), pieces.next_is_ambiguous());
    }
});

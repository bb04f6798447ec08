//! Bytes from strangers as a master file: `cargo +nightly fuzz run master`.

#![no_main]

use hickory_proto::rr::Name;

#[path = "../../tests/support/masters.rs"]
mod masters;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| masters::check(bytes, &Name::root()));

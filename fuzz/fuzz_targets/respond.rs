//! Bytes from strangers into `respond`: `cargo +nightly fuzz run respond`.

#![no_main]
// Of what the tests share, this is a part.
#![allow(dead_code)]

#[path = "../../tests/support/answers.rs"]
mod answers;
#[path = "../../tests/support/dns.rs"]
mod dns;
#[path = "../../tests/support/strangers.rs"]
mod strangers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strangers::check(bytes));

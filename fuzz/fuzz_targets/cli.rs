#![no_main]
include!("../cli/mod.rs");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cli(bytes));

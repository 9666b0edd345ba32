#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| depickle_fuzz::faults(bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| qwenda_gguf::fuzz(data));

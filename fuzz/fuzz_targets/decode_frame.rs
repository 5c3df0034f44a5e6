//! Any bytes as a frame, as they are and with checksums that fit: what is accepted is what writing it gives.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sessionlog::fuzz_frame(bytes));

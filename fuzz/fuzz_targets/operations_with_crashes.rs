//! A history, a power cut, what follows it: all drawn from the input. See `src/sim/harness`.

#![no_main]

use sessionlog::sim::{Bytes, harness::run_chosen};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = run_chosen(&mut Bytes::new(bytes)) {
        panic!("{broken}");
    }
});

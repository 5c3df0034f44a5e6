//! Damage of any kind to a good log: nothing wrong is ever read, and repair keeps every event that could be read.
//! Forged checksums are left to `tests/damage_swarm.rs`.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sessionlog::sim::Bytes;
use sessionlog::sim::harness::Victims;

fuzz_target!(|bytes: &[u8]| {
    static VICTIMS: OnceLock<Victims> = OnceLock::new();
    let victims = VICTIMS.get_or_init(|| Victims::new().expect("logs"));
    if let Err(broken) = victims.damage_and_repair(false, &mut Bytes::new(bytes)) {
        panic!("{broken}");
    }
});

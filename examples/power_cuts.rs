//! Simulated power cuts, for hours: `cargo run --release --features sim --example power_cuts -- [FIRST SEED] [SEEDS]`.
//!
//! Stops at the first history that loses something and prints its seed, which runs it again.

use std::time::Instant;

use sessionlog::sim::harness::{Summary, run};

/// Power cuts into each history, before those that follow in its later generations.
const CUTS: u64 = 8;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|n| n.parse().expect("a number"));
    let (first, seeds) = (
        arguments.next().unwrap_or(0),
        arguments.next().unwrap_or(10_000_u64),
    );
    let (started, mut all) = (Instant::now(), Summary::default());
    for done in 1..=seeds {
        match run(first + done - 1, CUTS) {
            Ok(summary) => all.add(summary),
            Err(broken) => {
                println!("{broken}");
                std::process::exit(1);
            }
        }
        if done % 1000 == 0 || done == seeds {
            let rate = all.power_cuts * 1000 / (started.elapsed().as_millis() as u64).max(1);
            let distinct = 100 * all.states.len() as u64 / all.power_cuts;
            println!(
                "{done} seeds: {} power cuts, {} of them in a recovery, {rate} per second, {distinct} % to different \
                 states of the disk, {} torn tails, {} suspect ones, nothing lost",
                all.power_cuts, all.in_recovery, all.torn, all.suspect
            );
        }
    }
}

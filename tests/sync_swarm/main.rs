//! Many devices, a bad network, power cuts, old backups and wrong clocks: one history, and nothing lost.
//!
//! The oracle, after every history: each acknowledged event is in the remote's history, in a local log or in a
//! branch that was set aside. The remote has one history, and it only ever grows. Devices that sync once more
//! without faults have the same events at every version. No event is in the history twice, whatever was reported.
//! A collection removes nothing that a history needs. A session that was deleted never comes back, and no copy
//! of it on another device goes.

mod careless;
mod device;
mod history;
mod keeping;
mod summary;
mod world;

use summary::Summary;
use world::World;

/// Seeds that failed once; each tells a story.
///
/// 4591: a claim in doubt was tried again, the second answer was clear, and then the first attempt arrived: the claim
/// was reported as failed.
const REGRESSIONS: [u64; 1] = [4591];

#[test]
fn no_event_is_lost_or_doubled_between_devices() {
    let seeds: u64 = std::env::var("SESSIONLOG_SEEDS").map_or(150, |n| n.parse().unwrap());
    let from: u64 = std::env::var("SESSIONLOG_FROM").map_or(0, |n| n.parse().unwrap());
    let mut all = Summary::default();
    for seed in REGRESSIONS.into_iter().chain(from..from + seeds) {
        all += World::new(seed, false)
            .run()
            .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    println!("{all:?}");
    // The rare paths must be hit, or the swarm proves little.
    let paths = [
        all.power_cuts,
        all.restores,
        all.rebased,
        all.forked,
        all.took,
        all.unknown,
        all.claimed,
        all.collected,
        all.deleted,
    ];
    assert!(paths.iter().all(|count| *count > 0), "{all:?}");
}

#[test]
fn a_remote_that_ignores_conditions_is_caught() {
    let caught = (0..60)
        .filter(|seed| World::new(*seed, true).run().is_err())
        .count();
    assert!(caught > 0, "the oracle does not notice lost races");
}

//! Power cuts at random moments of random histories lose nothing that was acknowledged.

use sessionlog::sim::harness::{Summary, run};

/// Seeds that failed once; each tells a story.
const REGRESSIONS: [u64; 5] = [
    // A torn frame whose envelopes were whole was taken for acknowledged data with a damaged payload.
    2,
    // The write of a MARK was lost while a later write to the same sector was not, and that looked like no hole.
    82,
    // A writer that opened from a snapshot behind a GAP took an epoch below that of the frames before it, and its
    // commits were refused later.
    217,
    // A GAP that repair wrote again had a later epoch than the frame behind it, which the next repair dropped.
    600,
    // A frame whose header itself was cut off by the end of the file did not count as running past it.
    16195,
];

#[test]
fn no_power_cut_loses_an_acknowledged_event_or_invents_one() {
    let seeds: u64 = std::env::var("SESSIONLOG_SEEDS").map_or(60, |n| n.parse().unwrap());
    let mut all = Summary::default();
    for seed in REGRESSIONS.into_iter().chain(0..seeds) {
        let summary = run(seed, 8).unwrap_or_else(|e| panic!("{e}"));
        all.add(summary);
    }
    let share = 100 * all.states.len() as u64 / all.power_cuts;
    println!(
        "{} power cuts, {share} % of them to different states; {} torn, {} suspect, {} in a recovery",
        all.power_cuts, all.torn, all.suspect, all.in_recovery
    );
    // The rare paths must be hit, or the swarm proves little.
    assert!(
        all.torn > 0 && all.suspect > 0 && all.in_recovery > 0,
        "{} torn, {} suspect, {} in a recovery",
        all.torn,
        all.suspect,
        all.in_recovery
    );
}

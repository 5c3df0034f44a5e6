//! Any mixture of damage to a log's files: nothing wrong is read, repair keeps every event that could be read, and the
//! session goes on.

use sessionlog::sim::Seeded;
use sessionlog::sim::harness::Victims;

/// Seeds that failed once; each tells a story.
const REGRESSIONS: [u64; 6] = [
    // Commits that do not link to each other: repair kept each of them, and the log stayed refused.
    23,
    // A salt in the header of the last segment that is not that of the log: only a writer met it.
    6031,
    // A commit that was moved behind a later one kept its old epoch when it was put in order, and was lost after that.
    11_196,
    // A corrected frame pushed out a segment behind it that began inside of it and had events of its own.
    12_469,
    // The tail was torn, so nobody said that the commits before it do not link to each other.
    18_406, // One frame with a version far ahead hid all that came behind it.
    27_842,
];

#[test]
fn whatever_happens_to_the_files_repair_keeps_what_could_be_read_and_the_session_goes_on() {
    let number = |name, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let first = number("SESSIONLOG_FIRST_SEED", 0_u64);
    let count = number("SESSIONLOG_SEEDS", 300);
    let victims = Victims::new().unwrap();
    let (mut repaired, mut failed) = (0, Vec::new());
    for seed in REGRESSIONS.into_iter().chain(first..first + count) {
        match victims.damage_and_repair(true, &mut Seeded::new(seed)) {
            Ok(damaged) => repaired += u64::from(damaged),
            Err(error) => failed.push(format!("seed {seed}: {error}")),
        }
    }
    println!("{count} logs, {repaired} of them repaired");
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(repaired > count / 2, "only {repaired} of {count}");
}

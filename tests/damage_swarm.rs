//! Any mixture of damage to a log's files: nothing wrong is read, repair keeps every event that could be read, and the
//! session goes on.

use sessionlog::sim::Seeded;
use sessionlog::sim::harness::Victims;

/// Seeds that failed once, and what went wrong.
const REGRESSIONS: [(u64, &str); 6] = [
    (
        23,
        "commits that do not link to each other were kept, and the log stayed refused",
    ),
    (
        6031,
        "only a writer met a last segment whose header has another salt",
    ),
    (
        11_196,
        "a moved commit kept its old epoch when it was put in order",
    ),
    (
        12_469,
        "a corrected frame pushed out a segment that began inside of it",
    ),
    (
        18_406,
        "behind a torn tail nobody said that commits do not link",
    ),
    (
        27_842,
        "a frame with a version far ahead hid all that came behind it",
    ),
];

#[test]
fn whatever_happens_to_the_files_repair_keeps_what_could_be_read_and_the_session_goes_on() {
    let number = |name, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let first = number("SESSIONLOG_FIRST_SEED", 0_u64);
    let count = number("SESSIONLOG_SEEDS", 300);
    let victims = Victims::new().unwrap();
    let (mut repaired, mut failed) = (0, Vec::new());
    let known = REGRESSIONS.into_iter();
    let new = (first..first + count).map(|seed| (seed, "new"));
    for (seed, story) in known.chain(new) {
        match victims.damage_and_repair(true, &mut Seeded::new(seed)) {
            Ok(damaged) => repaired += u64::from(damaged),
            Err(error) => failed.push(format!("seed {seed} ({story}): {error}")),
        }
    }
    println!("{count} logs, {repaired} of them repaired");
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(repaired > count / 2, "only {repaired} of {count}");
}

//! The power goes at every operation of a rebase and of a take-remote: before the swap nothing has happened, after it
//! the new log is whole, and the branch that lost is always there.

#[allow(dead_code, reason = "the swarm uses the rest")]
#[path = "sync_swarm/history.rs"]
mod history;

use std::path::Path;
use std::sync::Arc;

use sessionlog::sim::{FaultPlan, Policy, Seeded, SimDisk};
use sessionlog::storage::Storage;
use sessionlog::sync::{MemoryRemote, Resolution, Syncer};
use sessionlog::{EventKind, Store};

use history::{events, texts};

const COMMON: &str = r#"{"n":"common"}"#;
const THEIRS: &str = r#"{"n":"theirs"}"#;
const MINE: [&str; 3] = [
    r#"{"n":"mine 1"}"#,
    r#"{"n":"mine 2"}"#,
    r#"{"n":"mine 3"}"#,
];

fn store(disk: &SimDisk) -> Store {
    let storage = Arc::new(disk.clone()) as Arc<dyn Storage>;
    Store::options().storage(storage).open("/store").unwrap()
}

fn append(disk: &SimDisk, texts: &[&str]) {
    let session = store(disk).session("s").unwrap();
    for text in texts {
        session.append_json("a", text).unwrap();
    }
}

fn syncer(disk: &SimDisk, bucket: &MemoryRemote) -> Syncer {
    Syncer::new(&store(disk), Arc::new(bucket.clone())).unwrap()
}

/// A device that has diverged.
fn diverged() -> (SimDisk, MemoryRemote) {
    let (bucket, here, there) = (MemoryRemote::new(), SimDisk::new(), SimDisk::new());
    append(&there, &[COMMON]);
    syncer(&there, &bucket).push("s").unwrap();
    syncer(&here, &bucket).clone_session("s").unwrap();
    append(&there, &[THEIRS]);
    syncer(&there, &bucket).push("s").unwrap();
    append(&here, &MINE);
    (here, bucket)
}

fn messages(disk: &SimDisk) -> Vec<String> {
    let all = events(&store(disk), "s").unwrap().into_iter();
    let added = all.filter(|event| event.kind == EventKind::MessageAdded);
    added.map(|event| event.payload).collect()
}

/// Cuts the power at one operation; `false` if the resolution ended before. It ends with a cut then, too.
fn cut(how: &Resolution, at: u64, policy: Policy, seed: u64) -> bool {
    let (disk, bucket) = diverged();
    let resolving = syncer(&disk, &bucket);
    disk.set_faults(FaultPlan::power_cut(disk.operations() + at));
    let resolved = resolving.resolve("s", how);
    let struck = disk.faults_struck() > 0;
    assert!(struck || resolved.is_ok(), "{resolved:?}");
    drop(resolving);
    let disk = disk.crash(policy, &mut Seeded::new(seed));
    let place = format!("{how:?}, operation {at}, {policy:?}, seed {seed}");

    let before = [&[COMMON][..], &MINE].concat();
    let after = match how {
        Resolution::Rebase => [&[COMMON, THEIRS][..], &MINE].concat(),
        _ => vec![COMMON, THEIRS],
    };
    let found = messages(&disk);
    assert!(
        found == after || (struck && found == before),
        "{place}: {found:?}"
    );
    let mut everywhere = Vec::new();
    texts(&disk, Path::new("/store"), &mut everywhere).unwrap();
    for text in MINE {
        assert!(
            everywhere.iter().any(|found| found == text),
            "{place}: {text} is lost"
        );
    }
    syncer(&disk, &bucket).resolve("s", how).unwrap();
    assert_eq!(messages(&disk), after, "{place}, and once more");
    struck
}

#[test]
fn a_swap_has_not_begun_or_is_whole_whenever_the_power_goes() {
    let seeds = std::env::var("SESSIONLOG_SEEDS").map_or(2, |n| n.parse().unwrap());
    for how in [Resolution::Rebase, Resolution::TakeRemote] {
        for seed in 0..seeds {
            let policy = if seed == 0 {
                Policy::Nothing
            } else {
                Policy::AnySubset
            };
            let mut at = 1;
            while cut(&how, at, policy, seed) {
                at += 1;
            }
            assert!(at > 40, "only {at} operations");
        }
    }
}

//! The power goes at every operation of a rebase and of a take-remote: before the swap nothing has happened, after it
//! the new log is whole, and the branch that lost is always there.

#[allow(dead_code, reason = "the swarm uses the rest")]
#[path = "sync_swarm/history.rs"]
mod history;

use std::path::Path;
use std::sync::Arc;

use sessionlog::sim::{FaultPlan, Op, OpKind, Policy, Seeded, SimDisk};
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

/// The simulated disk keeps renames of directories in order, and a rename behind the directories that it leads into.
/// Not every file system has to.
#[test]
fn every_name_that_a_rename_of_the_swap_needs_is_synced_before_it() {
    let (disk, bucket) = diverged();
    let resolving = syncer(&disk, &bucket);
    disk.clear_trace();
    resolving.resolve("s", &Resolution::TakeRemote).unwrap();
    let trace = disk.trace();
    let session = Path::new("/store/sessions/s");
    let is = |op: &Op, kind| op.kind == kind && op.error.is_none();
    let rename = |which: &dyn Fn(&Op) -> bool| {
        let found = trace
            .iter()
            .position(|op| is(op, OpKind::Rename) && which(op));
        found.unwrap()
    };
    let aside = rename(&|op| op.path == session);
    let in_place = rename(&|op| op.to.as_deref() == Some(session));
    let assert_synced = |path: &Path, after: usize, before: usize| {
        let parent = path.parent().unwrap();
        let mut between = trace[after..before].iter();
        assert!(
            between.any(|op| is(op, OpKind::SyncDir) && op.path == parent),
            "{} is not synced",
            path.display()
        );
    };

    let mut made = 0;
    for (at, op) in trace[..aside].iter().enumerate() {
        let name = op.to.as_ref().unwrap_or(&op.path);
        let is_new = is(op, OpKind::Create) || is(op, OpKind::Rename);
        let is_log = is_new && name.extension().is_some_and(|e| e == "seg");
        if (is_log || is(op, OpKind::CreateDir)) && name.starts_with("/store/sessions") {
            assert_synced(name, at, aside);
            made += 1;
        }
    }
    assert_eq!(
        made, 5,
        "the new log and its directory, three for the old one"
    );
    assert_synced(session, aside, in_place);
    assert_synced(trace[aside].to.as_deref().unwrap(), aside, in_place);
    assert_synced(session, in_place, trace.len());
}

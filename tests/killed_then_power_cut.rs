//! A process is killed, the next one opens the session and answers, and then the power goes: whatever the second one
//! said is durable, though half of it was written by the first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sessionlog::sim::{Fault, FaultPlan, Op, OpKind, Policy, Seeded, SimDisk};
use sessionlog::{Durability, Result, Store, Version};

fn store(disk: &SimDisk) -> Result<Store> {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(2048)
        .allocate_above(1 << 10)
        .snapshot_after(2048)
        .open("/store")
}

/// A few commits over three segments, some of them buffered.
fn work(disk: &SimDisk) -> Result<()> {
    let session = store(disk)?.session("s")?;
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(600));
    for round in 0..6 {
        session.append_json("a", &long)?;
        if round % 2 == 0 {
            let batch = session.batch().append_json("a", "{}")?;
            batch.durability(Durability::Buffered).commit()?;
        }
    }
    session.close()
}

/// What the next process finds after this one was killed at operation `at`, in the way of `fault`; `None` if it had
/// finished before.
fn killed(at: u64, fault: Fault, sticky: bool) -> Option<SimDisk> {
    let disk = SimDisk::new();
    let plan = FaultPlan::none();
    disk.set_faults(if sticky {
        plan.from(at, fault)
    } else {
        plan.once(at, fault)
    });
    let _ = work(&disk);
    (disk.faults_struck() > 0).then(|| disk.kill())
}

/// The disk after a power cut, and the session's version there.
fn after_power_cut(disk: &SimDisk, case: &str) -> (SimDisk, Version) {
    let image = disk.crash(Policy::Nothing, &mut Seeded::new(0));
    let session = store(&image).unwrap().session("s");
    let version = session.unwrap_or_else(|e| panic!("{case}: {e}")).version();
    (image, version)
}

fn every_kill(fault: Fault, sticky: bool, mut check: impl FnMut(&SimDisk, &str)) {
    for at in 1.. {
        let Some(disk) = killed(at, fault, sticky) else {
            assert!(at > 50, "the history has more than {at} operations");
            return;
        };
        check(&disk, &format!("{fault:?} at operation {at}"));
    }
}

const WAYS: [(Fault, bool); 3] = [
    (Fault::Io, true),
    (Fault::Full, true),
    // Its pages count as clean, and no later sync writes them.
    (Fault::SyncFailsClean, false),
];

const POLICIES: [Policy; 6] = [
    Policy::Nothing,
    Policy::PageCache,
    Policy::AnySubset,
    Policy::AnySubset,
    Policy::Trashed,
    Policy::Trashed,
];

#[test]
fn the_names_above_a_session_that_was_killed_before_its_first_event_are_synced() {
    let mut seen = 0;
    every_kill(Fault::Io, true, |disk, case| {
        let session = store(disk).unwrap().session("s").unwrap();
        let has_log = disk
            .files()
            .iter()
            .any(|path| path.extension() == Some("seg".as_ref()));
        if has_log && session.version() == Version::ZERO {
            let trace = disk.trace();
            for dir in ["/store/sessions", "/store"] {
                let is_synced = |op: &Op| op.kind == OpKind::SyncDir && op.path == Path::new(dir);
                assert!(trace.iter().any(is_synced), "{case}: {dir}");
            }
            seen += 1;
        }
        std::mem::forget(session);
    });
    assert!(seen > 0);
}

#[test]
fn what_an_open_session_shows_is_durable() {
    for (fault, sticky) in WAYS {
        every_kill(fault, sticky, |disk, case| {
            let session = store(disk).unwrap().session("s").unwrap();
            let shown = session.version();
            assert_eq!(session.durable_version(), shown, "{case}");
            std::mem::forget(session); // closing is not part of this
            let (_, version) = after_power_cut(disk, case);
            assert_eq!(version, shown, "{case}");
        });
    }
}

#[test]
fn what_is_appended_after_a_kill_is_durable() {
    for (fault, sticky) in WAYS {
        every_kill(fault, sticky, |disk, case| {
            let session = store(disk).unwrap().session("s").unwrap();
            let done = session.append_json("a", "{}").unwrap();
            std::mem::forget(session);
            for (seed, policy) in (0..).zip(POLICIES) {
                let case = format!("{case}, {policy:?}");
                let image = disk.crash(policy, &mut Seeded::new(seed));
                let session = store(&image).unwrap().session("s");
                let session = session.unwrap_or_else(|e| panic!("{case}: {e}"));
                assert_eq!(session.version(), done.version, "{case}");
                drop(session);
                let report = store(&image).unwrap().verify("s").unwrap();
                assert!(report.is_ok(), "{case}: {report:?}");
            }
        });
    }
}

#[test]
fn a_snapshot_outlives_the_power_as_soon_as_the_append_that_made_it_returns() {
    let disk = SimDisk::new();
    let session = store(&disk).unwrap().session("s").unwrap();
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(600));
    let mut seen = 0;
    for _ in 0..12 {
        session.append_json("a", &long).unwrap();
        let image = disk.crash(Policy::Nothing, &mut Seeded::new(0));
        let snapshots = |disk: &SimDisk| -> Vec<PathBuf> {
            let is_snapshot = |path: &PathBuf| path.extension() == Some("snap".as_ref());
            disk.files().into_iter().filter(is_snapshot).collect()
        };
        for path in snapshots(&disk) {
            assert_eq!(
                image.peek(&path).ok(),
                disk.peek(&path).ok(),
                "{}",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 2, "{seen} snapshots");
}

/// The bytes of all files in the quarantine, by name.
fn quarantine(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new("/store/sessions/s/quarantine");
    let is_here = |path: &PathBuf| path.parent() == Some(dir);
    let read = |path: PathBuf| {
        let bytes = disk.peek(&path).unwrap();
        (path, bytes)
    };
    disk.files().into_iter().filter(is_here).map(read).collect()
}

#[test]
fn a_torn_tail_is_in_the_quarantine_before_it_is_cut_whenever_power_and_process_go() {
    let (disk, segment) = torn();
    let whole = disk.peek(&segment).unwrap();
    let end = whole.len() - 700;
    for at in 1.. {
        let first = disk.crash(Policy::Everything, &mut Seeded::new(0));
        first.set_faults(FaultPlan::none().from(at, Fault::Io));
        let opened = store(&first).and_then(|store| store.session("s"));
        let done = opened.is_ok();
        std::mem::forget(opened);
        // Another process finishes what the killed one began, then the power goes; or it goes at once.
        let second = first.kill();
        let session = store(&second).unwrap().session("s").unwrap();
        std::mem::forget(session);
        for image in [&first, &second] {
            let image = image.crash(Policy::Nothing, &mut Seeded::new(at));
            let log = image.peek(&segment).unwrap();
            let kept = quarantine(&image);
            let is_cut = log.len() < whole.len();
            let is_kept = kept
                .iter()
                .any(|(_, bytes)| whole[end..].ends_with(bytes) && bytes.len() > 64);
            assert!(!is_cut || is_kept, "operation {at}: {kept:?}");
        }
        if done {
            let image = first.crash(Policy::Nothing, &mut Seeded::new(at));
            let len = image.peek(&segment).unwrap().len();
            assert!(len < whole.len(), "the cut is durable");
            assert!(at > 5);
            return;
        }
    }
}

/// A durable log whose last frame is cut short, and its segment.
fn torn() -> (SimDisk, PathBuf) {
    let disk = SimDisk::new();
    let session = store(&disk).unwrap().session("s").unwrap();
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(600));
    session.append_json("a", &long).unwrap();
    // A MARK vouches for what is before it: recovery has nothing else to sync than the cut.
    session.close().unwrap();
    let session = store(&disk).unwrap().session("s").unwrap();
    session.append_json("a", &long).unwrap();
    std::mem::forget(session);
    let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
    let segment = PathBuf::from("/store/sessions/s/00000000000000000001.seg");
    let len = disk.peek(&segment).unwrap().len() as u64;
    disk.truncate(&segment, len - 100).unwrap();
    (disk, segment)
}

//! The power goes, or the process, at any operation of a repair: the next repair ends where that one would have, and
//! every byte that left the log is in the quarantine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sessionlog::sim::{Fault, FaultPlan, Policy, Seeded, SimDisk};
use sessionlog::{Durability, Event, RepairOptions, Result, Store, Version};

type Events = BTreeMap<u64, String>;
type Damage = fn(&SimDisk);

const POLICIES: [Policy; 5] = [
    Policy::Nothing,
    Policy::Everything,
    Policy::PageCache,
    Policy::AnySubset,
    Policy::Trashed,
];

fn try_store(disk: &SimDisk) -> Result<Store> {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options.segment_len(4096).allocate_above(1 << 10).open("/s")
}

fn store(disk: &SimDisk) -> Store {
    try_store(disk).unwrap()
}

fn repair(disk: &SimDisk) -> Result<()> {
    let store = try_store(disk)?;
    store.repair("x", &RepairOptions::default()).map(drop)
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let mut segments = disk.files();
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    segments
}

/// A durable log of three segments.
fn log() -> SimDisk {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    for i in 0..14 {
        let text = format!("message {i} ").repeat(45);
        let message = format!(r#"{{"role":"user","content":[{{"text":"{text}"}}]}}"#);
        session.append_json("a", &message).unwrap();
    }
    session.close().unwrap();
    assert_eq!(segments(&disk).len(), 3);
    disk.crash(Policy::Everything, &mut Seeded::new(0))
}

fn events(disk: &SimDisk) -> Events {
    let mut events = Events::new();
    let mut visit = |event: &Event<'_>| {
        events.insert(event.version.0, event.payload.to_owned());
        Ok(())
    };
    let view = store(disk).read("x").unwrap();
    view.for_each_event(Version(1), Version(u64::MAX), &mut visit)
        .unwrap();
    events
}

/// Where the frames of a segment begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let magic = [0xF5, 0x45, 0x56, 0xC1];
    (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(&magic))
        .collect()
}

/// Overwrites bytes of a segment, counted from the start of one of its frames.
fn destroy(disk: &SimDisk, segment: usize, frame: usize, range: std::ops::Range<usize>) {
    let path = &segments(disk)[segment];
    disk.damage(path, |bytes| {
        let at = frames(bytes)[frame];
        bytes[at + range.start..at + range.end].fill(0xA7);
    })
    .unwrap();
}

/// Every way in which a repair changes a log: payloads alone, whole frames, a flipped bit, a header, a lost segment.
fn damaged() -> Vec<(&'static str, SimDisk)> {
    let cases: [(&str, Damage); 11] = [
        ("two payloads", |disk| {
            destroy(disk, 0, 2, 200..260);
            destroy(disk, 1, 3, 300..301);
            destroy(disk, 1, 4, 150..600);
        }),
        ("a frame", |disk| destroy(disk, 1, 2, 0..80)),
        ("frames and payloads", |disk| {
            destroy(disk, 0, 2, 200..260);
            destroy(disk, 0, 3, 500..800);
            destroy(disk, 1, 1, 10..20);
        }),
        ("a flipped bit in a frame header", |disk| {
            let path = &segments(disk)[1];
            let at = frames(&disk.peek(path).unwrap())[2];
            disk.flip_bit(path, at as u64 * 8 + 200).unwrap();
        }),
        ("from a payload into the next frame's", |disk| {
            let path = &segments(disk)[1];
            let at = frames(&disk.peek(path).unwrap());
            let (one, other) = (at[1] + 400, at[2] + 300);
            disk.damage(path, |bytes| bytes[one..other].fill(0xA7))
                .unwrap();
            destroy(disk, 0, 2, at[2] - at[1] - 6..at[2] - at[1]);
        }),
        ("flipped bits in payloads", |disk| {
            for (segment, frame) in [(0, 2), (1, 1), (1, 3)] {
                let path = &segments(disk)[segment];
                let at = frames(&disk.peek(path).unwrap())[frame];
                disk.flip_bit(path, at as u64 * 8 + 1600).unwrap();
            }
            destroy(disk, 1, 4, 150..600);
        }),
        ("a segment header and a payload", |disk| {
            disk.garbage(&segments(disk)[1], 0..128, 7).unwrap();
            destroy(disk, 2, 0, 200..260);
        }),
        ("a lost segment", |disk| {
            disk.delete(&segments(disk)[1]).unwrap();
        }),
        ("the last payload", |disk| destroy(disk, 2, 0, 200..260)),
        ("a frame of the last segment", |disk| {
            destroy(disk, 2, 0, 0..80);
        }),
        ("a lost last segment", |disk| {
            disk.delete(&segments(disk)[2]).unwrap();
        }),
    ];
    let case = |(name, damage): &(&'static str, Damage)| {
        let disk = log();
        damage(&disk);
        (*name, disk)
    };
    cases.iter().map(case).collect()
}

/// What the log does not hold any more at its place, and what the quarantine does not have from there.
fn lost_bytes(before: &SimDisk, after: &SimDisk) -> Option<String> {
    let mut kept = after.files();
    kept.retain(|path| path.parent() == Some(Path::new("/s/sessions/x/quarantine")));
    for path in segments(before) {
        let old = before.peek(&path).unwrap();
        let new = after.peek(&path).unwrap_or_default();
        let mut is_kept: Vec<bool> = (0..old.len())
            .map(|i| new.get(i) == Some(&old[i]))
            .collect();
        let base = path.file_stem().unwrap().to_string_lossy().into_owned();
        for file in &kept {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let mut parts = name.split('-');
            if parts.next() == Some(&base) {
                let offset: usize = parts.next().unwrap().parse().unwrap();
                for (i, byte) in after.peek(file).unwrap().into_iter().enumerate() {
                    is_kept[offset + i] |= old[offset + i] == byte;
                }
            }
        }
        if let Some(at) = is_kept.iter().position(|kept| !kept) {
            let count = is_kept.iter().filter(|kept| !**kept).count();
            return Some(format!("{} from {at} on, {count} bytes", path.display()));
        }
    }
    None
}

fn check_repaired(disk: &SimDisk, damaged: &SimDisk, wanted: &Events, case: &str) {
    let report = store(disk).verify("x").unwrap();
    assert!(report.is_ok(), "{case}: {report:?}");
    let found = events(disk);
    assert!(found == *wanted, "{case}: {:?} are there", found.keys());
    assert_eq!(lost_bytes(damaged, disk), None, "{case}");
    let again = store(disk).repair("x", &RepairOptions::default()).unwrap();
    assert!(again.rewritten.is_empty(), "{case}: {again:?}");
    store(disk)
        .session("x")
        .unwrap()
        .append_json("a", "{}")
        .unwrap();
}

#[test]
fn a_power_cut_at_any_operation_of_a_repair_loses_nothing() {
    for (name, damaged) in damaged() {
        let reference = damaged.kill();
        repair(&reference).unwrap();
        let wanted = events(&reference);
        for at in 1.. {
            let disk = damaged.kill();
            disk.set_faults(FaultPlan::power_cut(at));
            let is_done = repair(&disk).is_ok();
            for (seed, policy) in (0..).zip(POLICIES) {
                let case = format!("{name}, operation {at}, {policy:?}");
                let image = disk.crash(policy, &mut Seeded::new(at * 8 + seed));
                assert_eq!(lost_bytes(&damaged, &image), None, "{case}");
                repair(&image).unwrap_or_else(|e| panic!("{case}: {e}"));
                check_repaired(&image, &damaged, &wanted, &case);
            }
            if is_done {
                assert!(at > 20, "{name}");
                break;
            }
        }
    }
}

#[test]
fn a_repair_that_returned_is_durable() {
    for (name, damaged) in damaged() {
        let disk = damaged.kill();
        repair(&disk).unwrap();
        let wanted = events(&disk);
        let image = disk.crash(Policy::Nothing, &mut Seeded::new(0));
        check_repaired(&image, &damaged, &wanted, name);
    }
}

#[test]
fn a_repair_that_finishes_what_a_killed_one_began_is_durable() {
    for (name, damaged) in damaged() {
        let reference = damaged.kill();
        repair(&reference).unwrap();
        let wanted = events(&reference);
        for at in 1.. {
            let first = damaged.kill();
            first.set_faults(FaultPlan::none().from(at, Fault::Io));
            let is_done = repair(&first).is_ok();
            let second = first.kill();
            let case = format!("{name}, operation {at}");
            repair(&second).unwrap_or_else(|e| panic!("{case}: {e}"));
            let image = second.crash(Policy::Nothing, &mut Seeded::new(0));
            check_repaired(&image, &damaged, &wanted, &case);
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn what_is_appended_after_a_repair_that_was_killed_is_durable() {
    for (name, damaged) in damaged() {
        for at in 1.. {
            let first = damaged.kill();
            first.set_faults(FaultPlan::none().from(at, Fault::Io));
            let is_done = repair(&first).is_ok();
            let second = first.kill();
            if let Ok(session) = store(&second).session("x") {
                let done = session.append_json("a", "{}").unwrap();
                std::mem::forget(session);
                let image = second.crash(Policy::Nothing, &mut Seeded::new(0));
                let last = events(&image).pop_last().unwrap();
                assert_eq!(
                    last,
                    (done.version.0, "{}".to_owned()),
                    "{name}, operation {at}"
                );
            }
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn a_stranger_that_repair_set_aside_does_not_come_back() {
    let (damaged, other) = (log(), log());
    let stranger = other.peek(&segments(&other)[1]).unwrap();
    let path = segments(&damaged)[1].clone();
    damaged
        .damage(&path, |bytes| bytes.clone_from(&stranger))
        .unwrap();
    repair(&damaged).unwrap();
    let wanted = events(&damaged);
    let image = damaged.crash(Policy::Nothing, &mut Seeded::new(0));
    let report = store(&image).verify("x").unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(events(&image), wanted);
}

#[test]
fn what_nobody_had_synced_is_in_the_quarantine_too() {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(300));
    for _ in 0..4 {
        session.append_json("a", &text).unwrap();
    }
    disk.damage(&segments(&disk)[0], |bytes| bytes[..128].fill(0xA7))
        .unwrap();
    for _ in 0..3 {
        let batch = session.batch().append_json("a", &text).unwrap();
        batch.durability(Durability::Buffered).commit().unwrap();
    }
    // Reading writes what is buffered.
    session.read().unwrap();
    std::mem::forget(session);
    let disk = disk.kill();
    let before = disk.kill();
    repair(&disk).unwrap();
    let wanted = events(&disk);
    let image = disk.crash(Policy::Nothing, &mut Seeded::new(0));
    assert_eq!(events(&image), wanted);
    assert_eq!(wanted.len(), 9);
    assert_eq!(lost_bytes(&before, &image), None);
    let kept = Path::new("/s/sessions/x/quarantine");
    let kept = image
        .files()
        .into_iter()
        .find(|path| path.starts_with(kept));
    assert_eq!(
        image.peek(&kept.unwrap()).unwrap(),
        before.peek(&segments(&before)[0]).unwrap()
    );
}

//! Where damage left the frames of a segment at their places, repair overwrites only what is bad; and what it puts
//! there is right, or nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use sessionlog::sim::{OpKind, Policy, Seeded, SimDisk};
use sessionlog::storage::Storage;
use sessionlog::{Error, Event, RepairOptions, RepairReport, Store, Version};

type Events = BTreeMap<u64, String>;

const SESSION: &str = "/s/sessions/x";
const COPY: &str = "/copy";

fn store(disk: &SimDisk) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(16 << 10)
        .allocate_above(1 << 10)
        .open("/s")
        .unwrap()
}

fn segments(disk: &SimDisk, dir: &str) -> Vec<PathBuf> {
    let mut segments = disk.files();
    segments.retain(|path| path.parent() == Some(Path::new(dir)));
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    segments
}

/// The text of the message with this number.
fn text(i: usize) -> String {
    format!("message {i} ").repeat(45)
}

/// A durable log of three segments; the last message is redacted.
fn log() -> (SimDisk, Events) {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    for i in 0..70 {
        let message = json!({"role": "user", "content": [{"text": text(i)}]});
        session.append_message("a", &message).unwrap();
    }
    let hidden = json!({"role": "user", "content": [{"text": "withheld ".repeat(40)}]});
    session.redact_message("a", 69, &hidden).unwrap();
    session.close().unwrap();
    assert_eq!(segments(&disk, SESSION).len(), 3, "{}", text(1).len());
    let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
    let all = events(&disk);
    (disk, all)
}

/// Puts a copy of the segments, as they are, to `/copy`.
fn copied(disk: &SimDisk) {
    use sessionlog::storage::{OpenMode, Storage, write_all_at};
    disk.create_dir(Path::new(COPY)).unwrap();
    for path in segments(disk, SESSION) {
        let to = Path::new(COPY).join(path.file_name().unwrap());
        let file = disk.open(&to, OpenMode::CreateNew).unwrap();
        write_all_at(&*file, &disk.peek(&path).unwrap(), 0).unwrap();
    }
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

/// Where the payload of a version is: segment and offset.
fn place(disk: &SimDisk, dir: &str, all: &Events, version: u64) -> (PathBuf, usize) {
    let payload = all[&version].as_bytes();
    let find = |path: PathBuf| {
        let bytes = disk.peek(&path).unwrap();
        let at = bytes.windows(payload.len()).position(|w| w == payload)?;
        Some((path, at))
    };
    segments(disk, dir).into_iter().find_map(find).unwrap()
}

/// Overwrites 30 bytes inside the payload of a version.
fn destroy(disk: &SimDisk, dir: &str, all: &Events, version: u64, with: u8) {
    let (path, at) = place(disk, dir, all, version);
    disk.damage(&path, |bytes| bytes[at + 40..at + 70].fill(with))
        .unwrap();
}

fn repair(disk: &SimDisk, copy: Option<&str>) -> Result<RepairReport, Error> {
    let options = RepairOptions {
        dry_run: false,
        copy: copy.map(PathBuf::from),
    };
    store(disk).repair("x", &options)
}

fn is_ok(disk: &SimDisk) -> bool {
    store(disk).verify("x").unwrap().is_ok()
}

#[test]
fn a_damaged_payload_costs_a_write_of_its_own_length_and_no_more() {
    let (disk, all) = log();
    destroy(&disk, SESSION, &all, 10, 0x5A);
    destroy(&disk, SESSION, &all, 11, 0);
    destroy(&disk, SESSION, &all, 40, 0x5A);
    let before = disk.bytes_written();
    disk.clear_trace();
    let report = repair(&disk, None).unwrap();
    let lost: Vec<u64> = report.lost.iter().map(|(first, _)| first.0).collect();
    assert_eq!(lost, [10, 11, 40]);
    let most: usize = lost.iter().map(|version| 2 * all[version].len()).sum();
    let written = disk.bytes_written() - before;
    assert!(written <= most as u64, "{written} bytes written");
    assert!(disk.trace().iter().all(|op| op.kind != OpKind::Rename));
    assert_eq!(report.quarantine.len(), 3);
    assert!(is_ok(&disk));
    assert_eq!(events(&disk).len(), all.len() - 3);
}

#[test]
fn a_damaged_frame_makes_room_for_a_gap_where_it_was() {
    let (disk, all) = log();
    let (path, at) = place(&disk, SESSION, &all, 20);
    disk.damage(&path, |bytes| bytes[at - 300..at + 2000].fill(0xA7))
        .unwrap();
    let len = disk.peek(&path).unwrap().len();
    disk.clear_trace();
    let report = repair(&disk, None).unwrap();
    assert!(disk.trace().iter().all(|op| op.kind != OpKind::Rename));
    assert_eq!(disk.peek(&path).unwrap().len(), len);
    assert!(is_ok(&disk));
    let lost = report.lost.iter().map(|(first, last)| last.0 + 1 - first.0);
    assert_eq!(
        events(&disk).len() as u64,
        all.len() as u64 - lost.sum::<u64>()
    );
    assert_eq!(
        report.lost.len(),
        2,
        "a payload, and the frames after it: {report:?}"
    );
}

#[test]
fn what_can_be_corrected_is_never_overwritten_where_it_is() {
    let (disk, all) = log();
    let (path, at) = place(&disk, SESSION, &all, 20);
    disk.flip_bit(&path, 8 * (at as u64 + 100)).unwrap();
    destroy(&disk, SESSION, &all, 10, 0x5A);
    disk.clear_trace();
    let report = repair(&disk, None).unwrap();
    assert_eq!(report.corrected, [Version(20)]);
    assert_eq!(report.lost, [(Version(10), Version(10))]);
    let trace = disk.trace();
    let writes = trace.iter().filter(|op| op.kind == OpKind::Write);
    let in_segment = writes.filter(|op| op.path == path);
    assert_eq!(
        in_segment.count(),
        0,
        "a crash would leave more than one bit wrong"
    );
}

#[test]
fn what_was_given_up_comes_back_from_a_copy() {
    let (disk, all) = log();
    copied(&disk);
    destroy(&disk, SESSION, &all, 10, 0x5A);
    repair(&disk, None).unwrap();
    assert_eq!(events(&disk).len(), all.len() - 1);
    let report = repair(&disk, Some(COPY)).unwrap();
    assert_eq!(report.recovered, 1);
    assert_eq!(events(&disk), all);
    assert!(is_ok(&disk));
}

#[test]
fn a_copy_that_is_damaged_at_the_same_place_gives_nothing() {
    let (disk, all) = log();
    copied(&disk);
    destroy(&disk, COPY, &all, 10, 0x33);
    destroy(&disk, SESSION, &all, 10, 0x5A);
    let report = repair(&disk, Some(COPY)).unwrap();
    assert_eq!(report.lost, [(Version(10), Version(10))]);
    assert!(is_ok(&disk));
    assert_eq!(events(&disk).get(&10), None);
}

#[test]
fn a_copy_of_another_log_is_refused() {
    let (disk, all) = log();
    let (other, _) = log();
    copied(&disk);
    for (ours, theirs) in segments(&disk, COPY).iter().zip(segments(&other, SESSION)) {
        let bytes = other.peek(&theirs).unwrap();
        disk.damage(ours, |to| to.clone_from(&bytes)).unwrap();
    }
    destroy(&disk, SESSION, &all, 10, 0x5A);
    let refused = repair(&disk, Some(COPY)).unwrap_err();
    assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
    assert!(!is_ok(&disk), "nothing was changed");
}

#[test]
fn a_copy_that_is_not_there_is_refused_before_anything_is_changed() {
    let (disk, all) = log();
    destroy(&disk, SESSION, &all, 10, 0x5A);
    disk.create_dir(Path::new(COPY)).unwrap();
    let refused = repair(&disk, Some(COPY)).unwrap_err();
    assert!(matches!(refused, Error::NotFound(_)), "{refused}");
    assert!(!is_ok(&disk), "nothing was changed");
}

/// Flips the bits of the CRC's polynomial in the bytes from `at` on: together they change no checksum.
fn unseen(bytes: &mut [u8], at: usize) {
    let polynomial: u64 = 0x1_04C1_1DB7;
    for degree in 0..=32 {
        if polynomial >> (32 - degree) & 1 == 1 {
            bytes[at + degree / 8] ^= 1 << (degree % 8);
        }
    }
}

#[test]
fn many_flipped_bits_that_look_like_one_are_not_corrected_into_another_text() {
    let (disk, all) = log();
    let (path, at) = place(&disk, SESSION, &all, 20);
    disk.damage(&path, |bytes| {
        let sound = crc32fast::hash(bytes);
        unseen(bytes, at + 100);
        assert_eq!(crc32fast::hash(bytes), sound, "what no CRC can see");
        // One bit less: now the checksum is wrong, and flipping that bit would make it right.
        bytes[at + 100] ^= 1;
    })
    .unwrap();
    let report = repair(&disk, None).unwrap();
    assert!(report.corrected.is_empty());
    assert_eq!(report.lost, [(Version(20), Version(20))]);
    assert!(is_ok(&disk));
    assert_eq!(events(&disk).get(&20), None);
}

#[test]
fn a_message_whose_redaction_was_damaged_is_not_shown() {
    let (disk, all) = log();
    let redaction = *all.keys().last().unwrap();
    destroy(&disk, SESSION, &all, redaction, 0x5A);
    for _ in 0..2 {
        let view = store(&disk).read("x").unwrap();
        let hidden = text(69);
        for messages in [
            view.messages("a").unwrap().last(1),
            view.messages("a").unwrap(),
        ] {
            let last = Iterator::last(messages).unwrap().unwrap();
            assert_eq!(last.id(), 69);
            assert!(last.is_redacted());
            assert!(!last.text().contains(&hidden), "{}", last.text());
        }
        repair(&disk, None).unwrap();
    }
}

//! Frames whose checksums are all good and that are no part of the log: each is refused, and costs nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sessionlog::sim::{Policy, Seeded, SimDisk};
use sessionlog::{Error, Event, RepairOptions, Store, Version};

const MAGIC: [u8; 4] = [0xF5, 0x45, 0x56, 0xC1];
const VERSION: usize = 16;
const SALT: usize = 32;
const EPOCH: usize = 36;
const OFFSET: usize = 40;
const LINK: usize = 44;

type Events = BTreeMap<u64, String>;

fn store(disk: &SimDisk) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(4096)
        .allocate_above(1 << 10)
        .open("/s")
        .unwrap()
}

/// A durable log of three segments, by two writers, and what it holds.
fn log() -> (SimDisk, Vec<PathBuf>, Events) {
    let disk = SimDisk::new();
    for round in 0..2 {
        let session = store(&disk).session("x").unwrap();
        for i in 0..35 {
            let message =
                format!(r#"{{"role":"user","content":[{{"text":"message {round} {i}"}}]}}"#);
            session.append_json("a", &message).unwrap();
        }
        if round == 1 {
            std::mem::forget(session); // so that the last frame is an event, not a MARK
        }
    }
    let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
    let mut segments = disk.files();
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    segments.sort();
    assert_eq!(segments.len(), 3, "{segments:?}");
    let all = events(&disk);
    assert_eq!(all.len(), 72);
    (disk, segments, all)
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

/// Where the frames of a segment are. Behind the last one may be zeros that were allocated ahead.
fn frames(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut starts: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(&MAGIC))
        .collect();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    starts.push((last + 1).next_multiple_of(8));
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// Changes a field of a frame, and makes its checksums good again.
fn doctor(frame: &mut [u8], at: usize, change: impl FnOnce(u32) -> u32) {
    let field: [u8; 4] = frame[at..at + 4].try_into().unwrap();
    let field = change(u32::from_le_bytes(field)).to_le_bytes();
    frame[at..at + 4].copy_from_slice(&field);
    let crc = crc32fast::hash(&frame[..60]);
    frame[60..64].copy_from_slice(&crc.to_le_bytes());
    let end = frame.len();
    frame[end - 4..].copy_from_slice(&(!crc).to_le_bytes());
}

/// Doctors one frame of the last segment, counted from its end.
fn doctored(disk: &SimDisk, segment: &Path, back: usize, at: usize, change: fn(u32) -> u32) {
    disk.damage(segment, |bytes| {
        let frames = frames(bytes);
        let frame = frames[frames.len() - back].clone();
        doctor(&mut bytes[frame], at, change);
    })
    .unwrap();
}

fn is_reported(disk: &SimDisk) -> bool {
    !store(disk).verify("x").unwrap().is_ok()
}

#[test]
fn a_frame_of_another_log_is_not_read() {
    for back in [1, 2] {
        let (disk, segments, all) = log();
        doctored(&disk, &segments[2], back, SALT, |salt| salt ^ 1);
        let last = *all.keys().last().unwrap();
        assert!(is_reported(&disk));
        assert!(!events(&disk).contains_key(&(last + 1 - back as u64)));
        assert_eq!(events(&disk).len(), all.len() - 1);
    }
}

#[test]
fn a_frame_of_an_older_epoch_than_the_one_before_it_is_not_read() {
    let (disk, segments, all) = log();
    doctored(&disk, &segments[2], 1, EPOCH, |epoch| epoch - 1);
    assert!(is_reported(&disk));
    assert_eq!(events(&disk).len(), all.len() - 1);
}

#[test]
fn a_frame_that_says_that_it_belongs_to_another_place_is_reported() {
    let (disk, segments, all) = log();
    doctored(&disk, &segments[2], 2, OFFSET, |offset| offset + 8);
    assert!(is_reported(&disk));
    assert_eq!(
        events(&disk),
        all,
        "its event fits nowhere else and is kept"
    );
}

#[test]
fn a_frame_that_does_not_link_to_the_one_before_it_is_reported() {
    let (disk, segments, _) = log();
    doctored(&disk, &segments[2], 1, LINK, |link| link ^ 1);
    assert!(is_reported(&disk));
}

#[test]
fn a_version_that_is_skipped_is_reported() {
    let (disk, segments, _) = log();
    doctored(&disk, &segments[2], 1, VERSION, |version| version + 1);
    assert!(is_reported(&disk));
}

#[test]
fn a_segment_header_with_another_base_than_its_file_name_is_reported() {
    let (disk, segments, all) = log();
    disk.damage(&segments[2], |bytes| {
        bytes[56] ^= 1;
        let crc = crc32fast::hash(&bytes[..124]);
        bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    })
    .unwrap();
    assert!(is_reported(&disk));
    assert_eq!(events(&disk), all);
}

#[test]
fn a_segment_with_a_feature_that_a_reader_must_know_is_refused() {
    let (disk, segments, _) = log();
    disk.damage(&segments[0], |bytes| {
        bytes[16] = 1;
        let crc = crc32fast::hash(&bytes[..124]);
        bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    })
    .unwrap();
    let refused = store(&disk).verify("x").unwrap_err();
    assert!(
        matches!(refused, Error::UnsupportedVersion { .. }),
        "{refused}"
    );
    let refused = store(&disk).session("x").unwrap_err();
    assert!(
        matches!(refused, Error::UnsupportedVersion { .. }),
        "{refused}"
    );
}

#[test]
fn a_frame_behind_a_seal_does_not_take_the_place_of_the_next_segment() {
    let (disk, segments, all) = log();
    let next = disk.peek(&segments[1]).unwrap();
    let mut frame = next[frames(&next)[0].clone()].to_vec();
    disk.damage(&segments[0], |bytes| {
        let offset = bytes.len() as u32;
        doctor(&mut frame, OFFSET, |_| offset);
        bytes.extend_from_slice(&frame);
    })
    .unwrap();
    assert!(is_reported(&disk));
    assert_eq!(events(&disk), all);
}

#[test]
fn a_displaced_frame_takes_the_place_of_a_lost_one_only_if_it_links_to_its_neighbours() {
    for (forged, lost) in [(false, 1), (true, 2)] {
        let (disk, segments, all) = log();
        disk.damage(&segments[1], |bytes| {
            let frames = frames(bytes);
            let (frame, next) = (frames[5].clone(), frames[6].clone());
            let mut moved = bytes[frame.clone()].to_vec();
            if forged {
                doctor(&mut moved, LINK, |link| link ^ 1);
            }
            bytes[frame.start..next.end].fill(0x5A);
            bytes[frame.start + 8..frame.end + 8].copy_from_slice(&moved);
        })
        .unwrap();
        assert!(is_reported(&disk));
        assert_eq!(events(&disk).len(), all.len() - lost, "forged {forged}");
    }
}

/// What a reader says of the last messages, read backwards and by an index of all.
fn flags(disk: &SimDisk) -> (Vec<bool>, Vec<bool>) {
    let view = store(disk).read("x").unwrap();
    let flags = |messages: sessionlog::Messages| -> Vec<bool> {
        messages
            .map(|m| m.unwrap().is_redaction_unknown())
            .collect()
    };
    let last = flags(view.messages("a").unwrap().last(1000));
    (last, flags(view.messages("a").unwrap()))
}

#[test]
fn messages_before_a_lost_segment_may_have_been_redacted_in_it() {
    for lost in [1, 2] {
        let (disk, segments, _) = log();
        disk.delete(&segments[lost]).unwrap();
        let (last, all) = flags(&disk);
        assert_eq!(last, all);
        let before = all.iter().filter(|unknown| **unknown).count();
        assert!(before > 10, "segment {lost}: {all:?}");
        assert!(all.iter().take(before).all(|unknown| *unknown));
        assert_eq!(before == all.len(), lost == 2);
    }
}

#[test]
fn after_a_repair_the_messages_before_the_gap_are_still_flagged() {
    let (disk, segments, _) = log();
    disk.garbage(&segments[1], 1000..1100, 7).unwrap();
    store(&disk).repair("x", &RepairOptions::default()).unwrap();
    assert!(!is_reported(&disk));
    let (last, all) = flags(&disk);
    assert_eq!(last, all);
    assert!(all.contains(&true) && all.contains(&false), "{all:?}");
}

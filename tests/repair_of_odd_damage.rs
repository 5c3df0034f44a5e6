//! Damage to several places of a log at once. Fuzzing found each of these; each made repair leave a log that was still
//! refused, or panic.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sessionlog::sim::{Policy, Seeded, SimDisk};
use sessionlog::storage::{OpenMode, Storage};
use sessionlog::{Error, Event, RepairOptions, RepairReport, Store, Version};

type Events = BTreeMap<u64, String>;

fn store(disk: &SimDisk) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(4096)
        .allocate_above(1 << 10)
        .open("/s")
        .unwrap()
}

/// A durable log of five segments.
fn log() -> (SimDisk, Vec<PathBuf>, Events) {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    for i in 0..110 {
        let message = format!(r#"{{"role":"user","content":[{{"text":"message {i}"}}]}}"#);
        session.append_json("a", &message).unwrap();
    }
    session.close().unwrap();
    let mut segments = disk.files();
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    segments.sort();
    assert_eq!(segments.len(), 5);
    let all = events(&store(&disk));
    let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
    (disk, segments, all)
}

fn events(store: &Store) -> Events {
    let mut events = Events::new();
    let mut visit = |event: &Event<'_>| {
        events.insert(event.version.0, event.payload.to_owned());
        Ok(())
    };
    let view = store.read("x").unwrap();
    view.for_each_event(Version(1), Version(u64::MAX), &mut visit)
        .unwrap();
    events
}

/// Repairs: what could be read before can be read afterwards, as it was written, and the session goes on.
fn repair(disk: &SimDisk, all: &Events) -> (RepairReport, Events) {
    let store = store(disk);
    let before = events(&store);
    assert!(!store.verify("x").unwrap().is_ok());
    let report = store.repair("x", &RepairOptions::default()).unwrap();
    let after = events(&store);
    assert!(
        before.keys().all(|version| after.contains_key(version)),
        "{report:?}"
    );
    assert!(
        after
            .iter()
            .all(|(version, payload)| all[version] == *payload)
    );
    let verified = store.verify("x").unwrap();
    assert!(verified.is_ok(), "{verified:?}");
    store.session("x").unwrap().append_json("a", "{}").unwrap();
    (report, after)
}

#[test]
fn a_first_segment_of_another_log_does_not_make_strangers_of_the_others() {
    let (disk, segments, all) = log();
    let (other, others, _) = log();
    let stranger = other.peek(&others[0]).unwrap();
    disk.damage(&segments[0], |bytes| *bytes = stranger)
        .unwrap();
    let (report, after) = repair(&disk, &all);
    assert_eq!(report.strangers, [segments[0].clone()]);
    assert!(!report.quarantine.is_empty());
    assert!(after.len() > all.len() / 2, "{} events", after.len());
}

#[test]
fn a_stranger_among_the_segments_is_set_aside_and_its_versions_are_given_up() {
    let (disk, segments, all) = log();
    let (other, others, _) = log();
    let stranger = other.peek(&others[2]).unwrap();
    disk.damage(&segments[2], |bytes| *bytes = stranger)
        .unwrap();
    let (report, after) = repair(&disk, &all);
    assert_eq!(report.strangers, [segments[2].clone()]);
    let lost: u64 = report
        .lost
        .iter()
        .map(|(first, last)| last.0 + 1 - first.0)
        .sum();
    assert_eq!(after.len() as u64 + lost, all.len() as u64);
}

#[test]
fn without_any_segment_header_all_segments_get_the_same_log_id() {
    let (disk, segments, all) = log();
    for segment in &segments {
        disk.garbage(segment, 0..128, 7).unwrap();
    }
    let (report, after) = repair(&disk, &all);
    assert_eq!(after, all, "{report:?}");
}

#[test]
fn a_header_with_a_flipped_bit_over_destroyed_frames_keeps_its_salt() {
    let (disk, segments, all) = log();
    disk.flip_bit(&segments[0], 90 * 8).unwrap();
    let len = disk.peek(&segments[0]).unwrap().len() as u64;
    disk.garbage(&segments[0], 128..len, 7).unwrap();
    for segment in &segments[1..] {
        disk.delete(segment).unwrap();
    }
    let (_, after) = repair(&disk, &all);
    assert_eq!(after.len(), 0);
}

#[test]
fn a_segment_that_is_cut_within_its_header_is_lost_and_no_other() {
    let (disk, segments, all) = log();
    disk.truncate(&segments[1], 50).unwrap();
    let (report, after) = repair(&disk, &all);
    assert_eq!(report.lost.len(), 1, "{report:?}");
    let (first, last) = report.lost[0];
    assert_eq!(
        after.len() as u64,
        all.len() as u64 - (last.0 + 1 - first.0)
    );
}

#[test]
fn a_damaged_segment_before_a_missing_one_is_written_anew_once() {
    let (disk, segments, all) = log();
    disk.garbage(&segments[1], 1000..1100, 7).unwrap();
    disk.delete(&segments[2]).unwrap();
    let (report, after) = repair(&disk, &all);
    assert_eq!(report.rewritten, [segments[1].clone()]);
    let lost: u64 = report
        .lost
        .iter()
        .map(|(first, last)| last.0 + 1 - first.0)
        .sum();
    assert_eq!(after.len() as u64 + lost, all.len() as u64, "{report:?}");
}

#[test]
fn a_lost_end_before_a_segment_without_header_links_to_it() {
    let (disk, segments, all) = log();
    let len = disk.peek(&segments[1]).unwrap().len() as u64;
    disk.garbage(&segments[1], len - 600..len, 7).unwrap();
    disk.garbage(&segments[2], 0..128, 7).unwrap();
    repair(&disk, &all);
}

#[test]
fn a_stray_segment_inside_a_damaged_one_is_found_when_that_one_is_back() {
    let (disk, segments, all) = log();
    // A flipped bit in the first frame, and an empty file where its third event would begin a segment.
    disk.flip_bit(&segments[0], 140 * 8).unwrap();
    let stray = segments[0].with_file_name("00000000000000000003.seg");
    let file = disk.open(&stray, OpenMode::CreateNew).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(stray.parent().unwrap()).unwrap();
    let (report, after) = repair(&disk, &all);
    assert!(!after.is_empty(), "{report:?}");
}

#[test]
fn a_corrected_frame_does_not_push_out_a_segment_that_begins_inside_it() {
    let (disk, segments, all) = log();
    // A flipped bit in the first frame, and the second segment under the number of that frame's third event: when the frame
    // was corrected, the segment repeated a version, and was set aside with all of its events.
    disk.flip_bit(&segments[0], 140 * 8).unwrap();
    let inside = segments[0].with_file_name("00000000000000000003.seg");
    disk.rename(&segments[1], &inside).unwrap();
    disk.sync_dir(inside.parent().unwrap()).unwrap();
    repair(&disk, &all);
}

#[test]
fn a_segment_that_nothing_is_left_of_links_to_what_is_before_it_when_a_stray_between_them_is_gone()
{
    let (disk, segments, all) = log();
    // A flipped bit in the first frame, an empty file where its third event would begin a segment, and another right behind it: a GAP
    // took its place, linked to the first stray's GAP, and kept that link when the first stray was set aside.
    disk.flip_bit(&segments[0], 140 * 8).unwrap();
    for stray in ["00000000000000000003.seg", "00000000000000000004.seg"] {
        let stray = segments[0].with_file_name(stray);
        let file = disk.open(&stray, OpenMode::CreateNew).unwrap();
        file.sync_data().unwrap();
    }
    disk.sync_dir(segments[0].parent().unwrap()).unwrap();
    repair(&disk, &all);
}

#[test]
fn a_reader_takes_a_commit_before_an_empty_segment_for_as_durable_as_a_repair_does() {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    for i in 0..3 {
        session
            .append_json("a", &format!(r#"{{"text":"message {i}"}}"#))
            .unwrap();
    }
    let all = events(&store(&disk));
    let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
    let mut segments = disk.files();
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    let path = segments.pop().unwrap();
    // The last commit has a bad payload and a good copy behind it: no frame says that it is durable, only the name of
    // the next segment does. The reader took the copy, and the repair the commit in its place.
    disk.damage(&path, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes.truncate(end.next_multiple_of(8));
        let end = bytes.len();
        let len = u32::from_le_bytes(bytes[end - 8..end - 4].try_into().unwrap()) as usize;
        let good = bytes[end - len..].to_vec();
        bytes[end - 28] ^= 0x55;
        bytes[end - 25] ^= 0x55;
        bytes.extend(good);
    })
    .unwrap();
    let next = all.keys().last().unwrap() + 1;
    let empty = path.with_file_name(format!("{next:020}.seg"));
    let file = disk.open(&empty, OpenMode::CreateNew).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(path.parent().unwrap()).unwrap();
    repair(&disk, &all);
}

#[test]
fn a_commit_that_was_moved_is_found_behind_a_mark() {
    let disk = SimDisk::new();
    for i in 0..3 {
        // Closing writes a MARK, which has the version of the commit behind it.
        let session = store(&disk).session("x").unwrap();
        session
            .append_json("a", &format!(r#"{{"text":"message {i}"}}"#))
            .unwrap();
        session.close().unwrap();
    }
    let all = events(&store(&disk));
    let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
    let mut segments = disk.files();
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    disk.damage(&segments[0], |bytes| {
        // A bad byte in the first commit, and bytes that do not belong there before the last one.
        bytes[140] ^= 0x55;
        let magic = [0xF5, 0x45, 0x56, 0xC1];
        let mut starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&magic));
        let last = starts.nth_back(1).unwrap();
        bytes.splice(last..last, [0x55; 64]);
    })
    .unwrap();
    let (_, after) = repair(&disk, &all);
    assert!(after.contains_key(all.keys().last().unwrap()), "{after:?}");
}

/// Gives a segment's header another salt, with a checksum that fits.
fn change_salt(bytes: &mut [u8]) {
    bytes[28] ^= 1;
    let crc = crc32fast::hash(&bytes[..124]);
    bytes[124..128].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn commits_under_a_header_with_another_salt_are_never_cut_as_a_torn_tail() {
    let (disk, segments, _) = log();
    for other in &segments[1..] {
        disk.delete(other).unwrap();
    }
    disk.damage(&segments[0], |bytes| {
        change_salt(bytes);
        // Without a SEAL, and with what a write that did not happen leaves.
        bytes.truncate(2000);
        bytes.extend([0; 512]);
        bytes.extend([0x55; 64]);
    })
    .unwrap();
    let opened = store(&disk).session("x");
    assert!(matches!(opened, Err(Error::Damaged { .. })), "{opened:?}");
}

#[test]
fn a_header_with_another_salt_than_those_before_it_is_written_anew() {
    let (disk, segments, all) = log();
    disk.damage(&segments[4], |bytes| change_salt(bytes))
        .unwrap();
    let (report, after) = repair(&disk, &all);
    assert_eq!(report.rewritten, [segments[4].clone()]);
    assert_eq!(after, all);
}

/// Makes the envelope of one event of a frame unreadable, with checksums that fit.
fn spoil_envelope(frame: &mut [u8], event: usize) {
    let field = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let meta = 64..64 + field(frame, 8) as usize;
    let mut at = meta.start;
    for _ in 0..event {
        at += 10 + usize::from(u16::from_le_bytes([frame[at + 8], frame[at + 9]]));
    }
    frame[at + 10] = 0x7F;
    let meta_crc = crc32fast::hash(&frame[meta]);
    frame[56..60].copy_from_slice(&meta_crc.to_le_bytes());
    let crc = crc32fast::hash(&frame[..60]);
    frame[60..64].copy_from_slice(&crc.to_le_bytes());
    let end = frame.len();
    frame[end - 4..].copy_from_slice(&(!crc).to_le_bytes());
}

/// A frame with good checksums and an envelope that no reader knows was kept by repair as it was, so that the log was
/// refused for ever.
#[test]
fn an_envelope_that_cannot_be_read_costs_the_rest_of_its_commit_though_its_checksums_are_good() {
    for spoiled in 0..3 {
        let (disk, segments, mut all) = log();
        let session = store(&disk).session("x").unwrap();
        let mut batch = session.batch();
        for _ in 0..3 {
            batch = batch.append_json("a", r#"{"role":"user"}"#).unwrap();
        }
        let last = batch.commit().unwrap().version.0;
        session.append_json("a", r#"{"role":"user"}"#).unwrap();
        session.close().unwrap();
        all.extend((last - 2..=last + 1).map(|v| (v, r#"{"role":"user"}"#.to_owned())));
        let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
        disk.damage(segments.last().unwrap(), |bytes| {
            let magic = [0xF5, 0x45, 0x56, 0xC1];
            let mut starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&magic));
            // Behind the commit of three are one of one, and a MARK.
            let next = starts.nth_back(1).unwrap();
            let at = starts.next_back().unwrap();
            spoil_envelope(&mut bytes[at..next], spoiled);
        })
        .unwrap();
        let (report, after) = repair(&disk, &all);
        let first = last - 2 + spoiled as u64;
        assert_eq!(report.lost, [(Version(first), Version(last))], "{report:?}");
        assert_eq!(after.len() as u64, all.len() as u64 - (last + 1 - first));
    }
}

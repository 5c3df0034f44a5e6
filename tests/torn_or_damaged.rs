//! What a crash leaves is cut without a question asked; what cannot come from a crash is damage, and refuses a writer.
//!
//! A process was killed with its last commits not synced, then the power went: that is what these logs look like.

use std::path::PathBuf;
use std::sync::Arc;

use sessionlog::damage::{Damage, Verdict};
use sessionlog::sim::{Policy, Seeded, SimDisk};
use sessionlog::{Error, RepairOptions, Store};

const MAGIC: [u8; 4] = [0xF5, 0x45, 0x56, 0xC1];
const DURABLE: usize = 24;
const SECTOR: usize = 512;

fn store(disk: &SimDisk) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options.segment_len(8192).open("/s").unwrap()
}

/// A durable log whose writer was killed; `width` is how long its texts are.
fn log(messages: usize, width: usize) -> (SimDisk, Vec<PathBuf>) {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    for i in 0..messages {
        let text = "x".repeat(width);
        session
            .append_json("a", &format!(r#"{{"n":{i},"text":{text:?}}}"#))
            .unwrap();
    }
    let image = disk.crash(Policy::Everything, &mut Seeded::new(0));
    let mut segments = image.files();
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    segments.sort();
    (image, segments)
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

/// A log of one segment whose last two frames lie as `fits` wants them.
fn log_with(
    fits: impl Fn(&std::ops::Range<usize>, &std::ops::Range<usize>) -> bool,
) -> (SimDisk, PathBuf, [std::ops::Range<usize>; 2]) {
    (0..200)
        .map(|width| log(5, width))
        .find_map(|(disk, segments)| {
            let frames = frames(&disk.peek(&segments[0]).unwrap());
            let [.., one, two] = &frames[..] else {
                return None;
            };
            fits(one, two).then(|| (disk, segments[0].clone(), [one.clone(), two.clone()]))
        })
        .expect("a width that fits")
}

/// Says in a frame that only events up to `version` were durable when it was written, with good checksums.
fn vouch_only_for(frame: &mut [u8], version: u64) {
    frame[DURABLE..DURABLE + 8].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&frame[..60]);
    frame[60..64].copy_from_slice(&crc.to_le_bytes());
    let end = frame.len();
    frame[end - 4..].copy_from_slice(&(!crc).to_le_bytes());
}

/// A writer takes the log as it is, and cuts its tail: it had seven events, of which the last two were never acknowledged.
fn is_cut_by_the_next_writer(disk: &SimDisk) {
    let session = store(disk).session("x").unwrap();
    assert_eq!(session.version().0, 5);
    let (torn, _) = session.recovered().expect("a torn tail");
    assert_eq!(torn.verdict, Verdict::Torn);
    assert_eq!(torn.first_version.unwrap().0, 6);
}

fn damage(disk: &SimDisk) -> Vec<Damage> {
    match store(disk).session("x") {
        Err(Error::Damaged { report, .. }) => report,
        other => panic!("a writer was let in: {other:?}"),
    }
}

#[test]
fn a_write_that_is_missing_before_a_garbled_one_in_its_sector_is_torn() {
    // The first of two unsynced writes is lost and the second is garbled. Every sector has bytes that are not zero, but no
    // frame has as many zeros in a row as a frame header is long.
    let (disk, segment, [lost, garbled]) =
        log_with(|one, two| one.start / SECTOR == two.start / SECTOR && one.len() >= 64);
    disk.damage(&segment, |bytes| {
        bytes[lost].fill(0);
        vouch_only_for(&mut bytes[garbled.clone()], 5);
        bytes[garbled][64..].fill(0x5A);
    })
    .unwrap();
    is_cut_by_the_next_writer(&disk);
}

#[test]
fn a_header_that_the_end_of_the_file_cuts_off_is_torn_with_the_frame_before_it() {
    // The last few bytes of an unsynced frame are lost with their sector; of the next one only the first bytes got to the
    // disk, and so did the file's length. No sector of the two is all zero.
    let (disk, segment, [one, two]) = log_with(|one, two| {
        let tail = two.start % SECTOR;
        one.start / SECTOR < two.start / SECTOR && (8..64).contains(&tail)
    });
    disk.damage(&segment, |bytes| {
        bytes[one.end / SECTOR * SECTOR..one.end].fill(0);
        bytes.truncate(two.start + 20);
    })
    .unwrap();
    is_cut_by_the_next_writer(&disk);
}

#[test]
fn a_hole_in_what_a_later_frame_vouches_for_is_damage_though_it_looks_torn() {
    let (disk, segments) = log(5, 200);
    disk.damage(&segments[0], |bytes| {
        let frame = frames(bytes)[2].clone();
        bytes[frame].fill(0);
    })
    .unwrap();
    let report = damage(&disk);
    assert_eq!(report.len(), 1, "{report:?}");
    assert_eq!(report[0].verdict, Verdict::Corrupt);
}

#[test]
fn bytes_behind_a_seal_are_damage_wherever_the_segment_is() {
    // Nothing is ever written behind a SEAL, so no crash leaves anything there, however short it is.
    let (_, segments) = log(70, 200);
    assert!(segments.len() > 2);
    for (index, segment) in segments.iter().enumerate().take(2) {
        let (disk, _) = log(70, 200);
        for later in &segments[2..] {
            disk.delete(later).unwrap();
        }
        disk.damage(segment, |bytes| bytes.extend_from_slice(&[0x5A; 40]))
            .unwrap();
        let report = damage(&disk);
        let here: Vec<_> = report.iter().filter(|d| d.segment == *segment).collect();
        assert!(
            matches!(here[..], [d] if d.verdict == Verdict::Corrupt && d.length == 40),
            "segment {index}: {report:?}"
        );
    }
}

/// A segment that was cut exactly where its SEAL began looked whole.
#[test]
fn a_segment_without_its_seal_before_one_with_frames_is_reported_and_gets_it_back() {
    let (disk, segments) = log(70, 200);
    disk.damage(&segments[0], |bytes| {
        let seal = frames(bytes).pop().unwrap();
        bytes.truncate(seal.start);
    })
    .unwrap();
    let report = damage(&disk);
    assert_eq!(report.len(), 1, "{report:?}");
    assert_eq!(report[0].cause, "the segment has no seal");
    let repaired = store(&disk).repair("x", &RepairOptions::default()).unwrap();
    assert!(repaired.lost.is_empty(), "{repaired:?}");
    assert!(store(&disk).verify("x").unwrap().is_ok());
}

//! Space that is allocated ahead of a long log's end: zeros that are nobody's loss, and never hide one.

use std::path::PathBuf;
use std::sync::Arc;

use sessionlog::damage::Verdict;
use sessionlog::sim::{Fault, FaultPlan, OpKind, Policy, Seeded, SimDisk};
use sessionlog::storage::{OpenMode, Storage, write_all_at};
use sessionlog::{Error, RepairOptions, Session, Store, Version};

fn store(disk: &SimDisk) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options.open("/s").unwrap()
}

fn message(i: u64) -> String {
    let text = format!("message {i} ").repeat(128);
    format!(
        r#"{{"role":"user","content":[{{"text":"{}"}}]}}"#,
        &text[..980]
    )
}

/// A log that space was allocated for.
fn long(disk: &SimDisk) -> Session {
    let session = store(disk).session("x").unwrap();
    for i in 0..300 {
        session.append_json("a", &message(i)).unwrap();
    }
    session
}

fn segment(disk: &SimDisk) -> PathBuf {
    let mut files = disk.files();
    files.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    files.pop().unwrap()
}

fn bytes(disk: &SimDisk) -> Vec<u8> {
    disk.peek(&segment(disk)).unwrap()
}

/// Where the last frame ends.
fn end(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    (last + 1).next_multiple_of(8)
}

/// How long the frame is that ends at `end`.
fn frame_len(bytes: &[u8], end: usize) -> usize {
    u32::from_le_bytes(bytes[end - 8..end - 4].try_into().unwrap()) as usize
}

fn overwrite(disk: &SimDisk, at: usize, with: &[u8]) {
    let file = disk.open(&segment(disk), OpenMode::Write).unwrap();
    write_all_at(&*file, with, at as u64).unwrap();
}

/// The disk of a writer that was killed, with a log of 300 messages and zeros behind them.
fn killed() -> SimDisk {
    let disk = SimDisk::new();
    std::mem::forget(long(&disk));
    let disk = disk.kill();
    let bytes = bytes(&disk);
    assert_eq!(bytes.len() % (64 << 10), 0);
    assert!(end(&bytes) + 1024 < bytes.len());
    disk
}

#[test]
fn most_appends_to_a_long_log_leave_its_length_alone() {
    let disk = SimDisk::new();
    let session = long(&disk);
    let before = bytes(&disk).len();
    disk.clear_trace();
    for i in 0..100 {
        session.append_json("a", &message(i)).unwrap();
    }
    let allocations = disk.trace();
    let allocations = allocations.iter().filter(|op| op.kind == OpKind::Allocate);
    let count = allocations.count();
    assert!((1..=2).contains(&count), "{count} allocations");
    assert_eq!(bytes(&disk).len(), before + count * (64 << 10));
}

#[test]
fn a_short_log_has_no_space_ahead() {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    for i in 0..100 {
        session.append_json("a", &message(i)).unwrap();
    }
    let bytes = bytes(&disk);
    assert_eq!(end(&bytes), bytes.len());
}

#[test]
fn closing_gives_the_space_back() {
    let disk = SimDisk::new();
    let session = long(&disk);
    session.append_json("a", &message(1)).unwrap();
    session.close().unwrap();
    let bytes = bytes(&disk);
    assert_eq!(end(&bytes), bytes.len());
}

#[test]
fn what_a_kill_leaves_is_no_damage_and_the_next_writer_goes_on_in_it() {
    let disk = killed();
    let store = store(&disk);
    assert!(store.verify("x").unwrap().is_ok());
    assert!(store.read("x").unwrap().damage().unwrap().is_empty());
    let (len, at) = (bytes(&disk).len(), end(&bytes(&disk)));
    let session = store.session("x").unwrap();
    assert_eq!(session.recovered(), None);
    assert_eq!(session.version(), Version(302));
    let done = session.append_json("a", &message(0)).unwrap();
    assert_eq!(done.version, Version(303));
    let bytes = bytes(&disk);
    assert_eq!((bytes.len(), &bytes[at..at + 4]), (len, &b"\xF5EV\xC1"[..]));
}

#[test]
fn after_a_kill_the_last_50_are_found_in_128_kib() {
    for more in 0..60 {
        let disk = SimDisk::new();
        let session = long(&disk);
        for i in 0..more {
            session.append_json("a", &message(i)).unwrap();
        }
        std::mem::forget(session);
        let disk = disk.kill();
        let before = disk.bytes_read();
        let view = store(&disk).read("x").unwrap();
        let last = view.messages("a").unwrap().last(50);
        assert_eq!(last.map(Result::unwrap).count(), 50);
        let read = disk.bytes_read() - before;
        assert!(read <= 128 << 10, "{read} bytes read after {more} appends");
    }
}

/// Appends until space is allocated; returns which operation of the disk that is.
fn next_allocation() -> u64 {
    let disk = SimDisk::new();
    let session = long(&disk);
    let before = disk.operations();
    disk.clear_trace();
    for i in 0..100 {
        session.append_json("a", &message(i)).unwrap();
    }
    let trace = disk.trace();
    let at = trace.iter().position(|op| op.kind == OpKind::Allocate);
    before + 1 + at.unwrap() as u64
}

#[test]
fn an_allocation_that_fails_fails_no_append() {
    let at = next_allocation();
    for fault in [Fault::Io, Fault::Full, Fault::IoAfter] {
        let disk = SimDisk::new();
        let session = long(&disk);
        disk.set_faults(FaultPlan::none().once(at, fault));
        for i in 0..100 {
            session.append_json("a", &message(i)).unwrap();
        }
        assert_eq!(disk.faults_struck(), 1);
        session.close().unwrap();
        let store = store(&disk);
        assert_eq!(store.session("x").unwrap().version(), Version(402));
        assert!(store.verify("x").unwrap().is_ok());
    }
}

#[test]
fn a_flipped_bit_in_the_last_commit_is_not_called_torn_for_the_zeros_behind_it() {
    let good = killed();
    let bytes = bytes(&good);
    let end = end(&bytes);
    let frame = end - frame_len(&bytes, end);
    for at in (frame..end).step_by(7) {
        let disk = good.kill();
        overwrite(&disk, at, &[bytes[at] ^ 0x10]);
        let store = store(&disk);
        let refused = store.session("x").unwrap_err();
        let Error::Damaged { report, .. } = refused else {
            panic!("byte {at}: {refused}");
        };
        assert!(report.iter().all(|d| d.verdict == Verdict::Suspect));
        store.repair("x", &RepairOptions::default()).unwrap();
        let lost = store.session("x").unwrap().state().lost().to_vec();
        let least = Version((end - frame) as u64 / 16 + 301);
        // What cannot be corrected is given up, with no more versions than the frame could have held.
        let mut ranges = lost.iter();
        let fits = ranges.all(|(first, last)| *first >= Version(302) && *last <= least);
        assert!(fits, "byte {}: {lost:?}", at - frame);
    }
}

#[test]
fn a_commit_of_which_sectors_never_came_into_the_zeros_is_torn() {
    let good = killed();
    let bytes = bytes(&good);
    let end = end(&bytes);
    let frame = end - frame_len(&bytes, end);
    let sectors: Vec<_> = (frame / 512..end.div_ceil(512))
        .map(|sector| (sector * 512).max(frame)..(sector * 512 + 512).min(end))
        .collect();
    assert!(sectors.len() >= 3);
    for missing in 1..1_usize << sectors.len() {
        let disk = good.kill();
        for (i, sector) in sectors.iter().enumerate() {
            if missing & (1 << i) != 0 {
                overwrite(&disk, sector.start, &vec![0; sector.len()]);
            }
        }
        let session = store(&disk).session("x").unwrap();
        assert_eq!(session.version(), Version(301), "without {missing:b}");
        let recovered = session.recovered();
        let all = missing + 1 == 1 << sectors.len();
        assert_eq!(recovered.is_none(), all, "without {missing:b}");
        if let Some((damage, kept)) = recovered {
            assert_eq!(damage.verdict, Verdict::Torn);
            let kept = disk.peek(&kept).unwrap();
            assert!(kept.len() <= end - frame, "the zeros behind are not kept");
        }
        session.append_json("a", &message(0)).unwrap();
        drop(session);
        assert!(store(&disk).verify("x").unwrap().is_ok());
    }
}

#[test]
fn zeroed_sectors_of_what_a_later_frame_vouches_for_are_corrupt() {
    let good = killed();
    let end = end(&bytes(&good));
    for back in [4096, 8192, 100_000] {
        let disk = good.kill();
        overwrite(&disk, (end - back) / 512 * 512, &[0; 512]);
        let refused = store(&disk).session("x").unwrap_err();
        let Error::Damaged { report, .. } = refused else {
            panic!("{refused}");
        };
        assert!(report.iter().all(|d| d.verdict == Verdict::Corrupt));
    }
}

#[test]
fn a_power_cut_while_space_is_allocated_loses_nothing() {
    let at = next_allocation();
    for (cut, policy) in
        (at - 2..at + 8).zip([Policy::AnySubset, Policy::PageCache].into_iter().cycle())
    {
        for seed in 0..20 {
            let disk = SimDisk::new();
            let session = long(&disk);
            disk.set_faults(FaultPlan::power_cut(cut));
            let (mut acknowledged, mut i) = (Version(0), 0);
            while let Ok(done) = session.append_json("a", &message(i)) {
                (acknowledged, i) = (done.version, i + 1);
            }
            std::mem::forget(session);
            let disk = disk.crash(policy, &mut Seeded::new(seed));
            let session = store(&disk).session("x").unwrap();
            assert!(session.version() >= acknowledged);
            assert!(session.version() <= acknowledged.next());
        }
    }
}

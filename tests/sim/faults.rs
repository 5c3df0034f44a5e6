//! Faults of a disk in use, and what is counted and traced.

use std::io::ErrorKind;

use sessionlog::sim::{Fault, FaultPlan, Injected, OpKind, Policy, Seeded, SimDisk};
use sessionlog::storage::{OpenMode, Storage, StorageFile, read_full_at, write_all_at};

use super::{all_crashes, by_moments, create, durable, files, path};

fn next(disk: &SimDisk, fault: Fault) {
    disk.set_faults(FaultPlan::none().once(disk.operations() + 1, fault));
}

fn nothing(disk: &SimDisk) -> Vec<String> {
    files(&disk.crash(Policy::Nothing, &mut Seeded::new(0)))
}

fn write(file: &dyn StorageFile, bytes: &[u8]) {
    write_all_at(file, bytes, 0).unwrap();
}

/// Every operation once.
fn everything(disk: &SimDisk) -> std::io::Result<()> {
    disk.create_dir(&path("d"))?;
    let file = disk.open(&path("d/a"), OpenMode::CreateNew)?;
    file.write_at(b"bytes", 0)?;
    file.allocate(10)?;
    file.set_len(5)?;
    file.sync_data()?;
    file.read_at(&mut [0; 5], 0)?;
    file.len()?;
    disk.open(&path("d/a"), OpenMode::Read)?;
    disk.rename(&path("d/a"), &path("d/b"))?;
    disk.sync_dir(&path("d"))?;
    disk.list(&path("d"))?;
    drop(disk.try_lock(&path("LOCK"))?);
    disk.remove_file(&path("d/b"))?;
    disk.remove_dir(&path("d"))
}

#[test]
fn every_fallible_operation_is_counted_and_can_fail() {
    let mut at = 1;
    loop {
        let disk = SimDisk::new();
        disk.set_faults(FaultPlan::none().once(at, Fault::Io));
        let result = everything(&disk);
        if disk.faults_struck() == 0 {
            assert!(result.is_ok());
            break;
        }
        assert_eq!(Injected::of(&result.unwrap_err()), Some(Fault::Io));
        assert_eq!(disk.operations(), at, "the failed operation was the last");
        at += 1;
    }
    assert_eq!(at, 16, "15 operations, then a clean pass");
}

#[test]
fn a_transient_fault_strikes_once_and_a_sticky_one_always() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"");
    next(&disk, Fault::Io);
    assert!(file.write_at(b"x", 0).is_err());
    assert!(file.write_at(b"x", 0).is_ok());
    disk.set_faults(FaultPlan::none().from(disk.operations() + 2, Fault::Io));
    assert!(file.len().is_ok());
    assert!(file.len().is_err() && file.sync_data().is_err() && disk.list(&path("")).is_err());
}

#[test]
fn a_failed_operation_changes_nothing_unless_it_fails_after_the_fact() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"");
    next(&disk, Fault::Io);
    assert!(disk.rename(&path("a"), &path("b")).is_err());
    assert_eq!(files(&disk), ["a="]);
    next(&disk, Fault::IoAfter);
    assert!(disk.rename(&path("a"), &path("b")).is_err());
    assert_eq!(files(&disk), ["b="]);
}

#[test]
fn a_lock_that_failed_is_not_held() {
    for fault in [Fault::Io, Fault::IoAfter, Fault::Full] {
        let disk = SimDisk::new();
        next(&disk, fault);
        assert!(disk.try_lock(&path("LOCK")).is_err());
        assert!(disk.try_lock(&path("LOCK")).unwrap().is_some(), "{fault:?}");
    }
}

#[test]
fn a_full_disk_writes_half_and_then_refuses() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"");
    next(&disk, Fault::Full);
    assert_eq!(file.write_at(b"12345678", 0).unwrap(), 4);
    file.sync_data().unwrap();
    assert_eq!(
        file.write_at(b"5678", 4).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(file.write_at(b"5678", 4).unwrap(), 4, "space was made");
    disk.set_faults(FaultPlan::none().from(1, Fault::Full));
    assert_eq!(
        write_all_at(file.as_ref(), b"123", 0).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(
        file.allocate(100).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(
        disk.create_dir(&path("d")).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    disk.remove_file(&path("a")).unwrap();
}

#[test]
fn loops_get_over_short_and_interrupted_transfers() {
    for fault in [Fault::Short, Fault::Interrupted] {
        let disk = SimDisk::new();
        let file = durable(&disk, "", "a", b"");
        disk.set_faults(FaultPlan::none().from(1, fault));
        write(file.as_ref(), b"0123456789");
        let mut bytes = [0; 10];
        assert_eq!(read_full_at(file.as_ref(), &mut bytes, 0).unwrap(), 10);
        assert_eq!(&bytes, b"0123456789");
        assert!(disk.faults_struck() >= 2, "{fault:?}");
    }
}

#[test]
fn a_sync_that_only_failed_can_be_tried_again() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"old");
    write(file.as_ref(), b"new");
    next(&disk, Fault::Io);
    assert!(file.sync_data().is_err());
    assert_eq!(nothing(&disk), ["a=old"]);
    file.sync_data().unwrap();
    assert_eq!(nothing(&disk), ["a=new"]);
}

#[test]
fn after_a_sync_that_failed_and_marked_clean_a_later_one_succeeds_and_persists_nothing() {
    for (fault, fails) in [(Fault::SyncFailsClean, true), (Fault::SyncLies, false)] {
        let disk = SimDisk::new();
        let file = durable(&disk, "", "a", b"old");
        write(file.as_ref(), b"new");
        next(&disk, fault);
        assert_eq!(file.sync_data().is_err(), fails);
        file.sync_data().unwrap();
        assert_eq!(files(&disk), ["a=new"], "the bytes stay readable");
        assert_eq!(nothing(&disk), ["a=old"], "the later sync wrote them");
        let seen = all_crashes(&disk, by_moments(Policy::PageCache), files);
        assert_eq!(
            seen.len(),
            2,
            "they may have reached the disk all the same: {seen:?}"
        );
    }
}

#[test]
fn after_a_sync_that_marked_clean_only_what_is_written_again_becomes_durable() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"......");
    write(file.as_ref(), b"abcdef");
    next(&disk, Fault::SyncFailsClean);
    assert!(file.sync_data().is_err());
    write_all_at(file.as_ref(), b"CD", 2).unwrap();
    write_all_at(file.as_ref(), b"gh", 6).unwrap();
    file.sync_data().unwrap();
    assert_eq!(files(&disk), ["a=abCDefgh"]);
    assert_eq!(nothing(&disk), ["a=..CD..gh"]);
    let seen = all_crashes(&disk, by_moments(Policy::AnySubset), files);
    assert!(
        seen.iter().all(|files| &files[0][4..6] == "CD"),
        "a late write undid a synced one: {seen:?}"
    );
    write_all_at(file.as_ref(), b"abcdef", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(nothing(&disk), ["a=abcdefgh"]);
}

#[test]
fn after_a_sync_that_marked_clean_a_later_one_persists_the_length() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"ab");
    write_all_at(file.as_ref(), b"cd", 2).unwrap();
    next(&disk, Fault::SyncFailsClean);
    assert!(file.sync_data().is_err());
    assert_eq!(nothing(&disk), ["a=ab"]);
    file.sync_data().unwrap();
    assert_eq!(nothing(&disk), ["a=ab\0\0"]);
}

#[test]
fn after_a_sync_that_failed_and_reverted_reads_show_what_is_durable() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"old");
    write(file.as_ref(), b"newer");
    next(&disk, Fault::SyncFailsRevert);
    assert!(file.sync_data().is_err());
    assert_eq!(files(&disk), ["a=old"]);
    file.sync_data().unwrap();
    assert_eq!(nothing(&disk), ["a=old"]);
}

#[test]
fn after_a_power_cut_everything_fails_and_its_write_may_be_partly_done() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[b'o'; 1024]);
    disk.set_faults(FaultPlan::power_cut(disk.operations() + 1));
    let error = file.write_at(&[b'n'; 1024], 0).unwrap_err();
    assert_eq!(Injected::of(&error), Some(Fault::PowerCut));
    assert!(
        file.len().is_err() && file.sync_data().is_err() && disk.try_lock(&path("LOCK")).is_err()
    );
    let seen = all_crashes(&disk, Policy::PageCache.into(), |after| {
        let bytes = after.peek(&path("a")).unwrap();
        (bytes[0], bytes[1023])
    });
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert!(
        disk.crash(Policy::Nothing, &mut Seeded::new(0))
            .list(&path(""))
            .is_ok()
    );
}

#[test]
fn a_sync_at_the_power_cut_makes_nothing_durable_but_a_rename_may_be_done() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"old");
    write(file.as_ref(), b"new");
    disk.set_faults(FaultPlan::power_cut(disk.operations() + 1));
    assert!(file.sync_data().is_err());
    assert_eq!(nothing(&disk), ["a=old"]);
    disk.set_faults(FaultPlan::power_cut(disk.operations() + 1));
    assert!(disk.rename(&path("a"), &path("b")).is_err());
    let seen = all_crashes(&disk, Policy::PageCache.into(), SimDisk::files);
    assert_eq!(Vec::from_iter(seen), [[path("a")], [path("b")]]);
}

#[test]
fn the_trace_has_every_operation_in_order_with_the_notes_between() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"12");
    disk.note("acknowledged", 7);
    assert!(disk.remove_file(&path("b")).is_err());
    disk.rename(&path("a"), &path("c")).unwrap();
    file.read_at(&mut [0; 10], 1).unwrap();
    let trace = disk.trace();
    let kinds: Vec<_> = trace.iter().map(|op| op.kind).collect();
    let note = OpKind::Note("acknowledged");
    let before = [
        OpKind::Create,
        OpKind::Write,
        OpKind::SyncData,
        OpKind::SyncDir,
    ];
    assert_eq!(kinds[..4], before);
    assert_eq!(
        kinds[4..],
        [note, OpKind::RemoveFile, OpKind::Rename, OpKind::Read]
    );
    assert_eq!((trace[1].offset, trace[1].len, trace[1].moved), (0, 2, 2));
    assert_eq!((trace[4].number, trace[4].len), (4, 7));
    assert_eq!(trace[5].error, Some(ErrorKind::NotFound));
    assert_eq!(trace[6].to, Some(path("c")));
    assert_eq!((trace[7].offset, trace[7].len, trace[7].moved), (1, 10, 1));
    assert_eq!(trace[7].number, disk.operations());
    disk.clear_trace();
    assert!(disk.trace().is_empty());
}

#[test]
fn bytes_are_counted_as_they_are_moved() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[1; 100]);
    assert_eq!((disk.bytes_written(), disk.bytes_read()), (100, 0));
    assert_eq!(read_full_at(file.as_ref(), &mut [0; 150], 50).unwrap(), 50);
    assert_eq!((disk.bytes_written(), disk.bytes_read()), (100, 50));
    disk.peek(&path("a")).unwrap();
    assert_eq!(disk.bytes_read(), 50, "a peek is not a read");
}

#[test]
fn many_threads_can_use_one_disk() {
    let disk = SimDisk::new();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let disk = disk.clone();
            scope.spawn(move || {
                let file = create(&disk, &format!("{n}"), b"");
                for at in 0..100 {
                    write_all_at(file.as_ref(), b"x", at).unwrap();
                }
            });
        }
    });
    assert_eq!(
        disk.operations(),
        4 * 101,
        "one creation and 100 writes each"
    );
    assert!(
        disk.files()
            .iter()
            .all(|file| disk.peek(file).unwrap().len() == 100)
    );
}

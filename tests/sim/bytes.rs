//! What a power cut leaves of bytes and lengths.

use sessionlog::sim::{Bytes, Crash, Lengths, Policy, Seeded, SimDisk};
use sessionlog::storage::{OpenMode, Storage, write_all_at};

use super::{POLICIES, all_crashes, by_moments, create, durable, files, path};

fn peek(disk: &SimDisk) -> Vec<u8> {
    disk.peek(&path("a")).unwrap()
}

#[test]
fn synced_bytes_with_a_synced_name_are_never_lost() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[1; 1500]);
    write_all_at(file.as_ref(), &[2; 600], 1500).unwrap();
    file.sync_data().unwrap();
    for policy in POLICIES {
        let seen = all_crashes(&disk, policy.into(), peek);
        assert_eq!(seen.len(), 1, "{policy:?}");
        assert_eq!(
            seen.first().unwrap(),
            &[vec![1; 1500], vec![2; 600]].concat(),
            "{policy:?}"
        );
    }
}

#[test]
fn an_unsynced_write_can_be_lost_and_can_survive_under_every_policy_that_chooses() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"old");
    write_all_at(file.as_ref(), b"new", 0).unwrap();
    for policy in [Policy::PageCache, Policy::AnySubset, Policy::Trashed] {
        let seen = all_crashes(&disk, policy.into(), files);
        assert!(seen.contains(&vec!["a=old".to_owned()]), "{policy:?}");
        assert!(seen.contains(&vec!["a=new".to_owned()]), "{policy:?}");
    }
    assert_eq!(
        files(&disk.crash(Policy::Nothing, &mut Seeded::new(0))),
        ["a=old"]
    );
    assert_eq!(
        files(&disk.crash(Policy::Everything, &mut Seeded::new(0))),
        ["a=new"]
    );
}

#[test]
fn closing_a_file_makes_nothing_durable() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"old");
    write_all_at(file.as_ref(), b"new", 0).unwrap();
    drop(file);
    assert_eq!(
        files(&disk.crash(Policy::Nothing, &mut Seeded::new(0))),
        ["a=old"]
    );
}

#[test]
fn a_sync_covers_the_writes_of_every_handle() {
    let disk = SimDisk::new();
    let first = durable(&disk, "", "a", b"old");
    let second = disk.open(&path("a"), OpenMode::Write).unwrap();
    write_all_at(second.as_ref(), b"new", 0).unwrap();
    drop(second);
    first.sync_data().unwrap();
    assert_eq!(
        files(&disk.crash(Policy::Nothing, &mut Seeded::new(0))),
        ["a=new"]
    );
}

#[test]
fn sectors_survive_each_on_its_own() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[b'o'; 1536]);
    write_all_at(file.as_ref(), &[b'n'; 1536], 0).unwrap();
    let seen = all_crashes(&disk, Policy::PageCache.into(), |after| {
        let bytes = peek(after);
        assert!(
            bytes
                .chunks(512)
                .all(|sector| sector.iter().all(|byte| *byte == sector[0])),
            "a torn sector"
        );
        [bytes[0], bytes[512], bytes[1024]]
    });
    assert_eq!(seen.len(), 8, "all mixtures of three sectors: {seen:?}");
}

#[test]
fn a_page_cache_sector_is_a_prefix_of_its_writes_and_a_subset_may_skip_one() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"....");
    write_all_at(file.as_ref(), b"1", 0).unwrap();
    write_all_at(file.as_ref(), b"2", 1).unwrap();
    write_all_at(file.as_ref(), b"3", 0).unwrap();
    let show = |after: &SimDisk| String::from_utf8(peek(after)).unwrap();
    let prefixes = all_crashes(&disk, Policy::PageCache.into(), show);
    assert_eq!(Vec::from_iter(prefixes), ["....", "1...", "12..", "32.."]);
    let subsets = all_crashes(&disk, Policy::AnySubset.into(), show);
    assert_eq!(
        Vec::from_iter(subsets),
        ["....", ".2..", "1...", "12..", "3...", "32.."]
    );
}

#[test]
fn garbage_stays_inside_the_bytes_that_an_unsynced_write_covers() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[b'o'; 1536]);
    write_all_at(file.as_ref(), &[b'n'; 100], 500).unwrap();
    let mut garbage = false;
    all_crashes(&disk, Policy::Trashed.into(), |after| {
        let bytes = peek(after);
        assert_eq!(bytes.len(), 1536);
        assert_eq!(bytes[..500], [b'o'; 500]);
        assert_eq!(bytes[600..], [b'o'; 936]);
    });
    for seed in 0..50 {
        let bytes = peek(&disk.crash(Policy::Trashed, &mut Seeded::new(seed)));
        garbage |= bytes[500..600]
            .iter()
            .any(|byte| *byte != b'o' && *byte != b'n');
    }
    assert!(garbage, "nothing was trashed");
}

#[test]
fn the_length_is_independent_of_the_bytes() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"ab");
    write_all_at(file.as_ref(), b"cd", 2).unwrap();
    let seen = all_crashes(&disk, Policy::PageCache.into(), peek);
    let expected: [&[u8]; 5] = [b"ab", b"ab\0", b"ab\0\0", b"abc", b"abcd"];
    assert_eq!(seen.iter().map(Vec::as_slice).collect::<Vec<_>>(), expected);
}

#[test]
fn lengths_can_be_limited_to_moments_and_sector_boundaries() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[1; 100]);
    write_all_at(file.as_ref(), &[2; 1100], 100).unwrap();
    let lengths = |lengths| {
        let crash = Crash::from(Policy::PageCache).lengths(lengths);
        Vec::from_iter(all_crashes(&disk, crash, |after| peek(after).len()))
    };
    assert_eq!(lengths(Lengths::Moments), [100, 1200]);
    assert_eq!(lengths(Lengths::Sectors), [100, 512, 1024, 1200]);
    assert_eq!(lengths(Lengths::AnyByte), (100..=1200).collect::<Vec<_>>());
}

#[test]
fn an_unsynced_cut_can_be_undone_and_old_bytes_revive_behind_new_ones() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"0123456789");
    file.set_len(4).unwrap();
    write_all_at(file.as_ref(), b"x", 4).unwrap();
    let seen = all_crashes(&disk, by_moments(Policy::AnySubset), files);
    for possible in ["0123456789", "0123", "0123x", "0123x56789"] {
        assert!(
            seen.contains(&vec![format!("a={possible}")]),
            "{possible}: {seen:?}"
        );
    }
    file.sync_data().unwrap();
    let seen = all_crashes(&disk, by_moments(Policy::AnySubset), files);
    assert_eq!(
        Vec::from_iter(seen),
        [["a=0123x"]],
        "a synced cut came undone"
    );
}

#[test]
fn an_unsynced_cut_of_whole_sectors_can_leave_each_of_them() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[7; 10_000]);
    file.set_len(512).unwrap();
    file.set_len(10_000).unwrap();
    // One byte beside the cut, one in a page of its own.
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let bytes = peek(&disk.crash(Policy::PageCache, &mut Seeded::new(seed)));
        assert_eq!(bytes[..512], [7; 512], "seed {seed}");
        if bytes.len() > 9_000 {
            seen.insert([bytes[600], bytes[8_999]]);
        }
    }
    assert_eq!(Vec::from_iter(seen), [[0, 0], [0, 7], [7, 0], [7, 7]]);
}

#[test]
fn an_unsynced_allocation_can_be_lost_and_reads_as_zeros() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"ab");
    file.allocate(4).unwrap();
    let seen = all_crashes(&disk, by_moments(Policy::AnySubset), peek);
    assert_eq!(Vec::from_iter(seen), [b"ab".to_vec(), b"ab\0\0".to_vec()]);
}

#[test]
fn a_far_length_costs_no_memory() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"ab");
    file.set_len(i64::MAX as u64).unwrap();
    write_all_at(file.as_ref(), b"z", i64::MAX as u64 - 1).unwrap();
    file.set_len(2).unwrap();
    for seed in 0..20 {
        let after = disk.crash(Policy::Trashed, &mut Seeded::new(seed));
        assert!(
            after
                .open(&path("a"), OpenMode::Read)
                .unwrap()
                .len()
                .unwrap()
                >= 2
        );
    }
}

#[test]
fn a_crash_image_is_durable_unlocked_and_independent() {
    let disk = SimDisk::new();
    let _lock = disk.try_lock(&path("LOCK")).unwrap().unwrap();
    let file = create(&disk, "a", b"one");
    let after = disk.crash(Policy::Everything, &mut Seeded::new(0));
    assert!(
        after.try_lock(&path("LOCK")).unwrap().is_some(),
        "a lock survived the power cut"
    );
    write_all_at(file.as_ref(), b"two", 0).unwrap();
    let again = after.crash(Policy::Nothing, &mut Seeded::new(0));
    assert_eq!(files(&again), ["LOCK=", "a=one"]);
    assert_eq!(files(&disk), ["LOCK=", "a=two"]);
}

#[test]
fn a_killed_process_loses_its_locks_and_its_bytes_stay_at_risk() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"old");
    let _lock = disk.try_lock(&path("LOCK")).unwrap().unwrap();
    write_all_at(file.as_ref(), b"new", 0).unwrap();
    let next = disk.kill();
    assert!(next.try_lock(&path("LOCK")).unwrap().is_some());
    assert_eq!(files(&next), ["LOCK=", "a=new"]);
    assert_eq!(
        files(&next.crash(Policy::Nothing, &mut Seeded::new(0))),
        ["a=old"]
    );
}

#[test]
fn any_fuzzer_bytes_make_a_crash_and_none_make_the_dullest() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", b"old");
    write_all_at(file.as_ref(), b"newer", 0).unwrap();
    create(&disk, "b", b"unsynced");
    for byte in 0..=255 {
        let bytes = [byte; 64];
        let after = disk.crash(Policy::Trashed, &mut Bytes::new(&bytes));
        assert!(after.files().contains(&path("a")));
    }
    assert_eq!(
        files(&disk.crash(Policy::Trashed, &mut Bytes::new(&[]))),
        ["a=old"]
    );
}

#[test]
fn the_same_choices_make_the_same_image() {
    let disk = SimDisk::new();
    let file = durable(&disk, "", "a", &[1; 5_000]);
    write_all_at(file.as_ref(), &[2; 5_000], 2_000).unwrap();
    create(&disk, "b", b"unsynced");
    for seed in 0..20 {
        let image = || files(&disk.crash(Policy::Trashed, &mut Seeded::new(seed)));
        assert!(image() == image(), "seed {seed}");
    }
}

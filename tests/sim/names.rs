//! What a power cut leaves of names.

use std::collections::BTreeMap;

use sessionlog::sim::{Choice, Crash, NameLoss, Policy, Seeded, SimDisk};
use sessionlog::storage::{OpenMode, Storage};

use super::{all_crashes, by_moments, create, durable, files, path};

/// All sets of files that a crash may leave, the bytes being whole.
fn outcomes(disk: &SimDisk, names: NameLoss) -> Vec<String> {
    let crash = by_moments(Policy::Everything).names(names);
    Vec::from_iter(all_crashes(disk, crash, |after| files(after).join(" ")))
}

fn directory(disk: &SimDisk, name: &str) {
    disk.create_dir(&path(name)).unwrap();
    disk.sync_dir(path(name).parent().unwrap()).unwrap();
}

#[test]
fn a_synced_file_without_a_synced_name_can_vanish() {
    let disk = SimDisk::new();
    create(&disk, "a", b"x").sync_data().unwrap();
    assert_eq!(outcomes(&disk, NameLoss::Any), ["", "a=x"]);
    assert_eq!(outcomes(&disk, NameLoss::Suffix), ["", "a=x"]);
    assert!(
        disk.crash(Policy::Nothing, &mut Seeded::new(0))
            .files()
            .is_empty()
    );
}

#[test]
fn a_synced_name_with_unsynced_bytes_can_be_an_empty_file() {
    let disk = SimDisk::new();
    let _file = create(&disk, "a", b"x");
    disk.sync_dir(&path("")).unwrap();
    assert_eq!(
        files(&disk.crash(Policy::Nothing, &mut Seeded::new(0))),
        ["a="]
    );
}

#[test]
fn sync_dir_makes_creations_renames_and_removals_durable() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"1");
    durable(&disk, "", "b", b"2");
    disk.rename(&path("a"), &path("c")).unwrap();
    disk.remove_file(&path("b")).unwrap();
    create(&disk, "d", b"3").sync_data().unwrap();
    disk.sync_dir(&path("")).unwrap();
    for names in [
        NameLoss::All,
        NameLoss::Any,
        NameLoss::Suffix,
        NameLoss::None,
    ] {
        assert_eq!(outcomes(&disk, names), ["c=1 d=3"], "{names:?}");
    }
}

#[test]
fn sync_dir_is_not_a_sync_of_another_directory_nor_of_its_own_name() {
    let disk = SimDisk::new();
    directory(&disk, "d");
    create(&disk, "d/a", b"1");
    create(&disk, "b", b"2");
    disk.sync_dir(&path("")).unwrap();
    assert_eq!(
        outcomes(&disk, NameLoss::All),
        ["b=2"],
        "the name in `d` was not synced"
    );

    disk.create_dir(&path("new")).unwrap();
    create(&disk, "new/c", b"3");
    disk.sync_dir(&path("new")).unwrap();
    assert_eq!(
        outcomes(&disk, NameLoss::All),
        ["b=2"],
        "`new` itself was not synced"
    );
    disk.sync_dir(&path("")).unwrap();
    assert_eq!(outcomes(&disk, NameLoss::All), ["b=2 new/c=3"]);
}

#[test]
fn names_are_lost_from_the_end_of_a_directory_or_in_any_order() {
    let disk = SimDisk::new();
    create(&disk, "a", b"");
    create(&disk, "b", b"");
    assert_eq!(outcomes(&disk, NameLoss::Suffix), ["", "a=", "a= b="]);
    assert_eq!(outcomes(&disk, NameLoss::Any), ["", "a=", "a= b=", "b="]);
}

#[test]
fn directories_lose_their_names_independently() {
    let disk = SimDisk::new();
    directory(&disk, "d");
    directory(&disk, "e");
    create(&disk, "d/a", b"");
    create(&disk, "e/b", b"");
    assert_eq!(
        outcomes(&disk, NameLoss::Suffix),
        ["", "d/a=", "d/a= e/b=", "e/b="]
    );
}

#[test]
fn a_replacing_rename_leaves_the_old_file_or_the_new_one() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"old");
    create(&disk, "tmp", b"new").sync_data().unwrap();
    disk.rename(&path("tmp"), &path("a")).unwrap();
    assert_eq!(
        outcomes(&disk, NameLoss::Any),
        ["a=new", "a=old", "a=old tmp=new"]
    );
}

#[test]
fn a_replacing_rename_of_unsynced_bytes_can_leave_an_empty_file() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"old");
    create(&disk, "tmp", b"new");
    disk.rename(&path("tmp"), &path("a")).unwrap();
    disk.sync_dir(&path("")).unwrap();
    assert_eq!(
        files(&disk.crash(Policy::Nothing, &mut Seeded::new(0))),
        ["a="]
    );
}

#[test]
fn a_rename_between_directories_is_one_change_and_either_sync_makes_it_durable() {
    for synced in [None, Some("d"), Some("e")] {
        let disk = SimDisk::new();
        directory(&disk, "d");
        directory(&disk, "e");
        durable(&disk, "d", "a", b"1");
        disk.rename(&path("d/a"), &path("e/b")).unwrap();
        if let Some(synced) = synced {
            disk.sync_dir(&path(synced)).unwrap();
            assert_eq!(outcomes(&disk, NameLoss::Any), ["e/b=1"]);
        } else {
            assert_eq!(outcomes(&disk, NameLoss::Any), ["d/a=1", "e/b=1"]);
            assert_eq!(outcomes(&disk, NameLoss::Suffix), ["d/a=1", "e/b=1"]);
        }
    }
}

#[test]
fn syncing_a_rename_takes_along_the_creation_of_its_old_name() {
    let disk = SimDisk::new();
    directory(&disk, "d");
    directory(&disk, "e");
    create(&disk, "d/other", b"");
    create(&disk, "d/a", b"1");
    disk.rename(&path("d/a"), &path("e/b")).unwrap();
    disk.sync_dir(&path("e")).unwrap();
    assert_eq!(outcomes(&disk, NameLoss::All), ["e/b=1"]);
    assert_eq!(outcomes(&disk, NameLoss::Any), ["d/other= e/b=1", "e/b=1"]);
}

#[test]
fn a_file_moved_into_a_new_directory_is_not_lost_with_it() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"1");
    disk.create_dir(&path("d")).unwrap();
    disk.create_dir(&path("d/e")).unwrap();
    disk.rename(&path("a"), &path("d/e/a")).unwrap();
    assert_eq!(outcomes(&disk, NameLoss::Any), ["a=1", "d/e/a=1"]);
    disk.sync_dir(&path("d/e")).unwrap();
    assert_eq!(outcomes(&disk, NameLoss::All), ["d/e/a=1"]);
}

#[test]
fn a_removed_file_can_come_back_with_its_bytes() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"1");
    disk.remove_file(&path("a")).unwrap();
    assert_eq!(outcomes(&disk, NameLoss::Any), ["", "a=1"]);
    create(&disk, "a", b"2");
    assert_eq!(outcomes(&disk, NameLoss::Any), ["", "a=1", "a=2"]);
}

#[test]
fn a_directory_rename_takes_its_files_along_or_leaves_them_all() {
    let disk = SimDisk::new();
    directory(&disk, "d");
    durable(&disk, "d", "a", b"1");
    durable(&disk, "d", "b", b"2");
    disk.rename(&path("d"), &path("e")).unwrap();
    assert_eq!(
        outcomes(&disk, NameLoss::Any),
        ["d/a=1 d/b=2", "e/a=1 e/b=2"]
    );
}

#[test]
fn two_directories_moved_through_each_other_never_drop_out_of_the_tree() {
    let disk = SimDisk::new();
    for name in ["a", "b"] {
        directory(&disk, name);
        durable(&disk, name, "x", name.as_bytes());
    }
    disk.rename(&path("b"), &path("a/b")).unwrap();
    disk.rename(&path("a/b"), &path("b")).unwrap();
    disk.rename(&path("a"), &path("b/a")).unwrap();
    let seen = outcomes(&disk, NameLoss::Any);
    assert_eq!(seen, ["a/b/x=b a/x=a", "a/x=a b/x=b", "b/a/x=a b/x=b"]);
}

/// Does random creations, renames, removals and syncs, and never removes the files `k0`, `k1`, ...
fn shuffle(disk: &SimDisk, choice: &mut Seeded) {
    let directories = ["", "d", "e", "d/s", "f", "e/t"];
    let mut at: BTreeMap<String, String> = BTreeMap::new();
    directory(disk, "d");
    directory(disk, "e");
    for n in 0..4 {
        let name = format!("k{n}");
        durable(disk, "d", &name, name.as_bytes());
        at.insert(name.clone(), format!("d/{name}"));
    }
    for step in 0..30 {
        let parent = directories[choice.choose("parent", 6) as usize];
        match choice.choose("step", 8) {
            0..3 => {
                let (_, from) = at
                    .iter_mut()
                    .nth(choice.choose("file", 4) as usize)
                    .unwrap();
                let to = format!("{parent}/m{step}");
                if disk
                    .rename(&path(from), &path(to.trim_start_matches('/')))
                    .is_ok()
                {
                    to.trim_start_matches('/').clone_into(from);
                }
            }
            3 => drop(disk.create_dir(&path(parent))),
            4 => drop(disk.remove_dir(&path(parent))),
            5 => drop(disk.open(
                &path(parent).join(format!("new{step}")),
                OpenMode::CreateNew,
            )),
            6 => drop(disk.sync_dir(&path(parent))),
            _ => {
                let to = format!("{}{step}", parent.trim_matches('/'));
                if !parent.is_empty() && disk.rename(&path(parent), &path(&to)).is_ok() {
                    for place in at.values_mut() {
                        if let Some(rest) = place.strip_prefix(&format!("{parent}/")) {
                            *place = format!("{to}/{rest}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_durable_file_that_is_only_renamed_is_always_found_exactly_once() {
    for seed in 0..400 {
        let mut choice = Seeded::new(seed);
        let disk = SimDisk::new();
        shuffle(&disk, &mut choice);
        for names in [
            NameLoss::All,
            NameLoss::Suffix,
            NameLoss::Any,
            NameLoss::Any,
            NameLoss::None,
        ] {
            let after = disk.crash(Crash::from(Policy::PageCache).names(names), &mut choice);
            let found = files(&after);
            for n in 0..4 {
                let bytes = format!("=k{n}");
                let times = found.iter().filter(|file| file.ends_with(&bytes)).count();
                assert_eq!(times, 1, "k{n}, seed {seed}, {names:?}: {found:?}");
            }
        }
    }
}

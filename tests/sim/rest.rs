//! Faults at rest.

use std::path::Path;

use sessionlog::sim::{Policy, Seeded, SimDisk};

use super::{durable, files, path};

/// Does one damage to a file of three letters per sector of 512, and returns what is durable then.
fn damaged(damage: impl Fn(&SimDisk, &Path) -> std::io::Result<()>) -> Vec<u8> {
    let disk = SimDisk::new();
    durable(
        &disk,
        "",
        "a",
        &[[b'a'; 512], [b'b'; 512], [b'c'; 512]].concat(),
    );
    damage(&disk, &path("a")).unwrap();
    disk.crash(Policy::Nothing, &mut Seeded::new(0))
        .peek(&path("a"))
        .unwrap()
}

#[test]
fn a_flipped_bit_is_one_bit() {
    let bytes = damaged(|disk, path| disk.flip_bit(path, 512 * 8 + 1));
    assert_eq!((bytes[511], bytes[512], bytes[513]), (b'a', b'b' ^ 2, b'b'));
}

#[test]
fn zeros_and_garbage_stay_in_their_range() {
    let zeroed = damaged(|disk, path| disk.zero(path, 10..20));
    assert_eq!(
        (zeroed[9], &zeroed[10..20], zeroed[20]),
        (b'a', &[0; 10][..], b'a')
    );
    let garbled = damaged(|disk, path| disk.garbage(path, 10..20, 7));
    assert!(
        garbled[10..20].iter().all(|byte| *byte != b'a'),
        "every byte changes"
    );
    assert_eq!((garbled[9], garbled[20]), (b'a', b'a'));
}

#[test]
fn lengths_change_by_truncation_and_removal() {
    assert_eq!(damaged(|disk, path| disk.truncate(path, 100)), [b'a'; 100]);
    let removed = damaged(|disk, path| disk.remove_range(path, 512..1024));
    assert_eq!(removed, [[b'a'; 512], [b'c'; 512]].concat());
}

#[test]
fn sectors_swap_and_writes_go_astray() {
    let swapped = damaged(|disk, path| disk.swap_sectors(path, 0, 2));
    assert_eq!(swapped, [[b'c'; 512], [b'b'; 512], [b'a'; 512]].concat());
    let astray = damaged(|disk, path| disk.misdirect(path, 0..512, 1024));
    assert_eq!(astray, [[0; 512], [b'b'; 512], [b'a'; 512]].concat());
}

#[test]
fn files_are_deleted_and_replaced_for_good() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"1");
    durable(&disk, "", "b", b"2");
    disk.replace(&path("a"), &path("b")).unwrap();
    disk.delete(&path("b")).unwrap();
    assert_eq!(
        files(&disk.crash(Policy::Nothing, &mut Seeded::new(0))),
        ["a=2"]
    );
}

#[test]
fn damage_outside_the_file_is_an_error() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"12");
    let path = path("a");
    assert!(disk.flip_bit(&path, 16).is_err() && disk.flip_bit(&path, u64::MAX).is_err());
    assert!(disk.zero(&path, 1..3).is_err() && disk.truncate(&path, 3).is_err());
    assert!(disk.remove_range(&path, 0..u64::MAX).is_err());
    assert!(disk.swap_sectors(&path, 0, u64::MAX).is_err());
    assert!(disk.misdirect(&path, 0..1, u64::MAX).is_err());
    assert!(disk.delete(Path::new("/missing")).is_err());
    assert_eq!(files(&disk), ["a=12"]);
}

#[test]
fn damage_is_no_operation() {
    let disk = SimDisk::new();
    durable(&disk, "", "a", b"12");
    let before = (disk.operations(), disk.trace());
    disk.damage(&path("a"), |bytes| bytes.reverse()).unwrap();
    assert_eq!((disk.operations(), disk.trace()), before);
    assert_eq!(files(&disk), ["a=21"]);
}

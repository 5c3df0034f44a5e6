//! The simulated disk does what its module says, and has teeth: each sentence of the model is a test.

mod bytes;
mod faults;
mod names;
mod rest;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sessionlog::sim::{Crash, Exhaustive, Lengths, Policy, SimDisk};
use sessionlog::storage::{OpenMode, Storage, StorageFile, write_all_at};

const POLICIES: [Policy; 5] = [
    Policy::Nothing,
    Policy::Everything,
    Policy::PageCache,
    Policy::AnySubset,
    Policy::Trashed,
];

fn path(name: &str) -> PathBuf {
    Path::new("/").join(name)
}

/// Makes a file, with a name that is not durable.
fn create(disk: &SimDisk, name: &str, bytes: &[u8]) -> Box<dyn StorageFile> {
    let file = disk.open(&path(name), OpenMode::CreateNew).unwrap();
    write_all_at(file.as_ref(), bytes, 0).unwrap();
    file
}

/// Makes a file that is durable, with its name in the directory `parent`.
fn durable(disk: &SimDisk, parent: &str, name: &str, bytes: &[u8]) -> Box<dyn StorageFile> {
    let file = create(disk, &path(parent).join(name).to_string_lossy(), bytes);
    file.sync_data().unwrap();
    disk.sync_dir(&path(parent)).unwrap();
    file
}

/// What one look at every possible crash image has seen.
fn all_crashes<T: Ord>(disk: &SimDisk, crash: Crash, look: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
    let mut all = Exhaustive::new();
    let mut seen = BTreeSet::new();
    for _ in 0..200_000 {
        seen.insert(look(&disk.crash(crash, &mut all)));
        if !all.advance() {
            return seen;
        }
    }
    panic!("more than 200,000 crash images");
}

/// The policy with few enough lengths to enumerate.
fn by_moments(policy: Policy) -> Crash {
    Crash::from(policy).lengths(Lengths::Moments)
}

/// The files as strings such as `d/a=bytes`, in order.
fn files(disk: &SimDisk) -> Vec<String> {
    let show = |path: PathBuf| {
        let bytes = disk.peek(&path).unwrap();
        let name = path.strip_prefix("/").unwrap().display();
        format!("{name}={}", String::from_utf8_lossy(&bytes))
    };
    disk.files().into_iter().map(show).collect()
}

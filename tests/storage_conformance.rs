//! The conformance suite over every storage of this crate.

use std::path::PathBuf;
use std::sync::Arc;

use sessionlog::sim::SimDisk;
use sessionlog::storage::{FileStorage, MemoryStorage, conformance};

#[test]
fn memory_conforms() {
    conformance::run(&mut || (Arc::new(MemoryStorage::new()), PathBuf::from("/")));
}

#[test]
fn files_conform() {
    let mut directories = Vec::new();
    conformance::run(&mut || {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().to_owned();
        directories.push(directory);
        (Arc::new(FileStorage::new()), root)
    });
}

#[test]
fn the_simulated_disk_conforms() {
    conformance::run(&mut || (Arc::new(SimDisk::new()), PathBuf::from("/")));
}

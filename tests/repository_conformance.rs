//! The conformance suite over every repository of this crate.

use std::path::Path;
use std::sync::Arc;

use sessionlog::repository::{
    DirectoryRepository, LogRepository, MemoryRepository, SessionRepository, conformance,
};
use sessionlog::sim::SimDisk;
use sessionlog::{Store, SystemEnvironment};

/// Runs the suite with a fresh directory for each check.
fn in_directories(make: impl Fn(&Path) -> Arc<dyn SessionRepository>) {
    let mut directories = Vec::new();
    conformance::run(&mut || {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let repository = make(directory.path());
        directories.push(directory);
        repository
    });
}

#[test]
fn memory_conforms() {
    conformance::run(&mut || Arc::new(MemoryRepository::new()));
}

#[test]
fn the_log_conforms() {
    in_directories(|path| Arc::new(LogRepository::new(Store::open(path).unwrap())));
}

#[test]
fn the_standard_layout_conforms() {
    in_directories(|path| Arc::new(DirectoryRepository::new(path.join("storage/dir"))));
}

#[test]
fn the_standard_layout_conforms_on_the_simulated_disk() {
    conformance::run(&mut || {
        let (disk, environment) = (Arc::new(SimDisk::new()), Arc::new(SystemEnvironment));
        Arc::new(DirectoryRepository::on(disk, environment, "/sessions"))
    });
}

#[cfg(feature = "s3")]
#[test]
fn the_standard_layout_conforms_in_a_bucket_in_memory() {
    use sessionlog::{bucket::Bucket, repository::BucketRepository};
    conformance::run(&mut || Arc::new(BucketRepository::new(Bucket::in_memory().unwrap())));
}

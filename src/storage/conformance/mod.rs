//! What every [`Storage`] must do, as small named checks: run them over an implementation of your own.
//!
//! ```
//! use std::{path::PathBuf, sync::Arc};
//! use sessionlog::storage::{MemoryStorage, conformance};
//!
//! conformance::run(&mut || (Arc::new(MemoryStorage::new()), PathBuf::from("/")));
//! ```
//!
//! Durability is not checked: only a storage that can lose its power shows it (see `sim`).

mod directories;
mod files;
mod locks;
mod names;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{OpenMode, Storage, StorageFile, read_full_at, write_all_at};

/// What a check finds: nothing, or why the storage does not conform.
pub type Outcome = Result<(), Box<dyn Error>>;

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What a storage that fails the check gets wrong.
    pub name: &'static str,
    /// Runs it in an empty directory of the storage.
    pub run: fn(&dyn Storage, &Path) -> Outcome,
}

/// All checks.
#[must_use]
pub fn checks() -> Vec<Check> {
    [
        files::CHECKS,
        names::CHECKS,
        directories::CHECKS,
        locks::CHECKS,
    ]
    .concat()
}

/// Runs every check in a fresh storage; `make` returns the storage and an empty directory that is there.
///
/// # Panics
///
/// If checks fail; the message has the name and the reason of each.
pub fn run(make: &mut dyn FnMut() -> (Arc<dyn Storage>, PathBuf)) {
    let mut failures = Vec::new();
    for check in checks() {
        let (storage, root) = make();
        if let Err(why) = (check.run)(storage.as_ref(), &root) {
            failures.push(format!("{}: {why}", check.name));
        }
    }
    assert!(
        failures.is_empty(),
        "{} checks failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}

macro_rules! check {
    ($($run:ident),* $(,)?) => {
        pub(super) const CHECKS: &[super::Check] = &[$(super::Check { name: stringify!($run), run: $run }),*];
    };
}
use check;

macro_rules! ensure {
    ($holds:expr, $($why:tt)*) => {
        if !$holds {
            return Err(format!($($why)*).into());
        }
    };
}
use ensure;

/// Makes a file with these bytes.
fn put(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn StorageFile>> {
    let file = storage.open(path, OpenMode::CreateNew)?;
    write_all_at(file.as_ref(), bytes, 0)?;
    Ok(file)
}

/// All bytes of an open file.
fn contents(file: &dyn StorageFile) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = vec![0xAA; usize::try_from(file.len()?)?];
    let read = read_full_at(file, &mut bytes, 0)?;
    ensure_read(read, bytes.len())?;
    Ok(bytes)
}

fn ensure_read(read: usize, len: usize) -> Outcome {
    ensure!(read == len, "read {read} bytes of a file of {len}");
    Ok(())
}

/// All bytes of a file by its path.
fn get(storage: &dyn Storage, path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    contents(storage.open(path, OpenMode::Read)?.as_ref())
}

/// The names in a directory, sorted.
fn names_in(storage: &dyn Storage, path: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<_> = storage
        .list(path)?
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    names.sort();
    Ok(names)
}

/// That an operation fails with this kind of error.
fn fails_with<T>(result: io::Result<T>, kind: io::ErrorKind, what: &str) -> Outcome {
    match result {
        Ok(_) => Err(format!("{what} succeeded instead of {kind:?}").into()),
        Err(e) if e.kind() == kind => Ok(()),
        Err(e) => Err(format!("{what} gave {:?} ({e}) instead of {kind:?}", e.kind()).into()),
    }
}

/// That an operation fails, in whatever way.
fn fails<T>(result: io::Result<T>, what: &str) -> Outcome {
    result
        .err()
        .map(drop)
        .ok_or_else(|| format!("{what} succeeded").into())
}

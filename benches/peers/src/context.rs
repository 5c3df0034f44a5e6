//! What every measurement needs: sizes, a place on the disk, the Python package if there is one.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fault::Result;
use crate::side::package::{Package, VARIABLE};
use crate::sizes::Sizes;

/// One run.
pub(crate) struct Context {
    pub(crate) sizes: Sizes,
    root: PathBuf,
    package: Option<Mutex<Package>>,
    /// Why there is no package.
    pub(crate) without_package: Option<String>,
}

impl Context {
    pub(crate) fn new(sizes: Sizes, root: &Path) -> Self {
        let python = std::env::var_os(VARIABLE).filter(|python| !python.is_empty());
        let started = python.map(|python| Package::start(Path::new(&python)));
        let (package, without_package) = match started {
            Some(Ok(package)) => (Some(Mutex::new(package)), None),
            Some(Err(fault)) => (
                None,
                Some(format!("skipped: {VARIABLE} does not work: {fault}")),
            ),
            None => (
                None,
                Some(format!(
                    "skipped: {VARIABLE} names no Python with strands-agents"
                )),
            ),
        };
        Self {
            sizes,
            root: root.to_path_buf(),
            package,
            without_package,
        }
    }

    /// A directory of this run.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.root.join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// Removes a directory that is not needed any more: the disk is not endless.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        Ok(std::fs::remove_dir_all(self.root.join(name))?)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn package(&self) -> Option<MutexGuard<'_, Package>> {
        let package = self.package.as_ref()?;
        Some(package.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

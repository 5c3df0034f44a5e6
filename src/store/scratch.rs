//! A directory in the store for what is being put together: gone when it is dropped, or at the next import.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Result;
use crate::storage::StorageLock;

use super::{Inner, Store};

#[derive(Debug)]
pub(crate) struct Scratch {
    store: Arc<Inner>,
    dir: PathBuf,
    /// Tells others that it is not a leftover of a crash.
    _lock: Box<dyn StorageLock>,
}

impl Store {
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let (dir, lock) = self.inner.begin_building()?;
        Ok(Scratch {
            store: Arc::clone(&self.inner),
            dir,
            _lock: lock,
        })
    }
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: the next import removes what is left.
        let _ = self.store.remove_tree(&self.dir);
    }
}

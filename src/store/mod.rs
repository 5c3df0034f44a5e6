//! A store: a directory of sessions.

mod companion;
mod flusher;
mod inner;
mod options;
mod replace;
#[cfg(feature = "s3")]
mod scratch;

use std::path::Path;
use std::sync::Arc;

use crate::log::{Listing, LogReader};
use crate::session::Session;
use crate::view::View;
use crate::{Error, Result, Version, id};

pub(crate) use companion::Companion;
pub(crate) use inner::Inner;
pub use options::StoreOptions;

use inner::{DELETED, SESSIONS};

/// A directory of sessions. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl Store {
    /// Opens the store at `path` with the default options: see [`StoreOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// The default options, to change.
    #[must_use]
    pub fn options() -> StoreOptions {
        StoreOptions::default()
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.root
    }

    /// Opens a session for writing; a session that does not exist yet is created at its first append.
    ///
    /// Errors: [`Error::Locked`] if another writer holds it, [`Error::Damaged`] if acknowledged data is
    /// damaged, [`Error::UnsupportedVersion`] if a newer program wrote it.
    pub fn session(&self, id: &str) -> Result<Session> {
        id::check("session id", id)?;
        let mut open = || Session::open(Arc::clone(&self.inner), id);
        match &self.inner.companion {
            Some(companion) => companion.open(id, &mut open),
            None => open(),
        }
    }

    /// Opens a session for reading: no lock, beside any writer, as of now.
    ///
    /// Errors: [`Error::NotFound`].
    pub fn read(&self, id: &str) -> Result<View> {
        id::check("session id", id)?;
        let reader = self.inner.log_reader(id);
        match View::open(reader.clone(), id, Version::ZERO) {
            // A replacement of the log may have been interrupted between its two renames.
            Err(Error::NotFound(what)) => match self.inner.replacement(id) {
                Some(dir) => View::open(LogReader { dir, ..reader }, id, Version::ZERO),
                None => View::open(reader, id, Version::ZERO).map_err(|_| Error::NotFound(what)),
            },
            opened => opened,
        }
    }

    /// Whether the session exists.
    pub fn contains(&self, id: &str) -> Result<bool> {
        match self.read(id) {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The ids of the sessions, sorted.
    ///
    /// Errors: [`Error::NotFound`] if there is no store at this path.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut ids: Vec<String> = self
            .inner
            .entries()?
            .into_iter()
            .filter_map(|e| self.inner.session_of(&e))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Deletes a session: whole or, if it fails or the power goes, not at all.
    ///
    /// Errors: [`Error::NotFound`], [`Error::Locked`] if a writer holds it.
    pub fn delete(&self, id: &str) -> Result<()> {
        id::check("session id", id)?;
        self.inner.finish_replacement(id)?;
        let dir = self.inner.session_dir(id);
        let gone = || Error::NotFound(format!("session {id:?} in {}", self.path().display()));
        if Listing::read(&*self.inner.storage, &dir)?.is_none_or(|listing| listing.is_unborn()) {
            return Err(gone());
        }
        let lock = self.inner.lock(&dir)?;
        let sessions = self.inner.root.join(SESSIONS);
        let mut random = [0; 8];
        self.inner.environment.fill_random(&mut random);
        let name = format!("{DELETED}{:016x}", u64::from_le_bytes(random));
        let doomed = sessions.join(name);
        let storage = &*self.inner.storage;
        storage
            .rename(&dir, &doomed)
            .map_err(Error::io("rename", &dir))?;
        storage
            .sync_dir(&sessions)
            .map_err(Error::io("sync directory", &sessions))?;
        self.inner.forget_replacement(id);
        drop(lock);
        self.inner.remove_leftovers(DELETED);
        Ok(())
    }
}

impl Store {
    /// Builds a new session beside the others and moves it to its place when it is whole and durable.
    pub(crate) fn build_beside<T>(
        &self,
        id: &str,
        build: impl FnOnce(&Session) -> Result<T>,
    ) -> Result<T> {
        let exists =
            || Error::AlreadyExists(format!("session {id:?} in {}", self.path().display()));
        if self.contains(id)? {
            return Err(exists());
        }
        let (dir, lock) = self.inner.begin_building()?;
        let sessions = self.inner.root.join(SESSIONS);
        let session = Session::build_in(Arc::clone(&self.inner), id, dir.clone(), lock);
        let result = build(&session).and_then(|built| session.shut().map(|()| built));
        let target = self.inner.session_dir(id);
        let storage = &*self.inner.storage;
        // The lock is held until the end, so that nobody takes the directory for a leftover.
        let moved = result.and_then(|built| {
            let _turn = self.inner.lock_names()?;
            if self.inner.is_half_replaced(id) {
                return Err(exists());
            }
            match storage.rename(&dir, &target) {
                Ok(()) => Ok(built),
                Err(_)
                    if storage
                        .list(&target)
                        .is_ok_and(|entries| !entries.is_empty()) =>
                {
                    Err(exists())
                }
                Err(e) => Err(Error::io("rename", &dir)(e)),
            }
        });
        if moved.is_err() {
            // Best effort: the next import removes what is left.
            let _ = self.inner.remove_tree(&dir);
        }
        let outcome = moved?;
        storage
            .sync_dir(&sessions)
            .map_err(Error::io("sync directory", &sessions))?;
        Ok(outcome)
    }
}

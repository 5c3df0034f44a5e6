//! Replacing a session's log by another one, so that no crash loses either.
//!
//! The new log is built in `sessions/.swap-<id>/`. Two renames follow: the session's directory goes into the new
//! one's `quarantine/`, then the new one takes its name. After the first rename the session's own name is free
//! and the new directory holds both histories: that is the durable intent, and whoever opens the session next
//! does the second rename. Before it, nothing has happened, and the new directory is a leftover.
//!
//! Both renames happen in one turn of the store's lock `NAMES`. Whoever begins a log takes that turn too, so no log
//! begins under the name while it is free.

use std::io;
use std::path::{Path, PathBuf};

use crate::session::Session;
use crate::{Error, Result, id};

use super::Store;
use super::inner::{Inner, SESSIONS};

/// What the directory of a session is called while it is built to replace one.
const SWAP: &str = ".swap-";
/// The directory that keeps what leaves a log.
const QUARANTINE: &str = "quarantine";

impl Inner {
    fn swap_dir(&self, id: &str) -> PathBuf {
        self.root
            .join(SESSIONS)
            .join(format!("{SWAP}{}", id::encode(id)))
    }

    /// The branch that a replacement has set aside already, if it is between its two renames.
    fn set_aside(&self, id: &str) -> Option<PathBuf> {
        let quarantine = self.swap_dir(id).join(QUARANTINE);
        let branches = self.storage.list(&quarantine).ok()?;
        branches.into_iter().find_map(|branch| {
            let sessions = quarantine.join(branch.name).join(SESSIONS);
            let kept = self.storage.list(&sessions.join(id::encode(id))).is_ok();
            kept.then_some(sessions)
        })
    }

    /// Whether a replacement of the session's log is between its two renames.
    pub(super) fn is_half_replaced(&self, id: &str) -> bool {
        let is_gone = |e: io::Error| e.kind() == io::ErrorKind::NotFound;
        let gone = self.storage.list(&self.session_dir(id));
        gone.err().is_some_and(is_gone) && self.set_aside(id).is_some()
    }

    /// The directory to read a half replaced session from.
    pub(super) fn replacement(&self, id: &str) -> Option<PathBuf> {
        self.is_half_replaced(id).then(|| self.swap_dir(id))
    }

    /// The session that a directory in `sessions/` holds.
    pub(super) fn session_of(&self, name: &str) -> Option<String> {
        let half = || {
            let id = id::decode(name.strip_prefix(SWAP)?)?;
            self.is_half_replaced(&id).then_some(id)
        };
        id::decode(name).or_else(half)
    }

    /// Finishes a replacement that was interrupted between its two renames; whether there was one.
    ///
    /// Errors: [`Error::Locked`] while the replacement is still being done.
    pub(crate) fn finish_replacement(&self, id: &str) -> Result<bool> {
        if !self.is_half_replaced(id) {
            return Ok(false);
        }
        let swap = self.swap_dir(id);
        let _lock = self.lock(&swap)?;
        let Some(sessions) = self.set_aside(id).filter(|_| self.is_half_replaced(id)) else {
            return Ok(true);
        };
        self.sync(&sessions)?;
        self.take_name(id)?;
        tracing::info!(
            session = id,
            "finished an interrupted replacement of the log"
        );
        Ok(true)
    }

    /// Removes what an interrupted replacement left, for whoever holds the session's lock.
    pub(super) fn forget_replacement(&self, id: &str) {
        match self.remove_tree(&self.swap_dir(id)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(session = id, error = %e, "leftover files stay");
            }
            _ => {}
        }
    }

    /// The second rename.
    fn take_name(&self, id: &str) -> Result<()> {
        let (swap, dir) = (self.swap_dir(id), self.session_dir(id));
        let sessions = self.root.join(SESSIONS);
        self.storage
            .rename(&swap, &dir)
            .map_err(Error::io("rename", &swap))?;
        self.sync(&sessions)
    }

    /// The first rename: the session's directory becomes a store of its own inside the new one's quarantine.
    fn move_aside(&self, id: &str, branch: &str) -> Result<PathBuf> {
        let (swap, dir) = (self.swap_dir(id), self.session_dir(id));
        let quarantine = swap.join(QUARANTINE);
        let store = quarantine.join(branch);
        let sessions = store.join(SESSIONS);
        for new in [&quarantine, &store, &sessions] {
            self.storage
                .create_dir(new)
                .map_err(Error::io("create directory", new))?;
        }
        for parent in [&store, &quarantine, &swap] {
            self.sync(parent)?;
        }
        let kept = sessions.join(id::encode(id));
        self.storage
            .rename(&dir, &kept)
            .map_err(Error::io("rename", &dir))?;
        self.sync(&sessions)?;
        self.sync(&self.root.join(SESSIONS))?;
        Ok(kept)
    }

    /// What was in quarantine before stays where people look for it. A failure leaves it inside the branch.
    fn lift_quarantine(&self, id: &str, branch: &str) {
        let quarantine = self.session_dir(id).join(QUARANTINE);
        let kept = quarantine.join(branch).join(SESSIONS).join(id::encode(id));
        let old = kept.join(QUARANTINE);
        for entry in self.storage.list(&old).unwrap_or_default() {
            let (from, to) = (old.join(&entry.name), quarantine.join(&entry.name));
            if let Err(e) = self.storage.rename(&from, &to) {
                tracing::warn!(session = id, file = entry.name, error = %e, "stays inside the branch");
            }
        }
        for dir in [&quarantine, &old] {
            if let Err(e) = self.storage.sync_dir(dir) {
                tracing::debug!(session = id, error = %e, "quarantine not synced");
            }
        }
    }

    fn sync(&self, dir: &Path) -> Result<()> {
        self.storage
            .sync_dir(dir)
            .map_err(Error::io("sync directory", dir))
    }
}

impl Store {
    /// Replaces the log of `old`, which is at its end afterwards, by the one that `build` writes. Returns what
    /// `build` returned, and the directory of a store that has the old log: `quarantine/<branch>`.
    pub(crate) fn replace<T, E: From<Error>>(
        &self,
        old: &Session,
        branch: &str,
        build: impl FnOnce(&Session) -> Result<T, E>,
    ) -> Result<(T, PathBuf), E> {
        let (inner, id) = (&self.inner, old.id());
        old.shut()?;
        let swap = inner.swap_dir(id);
        // We hold the session's lock, so whatever is there was left by a crash.
        match inner.remove_tree(&swap) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &swap)(e).into());
            }
            _ => {}
        }
        inner.create_session_dir(&swap)?;
        let lock = inner.lock(&swap)?;
        let new = Session::build_in(inner.clone(), id, swap.clone(), lock);
        let durable = |built| {
            // Its names are durable: each new segment syncs them.
            new.shut()?;
            Ok(built)
        };
        let outcome = match build(&new).and_then(durable) {
            Ok(outcome) => outcome,
            Err(e) => {
                // Best effort: the next replacement removes what is left.
                let _ = inner.remove_tree(&swap);
                return Err(e);
            }
        };
        {
            let _turn = inner.lock_names()?;
            inner.move_aside(id, branch)?;
            inner.take_name(id)?;
        }
        inner.lift_quarantine(id, branch);
        Ok((outcome, inner.session_dir(id).join(QUARANTINE).join(branch)))
    }
}

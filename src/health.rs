//! Repairing sessions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::{LogReader, Repaired, renew, repair};
use crate::storage::Storage;
use crate::store::Store;
use crate::verify::snapshots_disagree;
use crate::{Error, Result, Version, id, snapshot};

/// How often a repair looks again at what it did.
const PASSES: usize = 4;

/// How [`Store::repair`] goes about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairOptions {
    /// Change nothing, only say what would be done.
    pub dry_run: bool,
    /// Another copy of the session's directory (a backup, another device's), to take lost events from.
    pub copy: Option<PathBuf>,
}

/// What [`Store::repair`] did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// The session's id.
    pub session_id: String,
    /// Events that were good and stay as they are.
    pub kept: u64,
    /// Events that were unreadable and are back.
    pub recovered: u64,
    /// Versions among them that had a single flipped bit, which was corrected.
    pub corrected: Vec<Version>,
    /// Versions whose events are lost, first and last of each range.
    pub lost: Vec<(Version, Version)>,
    /// The files that hold every byte that left the log.
    pub quarantine: Vec<PathBuf>,
    /// The segments that were written anew, or in which damaged bytes were overwritten in place.
    pub rewritten: Vec<PathBuf>,
    /// Segment files of another log, or that repeat versions: they were set aside whole.
    pub strangers: Vec<PathBuf>,
}

impl Store {
    /// Makes a damaged session writable again: everything good is kept at its version, single flipped bits
    /// are corrected, what is lost is recorded, and every byte that leaves the log goes to `quarantine/`.
    ///
    /// Doing it again changes nothing, and an interrupted repair is finished by the next.
    ///
    /// Errors: [`Error::NotFound`], [`Error::Locked`] if a writer has the session.
    pub fn repair(&self, session_id: &str, options: &RepairOptions) -> Result<RepairReport> {
        id::check("session id", session_id)?;
        self.inner.finish_replacement(session_id)?;
        let log = self.inner.log_reader(session_id);
        let missing = || Error::NotFound(format!("session {session_id:?} ({})", log.dir.display()));
        if log.storage.list(&log.dir).is_err() {
            return Err(missing());
        }
        let _lock = self.inner.lock(&log.dir).map_err(|error| match error {
            // Somebody deleted it this moment.
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => missing(),
            error => error,
        })?;
        let copy = options
            .copy
            .as_deref()
            .map(|path| copy_of(&log, path, session_id));
        let (storage, dir) = (&*log.storage, &log.dir);
        let tail_lost = |scanned: &_| snapshot::tail_lost(storage, dir, scanned);
        let pass = || repair(&log, copy.as_ref(), &tail_lost, options.dry_run)?.ok_or_else(missing);
        let mut done = Repaired::default();
        let first = pass()?;
        done.kept = first.kept;
        done.absorb(first);
        // What comes back may show that something else cannot be right.
        for _ in 1..PASSES {
            if done.is_left && done.has_changed() {
                done.absorb(pass()?);
            }
        }
        if done.is_left {
            // It says of every version that is lost now.
            let renewed = renew(&log)?.ok_or_else(missing)?;
            done.lost.clear();
            done.absorb(renewed);
        }
        if !options.dry_run && (done.has_changed() || snapshots_disagree(&log)?) {
            // They know nothing of what was given up.
            snapshot::remove_all(storage, dir).map_err(Error::io("remove a snapshot in", dir))?;
        }
        Ok(RepairReport {
            session_id: session_id.to_owned(),
            kept: done.kept,
            recovered: done.recovered,
            corrected: done.corrected,
            lost: done.lost,
            quarantine: done.quarantine,
            rewritten: done.rewritten,
            strangers: done.strangers,
        })
    }
}

/// The session's log in a copy: `path` is the session's directory, or a whole store that has it.
fn copy_of(log: &LogReader, path: &Path, session_id: &str) -> LogReader {
    let storage: Arc<dyn Storage> = Arc::clone(&log.storage);
    let in_store = path.join("sessions").join(id::encode(session_id));
    let dir = if storage.list(&in_store).is_ok() {
        in_store
    } else {
        path.to_path_buf()
    };
    LogReader { storage, dir }
}

//! Group commit: threads that wait for the disk at the same time share one sync.

use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;

#[cfg(shuttle)]
use shuttle::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};
#[cfg(not(shuttle))]
use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};

use crate::log::{Haste, LogWriter, Recovery};
use crate::state::State;
use crate::storage::StorageLock;
use crate::{Error, Result, Version};

/// How often a thread that is about to sync lets others go first, for each that shared the last sync.
const PATIENCE: usize = 4;

/// A session's writer, and the threads that wait for it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) dir: PathBuf,
    inner: Mutex<Inner>,
    synced: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// Both are there as soon as the session has a log.
    pub(super) lock: Option<Box<dyn StorageLock>>,
    pub(super) writer: Option<LogWriter>,
    pub(super) state: State,
    /// The state before the first event that is only in memory.
    pub(super) unbuffered: State,
    /// A thread is syncing; the others wait for it.
    syncing: bool,
    /// How many threads wait for the next sync. Those that the last one served are not among them, though they may
    /// not have woken up yet.
    arrived: usize,
    /// How many the last sync served.
    shared: usize,
    /// Somebody will flush what is buffered.
    pub(super) flush_is_due: bool,
    pub(super) recovery: Recovery,
    pub(super) closed: bool,
}

impl Group {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            inner: Mutex::new(Inner::default()),
            synced: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A thread that panicked while it held the lock left a whole state: every change of it is one step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every event that was appended durable.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut inner = self.lock();
        inner.flush_is_due = false;
        let Some(writer) = &inner.writer else {
            return Ok(());
        };
        writer.check()?;
        let version = writer.version();
        self.wait_durable(inner, version)
    }

    /// Notes that a flush is due; `false` if it was noted before.
    pub(crate) fn note_flush(&self) -> bool {
        !std::mem::replace(&mut self.lock().flush_is_due, true)
    }

    /// Writes what is buffered, so that readers see it.
    pub(super) fn spill(&self) -> Result<()> {
        match &mut self.lock().writer {
            Some(writer) => writer.spill(Haste::Later),
            None => Ok(()),
        }
    }

    /// Returns when everything up to `version` is durable. One thread syncs for all that wait; a failed sync
    /// fails them all.
    pub(super) fn wait_durable<'s>(
        &'s self,
        mut inner: MutexGuard<'s, Inner>,
        version: Version,
    ) -> Result<()> {
        let mut is_counted = false;
        loop {
            let Some(writer) = &inner.writer else {
                return Ok(());
            };
            if writer.durable() >= version {
                return Ok(());
            }
            if writer.check().is_err() {
                let failed = io::Error::other("the shared sync failed");
                return Err(self.unknown("fdatasync", failed));
            }
            if !std::mem::replace(&mut is_counted, true) {
                inner.arrived += 1;
            }
            if inner.syncing {
                let woken = self.synced.wait(inner);
                inner = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            inner.syncing = true;
            inner = self.gather(inner);
            let result;
            (inner, result) = self.sync(inner);
            inner.syncing = false;
            self.synced.notify_all();
            result?;
        }
    }

    /// Lets the threads that shared the last sync get as far as this one: they share this one, too.
    fn gather<'s>(&'s self, mut inner: MutexGuard<'s, Inner>) -> MutexGuard<'s, Inner> {
        let expected = inner.shared;
        for _ in 1..expected.saturating_mul(PATIENCE) {
            if inner.arrived >= expected {
                break;
            }
            drop(inner);
            yield_now();
            inner = self.lock();
        }
        inner
    }

    /// Writes what is buffered and syncs, without the lock.
    fn sync<'s>(&'s self, mut inner: MutexGuard<'s, Inner>) -> (MutexGuard<'s, Inner>, Result<()>) {
        inner.shared = std::mem::take(&mut inner.arrived);
        let Some(writer) = &mut inner.writer else {
            return (inner, Ok(()));
        };
        if let Err(error) = writer.spill(Haste::Soon) {
            return (inner, Err(error));
        }
        let unsynced = writer.unsynced();
        drop(inner);
        let result = unsynced.file.sync_data();
        let mut inner = self.lock();
        if let Some(writer) = &mut inner.writer {
            match &result {
                Ok(()) => writer.synced(unsynced.version),
                Err(_) => writer.poison(),
            }
        }
        let result = result.map_err(|source| Error::OutcomeUnknown {
            path: unsynced.path,
            operation: "fdatasync",
            source,
        });
        (inner, result)
    }

    fn unknown(&self, operation: &'static str, source: io::Error) -> Error {
        Error::OutcomeUnknown {
            path: self.dir.clone(),
            operation,
            source,
        }
    }
}

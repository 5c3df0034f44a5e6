//! Group commit: threads that wait for the disk at the same time share one sync.

use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(shuttle)]
use shuttle::{
    sync::atomic::{AtomicU64, Ordering},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current, park},
};
#[cfg(not(shuttle))]
use std::{
    sync::atomic::{AtomicU64, Ordering},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current, park},
};

use crate::log::{Haste, LogWriter, Recovery};
use crate::state::State;
use crate::storage::StorageLock;
use crate::{Error, Result, Version};

/// How often a thread that is about to sync looks whether the others are there, at most.
const LOOKS: usize = 8;

/// A session's writer, and the threads that wait for it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) dir: PathBuf,
    inner: Mutex<Inner>,
    /// The last version that a sync has served: whoever waits for it need not take the lock to go on.
    served: AtomicU64,
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
    /// The threads that sleep until a sync serves them, in the order of their versions.
    sleepers: Vec<Sleeper>,
    /// How many threads wait for the next sync. Those that the last one served are not among them, though they may
    /// not have woken up yet.
    arrived: usize,
    /// How many the last sync served, and how long it took.
    shared: usize,
    took: Duration,
    /// The thread that is about to sync, until as many have come as shared the last one.
    gathering: Option<Thread>,
    /// Somebody will flush what is buffered.
    pub(super) flush_is_due: bool,
    pub(super) recovery: Recovery,
    pub(super) closed: bool,
}

/// A thread, and the version that it waits for.
#[derive(Debug)]
struct Sleeper {
    version: Version,
    thread: Thread,
}

impl Inner {
    /// Counts a thread that waits for the next sync.
    fn arrive(&mut self) {
        self.arrived += 1;
        if self.arrived >= self.shared {
            if let Some(thread) = self.gathering.take() {
                thread.unpark();
            }
        }
    }
}

/// Sleeps until the thread is woken up, or for so long.
#[cfg(not(shuttle))]
fn park_at_most(time: Duration) {
    std::thread::park_timeout(time);
}

/// There is no time under `shuttle`: others go on for a while.
#[cfg(shuttle)]
fn park_at_most(_: Duration) {
    shuttle::thread::yield_now();
}

impl Group {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            inner: Mutex::new(Inner::default()),
            served: AtomicU64::new(0),
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

    /// Writes what is buffered, so that readers see it. Returns the version up to which everything is written.
    pub(super) fn spill(&self) -> Result<Version> {
        let mut inner = self.lock();
        let Some(writer) = &mut inner.writer else {
            return Ok(Version::ZERO);
        };
        writer.spill(Haste::Later)?;
        Ok(writer.version())
    }

    /// Returns when everything up to `version` is durable. One thread syncs for all that wait; a failed sync
    /// fails them all.
    pub(super) fn wait_durable<'s>(
        &'s self,
        mut inner: MutexGuard<'s, Inner>,
        version: Version,
    ) -> Result<()> {
        let mut is_asleep = false;
        loop {
            if let Some(outcome) = self.outcome(&inner, version) {
                // This thread may be the one that was woken up to sync for the rest.
                if !inner.syncing {
                    self.wake(inner);
                }
                return outcome;
            }
            let is_new = !std::mem::replace(&mut is_asleep, true);
            if is_new {
                inner.arrive();
            }
            if !inner.syncing {
                return self.lead(inner, version);
            }
            if is_new {
                let thread = current();
                inner.sleepers.push(Sleeper { version, thread });
            }
            drop(inner);
            // It may wake up for other reasons.
            park();
            if self.served.load(Ordering::Acquire) >= version.0 {
                return Ok(());
            }
            inner = self.lock();
        }
    }

    /// What became of everything up to `version`, if that is known.
    fn outcome(&self, inner: &Inner, version: Version) -> Option<Result<()>> {
        let Some(writer) = &inner.writer else {
            return Some(Ok(()));
        };
        if writer.durable() >= version {
            return Some(Ok(()));
        }
        writer.check().is_err().then(|| {
            let failed = io::Error::other("the shared write or sync failed");
            Err(self.unknown("fdatasync", failed))
        })
    }

    /// Syncs for all that have come so far, and wakes them up.
    fn lead<'s>(&'s self, mut inner: MutexGuard<'s, Inner>, version: Version) -> Result<()> {
        inner.syncing = true;
        let inner = self.gather(inner);
        // Meanwhile somebody else may have written what was staged, and failed.
        let (mut inner, result) = match self.outcome(&inner, version) {
            Some(outcome) => (inner, outcome),
            None => self.sync(inner),
        };
        inner.syncing = false;
        self.wake(inner);
        result
    }

    /// Wakes those who need not sleep any more: whom a sync has served, or everybody if nothing will be served again.
    /// One of the others wakes up, too, and syncs for the rest.
    fn wake(&self, mut inner: MutexGuard<'_, Inner>) {
        let writer = inner.writer.as_ref().filter(|w| w.check().is_ok());
        let durable = writer.map_or(Version(u64::MAX), LogWriter::durable);
        if writer.is_some() {
            self.served.store(durable.0, Ordering::Release);
        }
        let me = current().id();
        inner.sleepers.retain(|s| s.thread.id() != me);
        let count = inner.sleepers.partition_point(|s| s.version <= durable);
        let mut woken: Vec<_> = inner.sleepers.drain(..count).map(|s| s.thread).collect();
        woken.extend(inner.sleepers.first().map(|s| s.thread.clone()));
        drop(inner);
        for thread in woken {
            thread.unpark();
        }
    }

    /// Waits until as many threads have come as shared the last sync, so that they share this one, too: as long as that
    /// sync took, and no longer.
    fn gather<'s>(&'s self, mut inner: MutexGuard<'s, Inner>) -> MutexGuard<'s, Inner> {
        let begun = Instant::now();
        for _ in 0..LOOKS {
            let left = inner.took.saturating_sub(begun.elapsed());
            if inner.arrived >= inner.shared || left.is_zero() {
                break;
            }
            inner.gathering = Some(current());
            drop(inner);
            park_at_most(left);
            inner = self.lock();
        }
        inner.gathering = None;
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
        let begun = Instant::now();
        let result = unsynced.file.sync_data();
        let took = begun.elapsed();
        let mut inner = self.lock();
        inner.took = took;
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

//! How a store is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::environment::{Environment, SystemEnvironment};
use crate::log::WriterOptions;
use crate::session::Durability;
use crate::storage::{FileStorage, Storage};

use super::Store;
use super::companion::Companion;
use super::inner::Inner;

/// The default size at which a segment is sealed and a new one begun, in bytes.
const SEGMENT_LEN: u64 = 16 << 20;
/// The default length of a log that space is allocated ahead for, in bytes.
const ALLOCATE_ABOVE: u64 = 256 << 10;
/// The default length of a log that is opened from a snapshot, in bytes.
const SNAPSHOT_AFTER: u64 = 32 << 20;

/// How a store is opened: see [`Store::options`].
#[derive(Clone, Debug)]
pub struct StoreOptions {
    storage: Arc<dyn Storage>,
    environment: Arc<dyn Environment>,
    durability: Durability,
    lock_wait: Duration,
    segment_len: u64,
    allocate_above: u64,
    snapshot_after: u64,
    flush_interval: Option<Duration>,
    companion: Option<Arc<dyn Companion>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            storage: Arc::new(FileStorage),
            environment: Arc::new(SystemEnvironment),
            durability: Durability::Sync,
            lock_wait: Duration::ZERO,
            segment_len: SEGMENT_LEN,
            allocate_above: ALLOCATE_ABOVE,
            snapshot_after: SNAPSHOT_AFTER,
            flush_interval: None,
            companion: None,
        }
    }
}

impl StoreOptions {
    /// When an append is acknowledged, unless it says otherwise. Default: [`Durability::Sync`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long to wait for a session that another writer holds. Default: not at all.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// The size at which a segment is sealed and a new one begun, in bytes: from 4 KiB to 1 GiB, default 16 MiB.
    ///
    /// Only what is on disk is sealed. [Buffered](Durability::Buffered) appends do not wait for that: they may make a segment
    /// longer by four times its size, and by 64 MiB at most, before one of them does.
    #[must_use]
    pub fn segment_len(mut self, bytes: u64) -> Self {
        self.segment_len = bytes.clamp(4 << 10, 1 << 30);
        self
    }

    /// How long a log must be for space to be allocated ahead of its end, in bytes. Default: 256 KiB.
    ///
    /// A durable append to a longer log is quicker, because its file seldom grows. The space is at most a quarter of
    /// this, from 1 KiB to 64 KiB; it is zeros, and closing the session gives it back. `u64::MAX` for never.
    #[must_use]
    pub fn allocate_above(mut self, bytes: u64) -> Self {
        self.allocate_above = bytes;
        self
    }

    /// How long a log must be to be opened for writing from a snapshot, in bytes of sealed segments. Default:
    /// 32 MiB.
    ///
    /// A shorter log is read and checked as a whole, so damage anywhere in it is found when it is opened. Of a
    /// longer one, what is before the snapshot is not read: readers and [`Store::verify`] find damage there.
    #[must_use]
    pub fn snapshot_after(mut self, bytes: u64) -> Self {
        self.snapshot_after = bytes;
        self
    }

    /// How long a [buffered](Durability::Buffered) append may wait to become durable, at most and about. A thread of the
    /// store's flushes it. Default: until the next flush, durable append or close.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = Some(interval);
        self
    }

    /// Another storage than files.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Another clock and source of random bytes than the system's.
    #[must_use]
    pub fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.environment = environment;
        self
    }

    /// Somebody who goes along with the store.
    pub(crate) fn companion(mut self, companion: Arc<dyn Companion>) -> Self {
        self.companion = Some(companion);
        self
    }

    /// Opens the store at `path`. A directory that does not exist yet is created at the first append.
    ///
    /// Errors: [`crate::Error::InvalidInput`] if `path` is not a directory, [`crate::Error::UnsupportedVersion`] if a newer
    /// program made the store.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store> {
        let alone = self.store(path.as_ref(), None);
        alone.inner.check()?;
        let Some(companion) = self.companion.clone() else {
            return Ok(alone);
        };
        companion.begin(alone)?;
        Ok(self.store(path.as_ref(), Some(companion)))
    }

    fn store(&self, path: &Path, companion: Option<Arc<dyn Companion>>) -> Store {
        let inner = Inner {
            storage: Arc::clone(&self.storage),
            environment: Arc::clone(&self.environment),
            root: path.to_path_buf(),
            durability: self.durability,
            lock_wait: self.lock_wait,
            writer: WriterOptions {
                segment_len: self.segment_len,
                allocate_above: self.allocate_above,
            },
            snapshot_after: self.snapshot_after,
            flush_interval: self.flush_interval,
            flusher: Arc::default(),
            companion,
        };
        Store {
            inner: Arc::new(inner),
        }
    }
}

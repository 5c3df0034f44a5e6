//! The real disk, with a count of what is read and of what syncs cost.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sessionlog::storage::{Entry, FileStorage, OpenMode, Storage, StorageFile, StorageLock};

/// What went through a storage.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    read: AtomicU64,
    syncs: AtomicU64,
    nanos: AtomicU64,
    /// Syncs do nothing: for building what is only read later.
    is_lazy: bool,
}

impl Counts {
    /// Bytes that were read.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// How many syncs there were, and how long they took.
    pub(crate) fn syncs(&self) -> (u64, Duration) {
        let nanos = self.nanos.load(Ordering::Relaxed);
        (
            self.syncs.load(Ordering::Relaxed),
            Duration::from_nanos(nanos),
        )
    }

    fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.is_lazy {
            return Ok(());
        }
        let start = Instant::now();
        let result = sync();
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        result
    }
}

/// The real disk, counted.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    disk: FileStorage,
    counts: Arc<Counts>,
}

impl Counting {
    /// A storage whose syncs do nothing.
    pub(crate) fn lazy() -> Self {
        let counts = Counts {
            is_lazy: true,
            ..Counts::default()
        };
        Self {
            disk: FileStorage,
            counts: Arc::new(counts),
        }
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }
}

impl Storage for Counting {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(CountedFile {
            file: self.disk.open(path, mode)?,
            counts: Arc::clone(&self.counts),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.counts.sync(|| self.disk.sync_dir(path))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        self.disk.try_lock(path)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Box<dyn StorageFile>,
    counts: Arc<Counts>,
}

impl StorageFile for CountedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buf, offset)?;
        self.counts.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counts.sync(|| self.file.sync_data())
    }
}

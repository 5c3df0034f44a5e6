//! A store's directory: its file, its locks, the directories of its sessions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::log::{LogReader, WriterOptions};
use crate::session::{Durability, Group};
use crate::storage::{EntryKind, OpenMode, Storage, StorageLock, read_full_at, write_all_at};
use crate::{Error, Result, id};

use super::companion::Companion;
use super::flusher::Flusher;

const FORMAT: u16 = 1;
const STORE: &str = "STORE";
pub(super) const SESSIONS: &str = "sessions";
const LOCK: &str = "LOCK";
/// What the directories of sessions are called while they are removed, and while they are built.
pub(super) const DELETED: &str = ".deleted-";
pub(super) const BUILDING: &str = ".building-";
/// The lock of the store under which such a directory is made, and how long to wait for it.
const BUILD_LOCK: &str = "BUILDING";
const BUILD_WAIT: Duration = Duration::from_secs(10);
/// The lock of the store under which a session gets or changes its name, and how long to wait for it.
const NAMES_LOCK: &str = "NAMES";
const NAMES_WAIT: Duration = Duration::from_secs(30);
const WRITER: &str = concat!("sessionlog ", env!("CARGO_PKG_VERSION"));
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) root: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) lock_wait: Duration,
    pub(crate) writer: WriterOptions,
    pub(crate) snapshot_after: u64,
    pub(crate) flush_interval: Option<Duration>,
    pub(super) flusher: Arc<Flusher>,
    pub(super) companion: Option<Arc<dyn Companion>>,
}

/// The content of the file `STORE`.
#[derive(Debug, Serialize, Deserialize)]
struct StoreFile {
    format: u16,
    store_id: String,
    writer: String,
}

impl Inner {
    pub(crate) fn session_dir(&self, id: &str) -> PathBuf {
        self.root.join(SESSIONS).join(id::encode(id))
    }

    /// Sees to it that what a session buffered is flushed in time.
    pub(crate) fn flush_later(&self, group: &Arc<Group>) {
        if let Some(interval) = self.flush_interval {
            self.flusher.later(group, interval);
        }
    }

    /// Whether a log with so many bytes of sealed segments is opened from a snapshot.
    pub(crate) fn wants_snapshot(&self, sealed: u64) -> bool {
        sealed > self.snapshot_after
    }

    pub(crate) fn log_reader(&self, id: &str) -> LogReader {
        LogReader {
            storage: Arc::clone(&self.storage),
            dir: self.session_dir(id),
        }
    }

    /// Takes the writer's lock of a session's directory, waiting as long as the options say.
    pub(crate) fn lock(&self, dir: &Path) -> Result<Box<dyn StorageLock>> {
        self.lock_at(&dir.join(LOCK), self.lock_wait)
    }

    fn lock_at(&self, path: &Path, wait: Duration) -> Result<Box<dyn StorageLock>> {
        let deadline = Instant::now() + wait;
        loop {
            let lock = self
                .storage
                .try_lock(path)
                .map_err(Error::io("lock", path))?;
            if let Some(lock) = lock {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                let path = path.to_path_buf();
                return Err(Error::Locked { path });
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// A turn to give a session its name or to change it: without it a log could begin where another is about to be
    /// put. The store must be there.
    pub(crate) fn lock_names(&self) -> Result<Box<dyn StorageLock>> {
        self.lock_at(&self.root.join(NAMES_LOCK), NAMES_WAIT)
    }

    /// Makes the directory of a session, and the store around it, durable up to every parent that is new.
    pub(crate) fn create_session_dir(&self, dir: &Path) -> Result<()> {
        self.create_store()?;
        self.create_dir(&self.root.join(SESSIONS))?;
        self.create_dir(dir)
    }

    /// Makes the store, if it is not there yet.
    pub(crate) fn create_store(&self) -> Result<()> {
        if self.store_file()?.is_none() {
            self.create_parents(&self.root)?;
            self.write_store_file()?;
        }
        Ok(())
    }

    /// A new directory to build a session in, and its lock. What interrupted imports left behind is removed.
    ///
    /// All of this happens under one lock of the store, or a directory that was made this moment and is not locked
    /// yet would be taken for a leftover.
    pub(super) fn begin_building(&self) -> Result<(PathBuf, Box<dyn StorageLock>)> {
        let mut random = [0; 8];
        self.environment.fill_random(&mut random);
        let name = format!("{BUILDING}{:016x}", u64::from_le_bytes(random));
        let dir = self.root.join(SESSIONS).join(name);
        self.create_session_dir(&self.root.join(SESSIONS))?;
        let _turn = self.lock_at(&self.root.join(BUILD_LOCK), BUILD_WAIT)?;
        self.remove_leftovers(BUILDING);
        self.create_dir(&dir)?;
        let lock = self.lock(&dir)?;
        Ok((dir, lock))
    }

    /// Makes the names above a new session durable, the deepest first.
    pub(crate) fn sync_session_dir(&self, dir: &Path) -> Result<()> {
        let sessions = self.root.join(SESSIONS);
        for dir in [dir, &sessions, &self.root] {
            self.storage
                .sync_dir(dir)
                .map_err(Error::io("sync directory", dir))?;
        }
        Ok(())
    }

    /// The names in `sessions/`.
    pub(crate) fn entries(&self) -> Result<Vec<String>> {
        let sessions = self.root.join(SESSIONS);
        match self.storage.list(&sessions) {
            Ok(entries) => {
                let is_dir = |kind: EntryKind| kind == EntryKind::Directory;
                Ok(entries
                    .into_iter()
                    .filter(|e| is_dir(e.kind))
                    .map(|e| e.name)
                    .collect())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let hint = "the first append or import creates it";
                Err(Error::NotFound(format!(
                    "the store {} ({hint}): it",
                    self.root.display()
                )))
            }
            Err(e) => Err(Error::io("list", &sessions)(e)),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.storage.list(&self.root) {
            Ok(_) => self.store_file().map(|_| ()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(Error::InvalidInput {
                what: self.root.display().to_string(),
                reason: "it is not a directory; give the directory of a store, or a new name"
                    .to_owned(),
            }),
            Err(e) => Err(Error::io("list", &self.root)(e)),
        }
    }

    fn store_file(&self) -> Result<Option<StoreFile>> {
        let path = self.root.join(STORE);
        let file = match self.storage.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", &path)(e)),
        };
        let mut bytes = vec![0; 4096];
        let got = read_full_at(&*file, &mut bytes, 0).map_err(Error::io("read", &path))?;
        let store: StoreFile = serde_json::from_slice(&bytes[..got]).map_err(|e| Error::InvalidInput {
            what: path.display().to_string(),
            reason: format!("it is not a store's file ({e}); the sessions are not affected: remove it and it is made again"),
        })?;
        if store.format > FORMAT {
            let (found, writer) = (store.format.to_string(), store.writer);
            return Err(Error::UnsupportedVersion {
                path,
                found,
                supported: FORMAT,
                writer,
            });
        }
        Ok(Some(store))
    }

    fn write_store_file(&self) -> Result<()> {
        let mut random = [0; 16];
        self.environment.fill_random(&mut random);
        let store_id = format!("{:032x}", u128::from_be_bytes(random));
        let store = StoreFile {
            format: FORMAT,
            store_id,
            writer: WRITER.to_owned(),
        };
        // A struct of a number and two strings always serializes.
        let mut text = serde_json::to_string(&store).unwrap_or_default();
        text.push('\n');
        let path = self.root.join(STORE);
        let temporary = self
            .root
            .join(format!("{STORE}.{}.tmp", &store.store_id[..8]));
        let file = self.storage.open(&temporary, OpenMode::CreateNew);
        let file = file.map_err(Error::io("create", &temporary))?;
        write_all_at(&*file, text.as_bytes(), 0).map_err(Error::io("write", &temporary))?;
        file.sync_data().map_err(Error::io("sync", &temporary))?;
        self.storage
            .rename(&temporary, &path)
            .map_err(Error::io("rename", &temporary))?;
        self.storage
            .sync_dir(&self.root)
            .map_err(Error::io("sync directory", &self.root))
    }

    /// Creates a directory and the parents that are missing; each new name is made durable at once.
    fn create_parents(&self, dir: &Path) -> Result<()> {
        let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
        match self.storage.create_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let Some(parent) = parent else {
                    return Err(Error::io("create directory", dir)(e));
                };
                self.create_parents(parent)?;
                self.create_dir(dir)?;
            }
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create directory", dir)(e));
            }
            _ => {}
        }
        let parent = parent.unwrap_or(Path::new("."));
        self.storage
            .sync_dir(parent)
            .map_err(Error::io("sync directory", parent))
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        match self.storage.create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io("create directory", dir)(e))
            }
            _ => Ok(()),
        }
    }

    /// Removes directories that an interrupted delete or import left behind, unless somebody is at them. A
    /// failure is not the caller's: the next one tries again.
    pub(super) fn remove_leftovers(&self, prefix: &str) {
        let sessions = self.root.join(SESSIONS);
        for name in self.entries().unwrap_or_default() {
            let dir = sessions.join(&name);
            if !name.starts_with(prefix) {
                continue;
            }
            let Ok(Some(_held)) = self.storage.try_lock(&dir.join(LOCK)) else {
                continue;
            };
            if let Err(e) = self.remove_tree(&dir) {
                tracing::warn!(directory = name, error = %e, "leftover files stay");
            }
        }
    }

    pub(super) fn remove_tree(&self, dir: &Path) -> io::Result<()> {
        for entry in self.storage.list(dir)? {
            let path = dir.join(&entry.name);
            match entry.kind {
                EntryKind::Directory => self.remove_tree(&path)?,
                EntryKind::File | EntryKind::Other => self.storage.remove_file(&path)?,
            }
        }
        self.storage.remove_dir(dir)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(companion) = &self.companion {
            companion.end();
        }
    }
}

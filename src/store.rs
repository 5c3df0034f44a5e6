//! A store: a directory of sessions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::environment::{Environment, SystemEnvironment};
use crate::log::{Listing, LogReader, WriterOptions};
use crate::session::{Durability, Session};
use crate::storage::{
    EntryKind, FileStorage, OpenMode, Storage, StorageLock, read_full_at, write_all_at,
};
use crate::view::View;
use crate::{Error, Result, id};

const FORMAT: u16 = 1;
const STORE: &str = "STORE";
const SESSIONS: &str = "sessions";
const LOCK: &str = "LOCK";
/// What the directories of sessions are called while they are removed, and while they are built.
const DELETED: &str = ".deleted-";
const BUILDING: &str = ".building-";
/// The lock of the store under which such a directory is made, and how long to wait for it.
const BUILD_LOCK: &str = "BUILDING";
const BUILD_WAIT: Duration = Duration::from_secs(10);
const WRITER: &str = concat!("sessionlog ", env!("CARGO_PKG_VERSION"));
/// The default size at which a segment is sealed and a new one begun, in bytes.
const SEGMENT_LEN: u64 = 16 << 20;
/// The default length of a log that is opened from a snapshot, in bytes.
const SNAPSHOT_AFTER: u64 = 32 << 20;

/// A directory of sessions. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) root: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) lock_wait: Duration,
    pub(crate) writer: WriterOptions,
    pub(crate) snapshot_after: u64,
}

/// How a store is opened: see [`Store::options`].
#[derive(Clone, Debug)]
pub struct StoreOptions {
    storage: Arc<dyn Storage>,
    environment: Arc<dyn Environment>,
    durability: Durability,
    lock_wait: Duration,
    segment_len: u64,
    snapshot_after: u64,
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
    #[must_use]
    pub fn segment_len(mut self, bytes: u64) -> Self {
        self.segment_len = bytes.clamp(4 << 10, 1 << 30);
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

    /// Opens the store at `path`. A directory that does not exist yet is created at the first append.
    ///
    /// Errors: [`Error::InvalidInput`] if `path` is not a directory, [`Error::UnsupportedVersion`] if a newer
    /// program made the store.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store> {
        let root = path.as_ref().to_path_buf();
        let inner = Inner {
            storage: self.storage,
            environment: self.environment,
            root,
            durability: self.durability,
            lock_wait: self.lock_wait,
            writer: WriterOptions {
                segment_len: self.segment_len,
            },
            snapshot_after: self.snapshot_after,
        };
        inner.check()?;
        Ok(Store {
            inner: Arc::new(inner),
        })
    }
}

impl Store {
    /// Opens the store at `path` with the default options: see [`StoreOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// The default options, to change.
    #[must_use]
    pub fn options() -> StoreOptions {
        StoreOptions {
            storage: Arc::new(FileStorage),
            environment: Arc::new(SystemEnvironment),
            durability: Durability::Sync,
            lock_wait: Duration::ZERO,
            segment_len: SEGMENT_LEN,
            snapshot_after: SNAPSHOT_AFTER,
        }
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
        Session::open(Arc::clone(&self.inner), id)
    }

    /// Opens a session for reading: no lock, beside any writer, as of now.
    ///
    /// Errors: [`Error::NotFound`].
    pub fn read(&self, id: &str) -> Result<View> {
        id::check("session id", id)?;
        View::open(self.inner.log_reader(id), id)
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
            .filter_map(|e| id::decode(&e))
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Deletes a session: whole or, if it fails or the power goes, not at all.
    ///
    /// Errors: [`Error::NotFound`], [`Error::Locked`] if a writer holds it.
    pub fn delete(&self, id: &str) -> Result<()> {
        id::check("session id", id)?;
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
        let moved = result.and_then(|built| match storage.rename(&dir, &target) {
            Ok(()) => Ok(built),
            Err(_)
                if storage
                    .list(&target)
                    .is_ok_and(|entries| !entries.is_empty()) =>
            {
                Err(exists())
            }
            Err(e) => Err(Error::io("rename", &dir)(e)),
        });
        if moved.is_err() {
            // Best effort: the next import removes what is left.
            let _ = self.inner.remove_tree(&dir);
        }
        let built = moved?;
        storage
            .sync_dir(&sessions)
            .map_err(Error::io("sync directory", &sessions))?;
        Ok(built)
    }
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

    /// Whether a log with so many sealed segments is opened from a snapshot.
    pub(crate) fn wants_snapshot(&self, sealed: u64) -> bool {
        sealed.saturating_mul(self.writer.segment_len) > self.snapshot_after
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

    /// Makes the directory of a session, and the store around it, durable up to every parent that is new.
    pub(crate) fn create_session_dir(&self, dir: &Path) -> Result<()> {
        let is_new_store = self.store_file()?.is_none();
        let sessions = self.root.join(SESSIONS);
        if is_new_store {
            self.create_parents(&self.root)?;
            self.write_store_file()?;
        }
        self.create_dir(&sessions)?;
        self.create_dir(dir)
    }

    /// A new directory to build a session in, and its lock. What interrupted imports left behind is removed.
    ///
    /// All of this happens under one lock of the store, or a directory that was made this moment and is not locked
    /// yet would be taken for a leftover.
    fn begin_building(&self) -> Result<(PathBuf, Box<dyn StorageLock>)> {
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

    fn check(&self) -> Result<()> {
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
    fn remove_leftovers(&self, prefix: &str) {
        let sessions = self.root.join(SESSIONS);
        for name in self.entries().unwrap_or_default() {
            let dir = sessions.join(&name);
            if !name.starts_with(prefix) {
                continue;
            }
            let Ok(Some(_lock)) = self.storage.try_lock(&dir.join(LOCK)) else {
                continue;
            };
            if let Err(e) = self.remove_tree(&dir) {
                tracing::warn!(directory = name, error = %e, "leftover files stay");
            }
        }
    }

    fn remove_tree(&self, dir: &Path) -> io::Result<()> {
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

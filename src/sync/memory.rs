//! What a device remembers of a remote: a cache, and the proof that the remote once had something.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::crc;
use crate::storage::{OpenMode, read_full_at};
use crate::store::Inner;
use crate::{Error, Result, id};

use super::Tag;
use super::device::replace_file;
use super::head::{Head, MAX_HEAD};

const REMOTES: &str = "remotes";
/// An empty file: the remote was seen to honour conditional writes.
const PROBED: &str = "PROBED";
/// The remote's name.
const NAME: &str = "NAME";
/// The longest name that is read.
const MAX_NAME: usize = 4096;

/// The head of one session as this device saw or wrote it last, without its tail.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) head: Head,
    pub(super) tag: Tag,
}

/// Where the memories of one remote are.
#[derive(Debug)]
pub(super) struct Memory {
    dir: PathBuf,
    /// The remote's name.
    pub(super) name: String,
}

impl Memory {
    pub(super) fn of(store: &Inner, remote: &str) -> Self {
        let name = format!("{:08x}", crc(remote.as_bytes()));
        Self {
            dir: store.root.join(REMOTES).join(name),
            name: remote.to_owned(),
        }
    }

    /// The memories of every remote that this store was used with.
    pub(super) fn all(store: &Inner) -> Result<Vec<Self>> {
        let remotes = store.root.join(REMOTES);
        let entries = match store.storage.list(&remotes) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::io("list", &remotes))?,
        };
        let memory = |entry: crate::storage::Entry| {
            let dir = remotes.join(&entry.name);
            let name = read_name(store, &dir).unwrap_or(entry.name);
            Self { dir, name }
        };
        Ok(entries.into_iter().map(memory).collect())
    }

    fn path(&self, session: &str) -> PathBuf {
        self.dir.join(format!("{}.head", id::encode(session)))
    }

    /// What is remembered; a memory that is damaged is none.
    pub(super) fn read(&self, store: &Inner, session: &str) -> Result<Option<Remembered>> {
        let path = self.path(session);
        let file = match store.storage.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", &path)(e)),
        };
        let len = file.len().map_err(Error::io("read the length", &path))?;
        let mut bytes = vec![0; usize::try_from(len.min(MAX_HEAD)).unwrap_or_default()];
        let got = read_full_at(&*file, &mut bytes, 0).map_err(Error::io("read", &path))?;
        Ok(decode(&bytes[..got]))
    }

    /// Remembers a head, durably.
    pub(super) fn write(&self, store: &Inner, session: &str, seen: &Remembered) -> Result<()> {
        self.create_dirs(store)?;
        let mut bytes = (seen.tag.0.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(seen.tag.0.as_bytes());
        let head = seen.head.without_tail().encode();
        bytes.extend_from_slice(&head);
        replace_file(&*store.storage, &self.path(session), &bytes)
    }

    /// Begins to remember a remote.
    pub(super) fn begin(&self, store: &Inner) -> Result<()> {
        if read_name(store, &self.dir).as_ref() == Some(&self.name) {
            return Ok(());
        }
        self.create_dirs(store)?;
        replace_file(&*store.storage, &self.dir.join(NAME), self.name.as_bytes())
    }

    fn create_dirs(&self, store: &Inner) -> Result<()> {
        let parent = store.root.join(REMOTES);
        for dir in [&store.root, &parent, &self.dir] {
            match store.storage.create_dir(dir) {
                Ok(()) => {
                    let above = dir.parent().unwrap_or(dir);
                    store
                        .storage
                        .sync_dir(above)
                        .map_err(Error::io("sync directory", above))?;
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("create directory", dir)(e)),
            }
        }
        Ok(())
    }

    /// Whether the remote was seen to honour conditional writes.
    pub(super) fn is_probed(&self, store: &Inner) -> bool {
        store
            .storage
            .open(&self.dir.join(PROBED), OpenMode::Read)
            .is_ok()
    }

    /// Takes note that the remote honours conditional writes.
    pub(super) fn set_probed(&self, store: &Inner) -> Result<()> {
        self.create_dirs(store)?;
        replace_file(&*store.storage, &self.dir.join(PROBED), b"")
    }

    /// Forgets the session's head.
    pub(super) fn forget(&self, store: &Inner, session: &str) -> Result<()> {
        let path = self.path(session);
        match store.storage.remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("remove", &path)(e)),
            Ok(()) => store
                .storage
                .sync_dir(&self.dir)
                .map_err(Error::io("sync directory", &self.dir)),
        }
    }
}

fn read_name(store: &Inner, dir: &Path) -> Option<String> {
    let file = store.storage.open(&dir.join(NAME), OpenMode::Read).ok()?;
    let mut bytes = vec![0; MAX_NAME];
    let got = read_full_at(&*file, &mut bytes, 0).ok()?;
    bytes.truncate(got);
    String::from_utf8(bytes).ok()
}

fn decode(bytes: &[u8]) -> Option<Remembered> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (tag, head) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some(Remembered {
        tag: Tag(String::from_utf8(tag.to_vec()).ok()?),
        head: Head::decode(head).ok()?,
    })
}

//! Files and directories of the standard layout: whole, durable, and never through a symbolic link.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::environment::Environment;
use crate::json::Json;
use crate::storage::{EntryKind, OpenMode, Storage, read_full_at, write_all_at};
use crate::{Error, Result};

use crate::repository::names::{Files, object_text};

/// A directory tree on a storage.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) environment: Arc<dyn Environment>,
}

impl Files for Disk {
    fn names(&self, dir: &Path) -> Result<Vec<String>> {
        self.files(dir)
    }

    fn text(&self, path: &Path) -> Result<Option<String>> {
        self.read(path)
    }
}

impl Disk {
    /// Whether there is a file, readable or not.
    pub(super) fn has_file(&self, path: &Path) -> Result<bool> {
        match self.storage.open(path, OpenMode::Read) {
            Ok(_) => Ok(true),
            Err(e) if is_missing(&e) => Ok(false),
            Err(e) => Err(Error::io("open", path)(e)),
        }
    }

    /// Whether there is a directory.
    pub(super) fn has_dir(&self, path: &Path) -> Result<bool> {
        match self.storage.list(path) {
            Ok(_) => Ok(true),
            Err(e) if is_missing(&e) => Ok(false),
            Err(e) => Err(Error::io("list", path)(e)),
        }
    }

    /// The names of the files in a directory, and of what is neither file nor directory; none if it is missing.
    pub(super) fn files(&self, dir: &Path) -> Result<Vec<String>> {
        let entries = match self.storage.list(dir) {
            Err(e) if is_missing(&e) => return Ok(Vec::new()),
            entries => entries.map_err(Error::io("list", dir))?,
        };
        let files = entries
            .into_iter()
            .filter(|e| e.kind != EntryKind::Directory);
        Ok(files.map(|entry| entry.name).collect())
    }

    /// The text of a file, which is checked to be a JSON object; `None` if it is missing.
    pub(super) fn read(&self, path: &Path) -> Result<Option<String>> {
        let file = match self.storage.open(path, OpenMode::Read) {
            Err(e) if is_missing(&e) => return Ok(None),
            file => file.map_err(Error::io("open", path))?,
        };
        let len = file.len().map_err(Error::io("read", path))?;
        let len = usize::try_from(len).map_err(|_| Error::TooLarge {
            what: path.display().to_string(),
            size: len,
            limit: usize::MAX as u64,
        })?;
        let mut bytes = vec![0; len];
        let got = read_full_at(&*file, &mut bytes, 0).map_err(Error::io("read", path))?;
        bytes.truncate(got);
        object_text(bytes, || path.display().to_string()).map(Some)
    }

    /// Makes a file that is not there yet: `false` if it is. Durable when it returns, if the directory's name is.
    pub(super) fn create(&self, path: &Path, json: &str) -> Result<bool> {
        let temporary = self.write_beside(path, json)?;
        match self.storage.rename_new(&temporary, path) {
            Ok(()) => self.sync_dir(parent(path)).map(|()| true),
            Err(e) => {
                self.discard(&temporary);
                match e.kind() {
                    io::ErrorKind::AlreadyExists => Ok(false),
                    _ => Err(Error::io("rename", &temporary)(e)),
                }
            }
        }
    }

    /// Replaces a file: after a crash it is the old one or the new one.
    pub(super) fn replace(&self, path: &Path, json: &str) -> Result<()> {
        let temporary = self.write_beside(path, json)?;
        if let Err(e) = self.storage.rename(&temporary, path) {
            self.discard(&temporary);
            return Err(Error::io("rename", &temporary)(e));
        }
        self.sync_dir(parent(path))
    }

    /// Makes a directory; `false` if it is there.
    pub(super) fn create_dir(&self, path: &Path) -> Result<bool> {
        match self.storage.create_dir(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io("create directory", path)(e)),
        }
    }

    /// Makes a directory and the ones above it; the new names are durable.
    pub(super) fn create_all(&self, path: &Path) -> Result<()> {
        let above = path.parent().filter(|p| !p.as_os_str().is_empty());
        match (self.storage.create_dir(path), above) {
            (Err(e), Some(above)) if e.kind() == io::ErrorKind::NotFound => {
                self.create_all(above)?;
                self.create_dir(path)?;
            }
            (Err(e), _) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create directory", path)(e));
            }
            _ => {}
        }
        self.sync_dir(above.unwrap_or(Path::new(".")))
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_dir(&self, path: &Path) -> Result<()> {
        self.storage
            .sync_dir(path)
            .map_err(|source| Error::OutcomeUnknown {
                path: path.to_path_buf(),
                operation: "sync directory",
                source,
            })
    }

    /// Moves a directory to a name that is not there yet: `false` if it is.
    pub(super) fn move_dir(&self, from: &Path, to: &Path) -> Result<bool> {
        match self.storage.rename(from, to) {
            Ok(()) => self.sync_dir(parent(to)).map(|()| true),
            Err(e) if is_there(&e) => Ok(false),
            Err(e) => Err(Error::io("rename", from)(e)),
        }
    }

    /// Removes a directory and everything in it.
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

    /// A name that nobody else has, and that every reader of the layout ignores.
    pub(super) fn temporary(&self, dir: &Path, kind: &str) -> PathBuf {
        let mut random = [0; 8];
        self.environment.fill_random(&mut random);
        dir.join(format!(".{kind}_{:016x}.tmp", u64::from_le_bytes(random)))
    }

    /// Writes a file under a temporary name in the directory of `path`; its bytes are durable.
    fn write_beside(&self, path: &Path, json: &str) -> Result<PathBuf> {
        let text = Json::parse(json).map(Json::to_python);
        let text = text.map_err(|source| Error::InvalidJson {
            what: path.display().to_string(),
            source,
        })?;
        let temporary = self.temporary(parent(path), "strands");
        let file = self.storage.open(&temporary, OpenMode::CreateNew);
        let file = file.map_err(Error::io("create", &temporary))?;
        let written = write_all_at(&*file, text.as_bytes(), 0).and_then(|()| file.sync_data());
        if let Err(e) = written {
            self.discard(&temporary);
            return Err(Error::io("write", &temporary)(e));
        }
        Ok(temporary)
    }

    /// Removes a temporary file that nobody needs. If that fails, it stays and is ignored.
    fn discard(&self, temporary: &Path) {
        if let Err(error) = self.storage.remove_file(temporary) {
            tracing::warn!(path = %temporary.display(), %error, "a temporary file stays");
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn is_missing(e: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(e.kind(), NotFound | NotADirectory)
}

fn is_there(e: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    matches!(e.kind(), AlreadyExists | DirectoryNotEmpty)
}

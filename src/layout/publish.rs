//! A directory tree that is built beside its place, synced, and put there in one step.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::environment::{Environment, SystemEnvironment};
use crate::{Error, Result};

use super::files::Files;

/// Up to so many files are synced one by one; beyond, the whole file system is synced once where that is possible.
const SYNC_EACH: usize = 64;

/// The tree being built: `<to>/.session_<random>.tmp`. Removed when it is dropped unpublished.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    dirs: Vec<PathBuf>,
    /// The first files, to be synced one by one if there are few.
    first: Vec<PathBuf>,
    files: u64,
    writer: Files,
    published: bool,
}

impl Staging {
    pub(super) fn create(to: &Path) -> Result<Self> {
        create_all(to)?;
        let mut random = [0; 8];
        SystemEnvironment.fill_random(&mut random);
        let name = format!(".session_{:016x}.tmp", u64::from_le_bytes(random));
        let root = to.join(name);
        make_dir(&root)?;
        Ok(Self {
            dirs: vec![root.clone()],
            root,
            first: Vec::new(),
            files: 0,
            writer: Files::default(),
            published: false,
        })
    }

    /// How many files were written.
    pub(super) fn files(&self) -> u64 {
        self.files
    }

    pub(super) fn create_dir(&mut self, parts: &[&str]) -> Result<()> {
        let path = self.path(parts);
        make_dir(&path)?;
        self.dirs.push(path);
        Ok(())
    }

    pub(super) fn write(&mut self, dir: &[&str], name: &str, text: String) -> Result<()> {
        let path = self.path(dir).join(name);
        self.files += 1;
        if self.first.len() <= SYNC_EACH {
            self.first.push(path.clone());
        }
        self.writer.write(path, text)
    }

    /// Makes the tree durable and puts it at `path`, replacing what is there if `replace`.
    pub(super) fn publish(mut self, path: &Path, replace: bool) -> Result<()> {
        self.writer.finish()?;
        self.sync()?;
        let parent = path.parent().unwrap_or(path);
        if replace && path.symlink_metadata().is_ok() {
            self.exchange(path)?;
        } else {
            fs::rename(&self.root, path).map_err(|e| match e.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                    Error::AlreadyExists(path.display().to_string())
                }
                _ => Error::io("rename", path)(e),
            })?;
        }
        self.published = true;
        sync_dir(parent)?;
        // After an exchange, the old tree has the temporary name.
        remove_tree(&self.root)
    }

    fn path(&self, parts: &[&str]) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(parts);
        path
    }

    fn sync(&self) -> Result<()> {
        if self.first.len() > SYNC_EACH && sync_file_system(&self.root)? {
            return Ok(());
        }
        let files = if self.files as usize == self.first.len() {
            self.first.clone()
        } else {
            self.all_files()?
        };
        for path in files {
            let file = File::open(&path).map_err(Error::io("open", &path))?;
            file.sync_all().map_err(Error::io("sync", &path))?;
        }
        // The deepest first, so that a directory is durable before the name that leads to it.
        self.dirs.iter().rev().try_for_each(|dir| sync_dir(dir))
    }

    fn all_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for dir in &self.dirs {
            for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
                let path = entry.map_err(Error::io("list", dir))?.path();
                if path.is_file() {
                    files.push(path);
                }
            }
        }
        Ok(files)
    }

    /// Exchanges the tree with the one at `path`; afterwards the old one has the temporary name.
    fn exchange(&self, path: &Path) -> Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            if renameat_with(CWD, &self.root, CWD, path, RenameFlags::EXCHANGE).is_ok() {
                return Ok(());
            }
        }
        let aside = self.root.with_extension("old");
        fs::rename(path, &aside).map_err(Error::io("rename", path))?;
        fs::rename(&self.root, path).map_err(Error::io("rename", &self.root))?;
        sync_dir(path.parent().unwrap_or(path))?;
        remove_tree(&aside)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            drop(std::mem::take(&mut self.writer));
            // Best effort: what is left has a temporary name that no reader looks at.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// Syncs the file system that holds `path` at once; `false` where the system cannot.
#[cfg(target_os = "linux")]
fn sync_file_system(path: &Path) -> Result<bool> {
    let dir = File::open(path).map_err(Error::io("open", path))?;
    rustix::fs::syncfs(&dir).map_err(|e| Error::io("sync the file system of", path)(e.into()))?;
    Ok(true)
}

/// Syncs the file system that holds `path` at once; `false` where the system cannot.
#[cfg(not(target_os = "linux"))]
fn sync_file_system(_path: &Path) -> Result<bool> {
    Ok(false)
}

fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    let file = File::open(dir).map_err(Error::io("open", dir))?;
    file.sync_all().map_err(Error::io("sync directory", dir))
}

fn make_dir(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(Error::io("create directory", path))
}

/// Creates a directory and its missing parents, and makes each new name durable.
fn create_all(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_all(parent)?;
    }
    match make_dir(dir) {
        // Another export was quicker.
        Err(_) if dir.is_dir() => {}
        made => made?,
    }
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Removes a directory tree that may be gone already.
fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

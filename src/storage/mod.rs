//! The seam between the engine and a disk: a small trait, files, memory.
//!
//! Everything that the engine does to a disk goes through [`Storage`] and [`StorageFile`], so that a test can
//! take the power away between any two calls. Paths are joined by the engine and passed as they are.

#[cfg(feature = "conformance")]
pub mod conformance;
mod file;
mod memory;
pub(crate) mod pages;
pub(crate) mod tree;

pub use file::FileStorage;
pub use memory::MemoryStorage;

use std::fmt;
use std::io;
use std::path::Path;

/// How [`Storage::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A new file, to read and write; `AlreadyExists` if there is one.
    CreateNew,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, or anything else: the engine refuses to follow it.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file name. A name that is not UTF-8 is given lossily; the engine never made it.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// A place that holds the engine's directories and files.
///
/// Names and contents become durable separately: [`StorageFile::sync_data`] makes a file's bytes and length
/// durable, [`Storage::sync_dir`] the names in a directory. No operation follows a symbolic link in the last
/// component of its path.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Opens a file. Refuses directories and symbolic links.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>>;
    /// Renames a file or a directory, replacing a file that has the new name (not a directory: that is
    /// `AlreadyExists`, also if it is empty). Files that are open, in a renamed directory too, stay open.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file, never replacing anything: `AlreadyExists` if there is anything of the new name.
    ///
    /// The default looks first, which is enough where nobody else makes files in that directory. An
    /// implementation that others write beside does it in one step.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.open(to, OpenMode::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.rename(from, to),
            _ => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }
    /// Gives a file a second name, never replacing anything. It may be refused (`Unsupported`): then bytes are copied.
    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Removes a file. Whoever has it open goes on with it.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory; `AlreadyExists` if there is anything of that name.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The entries of a directory, in no order; `NotFound` if there is none.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the exclusive lock that the file `path` stands for, creating the file if need be; `None` if
    /// another holder has it, in this process or another.
    ///
    /// When it returns, the path still names the locked file: a lock on a file that was removed or replaced
    /// meanwhile is given up and tried again.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>>;
}

/// An open file.
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads at an offset; fewer bytes than asked are legal, 0 means the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset, extending the file; fewer bytes than given are legal, 0 is not.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts or extends (with zeros) to a length.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes room for at least `len` bytes in all; the file is extended with zeros if it was shorter, and
    /// never cut.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Makes the bytes and the length durable (not the name). Fails if the file was deleted meanwhile, where the
    /// storage can tell: what nobody can open again is not durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// An exclusive lock, held until it is dropped.
pub trait StorageLock: Send + Sync + fmt::Debug {}

/// Reads until `buf` is full or the file ends; returns how many bytes were read.
pub fn read_full_at(file: &dyn StorageFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Writes all of `buf`; loops on short writes and interruptions.
pub fn write_all_at(file: &dyn StorageFile, buf: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match file.write_at(&buf[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

//! [`Storage`] on the file system of the operating system.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::pages::end_of;
use super::{Entry, EntryKind, OpenMode, Storage, StorageFile, StorageLock};

#[cfg(unix)]
#[path = "file_unix.rs"]
mod system;
#[cfg(windows)]
#[path = "file_windows.rs"]
mod system;

/// How often [`FileStorage::try_lock`](Storage::try_lock) tries again when its file was removed under it.
const LOCK_TRIES: u32 = 16;

/// The real disk.
///
/// On Unix files are made with mode 0600 and directories with 0700, and a symbolic link in the last component of
/// a path is refused by the kernel. Locks are `flock` locks: two opens exclude each other in one process too.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileStorage;

impl FileStorage {
    /// The file system of this machine; paths are used as they are given.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Storage for FileStorage {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(mode != OpenMode::Read)
            .create_new(mode == OpenMode::CreateNew);
        Ok(Box::new(RealFile {
            file: open_regular(&mut options, path)?,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        // rename(2) replaces an empty directory; the trait does not.
        if fs::symlink_metadata(to).is_ok_and(|there| there.is_dir()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match system::rename_new(from, to) {
            // The file system, or the system, cannot do it in one step. A second name for the file can be made
            // only where there is none.
            Err(e) if is_unsupported(&e) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            done => done,
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        system::create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        if !fs::symlink_metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        fs::read_dir(path)?
            .map(|entry| {
                let entry = entry?;
                let file_type = entry.file_type()?;
                let kind = if file_type.is_file() {
                    EntryKind::File
                } else if file_type.is_dir() {
                    EntryKind::Directory
                } else {
                    EntryKind::Other
                };
                let name = entry.file_name().into_string();
                let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                Ok(Entry { name, kind })
            })
            .collect()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        system::sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        for _ in 0..LOCK_TRIES {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = open_regular(system::lock_options(&mut options), path)?;
            // By its full path: std has inherent methods of like names with another error type.
            match fs2::FileExt::try_lock_exclusive(&file) {
                Ok(()) => {}
                Err(e) if e.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
                    return Ok(None);
                }
                Err(e) => return Err(e),
            }
            if system::is_still_at(&file, path)? {
                return Ok(Some(Box::new(RealLock { file })));
            }
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "the lock file was replaced again and again",
        ))
    }
}

/// Opens without following a symbolic link, and refuses whatever is not a regular file.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = match system::open_no_follow(options, path) {
        Ok(file) => file,
        // Each system has its own error code for a link that must not be followed.
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists && is_symlink(path) => {
            return Err(refused("a symbolic link, which is never followed"));
        }
        Err(e) => return Err(e),
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.file_type().is_symlink() {
        return Err(refused("a symbolic link, which is never followed"));
    }
    if !metadata.is_file() {
        return Err(refused("not a regular file"));
    }
    Ok(file)
}

fn is_unsupported(e: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, Unsupported};
    matches!(e.kind(), InvalidInput | Unsupported)
}

fn is_symlink(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_symlink())
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl StorageFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        // A read that reaches beyond the largest offset is an error to the kernel; to us it meets the end.
        let room = (i64::MAX as u64).saturating_sub(offset);
        let count = buf.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if count == 0 {
            return Ok(0);
        }
        system::read_at(&self.file, &mut buf[..count], offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        end_of(offset, buf.len())?;
        system::write_at(&self.file, buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        end_of(len, 0)?;
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        end_of(len, 0)?;
        if len <= self.len()? {
            return Ok(());
        }
        // fs2 reads errno, which posix_fallocate does not set: its error may say anything, even "success" or
        // "interrupted", so it is not passed on.
        fs2::FileExt::allocate(&self.file, len).map_err(|_| {
            io::Error::other(format!(
                "the file system has no room for a file of {len} bytes"
            ))
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        if system::is_deleted(&self.file)? {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the file was deleted while it was open",
            ));
        }
        Ok(())
    }
}

/// Closing the descriptor gives the lock up.
#[derive(Debug)]
struct RealLock {
    #[expect(dead_code, reason = "held for its descriptor")]
    file: File,
}

impl StorageLock for RealLock {}

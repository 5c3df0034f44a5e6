//! What [`FileStorage`](super::FileStorage) asks of Windows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;

/// Opens a link itself instead of its target; the caller then refuses it.
pub(super) fn open_no_follow(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// Without the right to delete, nobody can remove or replace the file while it is open.
pub(super) fn lock_options(options: &mut OpenOptions) -> &mut OpenOptions {
    options.share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
}

/// Always: see [`lock_options`].
pub(super) fn is_still_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

pub(super) fn rename_new(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// An open file cannot be deleted for good: its name stays until it is closed.
pub(super) fn is_deleted(_file: &File) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Windows has no way to flush a directory: NTFS journals names by itself. Only the path is checked.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        Ok(())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    match file.seek_read(buf, offset) {
        // ERROR_HANDLE_EOF
        Err(e) if e.raw_os_error() == Some(38) => Ok(0),
        read => read,
    }
}

pub(super) fn write_at(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(buf, offset)
}

//! Bytes that leave the log are kept: copied to `quarantine/` and synced before anything is cut.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::{OpenMode, Storage, StorageFile, read_full_at, write_all_at};
use crate::{Error, Result};

use super::directory::QUARANTINE;
use super::segment::SegmentFile;

const CHUNK: u64 = 1 << 20;

/// A range of a segment to set aside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The base version of the segment.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The directory for what is set aside.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: PathBuf,
}

impl Quarantine {
    /// Makes the quarantine of `dir`, or finds it; its own name is durable when this returns.
    pub(crate) fn open(storage: &dyn Storage, dir: &Path) -> Result<Self> {
        let path = dir.join(QUARANTINE);
        match storage.create_dir(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("create directory", &path)(e)),
        }
        storage
            .sync_dir(dir)
            .map_err(Error::io("sync directory", dir))?;
        Ok(Self { path })
    }

    /// Copies a range of `file` to a new file, whose bytes are durable when this returns: its name only after
    /// [`Quarantine::sync`].
    ///
    /// A copy that an interrupted recovery finished before is used again.
    pub(crate) fn copy(
        &self,
        storage: &dyn Storage,
        file: &dyn StorageFile,
        range: Range,
    ) -> Result<PathBuf> {
        for attempt in 0..u32::MAX {
            let path = self.path.join(name_of(range, attempt));
            match storage.open(&path, OpenMode::CreateNew) {
                Ok(copy) => {
                    copy_range(file, &*copy, range).map_err(Error::io("write", &path))?;
                    return Ok(path);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let copy = storage
                        .open(&path, OpenMode::Write)
                        .map_err(Error::io("open", &path))?;
                    if is_copy(file, &*copy, range).map_err(Error::io("read", &path))? {
                        copy.sync_data().map_err(Error::io("sync", &path))?;
                        return Ok(path);
                    }
                }
                Err(e) => return Err(Error::io("create", &path)(e)),
            }
        }
        Err(Error::AlreadyExists(format!(
            "every name in {}",
            self.path.display()
        )))
    }

    /// Makes the names of all copies durable.
    pub(crate) fn sync(&self, storage: &dyn Storage) -> Result<()> {
        let synced = storage.sync_dir(&self.path);
        synced.map_err(Error::io("sync directory", &self.path))
    }
}

/// Copies a range of `file` to the quarantine of `dir`; durable when it returns.
pub(crate) fn set_aside(
    storage: &dyn Storage,
    dir: &Path,
    file: &dyn StorageFile,
    range: Range,
) -> Result<PathBuf> {
    let quarantine = Quarantine::open(storage, dir)?;
    let path = quarantine.copy(storage, file, range)?;
    quarantine.sync(storage)?;
    Ok(path)
}

/// As [`set_aside`], of a whole segment that is about to lose its name: its bytes get a second one where the storage can
/// do that, which costs nothing.
pub(crate) fn set_aside_whole(
    storage: &dyn Storage,
    dir: &Path,
    segment: &SegmentFile,
) -> Result<PathBuf> {
    let whole = Range {
        segment: segment.base,
        offset: 0,
        length: segment.len,
    };
    let quarantine = Quarantine::open(storage, dir)?;
    let path = quarantine.path.join(name_of(whole, 0));
    let synced = segment.file.sync_data();
    let linked = synced.and_then(|()| storage.link(&segment.path, &path));
    if linked.is_err() {
        return set_aside(storage, dir, &*segment.file, whole);
    }
    quarantine.sync(storage)?;
    Ok(path)
}

fn name_of(range: Range, attempt: u32) -> String {
    format!("{:020}-{}-{attempt}.bytes", range.segment, range.offset)
}

fn copy_range(from: &dyn StorageFile, to: &dyn StorageFile, range: Range) -> io::Result<()> {
    for_chunks(from, range, &mut |bytes, at| {
        write_all_at(to, bytes, at).map(|()| true)
    })?;
    to.sync_data()
}

fn is_copy(file: &dyn StorageFile, copy: &dyn StorageFile, range: Range) -> io::Result<bool> {
    if copy.len()? != range.length {
        return Ok(false);
    }
    let mut other = Vec::new();
    for_chunks(file, range, &mut |bytes, at| {
        other.resize(bytes.len(), 0);
        let got = read_full_at(copy, &mut other, at)?;
        Ok(got == bytes.len() && other == bytes)
    })
}

/// Calls `each` with the range's bytes, chunk by chunk, until it says false; returns its last answer.
fn for_chunks(
    file: &dyn StorageFile,
    range: Range,
    each: &mut dyn FnMut(&[u8], u64) -> io::Result<bool>,
) -> io::Result<bool> {
    let (mut done, mut buf) = (0, vec![0; CHUNK.min(range.length) as usize]);
    while done < range.length {
        let want = CHUNK.min(range.length - done) as usize;
        let got = read_full_at(file, &mut buf[..want], range.offset + done)?;
        if got == 0 {
            break;
        }
        if !each(&buf[..got], done)? {
            return Ok(false);
        }
        done += got as u64;
    }
    Ok(true)
}

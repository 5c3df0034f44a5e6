//! The names in a session's directory.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::{EntryKind, OpenMode, Storage};
use crate::{Error, Result};

/// The writer's lock file.
pub(crate) const LOCK: &str = "LOCK";
/// The directory for bytes that left the log.
pub(crate) const QUARANTINE: &str = "quarantine";
const DIGITS: usize = 20;
/// Of so many segments the lengths are looked up.
const MEASURED: usize = 4;

/// What is in a session's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The base versions of the segments, ascending.
    pub(crate) segments: Vec<u64>,
    /// The versions of the snapshots, ascending.
    pub(crate) snapshots: Vec<u64>,
    /// Whether there is a quarantine.
    pub(crate) quarantine: bool,
    /// Files that an interrupted creation or replacement left behind.
    pub(crate) temporary: Vec<String>,
    /// Segment names that are not regular files.
    pub(crate) not_files: Vec<String>,
    /// Whatever else is there; ignored.
    pub(crate) strays: Vec<String>,
}

impl Listing {
    /// Lists `dir`; `None` if there is no such directory.
    pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Option<Self>> {
        let entries = match storage.list(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("list", dir)(e)),
        };
        let mut listing = Self::default();
        for entry in entries {
            let name = entry.name;
            let is_file = entry.kind == EntryKind::File;
            match (versioned(&name, ".seg"), versioned(&name, ".snap")) {
                (Some(base), _) if is_file => listing.segments.push(base),
                (Some(_), _) => listing.not_files.push(name),
                (_, Some(version)) if is_file => listing.snapshots.push(version),
                _ if name == QUARANTINE && entry.kind == EntryKind::Directory => {
                    listing.quarantine = true;
                }
                _ if name == LOCK && is_file => {}
                _ if name.strip_suffix(".tmp").is_some() && is_file => listing.temporary.push(name),
                _ => listing.strays.push(name),
            }
        }
        listing.segments.sort_unstable();
        listing.snapshots.sort_unstable();
        listing.strays.sort_unstable();
        Ok(Some(listing))
    }

    /// How many bytes the segments before the last one have. Of many, each is taken to have the usual length: only a few
    /// can be less than what is worth knowing and each much longer.
    pub(crate) fn sealed_len(&self, storage: &dyn Storage, dir: &Path, usual: u64) -> Result<u64> {
        let sealed = &self.segments[..self.segments.len().saturating_sub(1)];
        if sealed.len() > MEASURED {
            return Ok(usual.saturating_mul(sealed.len() as u64));
        }
        let len_of = |base: &u64| {
            let path = segment_path(dir, *base);
            let file = storage.open(&path, OpenMode::Read);
            let len = file.and_then(|file| file.len());
            len.map_err(Error::io("read the length of", &path))
        };
        sealed.iter().map(len_of).sum()
    }

    /// Whether the directory holds no trace of a log: a creation that never finished.
    pub(crate) fn is_unborn(&self) -> bool {
        self.segments.is_empty()
            && self.snapshots.is_empty()
            && self.not_files.is_empty()
            && !self.quarantine
    }
}

/// The path of the segment whose first event has version `base`.
pub(crate) fn segment_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.seg"))
}

/// The path of the snapshot of version `version`.
pub(crate) fn snapshot_path(dir: &Path, version: u64) -> PathBuf {
    dir.join(format!("{version:020}.snap"))
}

fn versioned(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let is_version = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    is_version.then(|| digits.parse().ok()).flatten()
}

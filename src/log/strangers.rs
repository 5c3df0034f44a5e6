//! Segments that are no part of the log whose directory they are in.

use std::path::PathBuf;

use crate::storage::OpenMode;
use crate::{Error, Result};

use super::directory::{Listing, segment_path};
use super::quarantine::set_aside_whole;
use super::reader::{LogReader, Scanned};
use super::segment::SegmentFile;

/// Sets segments of another log aside, and those that repeat versions. Returns what they were called and where their
/// bytes are now; `dry_run` changes nothing.
pub(super) fn strangers(
    log: &LogReader,
    scanned: &Scanned,
    dry_run: bool,
) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut strangers, mut quarantine) = (Vec::new(), Vec::new());
    let storage = &*log.storage;
    let listing = Listing::read(storage, &log.dir)?;
    for base in listing.map_or(Vec::new(), |listing| listing.segments) {
        if scanned.segments.iter().any(|segment| segment.base == base) {
            continue;
        }
        let path = segment_path(&log.dir, base);
        if !dry_run {
            let segment = SegmentFile::open(storage, &log.dir, base, OpenMode::Read)?;
            quarantine.push(set_aside_whole(storage, &log.dir, &segment)?);
            let removed = storage.remove_file(&path);
            removed.map_err(Error::io("remove", &path))?;
            tracing::info!(segment = %path.display(), "segment of another log set aside");
        }
        strangers.push(path);
    }
    Ok((strangers, quarantine))
}

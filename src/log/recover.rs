//! Making a log writable: the torn tail is set aside and cut, what may not be durable is made so.

use std::path::{Path, PathBuf};

use crate::damage::Damage;
use crate::format::SEGMENT_HEADER_LEN;
use crate::storage::{OpenMode, Storage, StorageFile, read_full_at, write_all_at};
use crate::{Error, Result};

use super::active::seal_segment;
use super::directory::{Listing, segment_path};
use super::quarantine::{Range, set_aside};
use super::reader::{Scanned, SegmentEnd};

const CHUNK: u64 = 1 << 20;

/// What opening a log for writing found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// The torn tail that was cut, and the file that has its bytes.
    pub(crate) torn: Option<(Damage, PathBuf)>,
}

/// Brings a log without damage to a state that a writer can go on from: its end is clean, everything that was
/// read is durable, the last segment's predecessor is sealed. `scanned` is updated to it.
pub(crate) fn recover(
    storage: &dyn Storage,
    dir: &Path,
    scanned: &mut Scanned,
) -> Result<Recovery> {
    let mut recovery = Recovery::default();
    if let Some((damage, torn)) = scanned.torn.take() {
        let segment = scanned
            .segments
            .iter_mut()
            .find(|s| s.path == damage.segment);
        if let Some(segment) = segment {
            let file = open(storage, &segment.path)?;
            let range = Range {
                segment: segment.base,
                offset: torn.offset,
                length: torn.length,
            };
            let kept = set_aside(storage, dir, &*file, range)?;
            cut(&*file, &segment.path, torn.offset)?;
            (segment.len, segment.end) = (torn.offset, torn.offset);
            tracing::warn!(segment = %segment.path.display(), offset = torn.offset,
                length = torn.length, quarantine = %kept.display(), "torn tail set aside and cut");
            recovery.torn = Some((damage, kept));
        }
    }
    let listing = Listing::read(storage, dir)?.unwrap_or_default();
    remove_temporary(storage, dir, &listing)?;
    finish_roll(storage, scanned)?;
    let last_is_new = scanned
        .segments
        .last()
        .is_some_and(|last| last.end == SEGMENT_HEADER_LEN as u64);
    // A roll or a repair that was killed may not have got to this, and a name that is lost takes its file along.
    if last_is_new || listing.quarantine {
        sync_dir(storage, dir)?;
    }
    if let Some(last) = scanned.segments.last() {
        make_durable(storage, last)?;
    }
    scanned.durable = scanned.expect.version - 1;
    Ok(recovery)
}

/// A tail that was read may be in the page cache only, and an earlier failed sync may have marked its pages
/// clean: so its bytes are written again before they are believed.
fn make_durable(storage: &dyn Storage, segment: &SegmentEnd) -> Result<()> {
    let Some(from) = segment.unsure_from else {
        return Ok(());
    };
    let file = open(storage, &segment.path)?;
    let (mut at, mut buf) = (from, Vec::new());
    while at < segment.end {
        buf.resize(CHUNK.min(segment.end - at) as usize, 0);
        let got = read_full_at(&*file, &mut buf, at).map_err(Error::io("read", &segment.path))?;
        if got == 0 {
            break;
        }
        write_all_at(&*file, &buf[..got], at).map_err(Error::io("write", &segment.path))?;
        at += got as u64;
    }
    file.sync_data()
        .map_err(Error::io("fdatasync", &segment.path))
}

/// A roll that was interrupted: the successor is there, the SEAL is not, or not known to be durable.
fn finish_roll(storage: &dyn Storage, scanned: &mut Scanned) -> Result<()> {
    let Some(last) = scanned.segments.last() else {
        return Ok(());
    };
    let Some(before) = scanned.segments.len().checked_sub(2) else {
        return Ok(());
    };
    let segment = &scanned.segments[before];
    if segment.sealed {
        let is_synced = last.end > SEGMENT_HEADER_LEN as u64;
        return if is_synced {
            Ok(())
        } else {
            make_durable(storage, segment)
        };
    }
    let file = open(storage, &segment.path)?;
    cut(&*file, &segment.path, segment.end)?;
    seal_segment(&*file, &segment.path, scanned, before)?;
    scanned.segments[before].sealed = true;
    Ok(())
}

/// Makes the bytes durable that a repair overwrote: this one, or an earlier one that was killed before it got to that.
/// [`recover`] does it for the names.
pub(crate) fn settle(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let listing = Listing::read(storage, dir)?.unwrap_or_default();
    for base in listing.segments {
        let path = segment_path(dir, base);
        let file = open(storage, &path)?;
        file.sync_data().map_err(Error::io("fdatasync", &path))?;
    }
    Ok(())
}

fn sync_dir(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let synced = storage.sync_dir(dir);
    synced.map_err(Error::io("sync directory", dir))
}

fn remove_temporary(storage: &dyn Storage, dir: &Path, listing: &Listing) -> Result<()> {
    for name in &listing.temporary {
        let path = dir.join(name);
        storage
            .remove_file(&path)
            .map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

fn cut(file: &dyn StorageFile, path: &Path, len: u64) -> Result<()> {
    if file.len().map_err(Error::io("read the length", path))? > len {
        file.set_len(len).map_err(Error::io("cut", path))?;
        file.sync_data().map_err(Error::io("fdatasync", path))?;
    }
    Ok(())
}

fn open(storage: &dyn Storage, path: &Path) -> Result<Box<dyn StorageFile>> {
    storage
        .open(path, OpenMode::Write)
        .map_err(Error::io("open", path))
}

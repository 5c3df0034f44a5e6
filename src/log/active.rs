//! The segment that a writer appends to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::{FrameHeader, FrameSpec, Kind, SEGMENT_HEADER_LEN, SegmentHeader, first_link};
use crate::storage::{OpenMode, Storage, StorageFile, write_all_at};
use crate::{Error, Result};

use super::directory::segment_path;
use super::encode::encode_seal;
use super::reader::{Scanned, SegmentEnd};
use super::stats::SegmentStats;

/// The most space that is allocated ahead, in bytes: an open from the end of the log reads over what is not used.
const MOST_AHEAD: u64 = 64 << 10;
const LEAST_AHEAD: u64 = 1 << 10;

/// The most that a segment may outgrow its length, in bytes.
const MOST_LATE: u64 = 64 << 20;

/// Limits of a writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterOptions {
    /// A segment that would grow past this many bytes is sealed and a new one begun.
    pub(crate) segment_len: u64,
    /// A log of more bytes than this has space allocated ahead.
    pub(crate) allocate_above: u64,
}

impl WriterOptions {
    /// The most bytes of a segment that is not rolled because that would sync what nobody waits for.
    pub(super) fn longest(&self) -> u64 {
        let late = self.segment_len.saturating_mul(4).min(MOST_LATE);
        self.segment_len.saturating_add(late)
    }

    /// How much is allocated at once.
    fn step(&self) -> u64 {
        (self.allocate_above / 4).clamp(LEAST_AHEAD, MOST_AHEAD)
    }
}

/// A segment file, where the next frame goes, and what it holds so far.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) base: u64,
    pub(super) no: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn StorageFile>,
    /// Where the next frame goes.
    pub(super) offset: u64,
    pub(super) stats: SegmentStats,
    /// The file reaches to here, or an allocation up to here was tried.
    allocated: u64,
}

impl Active {
    /// Makes a new segment: it appears whole, and is durable with its name.
    pub(super) fn create(
        storage: &dyn Storage,
        dir: &Path,
        header: &SegmentHeader,
    ) -> Result<Self> {
        let path = segment_path(dir, header.base_version);
        let temporary = path.with_extension("seg.tmp");
        match storage.remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &temporary)(e));
            }
            _ => {}
        }
        let file = storage
            .open(&temporary, OpenMode::CreateNew)
            .map_err(Error::io("create", &temporary))?;
        write_all_at(&*file, &header.encode(), 0).map_err(Error::io("write", &temporary))?;
        file.sync_data()
            .map_err(Error::io("fdatasync", &temporary))?;
        storage
            .rename(&temporary, &path)
            .map_err(Error::io("rename", &temporary))?;
        storage
            .sync_dir(dir)
            .map_err(Error::io("sync directory", dir))?;
        Ok(Self {
            base: header.base_version,
            no: header.segment_no,
            path,
            file: Arc::from(file),
            offset: SEGMENT_HEADER_LEN as u64,
            stats: SegmentStats::default(),
            allocated: SEGMENT_HEADER_LEN as u64,
        })
    }

    /// The last segment of a recovered log.
    pub(super) fn resume(storage: &dyn Storage, last: &SegmentEnd) -> Result<Self> {
        let file = storage
            .open(&last.path, OpenMode::Write)
            .map_err(Error::io("open", &last.path))?;
        Ok(Self {
            base: last.base,
            no: last.no,
            path: last.path.clone(),
            file: Arc::from(file),
            offset: last.end,
            stats: last.stats.clone(),
            allocated: last.len,
        })
    }

    /// Allocates space ahead for a frame of `len` bytes and those after it, so that most syncs need not record a new
    /// length. It is only for speed: what fails here would fail the write, or does not matter.
    pub(super) fn make_room(&mut self, len: u64, options: &WriterOptions) {
        let (end, step) = (self.offset + len, options.step());
        let before = self
            .no
            .saturating_sub(1)
            .saturating_mul(options.segment_len);
        let is_long = before.saturating_add(end) > options.allocate_above;
        if !is_long || end <= self.allocated || len >= step {
            return;
        }
        let ahead = end.next_multiple_of(step).min(options.segment_len);
        if ahead <= end {
            return;
        }
        self.allocated = ahead;
        if let Err(error) = self.file.allocate(ahead) {
            tracing::debug!(segment = %self.path.display(), %error, "no space allocated ahead");
        }
    }

    /// Writes a frame where the next one goes; [`Active::wrote`] moves on.
    pub(super) fn write(&self, frame: &[u8]) -> io::Result<()> {
        write_all_at(&*self.file, frame, self.offset)
    }

    /// Takes note of a frame that was written.
    pub(super) fn wrote(&mut self, header: &FrameHeader) {
        self.stats.frame(header, self.offset);
        self.offset += header.frame_len();
    }

    /// Gives back the space that was not used.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        if self.allocated <= self.offset {
            return Ok(());
        }
        self.allocated = self.offset;
        self.file.set_len(self.offset)
    }
}

/// Writes and syncs the SEAL that an interrupted roll did not get to.
pub(super) fn seal_segment(
    file: &dyn StorageFile,
    path: &Path,
    scanned: &Scanned,
    index: usize,
) -> Result<()> {
    let segment = &scanned.segments[index];
    let next = scanned.segments.get(index + 1);
    let next_base = next.map_or(scanned.expect.version, |next| next.base);
    let spec = FrameSpec {
        kind: Kind::Seal,
        first_version: next_base,
        durable_version: next_base - 1,
        salt: scanned.salt,
        epoch: scanned.epoch,
        offset: segment.end as u32,
        prev_link: segment.link.unwrap_or_else(|| first_link(&scanned.log_id)),
        time_us: scanned.time_us,
    };
    let mut bytes = Vec::new();
    encode_seal(spec, &segment.stats.seal(next_base), &mut bytes);
    write_all_at(file, &bytes, segment.end).map_err(Error::io("write", path))?;
    file.sync_data().map_err(Error::io("fdatasync", path))
}

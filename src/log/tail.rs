//! The end of a log, found from its last bytes, and the way back from there.
//!
//! Nothing here judges damage: whatever is not as a sound log has it makes the reader fall back to a full scan.

use std::io;
use std::sync::Arc;

use crate::format::{
    FRAME_HEADER_LEN, FRAME_TRAILER_LEN, Frame, FrameHeader, Gap, Kind, SEGMENT_HEADER_LEN,
};
use crate::storage::{OpenMode, StorageFile, read_full_at};
use crate::{Error, Result, Version};

use super::directory::Listing;
use super::events::{Replayed, events};
use super::reader::LogReader;
use super::scan::whole_frame;
use super::segment::SegmentFile;

/// How much is read at once on the way back, in bytes: two of these pass over the space that a writer may have allocated
/// ahead and hold some fifty messages of 1 KiB.
const CHUNK: u64 = 60 << 10;

/// Walks a log backwards, frame by frame. Each frame is checked by itself and against the one after it.
#[derive(Clone, Debug)]
pub(crate) struct Backward {
    reader: LogReader,
    /// The segments that were not walked yet; the last one comes next.
    bases: Vec<u64>,
    segment: Option<Walk>,
    /// What the next frame on the way back must lead to.
    wanted: Option<Wanted>,
    /// The length of the segment files, in bytes.
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    version: u64,
    link: u32,
    /// The base version of the segment that the frame after it is in.
    base: u64,
}

#[derive(Clone, Debug)]
struct Walk {
    base: u64,
    salt: u32,
    file: Arc<dyn StorageFile>,
    /// Where the frame before begins its trailer's end.
    end: u64,
    /// Bytes of the file, and where they begin.
    buf: Vec<u8>,
    start: u64,
}

/// A frame met on the way back.
#[derive(Debug)]
pub(crate) struct Met<'b> {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) frame: Frame<'b>,
}

impl<'b> Met<'b> {
    /// The frame's events in the order of their versions, or the versions that a GAP stands for.
    pub(crate) fn items(&self) -> impl DoubleEndedIterator<Item = Replayed<'b>> + use<'b> {
        let gap = gap(&self.frame);
        let lost = gap.map(|gap| Replayed::Lost {
            first: Version(gap.first),
            last: Version(gap.last),
        });
        let is_events = self.frame.header.kind == Kind::Events;
        let events = is_events.then(|| events(&self.frame, self.segment, self.offset));
        lost.into_iter().chain(events.into_iter().flatten())
    }
}

/// Why the way back ends.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The beginning of the log.
    Beginning,
    /// Something a sound log does not have.
    Unsound,
}

impl Backward {
    /// Starts at the end of the log, and reads its last bytes: a copy starts there, too, and reads no byte of these again.
    /// `None` if there is no log, or if its end is not sound.
    pub(crate) fn start(reader: &LogReader) -> Result<Option<Self>> {
        let Some(listing) = Listing::read(&*reader.storage, &reader.dir)? else {
            return Ok(None);
        };
        if listing.segments.is_empty() || !listing.not_files.is_empty() {
            return Ok(None);
        }
        let bases = listing.segments;
        let mut back = Self {
            reader: reader.clone(),
            bases,
            segment: None,
            wanted: None,
            bytes: 0,
        };
        back.enter()?;
        Ok(Some(back))
    }

    /// Whether the whole log is known to have at most `len` bytes.
    pub(crate) fn is_within(&self, len: u64) -> bool {
        self.bases.is_empty() && self.bytes <= len
    }

    /// The frame before the last one that was met.
    pub(crate) fn back(&mut self) -> Result<Result<Met<'_>, Stop>> {
        let (header, offset) = match self.step()? {
            Ok(found) => found,
            Err(stop) => return Ok(Err(stop)),
        };
        let Some(walk) = &self.segment else {
            return Ok(Err(Stop::Unsound));
        };
        let (from, len) = ((offset - walk.start) as usize, header.frame_len() as usize);
        let bytes = walk.buf.get(from..from + len).unwrap_or_default();
        let Ok((frame, after)) = whole_frame(header, bytes) else {
            return Ok(Err(Stop::Unsound));
        };
        let wanted = self.wanted;
        let leads = wanted.is_none_or(|w| w.version == after.version && w.link == after.link);
        if !leads || header.first_version < walk.base {
            return Ok(Err(Stop::Unsound));
        }
        let (version, link) = (header.first_version, header.prev_link);
        self.wanted = Some(Wanted {
            version,
            link,
            base: walk.base,
        });
        Ok(Ok(Met {
            segment: walk.base,
            offset,
            frame,
        }))
    }

    /// Moves to the frame before, and makes its bytes available.
    fn step(&mut self) -> Result<Result<(FrameHeader, u64), Stop>> {
        loop {
            let Some(walk) = &mut self.segment else {
                if self.enter()? {
                    continue;
                }
                let done = self.bases.is_empty() && self.is_complete();
                return Ok(Err(if done { Stop::Beginning } else { Stop::Unsound }));
            };
            if walk.end <= SEGMENT_HEADER_LEN as u64 {
                self.segment = None;
                continue;
            }
            let header = walk.load().map_err(|e| {
                let path = super::directory::segment_path(&self.reader.dir, walk.base);
                Error::io("read", &path)(e)
            })?;
            // A SEAL that nothing follows means that the next segment is lost.
            let header = header.filter(|h| h.kind != Kind::Seal || self.wanted.is_some());
            let Some(header) = header else {
                return Ok(Err(Stop::Unsound));
            };
            walk.end -= header.frame_len();
            return Ok(Ok((header, walk.end)));
        }
    }

    /// Opens the next segment on the way back; `false` if there is none or it is not sound.
    fn enter(&mut self) -> Result<bool> {
        let Some(base) = self.bases.pop() else {
            return Ok(false);
        };
        let segment = SegmentFile::open(
            &*self.reader.storage,
            &self.reader.dir,
            base,
            OpenMode::Read,
        )?;
        self.bytes += segment.len;
        // A log's versions begin at 1, and a segment's frames reach down to its base.
        let header = segment.header.as_ref().ok().filter(|_| self.is_complete());
        let Some(header) = header.filter(|_| base == 1 || !self.bases.is_empty()) else {
            self.bases.push(base);
            return Ok(false);
        };
        let mut walk = Walk {
            base,
            salt: header.salt,
            file: Arc::clone(&segment.file),
            end: segment.len,
            buf: Vec::new(),
            start: segment.len,
        };
        walk.skip_zeros()
            .map_err(Error::io("read", &segment.path))?;
        if walk.end <= SEGMENT_HEADER_LEN as u64 {
            // The log was rolled and nothing was written since.
            self.wanted.get_or_insert(Wanted {
                version: base,
                link: header.prev_link,
                base,
            });
        }
        self.segment = Some(walk);
        Ok(true)
    }

    /// Whether the frames of the segment that was walked reach down to its base.
    fn is_complete(&self) -> bool {
        self.wanted
            .is_none_or(|wanted| wanted.version == wanted.base)
    }
}

impl Walk {
    /// Moves the end back over the zeros of preallocated space, and reads what is before them.
    fn skip_zeros(&mut self) -> io::Result<()> {
        while self.end > SEGMENT_HEADER_LEN as u64 {
            let from = self
                .end
                .saturating_sub(CHUNK)
                .max(SEGMENT_HEADER_LEN as u64);
            self.fill(from, self.end)?;
            let held = (self.end - self.start) as usize;
            if let Some(last) = self.buf[..held.min(self.buf.len())]
                .iter()
                .rposition(|b| *b != 0)
            {
                // A trailer is 8 aligned bytes of which the first four are never all zero.
                self.end = (self.start + last as u64 + 1)
                    .next_multiple_of(8)
                    .min(self.end);
                let floor = SEGMENT_HEADER_LEN as u64;
                return self.fill(self.end.saturating_sub(CHUNK).max(floor), self.end);
            }
            self.end = from;
        }
        Ok(())
    }

    /// Makes the frame that ends at `end` available in `buf`; `None` if there is none.
    fn load(&mut self) -> io::Result<Option<FrameHeader>> {
        let least = (FRAME_HEADER_LEN + FRAME_TRAILER_LEN) as u64;
        let floor = SEGMENT_HEADER_LEN as u64;
        if self.end < floor + least {
            return Ok(None);
        }
        self.fill(self.end - FRAME_TRAILER_LEN as u64, self.end)?;
        let at = (self.end - self.start) as usize - FRAME_TRAILER_LEN;
        let Some(trailer) = self.buf.get(at..at + 4) else {
            return Ok(None);
        };
        let mut len = [0; 4];
        len.copy_from_slice(trailer);
        let len = u64::from(u32::from_le_bytes(len));
        if len < least || len > self.end - floor || len % 8 != 0 {
            return Ok(None);
        }
        let offset = self.end - len;
        self.fill(offset, self.end)?;
        let from = (offset - self.start) as usize;
        let header = self
            .buf
            .get(from..)
            .and_then(|bytes| FrameHeader::decode(bytes).ok());
        Ok(header.filter(|header| {
            let is_here = u64::from(header.offset) == offset && header.frame_len() == len;
            is_here && header.salt == self.salt
        }))
    }

    /// Loads the bytes from `from` to `to`, and on the way at least a chunk before `to`.
    fn fill(&mut self, from: u64, to: u64) -> io::Result<()> {
        if from >= self.start && to <= self.start + self.buf.len() as u64 {
            return Ok(());
        }
        let start = from.min(to.saturating_sub(CHUNK));
        // What is there already and still needed is behind what is read now.
        let end = self.start + self.buf.len() as u64;
        let is_behind = start < self.start && (self.start..=end).contains(&to);
        let kept = if is_behind { to - self.start } else { 0 };
        let missing = (to - start - kept) as usize;
        self.buf.resize(missing + kept as usize, 0);
        self.buf.copy_within(..kept as usize, missing);
        let got = read_full_at(&*self.file, &mut self.buf[..missing], start)?;
        if got < missing {
            self.buf.truncate(got);
        }
        self.start = start;
        Ok(())
    }
}

/// Where a sound log ends.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    /// The version of the last event.
    pub(crate) version: u64,
    /// When the last commit was written, in microseconds since 1970.
    pub(crate) time_us: u64,
    /// The way back from there.
    pub(crate) back: Backward,
}

impl Tip {
    /// Finds the end of the log and checks everything back to the watermark: normally one frame. A writer knows that
    /// nothing is torn up to the version that it has written. `None` if there is no log, or if its end is not sound.
    pub(crate) fn find(reader: &LogReader, written: u64) -> Result<Option<Self>> {
        let Some(start) = Backward::start(reader)? else {
            return Ok(None);
        };
        let mut back = start.clone();
        let tip = |version, time_us| Self {
            version,
            time_us,
            back: start.clone(),
        };
        let (mut last, mut durable, mut time_us) = (None, written, None);
        loop {
            match back.back()? {
                Ok(met) => {
                    let header = &met.frame.header;
                    last.get_or_insert(last_version(&met.frame));
                    durable = durable.max(header.durable_version);
                    if header.kind == Kind::Events {
                        time_us.get_or_insert(header.time_us);
                    }
                    let vouched = header.first_version <= durable + 1;
                    if let (true, Some(version), Some(time_us)) = (vouched, last, time_us) {
                        return Ok(Some(tip(version, time_us)));
                    }
                }
                Err(Stop::Beginning) => {
                    let time_us = time_us.unwrap_or_default();
                    return Ok(last.map(|version| tip(version, time_us)));
                }
                Err(Stop::Unsound) => return Ok(None),
            }
        }
    }
}

/// The version of the last event up to and including the frame.
fn last_version(frame: &Frame<'_>) -> u64 {
    let last = || frame.header.last_version().unwrap_or_default();
    gap(frame).map_or_else(last, |gap| gap.last)
}

/// The body of a GAP frame.
fn gap(frame: &Frame<'_>) -> Option<Gap> {
    let is_gap = frame.header.kind == Kind::Gap;
    is_gap
        .then(|| serde_json::from_slice(frame.body()).ok())
        .flatten()
}

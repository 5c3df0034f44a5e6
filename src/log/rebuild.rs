//! Writing one segment anew, frame by frame: what is good keeps its bytes and links, what is lost becomes a GAP.

use std::path::{Path, PathBuf};

use crate::format::{
    Envelope, FRAME_HEADER_LEN, FRAME_TRAILER_LEN, Frame, FrameHeader, FrameSpec, Gap, Kind,
    SEGMENT_HEADER_LEN, SegmentHeader, crc, encode_frame,
};
use crate::storage::{OpenMode, Storage, StorageFile, write_all_at};
use crate::{Error, Result};

use super::stats::SegmentStats;

/// How much is gathered before it is written, in bytes.
const CHUNK: usize = 1 << 20;

/// What every frame of the segment has in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) salt: u32,
    pub(crate) epoch: u32,
    /// The watermark of frames that repair makes.
    pub(crate) durable: u64,
    pub(crate) time_us: u64,
}

/// A segment being written beside the one it will replace; without a file, it is only measured.
#[derive(Debug)]
pub(crate) struct Rebuild {
    path: PathBuf,
    file: Option<Box<dyn StorageFile>>,
    stamp: Stamp,
    /// Gathered bytes, and where they go.
    buf: Vec<u8>,
    written: u64,
    stats: SegmentStats,
    link: u32,
    /// The greatest epoch of its frames so far.
    epoch: u32,
}

impl Rebuild {
    /// Begins; `storage` is `None` for a dry run. `epoch` is that of the frames before it, as far as it matters.
    pub(crate) fn begin(
        storage: Option<&dyn Storage>,
        path: &Path,
        header: &SegmentHeader,
        stamp: Stamp,
        epoch: u32,
    ) -> Result<Self> {
        let path = path.with_extension("seg.tmp");
        let file = match storage {
            Some(storage) => {
                let _ = storage.remove_file(&path);
                let file = storage.open(&path, OpenMode::CreateNew);
                Some(file.map_err(Error::io("create", &path))?)
            }
            None => None,
        };
        let buf = header.encode().to_vec();
        debug_assert_eq!(
            buf.len(),
            SEGMENT_HEADER_LEN,
            "frames follow the header at once"
        );
        let link = header.prev_link;
        Ok(Self {
            path,
            file,
            stamp,
            buf,
            written: 0,
            stats: SegmentStats::default(),
            link,
            epoch,
        })
    }

    /// Adds a frame that is good but for its place: its offset and ends are made anew. One that was away from its place
    /// may be older than the frames that are before it now.
    pub(crate) fn frame(&mut self, mut header: FrameHeader, bytes: &[u8]) -> Result<()> {
        let offset = self.written + self.buf.len() as u64;
        header.offset = offset as u32;
        header.epoch = header.epoch.max(self.epoch);
        self.epoch = header.epoch;
        header = reframed(header, bytes, &mut self.buf);
        self.count(&header, bytes, offset);
        self.link = header.link();
        self.spill(CHUNK)
    }

    /// As [`Rebuild::frame`], of a frame that need not fit what is before it: it is made to.
    pub(crate) fn chained(&mut self, header: FrameHeader, bytes: &[u8]) -> Result<()> {
        let header = FrameHeader {
            salt: self.stamp.salt,
            prev_link: self.link,
            ..header
        };
        self.frame(header, bytes)
    }

    /// Adds a GAP for the versions from `first` to `last`.
    pub(crate) fn gap(
        &mut self,
        first: u64,
        last: u64,
        kept: &str,
        link: Option<u32>,
    ) -> Result<()> {
        let link = link.unwrap_or_else(|| {
            let mut bytes = self.link.to_le_bytes().to_vec();
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
            crc(&bytes)
        });
        let body = gap_body(first, last, kept, link);
        self.marker(Kind::Gap, first, &body)?;
        self.link = link;
        Ok(())
    }

    /// Ends the segment with a SEAL that announces `next_base`.
    pub(crate) fn seal(&mut self, next_base: u64) -> Result<()> {
        let body = serde_json::to_vec(&self.stats.seal(next_base)).unwrap_or_default();
        self.marker(Kind::Seal, next_base, &body)
    }

    /// The link after the last frame.
    pub(crate) fn link(&self) -> u32 {
        self.link
    }

    /// The greatest epoch of its frames, and of those before it.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Makes the segment's bytes durable and puts it in the place of the old one: never a moment without a segment.
    pub(crate) fn replace(mut self, storage: &dyn Storage, path: &Path) -> Result<()> {
        self.spill(0)?;
        let Some(file) = &self.file else {
            return Ok(());
        };
        file.sync_data()
            .map_err(Error::io("fdatasync", &self.path))?;
        storage
            .rename(&self.path, path)
            .map_err(Error::io("rename", &self.path))
    }

    fn marker(&mut self, kind: Kind, first_version: u64, body: &[u8]) -> Result<()> {
        let offset = self.written + self.buf.len() as u64;
        let spec = FrameSpec {
            kind,
            first_version,
            durable_version: self.stamp.durable,
            salt: self.stamp.salt,
            epoch: self.stamp.epoch,
            offset: offset as u32,
            prev_link: self.link,
            time_us: self.stamp.time_us,
        };
        let header = encode_frame(spec, &[(&[], body)], &mut self.buf);
        if kind != Kind::Seal {
            self.stats.frame(&header, offset);
        }
        self.spill(CHUNK)
    }

    fn count(&mut self, header: &FrameHeader, bytes: &[u8], offset: u64) {
        self.stats.frame(header, offset);
        if header.kind != Kind::Events {
            return;
        }
        let Ok(frame) = Frame::decode(*header, bytes) else {
            return;
        };
        for (version, entry) in (header.first_version..).zip(frame.entries()) {
            if let Ok(envelope) = Envelope::decode(entry.envelope) {
                self.stats.event(version, envelope.subject);
            }
        }
    }

    /// Writes what was gathered, if it is more than `limit` bytes.
    fn spill(&mut self, limit: usize) -> Result<()> {
        if self.buf.len() <= limit {
            return Ok(());
        }
        if let Some(file) = &self.file {
            write_all_at(&**file, &self.buf, self.written)
                .map_err(Error::io("write", &self.path))?;
        }
        self.written += self.buf.len() as u64;
        self.buf.clear();
        Ok(())
    }
}

/// Appends a frame with a fresh header checksum, padding and trailer; returns its header.
pub(super) fn reframed(header: FrameHeader, bytes: &[u8], out: &mut Vec<u8>) -> FrameHeader {
    let head = header.encode();
    let header = FrameHeader::decode(&head).unwrap_or(header);
    let body = FRAME_HEADER_LEN + (header.meta_len + header.payload_len) as usize;
    let end = header.frame_len() as usize - FRAME_TRAILER_LEN;
    out.extend_from_slice(&head);
    out.extend_from_slice(&bytes[FRAME_HEADER_LEN..body]);
    out.resize(out.len() + end - body, 0);
    out.extend_from_slice(&(header.frame_len() as u32).to_le_bytes());
    out.extend_from_slice(&(!header.header_crc).to_le_bytes());
    header
}

/// The body of a GAP.
pub(super) fn gap_body(first: u64, last: u64, kept: &str, link: u32) -> Vec<u8> {
    let gap = Gap {
        first,
        last,
        quarantine: kept.to_owned(),
        link,
    };
    // A struct of numbers and a string always serializes.
    serde_json::to_vec(&gap).unwrap_or_default()
}

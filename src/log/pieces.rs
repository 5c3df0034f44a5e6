//! What of a damaged segment goes into the new one.

use std::io;
use std::sync::Arc;

use crate::format::{
    FRAME_HEADER_LEN, Frame, FrameHeader, FrameSpec, Kind, SEGMENT_HEADER_LEN, SegmentHeader, crc,
    encode_frame,
};
use crate::storage::read_full_at;
use crate::{Error, Result, Version};

use super::copy::CopySpot;
use super::correct::{correct_bit, correct_frame};
use super::events::readable;
use super::reader::SegmentEnd;
use super::repair::Job;
use super::scan::{Expect, Scan, Step, Window};
use super::segment::SegmentFile;

/// Frames of the new segment, in order.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) header: FrameHeader,
    pub(super) next_version: u64,
    pub(super) source: Source,
}

#[derive(Debug)]
pub(super) enum Source {
    Here { offset: u64, displaced: bool },
    Corrected(Vec<u8>),
    Copy(CopySpot),
}

impl Job<'_> {
    /// The frames of a segment, flipped bits corrected.
    pub(super) fn salvaged(&mut self, old: &SegmentFile) -> Result<Vec<Piece>> {
        let io = |e| Error::io("read", &old.path)(e);
        let end = self.scanned.segments.iter().find(|s| s.base == old.base);
        // A later segment with events in it keeps its versions; one without may be a stray.
        let mut others = self.scanned.segments.iter();
        let next = others.find(|s| s.base > old.base && s.stats.has_events());
        let until = next.map_or(u64::MAX, |next| next.base);
        let mut window = Window::new(Arc::clone(&old.file), old.len);
        let mut pieces = Vec::new();
        for offset in end.map_or_else(|| Ok(Vec::new()), |end| taken(end, old))? {
            pieces.extend(Piece::at(&mut window, u64::from(offset)).map_err(io)?);
        }
        let salt = Some(self.scanned.salt);
        for region in end.map_or(&[][..], |end| &end.regions) {
            let range = region.offset..region.offset + region.length;
            let bytes = window.get(range.start, region.length as usize);
            let bytes = bytes.map_err(io)?;
            let frames = corrected(bytes, range.start, region.missing_from, salt);
            let is_kept = |h: &FrameHeader| is_kept(h.kind) && next_version(h) <= until;
            for (header, frame) in frames.into_iter().filter(|(h, _)| is_kept(h)) {
                let next_version = self.count_corrected(&header);
                pieces.push(Piece {
                    header,
                    next_version,
                    source: Source::Corrected(frame),
                });
            }
        }
        // A frame without events has the version that comes next, so it sorts before that commit.
        pieces.sort_by_key(|p| (p.header.first_version, p.header.event_count > 0));
        Ok(pieces)
    }

    /// Counts the events of a frame that had a flipped bit; returns the version after them.
    pub(super) fn count_corrected(&mut self, header: &FrameHeader) -> u64 {
        let next = next_version(header);
        let events = header.first_version..next;
        self.done.corrected.extend(events.map(Version));
        self.done.recovered += u64::from(header.event_count);
        next
    }

    /// Adds commits of the copy where versions are missing.
    pub(super) fn fill(&mut self, pieces: &mut Vec<Piece>, base: u64, next_base: Option<u64>) {
        let Some(copy) = &self.copy else { return };
        let (mut version, mut found) = (base, Vec::new());
        let until = next_base.unwrap_or(u64::MAX);
        for (first, next) in pieces
            .iter()
            .map(|p| (p.header.first_version, p.next_version))
            .chain([(until, until)])
        {
            if first > version {
                found.extend(copy.within(version, first).copied());
            }
            version = version.max(next);
        }
        for spot in found {
            self.done.recovered += u64::from(spot.header.event_count);
            let (header, next_version) = (spot.header, spot.next_version);
            pieces.push(Piece {
                header,
                next_version,
                source: Source::Copy(spot),
            });
        }
        pieces.sort_by_key(|p| (p.header.first_version, p.header.event_count > 0));
    }
}

/// The version after the events of a frame.
fn next_version(header: &FrameHeader) -> u64 {
    header.first_version + u64::from(header.event_count)
}

/// Whether a frame keeps its place in a repaired segment; GAP and SEAL are made anew.
pub(super) fn is_kept(kind: Kind) -> bool {
    matches!(kind, Kind::Events | Kind::Mark)
}

/// The frames at the beginning of a region, the bytes of the segment from `offset` on: a region may hold several with a
/// flipped bit each.
pub(super) fn corrected(
    bytes: &[u8],
    offset: u64,
    version: u64,
    salt: Option<u32>,
) -> Vec<(FrameHeader, Vec<u8>)> {
    let (mut at, mut version, mut frames) = (0, version, Vec::new());
    while at + FRAME_HEADER_LEN < bytes.len() {
        let expect = Expect {
            salt,
            version,
            link: None,
            epoch: 0,
        };
        let Some(frame) = correct_frame(&bytes[at..], offset + at as u64, expect) else {
            break;
        };
        let Ok(header) = FrameHeader::decode(&frame) else {
            break;
        };
        at += frame.len();
        version = next_version(&header);
        frames.push((header, frame));
    }
    frames
}

/// The header of a segment with a single flipped bit in it.
pub(super) fn corrected_header(old: &SegmentFile) -> Option<SegmentHeader> {
    let mut bytes = [0; SEGMENT_HEADER_LEN];
    read_full_at(&*old.file, &mut bytes, 0).ok()?;
    let (body, stored) = bytes.split_at_mut(SEGMENT_HEADER_LEN - 4);
    let wanted = u32::from_le_bytes(stored.try_into().ok()?);
    if !correct_bit(body, wanted) {
        // The flipped bit may be the checksum's own.
        (crc(body) ^ wanted).is_power_of_two().then_some(())?;
        let fresh = crc(body);
        stored.copy_from_slice(&fresh.to_le_bytes());
    }
    SegmentHeader::decode(&bytes).ok()
}

/// The offsets of the frames of a segment that a reader takes.
pub(super) fn taken(end: &SegmentEnd, segment: &SegmentFile) -> Result<Vec<u32>> {
    if !end.taken.is_empty() {
        return Ok(end.taken.clone());
    }
    // A sound segment: its frames follow each other.
    let expect = Expect {
        salt: None,
        version: segment.base,
        link: None,
        epoch: 0,
    };
    let mut scan = Scan::new(Arc::clone(&segment.file), segment.len, expect);
    let mut offsets = Vec::new();
    while let Step::Frame { offset, .. } = scan.next().map_err(Error::io("read", &segment.path))? {
        offsets.push(offset as u32);
    }
    Ok(offsets)
}

impl Piece {
    /// The frame at `offset`, up to the first event that cannot be read. `None` if it is one that is made anew, or if
    /// nothing is left of it.
    pub(super) fn at(window: &mut Window, offset: u64) -> io::Result<Option<Self>> {
        let Ok(header) = FrameHeader::decode(window.get(offset, FRAME_HEADER_LEN)?) else {
            return Ok(None);
        };
        if !is_kept(header.kind) && !matches!(header.kind, Kind::Skippable(_)) {
            return Ok(None);
        }
        let bytes = window.get(offset, header.frame_len() as usize)?;
        let Ok(frame) = Frame::decode(header, bytes) else {
            return Ok(None);
        };
        let (readable, count) = (readable(&frame), usize::from(header.event_count));
        if readable < count {
            return Ok(Self::shortened(&frame, readable));
        }
        let displaced = u64::from(header.offset) != offset;
        Ok(Some(Self {
            header,
            next_version: next_version(&header),
            source: Source::Here { offset, displaced },
        }))
    }

    /// A commit with its first events alone.
    fn shortened(frame: &Frame<'_>, events: usize) -> Option<Self> {
        let entries: Vec<_> = frame.entries().take(events).collect();
        let parts: Vec<_> = entries.iter().map(|e| (e.envelope, e.payload)).collect();
        let old = &frame.header;
        let spec = FrameSpec {
            kind: old.kind,
            first_version: old.first_version,
            durable_version: old.durable_version,
            salt: old.salt,
            epoch: old.epoch,
            offset: old.offset,
            prev_link: old.prev_link,
            time_us: old.time_us,
        };
        let mut bytes = Vec::new();
        let header = encode_frame(spec, &parts, &mut bytes);
        (events > 0).then_some(Self {
            next_version: header.first_version + events as u64,
            header,
            source: Source::Corrected(bytes),
        })
    }
}

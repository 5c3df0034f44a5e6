//! What of a damaged segment goes into the new one.

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
use super::repair::Job;
use super::salvage::{Spot, salvage};
use super::scan::{Expect, Window};
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
    /// The frames of a damaged segment, flipped bits corrected.
    pub(super) fn salvaged(
        &mut self,
        old: &SegmentFile,
        next_base: Option<u64>,
    ) -> Result<Vec<Piece>> {
        let salt = Some(self.scanned.salt);
        let expect = Expect {
            salt,
            version: old.base,
            link: None,
            epoch: 0,
        };
        let mut window = Window::new(Arc::clone(&old.file), old.len);
        let from = SEGMENT_HEADER_LEN as u64;
        let last = self.scanned.segments.last();
        let open = next_base.is_none() && last.is_none_or(|end| !end.sealed);
        let durable = open.then_some(self.scanned.durable);
        let io = |e| Error::io("read", &old.path)(e);
        let found = salvage(&mut window, from, expect, next_base, durable).map_err(io)?;
        // A next segment with events in it keeps its versions; one without may be a stray.
        let mut others = self.scanned.segments.iter();
        let next = others.find(|s| Some(s.base) == next_base && s.stats.has_events());
        let until = next.map_or(u64::MAX, |next| next.base);
        let mut pieces = Vec::new();
        let torn = self
            .scanned
            .torn
            .as_ref()
            .filter(|(damage, _)| damage.segment == old.path);
        let cut = torn.map_or(u64::MAX, |(_, torn)| torn.offset);
        for spot in found.spots.iter().filter(|spot| spot.offset < cut) {
            if is_kept(spot.header.kind) || matches!(spot.header.kind, Kind::Skippable(_)) {
                let bytes = window.get(spot.offset, spot.header.frame_len() as usize);
                pieces.extend(Piece::here(spot, bytes.map_err(io)?));
            }
        }
        for region in found.regions.iter().filter(|region| region.offset < cut) {
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

impl Piece {
    /// The frame at a spot, up to the first event that cannot be read; `None` if nothing is left of it.
    fn here(spot: &Spot, bytes: &[u8]) -> Option<Self> {
        let frame = Frame::decode(spot.header, bytes).ok()?;
        let (readable, count) = (readable(&frame), usize::from(spot.header.event_count));
        if readable < count {
            return Self::shortened(&frame, readable);
        }
        let source = Source::Here {
            offset: spot.offset,
            displaced: spot.displaced,
        };
        Some(Self {
            header: spot.header,
            next_version: spot.after.version,
            source,
        })
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

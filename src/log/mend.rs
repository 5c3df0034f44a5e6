//! Repair in place: where nothing has to move, only what is bad is set aside and overwritten.
//!
//! Those bytes were bad before, so a crash in between leaves damage that the next repair finds.

use crate::format::{Frame, FrameHeader, FrameSpec, GIVEN_UP, Kind, encode_frame};
use crate::storage::{OpenMode, read_full_at, write_all_at};
use crate::{Error, Result, Version};

use super::correct::correct_payload;
use super::found::BadPayload;
use super::pieces::{corrected, is_kept};
use super::quarantine::{Range, set_aside};
use super::rebuild::{gap_body, reframed};
use super::repair::Job;
use super::salvage::Hole;
use super::segment::SegmentFile;

/// What a GAP has besides its body: header, the entry of its meta, trailer.
const GAP_FRAME: usize = 64 + 10 + 8;
/// How much longer the name of a file in the quarantine may be than the first one tried.
const LONGER_NAME: usize = 10;

impl Job<'_> {
    /// Whether every hole of a segment has room for what must be put there.
    pub(super) fn fits(&self, base: u64) -> Result<bool> {
        let holes: Vec<_> = self.holes(base).collect();
        if holes.is_empty() {
            return Ok(true);
        }
        let segment = self.open(base)?;
        for hole in holes {
            let old = bytes_of(&segment, hole.offset, hole.length)?;
            if self.filled(hole, &old, &longest_name(hole)).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holes(&self, base: u64) -> impl Iterator<Item = &Hole> {
        let holes = self.scanned.holes.iter();
        holes.filter(move |hole| hole.segment == base)
    }

    /// Mends a segment, of which [`Job::fits`] is true, in place.
    pub(super) fn in_place(&mut self, base: u64) -> Result<()> {
        let (dir, storage) = (&self.log.dir, &*self.log.storage);
        let mode = if self.dry_run {
            OpenMode::Read
        } else {
            OpenMode::Write
        };
        let segment = SegmentFile::open(storage, dir, base, mode)?;
        let found = self.found;
        let mut changed = false;
        for payload in found.payloads.iter().filter(|p| p.segment == base) {
            changed |= self.payload_in_place(&segment, payload)?;
        }
        let holes: Vec<_> = self.holes(base).copied().collect();
        for hole in &holes {
            self.fill_hole(&segment, hole)?;
            changed = true;
        }
        if changed {
            if !self.dry_run {
                let synced = segment.file.sync_data();
                synced.map_err(Error::io("fdatasync", &segment.path))?;
            }
            tracing::info!(segment = %segment.path.display(), "segment mended in place");
            self.done.rewritten.push(segment.path);
        }
        Ok(())
    }

    /// Brings one payload back or gives it up; whether anything changed.
    fn payload_in_place(&mut self, segment: &SegmentFile, bad: &BadPayload) -> Result<bool> {
        let old = bytes_of(segment, bad.offset, u64::from(bad.len))?;
        let is_given_up = old.iter().all(|byte| *byte == GIVEN_UP);
        let Some(new) = self.mended(bad.version, &old, bad.crc) else {
            return Ok(false);
        };
        if new == old {
            return Ok(false);
        }
        if !self.dry_run && !is_given_up {
            self.set_aside(segment, bad.offset, u64::from(bad.len))?;
        }
        self.overwrite(segment, bad.offset, &new)?;
        Ok(true)
    }

    /// Puts corrected frames, and a GAP for what is lost, where a hole is.
    fn fill_hole(&mut self, segment: &SegmentFile, hole: &Hole) -> Result<()> {
        let old = bytes_of(segment, hole.offset, hole.length)?;
        let name = if self.dry_run {
            String::new()
        } else {
            self.set_aside(segment, hole.offset, hole.length)?
        };
        let Some(Filled { frames, gap, lost }) = self.filled(hole, &old, &name) else {
            return Ok(());
        };
        let mut new = Vec::with_capacity(old.len());
        for (header, mut frame) in frames {
            self.count_corrected(&header);
            self.mend_payloads(&header, &mut frame);
            reframed(header, &frame, &mut new);
        }
        if let Some((first, last)) = lost {
            self.done.lost.push((Version(first), Version(last)));
        }
        new.extend_from_slice(&gap);
        self.overwrite(segment, hole.offset, &new)
    }

    /// What goes into a hole; `None` if it does not fit.
    fn filled(&self, hole: &Hole, old: &[u8], kept: &str) -> Option<Filled> {
        let salt = Some(self.identity.salt);
        let frames = corrected(old, hole.offset, hole.first, salt);
        let (mut used, mut first, mut link) = (0, hole.first, hole.link);
        for (header, frame) in &frames {
            if !is_kept(header.kind) {
                return None;
            }
            used += frame.len();
            first = header.first_version + u64::from(header.event_count);
            link = header.link();
        }
        let (room, mut gap, mut lost) = (old.len().checked_sub(used)?, Vec::new(), None);
        if room == 0 {
            return (first > hole.last).then_some(Filled { frames, gap, lost });
        }
        let mut body = gap_body(first, hole.last, kept, hole.next_link);
        let body_len = room.checked_sub(GAP_FRAME)?;
        if first > hole.last || body.len() > body_len || room % 8 != 0 {
            return None;
        }
        // JSON text may have white space behind it: so the frames behind the GAP stay where they are.
        body.resize(body_len, b' ');
        let spec = FrameSpec {
            kind: Kind::Gap,
            first_version: first,
            durable_version: hole.segment.max(1) - 1,
            salt: self.identity.salt,
            epoch: self.scanned.epoch,
            offset: (hole.offset + used as u64) as u32,
            prev_link: link,
            time_us: self.scanned.time_us,
        };
        encode_frame(spec, &[(&[], &body)], &mut gap);
        lost = Some((first, hole.last));
        (gap.len() == room).then_some(Filled { frames, gap, lost })
    }

    /// Sets a range aside; returns the name of its file in the quarantine.
    fn set_aside(&mut self, segment: &SegmentFile, offset: u64, length: u64) -> Result<String> {
        let range = Range {
            segment: segment.base,
            offset,
            length,
        };
        let path = set_aside(&*self.log.storage, &self.log.dir, &*segment.file, range)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        self.done.quarantine.push(path);
        Ok(name.unwrap_or_default())
    }

    fn overwrite(&self, segment: &SegmentFile, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        write_all_at(&*segment.file, bytes, offset).map_err(Error::io("write", &segment.path))
    }

    /// Brings damaged payloads of a frame back, or overwrites them so that a reader knows that they are lost.
    pub(super) fn mend_payloads(&mut self, header: &FrameHeader, bytes: &mut [u8]) {
        let mut mended = Vec::new();
        if let Ok(frame) = Frame::decode(*header, bytes) {
            for (version, entry) in (header.first_version..).zip(frame.entries()) {
                if entry.is_whole() {
                    continue;
                }
                if let Some(text) = self.mended(version, entry.payload, entry.payload_crc) {
                    mended.push((entry.payload_at, text));
                }
            }
        }
        for (at, text) in mended {
            bytes[at..at + text.len()].copy_from_slice(&text);
        }
    }

    /// What goes in the place of a bad payload, counted; `None` if it was given up and there is no copy to ask.
    fn mended(&mut self, version: u64, payload: &[u8], crc: u32) -> Option<Vec<u8>> {
        let is_given_up = payload.iter().all(|byte| *byte == GIVEN_UP);
        if is_given_up && self.copy.is_none() {
            return None;
        }
        let corrected = correct_payload(payload, crc);
        if corrected.is_some() {
            self.done.corrected.push(Version(version));
        }
        let copy = self.copy.as_ref();
        let back = corrected.or_else(|| copy?.payload(version, payload.len(), crc));
        match &back {
            Some(_) => self.done.recovered += 1,
            None => self.done.lost.push((Version(version), Version(version))),
        }
        Some(back.unwrap_or_else(|| vec![GIVEN_UP; payload.len()]))
    }
}

/// What goes into a hole: good frames, a GAP or nothing, and the versions that the GAP is for.
struct Filled {
    frames: Vec<(FrameHeader, Vec<u8>)>,
    gap: Vec<u8>,
    lost: Option<(u64, u64)>,
}

/// A name as long as that of any file that the hole may be set aside to.
fn longest_name(hole: &Hole) -> String {
    let first = format!("{:020}-{}-0.bytes", hole.segment, hole.offset);
    "0".repeat(first.len() + LONGER_NAME)
}

fn bytes_of(segment: &SegmentFile, offset: u64, length: u64) -> Result<Vec<u8>> {
    // It lies within the file, so this is bounded by the file.
    let mut bytes = vec![0; length.min(segment.len) as usize];
    let got = read_full_at(&*segment.file, &mut bytes, offset);
    let got = got.map_err(Error::io("read", &segment.path))?;
    bytes.truncate(got);
    Ok(bytes)
}

//! Repair in place: where nothing has to move, only what is bad is set aside and overwritten.
//!
//! Those bytes were bad before and are lost, so a crash in between leaves damage that the next repair finds.

use crate::format::{
    FRAME_HEADER_LEN, Frame, FrameHeader, FrameSpec, GIVEN_UP, Kind, MAX_FRAME_LEN, encode_frame,
};
use crate::storage::{OpenMode, read_full_at, write_all_at};
use crate::{Error, Result, Version};

use super::correct::correct_payload;
use super::found::BadPayload;
use super::pieces::corrected;
use super::quarantine::{Quarantine, Range};
use super::rebuild::{gap_body, reframed};
use super::repair::Job;
use super::salvage::Hole;
use super::segment::SegmentFile;

/// What a GAP has besides its body: header, the entry of its meta, trailer.
const GAP_FRAME: usize = 64 + 10 + 8;
/// How much longer the name of a file in the quarantine may be than the first one tried.
const LONGER_NAME: usize = 10;

impl Job<'_> {
    /// Whether a segment can be mended in place: every hole has room for a GAP, and nothing in it can be brought back
    /// from its own bytes. What can be corrected is written anew: a crash while it is overwritten could cost it.
    pub(super) fn fits(&self, base: u64) -> Result<bool> {
        let segment = self.open(base)?;
        for hole in self.holes(base) {
            if self.gap(hole, &longest_name(hole)).is_none() {
                return Ok(false);
            }
            let old = bytes_of(&segment, hole.offset, hole.length)?;
            if !corrected(&old, hole.offset, hole.first, Some(self.identity.salt)).is_empty() {
                return Ok(false);
            }
        }
        for bad in self.payloads(base) {
            let old = bytes_of(&segment, bad.offset, u64::from(bad.len))?;
            if correct_payload(&old, bad.crc).is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn payloads(&self, base: u64) -> impl Iterator<Item = &BadPayload> {
        let payloads = self.found.payloads.iter();
        payloads.filter(move |payload| payload.segment == base)
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
        let payloads: Vec<_> = self.payloads(base).copied().collect();
        let mut ends = Vec::new();
        for (_, offset) in self.scanned.bad_ends.iter().filter(|(b, _)| *b == base) {
            ends.extend(new_ends(&segment, *offset)?);
        }
        let holes: Vec<_> = self.holes(base).copied().collect();
        // All of it is durable elsewhere before any of it is overwritten.
        let names = self.set_all_aside(&segment, &payloads, &ends, &holes)?;
        let mut changed = !ends.is_empty() || !holes.is_empty();
        for payload in &payloads {
            changed |= self.payload_in_place(&segment, payload)?;
        }
        for (at, new) in &ends {
            self.overwrite(&segment, *at, new)?;
        }
        for (hole, name) in holes.iter().zip(&names) {
            self.fill_hole(&segment, hole, name)?;
        }
        if changed {
            tracing::info!(segment = %segment.path.display(), "segment mended in place");
            self.done.rewritten.push(segment.path);
        }
        Ok(())
    }

    /// Sets aside what will be overwritten; returns the names of the holes' files in the quarantine.
    fn set_all_aside(
        &mut self,
        segment: &SegmentFile,
        payloads: &[BadPayload],
        ends: &[(u64, Vec<u8>)],
        holes: &[Hole],
    ) -> Result<Vec<String>> {
        if self.dry_run {
            return Ok(vec![String::new(); holes.len()]);
        }
        for bad in payloads {
            let old = bytes_of(segment, bad.offset, u64::from(bad.len))?;
            let is_given_up = old.iter().all(|byte| *byte == GIVEN_UP);
            if !is_given_up {
                self.set_aside(segment, bad.offset, u64::from(bad.len))?;
            }
        }
        for (at, new) in ends {
            self.set_aside(segment, *at, new.len() as u64)?;
        }
        let mut names = Vec::new();
        for hole in holes {
            names.push(self.set_aside(segment, hole.offset, hole.length)?);
        }
        if let Some(quarantine) = &self.quarantine {
            quarantine.sync(&*self.log.storage)?;
        }
        Ok(names)
    }

    /// Brings one payload back or gives it up; whether anything changed.
    fn payload_in_place(&mut self, segment: &SegmentFile, bad: &BadPayload) -> Result<bool> {
        let old = bytes_of(segment, bad.offset, u64::from(bad.len))?;
        let new = self.mended(bad.version, &old, bad.crc);
        let Some(new) = new.filter(|new| *new != old) else {
            return Ok(false);
        };
        self.overwrite(segment, bad.offset, &new)?;
        Ok(true)
    }

    /// Puts a GAP where a hole is.
    fn fill_hole(&mut self, segment: &SegmentFile, hole: &Hole, name: &str) -> Result<()> {
        let lost = (Version(hole.first), Version(hole.last));
        self.done.lost.push(lost);
        match self.gap(hole, name) {
            Some(gap) => self.overwrite(segment, hole.offset, &gap),
            None => Ok(()),
        }
    }

    /// The GAP that is exactly as long as a hole; `None` if it does not fit.
    fn gap(&self, hole: &Hole, kept: &str) -> Option<Vec<u8>> {
        let length = usize::try_from(hole.length).ok()?;
        let body_len = length.checked_sub(GAP_FRAME)?;
        let mut body = gap_body(hole.first, hole.last, kept, hole.next_link);
        if body.len() > body_len || length % 8 != 0 || hole.length > MAX_FRAME_LEN {
            return None;
        }
        // JSON text may have white space behind it: so the frames behind the GAP stay where they are.
        body.resize(body_len, b' ');
        let spec = FrameSpec {
            kind: Kind::Gap,
            first_version: hole.first,
            durable_version: hole.segment.max(1) - 1,
            salt: self.identity.salt,
            epoch: self.scanned.epoch,
            offset: hole.offset as u32,
            prev_link: hole.link,
            time_us: self.scanned.time_us,
        };
        let mut gap = Vec::new();
        encode_frame(spec, &[(&[], &body)], &mut gap);
        (gap.len() == length).then_some(gap)
    }

    /// Copies a range to the quarantine; returns the name of its file there.
    fn set_aside(&mut self, segment: &SegmentFile, offset: u64, length: u64) -> Result<String> {
        let range = Range {
            segment: segment.base,
            offset,
            length,
        };
        let storage = &*self.log.storage;
        let quarantine = match self.quarantine.take() {
            Some(quarantine) => quarantine,
            None => Quarantine::open(storage, &self.log.dir)?,
        };
        let path = quarantine.copy(storage, &*segment.file, range)?;
        self.quarantine = Some(quarantine);
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
                if entry.is_readable() {
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

/// Padding and trailer of the frame at `offset`, and where they go: its header is good, and they follow from it.
fn new_ends(segment: &SegmentFile, offset: u64) -> Result<Option<(u64, Vec<u8>)>> {
    let mut frame = bytes_of(segment, offset, FRAME_HEADER_LEN as u64)?;
    let Ok(header) = FrameHeader::decode(&frame) else {
        return Ok(None);
    };
    let body = FRAME_HEADER_LEN + (header.meta_len + header.payload_len) as usize;
    frame.resize(body, 0);
    let mut new = Vec::new();
    reframed(header, &frame, &mut new);
    Ok(Some((offset + body as u64, new.split_off(body))))
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

//! The last resort of a repair: the whole log written anew, from the frames that a reader takes.
//!
//! Frames that are good by themselves can contradict each other, as mixed-up backups do. No order of repairing one
//! segment after the other is sure to end there. Here, each frame is made to follow the one before it: no event is lost
//! that could be read, but commits behind the first contradiction get new links, so a remote sees another history.

use std::sync::Arc;

use crate::format::{Frame, FrameHeader, GIVEN_UP, SegmentHeader, first_link};
use crate::storage::OpenMode;
use crate::{Error, Result, Version};

use super::directory::segment_path;
use super::events::Replayed;
use super::identity::Identity;
use super::pieces::{Piece, Source, taken};
use super::quarantine::{Quarantine, set_aside_whole};
use super::reader::{LogReader, Scanned, SegmentEnd};
use super::rebuild::{Rebuild, Stamp};
use super::recover::recover;
use super::repair::Repaired;
use super::scan::Window;
use super::segment::SegmentFile;
use super::strangers::strangers;

/// Writes the log anew; the caller holds its lock. `None` if there is no log.
pub(crate) fn renew(log: &LogReader) -> Result<Option<Repaired>> {
    let mut ignore = |_: Replayed<'_>| Ok(());
    let Some(scanned) = log.scan(&mut ignore)? else {
        return Ok(None);
    };
    let (strangers, quarantine) = strangers(log, &scanned, false)?;
    let identity = Identity::of(log, &scanned)?;
    let mut renewal = Renewal {
        log,
        scanned: &scanned,
        identity,
        version: 1,
        link: first_link(&identity.log_id),
        epoch: 0,
        done: Repaired {
            quarantine,
            strangers,
            ..Repaired::default()
        },
    };
    let ends = &scanned.segments;
    let mut written = Vec::new();
    // Every log begins with version 1.
    if ends.first().is_none_or(|end| end.base > 1) {
        written.push(renewal.segment(1, 1, None, ends.first())?);
    }
    for (i, end) in ends.iter().enumerate() {
        let number = (written.len() + 1) as u64;
        written.push(renewal.segment(end.base, number, Some(end), ends.get(i + 1))?);
    }
    let mut done = renewal.done;
    for (base, new) in written {
        let path = segment_path(&log.dir, base);
        new.replace(&*log.storage, &path)?;
        done.rewritten.push(path);
    }
    tracing::info!(log = %log.dir.display(), "log written anew");
    if let Some(mut scanned) = log.scan(&mut ignore)? {
        done.is_left = !scanned.damage.is_empty();
        if !done.is_left {
            recover(&*log.storage, &log.dir, &mut scanned)?;
        }
    }
    Ok(Some(done))
}

struct Renewal<'a> {
    log: &'a LogReader,
    scanned: &'a Scanned,
    identity: Identity,
    /// The next version, the link before it, the greatest epoch so far.
    version: u64,
    link: u32,
    epoch: u32,
    done: Repaired,
}

impl Renewal<'_> {
    /// Writes one segment beside the old one, `end`, whose bytes have a second name when this returns.
    fn segment(
        &mut self,
        base: u64,
        segment_no: u64,
        end: Option<&SegmentEnd>,
        next: Option<&SegmentEnd>,
    ) -> Result<(u64, Rebuild)> {
        let old = end.map(|end| self.open(end.base)).transpose()?;
        let kept = self.set_aside(old.as_ref())?;
        let created_ms = old.as_ref().and_then(|old| old.header.as_ref().ok());
        let header = SegmentHeader {
            salt: self.identity.salt,
            log_id: self.identity.log_id,
            segment_no,
            base_version: base,
            prev_link: self.link,
            prev_len: 0,
            created_ms: created_ms.map_or(self.scanned.time_us / 1000, |h| h.created_ms),
        };
        let stamp = Stamp {
            salt: self.identity.salt,
            epoch: self.scanned.epoch,
            durable: base - 1,
            time_us: self.scanned.time_us,
        };
        let path = segment_path(&self.log.dir, base);
        let mut new = Rebuild::begin(Some(&*self.log.storage), &path, &header, stamp, self.epoch)?;
        if let (Some(old), Some(end)) = (&old, end) {
            self.frames(&mut new, old, end, &kept)?;
        }
        if let Some(next) = next {
            if next.base > self.version {
                self.give_up(&mut new, next.base - 1, &kept, None)?;
            }
            new.seal(next.base)?;
        }
        (self.link, self.epoch) = (new.link(), new.epoch());
        Ok((base, new))
    }

    /// Adds the frames of a segment, with a GAP wherever versions are missing.
    fn frames(
        &mut self,
        new: &mut Rebuild,
        old: &SegmentFile,
        end: &SegmentEnd,
        kept: &str,
    ) -> Result<()> {
        let io = |e| Error::io("read", &old.path)(e);
        let mut window = Window::new(Arc::clone(&old.file), old.len);
        for offset in taken(end, old)? {
            let offset = u64::from(offset);
            let Some(piece) = Piece::at(&mut window, offset).map_err(io)? else {
                continue;
            };
            let header = piece.header;
            if header.first_version < self.version {
                continue;
            }
            if header.first_version > self.version {
                let last = header.first_version - 1;
                self.give_up(new, last, kept, Some(header.prev_link))?;
            }
            let mut bytes = match piece.source {
                Source::Corrected(bytes) => bytes,
                Source::Here { .. } | Source::Copy(_) => {
                    let len = header.frame_len() as usize;
                    window.get(offset, len).map_err(io)?.to_vec()
                }
            };
            for version in give_up_payloads(&header, &mut bytes) {
                self.done.lost.push((Version(version), Version(version)));
            }
            new.chained(header, &bytes)?;
            self.version = piece.next_version;
        }
        Ok(())
    }

    fn give_up(
        &mut self,
        new: &mut Rebuild,
        last: u64,
        kept: &str,
        link: Option<u32>,
    ) -> Result<()> {
        new.gap(self.version, last, kept, link)?;
        self.done.lost.push((Version(self.version), Version(last)));
        self.version = last + 1;
        Ok(())
    }

    /// Gives a segment a second name, in the quarantine; returns that name.
    fn set_aside(&mut self, old: Option<&SegmentFile>) -> Result<String> {
        let (storage, dir) = (&*self.log.storage, &self.log.dir);
        let Some(old) = old else {
            // It tells the next writer that names in this directory may not be durable.
            Quarantine::open(storage, dir)?;
            return Ok(String::new());
        };
        let path = set_aside_whole(storage, dir, old)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        self.done.quarantine.push(path);
        Ok(name.unwrap_or_default())
    }

    fn open(&self, base: u64) -> Result<SegmentFile> {
        SegmentFile::open(&*self.log.storage, &self.log.dir, base, OpenMode::Read)
    }
}

/// Overwrites the bad payloads of a frame, so that a reader knows that they are lost; returns their versions.
fn give_up_payloads(header: &FrameHeader, bytes: &mut [u8]) -> Vec<u64> {
    let Ok(frame) = Frame::decode(*header, bytes) else {
        return Vec::new();
    };
    let bad = (header.first_version..).zip(frame.entries());
    let bad: Vec<_> = bad
        .filter(|(_, entry)| !entry.is_readable())
        .map(|(version, entry)| (version, entry.payload_at, entry.payload.len()))
        .collect();
    for (_, at, len) in &bad {
        bytes[*at..at + len].fill(GIVEN_UP);
    }
    bad.into_iter().map(|(version, ..)| version).collect()
}

//! Finding every good frame in a segment that the strict scan could not get through.
//!
//! Frames are recognised by magic, header checksum, salt and envelope checksum. A frame at its own offset is
//! taken first; one at another offset only where it fills a hole in the versions. Everything between taken
//! frames is a damaged region.

use std::io;

use memchr::memchr;

use crate::format::{FRAME_HEADER_LEN, FRAME_MAGIC, Fault, Frame, FrameHeader, Kind};

use super::order::{fill_with_displaced, in_place};
use super::scan::{After, Expect, Window};

const SECTOR: u64 = 512;

/// A good frame: its envelopes are whole, single payloads may not be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Where it is, in bytes from the start of the segment.
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
    /// What follows it.
    pub(crate) after: After,
    /// Whether it is away from the offset that it was written to.
    pub(crate) displaced: bool,
    /// Whether padding and trailer are good.
    pub(crate) ends_good: bool,
    /// Whether every payload is good, or was given up.
    pub(crate) payloads_good: bool,
}

impl Spot {
    /// Whether nothing is wrong with the frame itself.
    pub(crate) fn is_good(&self) -> bool {
        self.ends_good && self.payloads_good && !self.displaced
    }

    fn end(&self) -> u64 {
        self.offset + self.header.frame_len()
    }
}

/// A range of a segment that holds no frame of the log.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// The first version that is missing here, whether or not any is known to be lost.
    pub(crate) missing_from: u64,
    /// The lost versions, where they are known: first and last of each range.
    pub(crate) lost: Vec<(u64, u64)>,
    /// Whether the region reaches the end of the file, so that it is not known how much is lost.
    pub(crate) at_end: bool,
    pub(crate) fault: Fault,
    /// It has a hole (see [`has_hole`]), a frame in it runs past the end of the file, or it is shorter than a
    /// frame header; and no frame with another salt is at its place in it, which no torn write leaves.
    pub(crate) looks_torn: bool,
    /// The link after the good frame before it, where it is known.
    link: Option<u32>,
    /// What the good frame after it, if there is one, names as its predecessor's: version and link.
    next: Option<(u64, u32)>,
}

impl Region {
    /// The region as a hole that a GAP can fill, if all that it missed is one range between good frames.
    pub(crate) fn hole(&self, segment: u64) -> Option<Hole> {
        let ((next, next_link), link) = (self.next?, self.link?);
        let [(first, last)] = self.lost[..] else {
            return None;
        };
        (first == self.missing_from && last + 1 == next).then_some(Hole {
            segment,
            offset: self.offset,
            length: self.length,
            first,
            last,
            link,
            next_link,
        })
    }
}

/// A damaged region between two good frames of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    /// The base version of the segment.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// The versions that were in it.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The link before it, and the link that the frame behind it names.
    pub(crate) link: u32,
    pub(crate) next_link: u32,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Salvaged {
    /// The good frames in the order of their versions.
    pub(crate) spots: Vec<Spot>,
    /// The damaged regions in the order of their offsets.
    pub(crate) regions: Vec<Region>,
    /// The greatest watermark in any header with a good checksum.
    pub(crate) durable: u64,
}

/// Salvages `window` from `from` on, where `expect` is what should have come there. `next_base` is the base
/// version of the next segment, if there is one.
///
/// Zeros at the end of the last segment are space that was never used: the file counts as ending before them, or every
/// damage to the last commit would have the holes of a torn write behind it.
///
/// `durable` is the watermark so far if a crash may have torn the segment's tail: there, a frame above the
/// watermark is taken only whole, because a torn write can leave any part of it.
pub(crate) fn salvage(
    window: &mut Window,
    from: u64,
    expect: Expect,
    next_base: Option<u64>,
    durable: Option<u64>,
) -> io::Result<Salvaged> {
    // The file may end within its header.
    let from = from.min(window.len());
    if next_base.is_none() {
        window.trim(from)?;
    }
    let mut found = find_frames(window, from, expect.salt)?;
    if let Some(durable) = durable {
        let watermark = found.durable.max(durable);
        found.spots.retain(|spot| {
            let vouched = spot.header.event_count > 0 && spot.after.version <= watermark + 1;
            vouched || (spot.ends_good && spot.payloads_good)
        });
    }
    let below = next_base.unwrap_or(u64::MAX);
    let mut spots = in_place(&found.spots, expect, below);
    let lines = spots.clone();
    fill_with_displaced(&mut spots, &found.spots, expect, below);
    let regions = regions(window, from, expect, &lines, &spots, &found, next_base)?;
    Ok(Salvaged {
        spots,
        regions,
        durable: found.durable,
    })
}

#[derive(Debug, Default)]
struct Found {
    /// In the order of their offsets.
    spots: Vec<Spot>,
    /// The greatest last version of any good header, with or without a good body.
    hint: Option<u64>,
    durable: u64,
    /// Where frames begin that run past the end of the file.
    past_end: Vec<u64>,
    /// Where good frames with another salt are, at their own offsets.
    strange: Vec<u64>,
}

fn find_frames(window: &mut Window, from: u64, salt: Option<u32>) -> io::Result<Found> {
    let (mut found, mut offset, end) = (Found::default(), from, window.len());
    let mut salt = salt;
    while offset < end {
        let bytes = window.get(offset, 64 << 10)?;
        let (got, hit) = (bytes.len() as u64, memchr(FRAME_MAGIC[0], bytes));
        let Some(hit) = hit else {
            offset += got.max(1);
            continue;
        };
        offset += hit as u64;
        let head = window.get(offset, FRAME_HEADER_LEN)?;
        let Ok(header) = FrameHeader::decode(head) else {
            if head.len() < FRAME_HEADER_LEN && head.starts_with(&FRAME_MAGIC) {
                found.past_end.push(offset);
            }
            offset += 1;
            continue;
        };
        if *salt.get_or_insert(header.salt) != header.salt {
            if u64::from(header.offset) == offset {
                found.strange.push(offset);
            }
            offset += 1;
            continue;
        }
        found.durable = found.durable.max(header.durable_version);
        found.hint = found.hint.max(header.last_version());
        let len = header.frame_len();
        if offset + len > end {
            found.past_end.push(offset);
        }
        let bytes = window.get(offset, len as usize)?;
        let decoded = Frame::decode(header, bytes).and_then(|frame| {
            let payloads_good = frame.entries().all(|e| e.is_whole() || e.is_given_up());
            Ok((
                After::frame(&frame)?,
                frame.check_ends(bytes).is_ok(),
                payloads_good,
            ))
        });
        let Ok((after, ends_good, payloads_good)) = decoded else {
            offset += 1;
            continue;
        };
        let displaced = u64::from(header.offset) != offset;
        found.spots.push(Spot {
            offset,
            header,
            after,
            displaced,
            ends_good,
            payloads_good,
        });
        offset += len;
    }
    Ok(found)
}

fn regions(
    window: &mut Window,
    from: u64,
    expect: Expect,
    lines: &[Spot],
    taken: &[Spot],
    found: &Found,
    next_base: Option<u64>,
) -> io::Result<Vec<Region>> {
    let end = window.len();
    let (mut at, mut version, mut regions) = (from, expect.version, Vec::new());
    let mut link = expect.link;
    for spot in lines {
        let first = spot.header.first_version;
        if spot.offset > at || first > version {
            let lost = missing(taken, version, first);
            let hole = Missing {
                from: version,
                lost,
                at_end: false,
            };
            let mut region = region(window, at..spot.offset, hole, expect, found)?;
            (region.link, region.next) = (link, Some((first, spot.header.prev_link)));
            regions.push(region);
        }
        (at, version) = (spot.end(), spot.after.version);
        link = Some(spot.after.link);
    }
    // What comes after a SEAL is not lost here, but with the segment that should come next.
    let sealed = lines
        .last()
        .is_some_and(|spot| spot.header.kind == Kind::Seal);
    let lost_until = match next_base {
        _ if sealed => version,
        Some(base) => base,
        None => found
            .hint
            .map_or(version, |last| last.saturating_add(1).max(version)),
    };
    let lost = missing(taken, version, lost_until);
    if !window.is_zero(at, end)? || lost_until > version {
        let at_end = next_base.is_none();
        let hole = Missing {
            from: version,
            lost,
            at_end,
        };
        let mut tail = region(window, at..end, hole, expect, found)?;
        tail.looks_torn |= found.past_end.iter().any(|offset| *offset >= at);
        regions.push(tail);
    }
    Ok(regions)
}

/// The versions from `from` to before `until` that no spot holds.
fn missing(spots: &[Spot], from: u64, until: u64) -> Vec<(u64, u64)> {
    let (mut next, mut lost) = (from, Vec::new());
    for spot in spots
        .iter()
        .filter(|s| s.after.version > from && s.header.first_version < until)
    {
        if spot.header.first_version > next {
            lost.push((next, spot.header.first_version - 1));
        }
        next = next.max(spot.after.version);
    }
    if next < until {
        lost.push((next, until - 1));
    }
    lost
}

/// What a region misses.
struct Missing {
    from: u64,
    lost: Vec<(u64, u64)>,
    at_end: bool,
}

fn region(
    window: &mut Window,
    range: std::ops::Range<u64>,
    missing: Missing,
    expect: Expect,
    found: &Found,
) -> io::Result<Region> {
    let Missing {
        from: missing_from,
        lost,
        at_end,
    } = missing;
    let (offset, length) = (range.start, range.end - range.start);
    let expect = Expect {
        version: missing_from,
        link: None,
        ..expect
    };
    let decoded = FrameHeader::decode(window.get(offset, FRAME_HEADER_LEN)?);
    let fault = match decoded.and_then(|header| expect.check(&header, offset).map(|()| header)) {
        Ok(header) => {
            let bytes = window.get(offset, header.frame_len() as usize)?;
            super::scan::whole_frame(header, bytes)
                .err()
                .unwrap_or(Fault::Sequence("bytes between frames"))
        }
        Err(fault) => fault,
    };
    let is_strange = found.strange.iter().any(|at| range.contains(at));
    let has_hole = length < FRAME_HEADER_LEN as u64 || has_hole(window, offset, range.end)?;
    Ok(Region {
        offset,
        length,
        missing_from,
        lost,
        at_end,
        fault,
        looks_torn: has_hole && !is_strange,
        link: None,
        next: None,
    })
}

/// Whether a write is missing in the range: the part of a 512-byte sector is all zero, or as many bytes in a row
/// as a frame header has, which no frame has inside.
fn has_hole(window: &mut Window, from: u64, to: u64) -> io::Result<bool> {
    let (mut at, mut zeros) = (from, 0);
    while at < to {
        let end = ((at / SECTOR + 1) * SECTOR).min(to);
        let bytes = window.get(at, (end - at) as usize)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        for byte in bytes {
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            if zeros >= FRAME_HEADER_LEN {
                return Ok(true);
            }
        }
        at = end;
    }
    Ok(false)
}

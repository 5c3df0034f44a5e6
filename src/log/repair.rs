//! Repair: every damaged segment is mended in place, or set aside and written anew from what is good.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::damage::{Damage, Verdict};
use crate::format::{SegmentHeader, first_link};
use crate::storage::{OpenMode, read_full_at};
use crate::{Error, Result, Version};

use super::copy::Copy;
use super::directory::segment_path;
use super::found::Found;
use super::identity::Identity;
use super::pieces::{Piece, Source, corrected_header};
use super::quarantine::{Quarantine, set_aside_whole};
use super::reader::{LogReader, Scanned};
use super::rebuild::{Rebuild, Stamp};
use super::recover::{recover, settle};
use super::segment::SegmentFile;
use super::strangers::strangers;

/// The least bytes that an event takes: what bounds how many versions a region without any header held.
const MIN_EVENT: u64 = 16;
/// How many versions a lost last segment may have held.
const LOST_SEGMENT: u64 = 1 << 20;

/// What a repair did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// Events that were good.
    pub(crate) kept: u64,
    /// Events that damage had made unreadable and that are back.
    pub(crate) recovered: u64,
    /// Those among them that had a single flipped bit.
    pub(crate) corrected: Vec<Version>,
    /// Versions whose events are lost, first and last of each range.
    pub(crate) lost: Vec<(Version, Version)>,
    /// The files that hold what left the log.
    pub(crate) quarantine: Vec<PathBuf>,
    /// The segments that were written anew, or mended in place.
    pub(crate) rewritten: Vec<PathBuf>,
    /// The segments that are no part of this log.
    pub(crate) strangers: Vec<PathBuf>,
    /// Whether damage is left, which came to light only now.
    pub(crate) is_left: bool,
}

impl Repaired {
    /// Whether any file is another one now.
    pub(crate) fn has_changed(&self) -> bool {
        !self.rewritten.is_empty() || !self.strangers.is_empty()
    }

    /// Adds what another pass did, nothing twice.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.recovered += later.recovered;
        self.corrected.extend(later.corrected);
        add_new(&mut self.lost, later.lost);
        add_new(&mut self.quarantine, later.quarantine);
        add_new(&mut self.rewritten, later.rewritten);
        self.strangers.extend(later.strangers);
        self.is_left = later.is_left;
    }
}

fn add_new<T: PartialEq>(all: &mut Vec<T>, later: Vec<T>) {
    for item in later {
        if !all.contains(&item) {
            all.push(item);
        }
    }
}

/// Repairs the log; the caller holds its lock. `tail_lost` reports versions that others know of.
/// `copy` is another copy of it, to take lost commits from.
pub(crate) fn repair(
    log: &LogReader,
    copy: Option<&LogReader>,
    tail_lost: &dyn Fn(&Scanned) -> Option<Damage>,
    dry_run: bool,
) -> Result<Option<Repaired>> {
    let mut done = Repaired::default();
    let mut found = Found::of(log)?;
    if let Some(Found { scanned, .. }) = &found {
        (done.strangers, done.quarantine) = strangers(log, scanned, dry_run)?;
        if !done.strangers.is_empty() && !dry_run {
            found = Found::of(log)?;
        }
    }
    let Some(mut found) = found else {
        return Ok(None);
    };
    done.kept = found.scanned.events;
    let tail = tail_lost(&found.scanned);
    found.scanned.damage.extend(tail);
    let copied = |found: &Found| match copy {
        Some(copy) => Copy::find(copy.clone(), found.scanned.log_id, &found.lost).map(Some),
        None => Ok(None),
    };
    let mut done = mend(log, &found, copied(&found)?, (dry_run, true), done)?;
    if dry_run {
        return Ok(Some(done));
    }
    settle(&*log.storage, &log.dir)?;
    if !done.rewritten.is_empty() {
        let Some(again) = Found::of(log)? else {
            return Ok(Some(done));
        };
        found = again;
        if !found.scanned.damage.is_empty() {
            // Behind what is good now there may be what nobody could judge before.
            done = mend(log, &found, copied(&found)?, (false, false), done)?;
            match Found::of(log)? {
                Some(again) => found = again,
                None => return Ok(Some(done)),
            }
        }
    }
    done.is_left = !found.scanned.damage.is_empty();
    if !done.is_left {
        let recovery = recover(&*log.storage, &log.dir, &mut found.scanned)?;
        done.quarantine.extend(recovery.torn.map(|(_, kept)| kept));
    }
    Ok(Some(done))
}

/// Repairs every damaged segment: `in_place` where nothing has to move, else by writing it anew.
fn mend(
    log: &LogReader,
    found: &Found,
    copy: Option<Copy>,
    (dry_run, in_place): (bool, bool),
    done: Repaired,
) -> Result<Repaired> {
    let mut job = Job {
        log,
        found,
        scanned: &found.scanned,
        copy,
        dry_run,
        identity: Identity::of(log, &found.scanned)?,
        done,
        after: None,
        quarantine: None,
    };
    let mut stay = BTreeSet::new();
    if in_place {
        for base in found.in_place(job.copy.as_ref()) {
            if job.fits(base)? {
                stay.insert(base);
            }
        }
    }
    let bases = found.damaged_bases(job.copy.is_some(), &stay);
    for base in &bases {
        if stay.contains(base) {
            job.in_place(*base)?;
        } else {
            job.segment(*base)?;
        }
    }
    let mut done = job.done;
    if bases.is_empty() {
        let lost = found.lost.iter();
        done.lost = lost.map(|(a, b)| (Version(*a), Version(*b))).collect();
    }
    Ok(done)
}

pub(super) struct Job<'a> {
    pub(super) log: &'a LogReader,
    pub(super) found: &'a Found,
    pub(super) scanned: &'a Scanned,
    pub(super) copy: Option<Copy>,
    pub(super) dry_run: bool,
    pub(super) identity: Identity,
    pub(super) done: Repaired,
    /// The last segment written anew: the version and the link after it.
    after: Option<(u64, u32)>,
    /// Open as soon as a range of a segment was set aside.
    pub(super) quarantine: Option<Quarantine>,
}

impl Job<'_> {
    fn segment(&mut self, base: u64) -> Result<()> {
        let segments = &self.scanned.segments;
        let at = segments.partition_point(|s| s.base < base);
        let exists = segments.get(at).is_some_and(|s| s.base == base);
        let next_base = segments.get(at + usize::from(exists)).map(|s| s.base);
        let old = if exists { Some(self.open(base)?) } else { None };
        let mut pieces = Vec::new();
        if let Some(old) = &old {
            pieces = self.salvaged(old)?;
        }
        self.fill(&mut pieces, base, next_base);
        let until = next_base.unwrap_or_else(|| self.last_next(&pieces, base, old.as_ref()));
        let kept = match &old {
            Some(old) if !self.dry_run => {
                let path = set_aside_whole(&*self.log.storage, &self.log.dir, old)?;
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
                self.done.quarantine.push(path);
                name.unwrap_or_default()
            }
            None if !self.dry_run => {
                // It tells the next writer that names in this directory may not be durable.
                Quarantine::open(&*self.log.storage, &self.log.dir)?;
                String::new()
            }
            _ => String::new(),
        };
        self.write(
            base,
            at as u64 + 1,
            old.as_ref(),
            &pieces,
            until,
            next_base,
            &kept,
        )
    }

    pub(super) fn open(&self, base: u64) -> Result<SegmentFile> {
        SegmentFile::open(&*self.log.storage, &self.log.dir, base, OpenMode::Read)
    }

    /// The version after the last segment's last event, given up ones included.
    fn last_next(&self, pieces: &[Piece], base: u64, old: Option<&SegmentFile>) -> u64 {
        let known = pieces.last().map_or(base, |p| p.next_version);
        let is_here = |d: &&Damage| {
            old.is_some_and(|old| d.segment == old.path) && d.verdict != Verdict::Torn
        };
        let damages = self.scanned.damage.iter().filter(is_here);
        let given_up = damages.filter_map(|d| match (d.first_version, d.last_version) {
            (Some(_), Some(last)) => Some(last.0 + 1),
            (Some(first), None) => Some(first.0 + (d.length / MIN_EVENT).max(1)),
            _ => None,
        });
        let floor = if old.is_none() && known == base {
            base + LOST_SEGMENT
        } else {
            self.scanned.expect.version
        };
        given_up.chain([known, floor]).max().unwrap_or(known)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call, and a struct for it would only rename them"
    )]
    fn write(
        &mut self,
        base: u64,
        segment_no: u64,
        old: Option<&SegmentFile>,
        pieces: &[Piece],
        until: u64,
        next_base: Option<u64>,
        kept: &str,
    ) -> Result<()> {
        let path = segment_path(&self.log.dir, base);
        let header = self.header(base, segment_no, old, pieces);
        let stamp = Stamp {
            salt: self.identity.salt,
            epoch: self.scanned.epoch,
            durable: base.max(1) - 1,
            time_us: self.scanned.time_us,
        };
        let before = self.scanned.segments.iter().rev().find(|s| s.base < base);
        let epoch = before.map_or(0, |end| end.epoch);
        let storage = &*self.log.storage;
        let target = (!self.dry_run).then_some(storage);
        let mut new = Rebuild::begin(target, &path, &header, stamp, epoch)?;
        let mut version = base;
        for piece in pieces {
            let first = piece.header.first_version;
            if first > version {
                // Whatever comes next, a MARK too, names the link that it follows.
                let link = Some(piece.header.prev_link);
                self.give_up(&mut new, version, first - 1, kept, link)?;
            }
            if piece.header.event_count > 0 && first < version {
                continue;
            }
            self.piece(&mut new, old, piece)?;
            version = version.max(piece.next_version);
        }
        if until > version {
            let link = match next_base {
                Some(next) => self.link_into(next)?,
                None => None,
            };
            self.give_up(&mut new, version, until - 1, kept, link)?;
        }
        if let Some(next_base) = next_base {
            new.seal(next_base)?;
        }
        self.after = Some((until.max(version), new.link()));
        tracing::info!(segment = %path.display(), "segment written anew");
        self.done.rewritten.push(path.clone());
        if self.dry_run {
            Ok(())
        } else {
            new.replace(storage, &path)
        }
    }

    /// The link that a segment follows, as far as anything in it knows.
    fn link_into(&mut self, base: u64) -> Result<Option<u32>> {
        let segment = self.open(base)?;
        if let Ok(header) = &segment.header {
            return Ok(Some(header.prev_link));
        }
        if let Some(header) = corrected_header(&segment) {
            return Ok(Some(header.prev_link));
        }
        // It is counted when its own turn comes.
        let done = self.done.clone();
        let pieces = self.salvaged(&segment)?;
        self.done = done;
        Ok(first_link_of(&pieces, base))
    }

    fn give_up(
        &mut self,
        new: &mut Rebuild,
        first: u64,
        last: u64,
        kept: &str,
        link: Option<u32>,
    ) -> Result<()> {
        self.done.lost.push((Version(first), Version(last)));
        new.gap(first, last, kept, link)
    }

    fn header(
        &self,
        base: u64,
        segment_no: u64,
        old: Option<&SegmentFile>,
        pieces: &[Piece],
    ) -> SegmentHeader {
        let Identity { log_id, salt } = self.identity;
        let known = old.and_then(|old| match &old.header {
            Ok(header) => Some(header.clone()),
            Err(_) => corrected_header(old).filter(|header| header.base_version == base),
        });
        let named = first_link_of(pieces, base);
        let rebuilt = self.after.filter(|(version, _)| *version == base);
        let before = self.scanned.segments.iter().rev().find(|s| s.base < base);
        let rebuilt = rebuilt.map(|(_, link)| link);
        let found = rebuilt.or_else(|| before?.link);
        if let Some(header) = known {
            // Without a commit that names its predecessor, the segment follows what is there now.
            let prev_link = found.filter(|_| named.is_none());
            return SegmentHeader {
                salt,
                log_id,
                prev_link: prev_link.unwrap_or(header.prev_link),
                ..header
            };
        }
        let link = named.or(found);
        SegmentHeader {
            salt,
            log_id,
            segment_no,
            base_version: base,
            prev_link: link.unwrap_or_else(|| first_link(&log_id)),
            prev_len: 0,
            created_ms: self.scanned.time_us / 1000,
        }
    }

    fn piece(&mut self, new: &mut Rebuild, old: Option<&SegmentFile>, piece: &Piece) -> Result<()> {
        let mut bytes = match (&piece.source, old) {
            (Source::Corrected(bytes), _) => bytes.clone(),
            (Source::Copy(spot), _) => match &self.copy {
                Some(copy) => copy.read(spot)?,
                None => return Ok(()),
            },
            (Source::Here { offset, displaced }, Some(old)) => {
                if *displaced {
                    self.done.recovered += u64::from(piece.header.event_count);
                }
                let mut bytes = vec![0; piece.header.frame_len() as usize];
                read_full_at(&*old.file, &mut bytes, *offset)
                    .map_err(Error::io("read", &old.path))?;
                bytes
            }
            (Source::Here { .. }, None) => return Ok(()),
        };
        self.mend_payloads(&piece.header, &mut bytes);
        new.frame(piece.header, &bytes)
    }
}

/// The link that the commit at `base` names as its predecessor's.
fn first_link_of(pieces: &[Piece], base: u64) -> Option<u32> {
    let first = pieces.iter().find(|piece| piece.header.event_count > 0)?;
    (first.header.first_version == base).then_some(first.header.prev_link)
}

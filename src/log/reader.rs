//! Reading a whole log forward: every good event, every damaged range.

use std::path::PathBuf;
use std::sync::Arc;

use crate::damage::Damage;
use crate::storage::{OpenMode, Storage};
use crate::{Error, Result, Version};

use super::directory::Listing;
use super::events::Replayed;
use super::pass::Pass;
use super::salvage::{Hole, Region};
use super::scan::{Expect, has_first_frame};
use super::segment::SegmentFile;
use super::stats::SegmentStats;

/// Takes what a reader hands out.
pub(super) type Visit<'v> = &'v mut dyn FnMut(Replayed<'_>) -> Result<()>;

/// A log's directory, to read.
#[derive(Clone, Debug)]
pub(crate) struct LogReader {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: PathBuf,
}

/// A torn tail: bytes that were never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// What a scan of a whole log found.
#[derive(Clone, Debug)]
pub(crate) struct Scanned {
    pub(crate) log_id: [u8; 16],
    pub(crate) salt: u32,
    /// The greatest epoch of any frame. A GAP has the greatest of its time, so this holds even if what is before
    /// the last segment was not read.
    pub(crate) epoch: u32,
    /// The next version, the last commit's link.
    pub(crate) expect: Expect,
    /// Every event up to here is known to be durable.
    pub(crate) durable: u64,
    /// The time of the last commit, in microseconds since 1970.
    pub(crate) time_us: u64,
    pub(crate) segments: Vec<SegmentEnd>,
    /// Every damaged range but a torn tail.
    pub(crate) damage: Vec<Damage>,
    /// The damaged ranges that a GAP can fill.
    pub(crate) holes: Vec<Hole>,
    /// Good frames at their places with bad padding or a bad trailer: base version of the segment, offset.
    pub(crate) bad_ends: Vec<(u64, u64)>,
    /// The torn tail, as a [`Damage`] and as a place.
    pub(crate) torn: Option<(Damage, Torn)>,
    /// The first event that must be understood and is not.
    pub(crate) not_understood: Option<(Version, u8)>,
    pub(crate) events: u64,
}

/// One segment as the scan left it.
#[derive(Clone, Debug)]
pub(crate) struct SegmentEnd {
    pub(crate) base: u64,
    pub(crate) no: u64,
    pub(crate) path: PathBuf,
    /// The file's length in bytes.
    pub(crate) len: u64,
    /// Where the last good frame ends.
    pub(crate) end: u64,
    pub(crate) sealed: bool,
    pub(crate) stats: SegmentStats,
    /// The link after the last good frame.
    pub(crate) link: Option<u32>,
    /// The greatest epoch up to there.
    pub(crate) epoch: u32,
    /// Where the frames begin that no watermark vouches for yet, if there are any.
    pub(crate) unsure_from: Option<u64>,
    /// Of a damaged segment: the offsets of the frames that a reader takes, in the order of their versions.
    pub(crate) taken: Vec<u32>,
    /// Of a damaged segment: what is between them.
    pub(crate) regions: Vec<Region>,
}

/// A commit that a reader knows everything up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    /// The version of its last event.
    pub(crate) version: u64,
    /// The link after it.
    pub(crate) link: u32,
}

impl LogReader {
    /// Reads everything once. `None` if there is no log.
    pub(crate) fn scan(&self, visit: Visit<'_>) -> Result<Option<Scanned>> {
        self.scan_since(None, visit)
    }

    /// The log's id as most segments have it, if the first two disagree: one may be of another log.
    fn voted_log_id(&self, bases: &[u64]) -> Result<Option<[u8; 16]>> {
        let id_of = |base: &u64| {
            let segment = SegmentFile::open(&*self.storage, &self.dir, *base, OpenMode::Read)?;
            Ok(segment.header.ok().map(|header| header.log_id))
        };
        let first_two = bases
            .iter()
            .take(2)
            .map(id_of)
            .collect::<Result<Vec<_>>>()?;
        match first_two[..] {
            [Some(first), Some(second)] if first != second => {}
            _ => return Ok(None),
        }
        let mut votes: Vec<([u8; 16], usize)> = Vec::new();
        for base in bases {
            let Some(id) = id_of(base)? else { continue };
            match votes.iter_mut().find(|(known, _)| *known == id) {
                Some((_, count)) => *count += 1,
                None => votes.push((id, 1)),
            }
        }
        // The first of those with the most votes.
        let most = votes.iter().rev().max_by_key(|(_, count)| *count);
        Ok(most.map(|(id, _)| *id))
    }

    /// Reads what comes after a commit, and hands out only that. `None` if there is no log, or if the log does
    /// not have that commit.
    pub(crate) fn scan_since(
        &self,
        since: Option<Since>,
        visit: Visit<'_>,
    ) -> Result<Option<Scanned>> {
        let Some(listing) = Listing::read(&*self.storage, &self.dir)? else {
            return Ok(None);
        };
        if listing.is_unborn() {
            return Ok(None);
        }
        let mut pass = Pass::new(&self.dir, since);
        for name in &listing.not_files {
            let path = self.dir.join(name);
            pass.report(path, "a segment's name on something that is not a file");
        }
        let bases = &listing.segments;
        let open = |i: usize| match bases.get(i) {
            Some(base) => {
                SegmentFile::open(&*self.storage, &self.dir, *base, OpenMode::Read).map(Some)
            }
            None => Ok(None),
        };
        let mut first = 0;
        if let Some(since) = since.filter(|_| !bases.is_empty()) {
            first = bases
                .partition_point(|base| *base <= since.version + 1)
                .saturating_sub(1);
            // An interrupted roll is finished in the segment before a last one without frames. Of a last one whose first
            // frame is torn, only that segment knows the greatest epoch.
            if let Some(last) = open(bases.len() - 1)? {
                let has_frame = has_first_frame(last.file, last.len);
                if !has_frame.map_err(Error::io("read", &last.path))? {
                    first = first.min(bases.len().saturating_sub(2));
                }
            }
            pass.expect.version = bases[first];
        }
        pass.log_id = self.voted_log_id(&bases[first..])?;
        let mut next = open(first)?;
        for i in first..bases.len() {
            let Some(segment) = next.take() else { break };
            next = open(i + 1)?;
            pass.segment(&segment, next.as_ref(), i + 2 == bases.len(), visit)?;
        }
        if bases.is_empty() {
            pass.segments_lost(2, visit)?;
            pass.forget_end();
        }
        let found = since.is_none() || pass.met_since;
        let scanned = pass.finish(visit)?;
        Ok(found.then_some(scanned))
    }
}

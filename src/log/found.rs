//! What a repair starts from: one pass over the log, and what it says of each segment.

use std::collections::BTreeSet;

use crate::Result;
use crate::damage::Verdict;

use super::copy::Copy;
use super::events::Replayed;
use super::reader::{LogReader, Scanned};

/// First and last of ranges of versions.
pub(super) type Versions = Vec<(u64, u64)>;

/// A payload that is bad, or was given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct BadPayload {
    pub(super) version: u64,
    /// The base version of its segment.
    pub(super) segment: u64,
    /// Where it is, in bytes from the start of the segment.
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) crc: u32,
}

/// A log before its repair.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) scanned: Scanned,
    /// All versions that are lost.
    pub(super) lost: Versions,
    /// Those among them of which nothing is known.
    gaps: Versions,
    pub(super) payloads: Vec<BadPayload>,
}

impl Found {
    /// Reads everything. `None` if there is no log.
    pub(super) fn of(log: &LogReader) -> Result<Option<Self>> {
        let (mut lost, mut gaps, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
        let scanned = log.scan(&mut |item| {
            match item {
                Replayed::Lost { first, last } => {
                    lost.push((first.0, last.0));
                    gaps.push((first.0, last.0));
                }
                Replayed::PayloadLost(event) => {
                    lost.push((event.version.0, event.version.0));
                    payloads.push(BadPayload {
                        version: event.version.0,
                        segment: event.place.segment,
                        offset: event.place.offset,
                        len: event.place.len,
                        crc: event.place.crc,
                    });
                }
                Replayed::Event(_) => {}
            }
            Ok(())
        })?;
        Ok(scanned.map(|scanned| Self {
            scanned,
            lost,
            gaps,
            payloads,
        }))
    }

    /// The bases of the segments to repair: existing ones and missing ones. `in_place` are those that will not be
    /// written anew.
    pub(super) fn damaged_bases(&self, fills: bool, in_place: &BTreeSet<u64>) -> BTreeSet<u64> {
        let scanned = &self.scanned;
        let mut bases = BTreeSet::new();
        for damage in &scanned.damage {
            let here = scanned.segments.iter().find(|s| s.path == damage.segment);
            match (here, damage.verdict, damage.first_version) {
                (Some(segment), ..) => {
                    bases.insert(segment.base);
                }
                (None, Verdict::SegmentLost, Some(first)) => {
                    bases.insert(first.0);
                }
                _ => {}
            }
        }
        // A segment that is written anew reaches to the next that exists: it replaces missing ones, too.
        let existing: Vec<u64> = scanned.segments.iter().map(|s| s.base).collect();
        let rewritten: BTreeSet<u64> = bases.difference(in_place).copied().collect();
        bases.retain(|base| {
            let before = existing.partition_point(|existing| existing <= base);
            let holder = before.checked_sub(1).map(|at| existing[at]);
            holder.is_none_or(|holder| holder == *base || !rewritten.contains(&holder))
        });
        for (first, _) in self.lost.iter().filter(|_| fills) {
            let holder = scanned.segments.iter().rev().find(|s| s.base <= *first);
            bases.extend(holder.map(|s| s.base));
        }
        bases
    }

    /// The bases of the segments of which only payloads, ends of frames, and whole frames between good ones are bad:
    /// where nothing has to move. What the copy has of lost commits makes a segment longer.
    pub(super) fn in_place(&self, copy: Option<&Copy>) -> BTreeSet<u64> {
        let holes = self.scanned.holes.iter();
        let mut places: BTreeSet<(u64, u64, u64)> = holes
            .map(|hole| (hole.segment, hole.offset, hole.length))
            .collect();
        let payloads = self.payloads.iter();
        places.extend(payloads.map(|p| (p.segment, p.offset, u64::from(p.len))));
        let bad_ends: BTreeSet<_> = self.scanned.bad_ends.iter().copied().collect();
        let mut bases = BTreeSet::new();
        for (i, segment) in self.scanned.segments.iter().enumerate() {
            let torn = self.scanned.torn.as_ref();
            let damage = self.scanned.damage.iter();
            let others = damage
                .filter(|damage| damage.segment == segment.path)
                .filter(|d| !places.contains(&(segment.base, d.offset, d.length)))
                .filter(|d| !bad_ends.contains(&(segment.base, d.offset)) || d.length == 0);
            let next = self
                .scanned
                .segments
                .get(i + 1)
                .map_or(u64::MAX, |s| s.base);
            let is_filled = |(first, last): &(u64, u64)| {
                let is_here = *last >= segment.base && *first < next;
                is_here && copy.is_some_and(|copy| copy.within(*first, last + 1).next().is_some())
            };
            if others.count() == 0
                && torn.is_none_or(|(torn, _)| torn.segment != segment.path)
                && !self.gaps.iter().any(is_filled)
            {
                bases.insert(segment.base);
            }
        }
        bases
    }
}

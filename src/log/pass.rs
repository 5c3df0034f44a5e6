//! One pass over a log: segment by segment, strict as long as all is well, salvage where it is not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::damage::{Damage, Verdict};
use crate::format::{Fault, Frame, Gap, Kind, SEGMENT_HEADER_LEN};
use crate::{Error, Result, Version};

use super::directory::segment_path;
use super::events::{Decoded, Replayed, event};
use super::reader::{Scanned, SegmentEnd, Since, Visit};
use super::salvage::salvage;
use super::scan::{Expect, Scan, Step, Window};
use super::segment::SegmentFile;
use super::stats::SegmentStats;

/// The state of one pass over a log.
pub(super) struct Pass {
    pub(super) since: Option<Since>,
    /// Whether the commit to read from was met.
    pub(super) met_since: bool,
    pub(super) dir: PathBuf,
    pub(super) log_id: Option<[u8; 16]>,
    pub(super) expect: Expect,
    pub(super) out: Scanned,
}

impl Pass {
    pub(super) fn new(dir: &Path, since: Option<Since>) -> Self {
        let expect = Expect {
            salt: None,
            version: 1,
            link: None,
            epoch: 0,
        };
        let out = Scanned {
            log_id: [0; 16],
            salt: 0,
            epoch: 0,
            expect,
            durable: 0,
            time_us: 0,
            segments: Vec::new(),
            damage: Vec::new(),
            holes: Vec::new(),
            bad_ends: Vec::new(),
            torn: None,
            not_understood: None,
            events: 0,
        };
        Self {
            since,
            met_since: false,
            dir: dir.to_path_buf(),
            log_id: None,
            expect,
            out,
        }
    }

    pub(super) fn advance(&mut self, expect: Expect) {
        self.expect = expect;
        let here = (expect.version.checked_sub(1), expect.link);
        self.met_since |= self
            .since
            .is_some_and(|s| here == (Some(s.version), Some(s.link)));
    }

    /// Hands out what comes after the commit to read from.
    pub(super) fn hand(&self, visit: Visit<'_>, item: Replayed<'_>) -> Result<()> {
        let is_wanted = self
            .since
            .is_none_or(|s| self.met_since && item.version().0 > s.version);
        if is_wanted { visit(item) } else { Ok(()) }
    }

    pub(super) fn report(&mut self, segment: PathBuf, cause: &str) {
        self.out.damage.push(Damage {
            segment,
            offset: 0,
            length: 0,
            first_version: None,
            last_version: None,
            verdict: Verdict::Corrupt,
            cause: cause.to_owned(),
            messages: Vec::new(),
        });
    }

    /// Reads one segment. `next` is the one after it, which is `next_is_last` in the log or not.
    pub(super) fn segment(
        &mut self,
        segment: &SegmentFile,
        next: Option<&SegmentFile>,
        next_is_last: bool,
        visit: Visit<'_>,
    ) -> Result<()> {
        let reported = self.out.damage.len();
        if !self.enter(segment, visit)? {
            return Ok(());
        }
        self.out.durable = self.out.durable.max(segment.base.saturating_sub(1));
        let mut scan = Scan::new(Arc::clone(&segment.file), segment.len, self.expect);
        let mut end = SegmentEnd {
            base: segment.base,
            no: segment.header.as_ref().map_or(0, |h| h.segment_no),
            path: segment.path.clone(),
            len: segment.len,
            end: scan.offset,
            sealed: false,
            stats: SegmentStats::default(),
            link: None,
            epoch: 0,
            unsure_from: None,
            taken: Vec::new(),
            regions: Vec::new(),
        };
        let anomaly = loop {
            match scan.next().map_err(Error::io("read", &segment.path))? {
                Step::Frame { offset, frame } => {
                    self.frame(&mut end, offset, &frame, true, visit)?;
                }
                Step::End => break None,
                Step::Anomaly(fault) => break Some(fault),
            }
            end.end = scan.offset;
            self.advance(scan.expect);
        };
        let lost_tail = next.is_some_and(|next| next.base > self.expect.version && !end.sealed);
        // A roll that a crash interrupted leaves a last segment without frames, and its predecessor open.
        let open = next.is_none_or(|next| next_is_last && is_frameless(next));
        if anomaly.is_some() || lost_tail {
            let next_base = next.map(|next| next.base);
            self.damaged_rest(
                &mut scan,
                segment,
                &mut end,
                (open, next_base),
                visit,
                anomaly,
            )?;
        } else if !open && !end.sealed {
            self.report(segment.path.clone(), "the segment has no seal");
            if let Some(damage) = self.out.damage.last_mut() {
                damage.offset = end.end;
            }
        }
        (end.link, end.epoch) = (self.expect.link, self.expect.epoch);
        if self.out.damage.len() == reported {
            end.taken = Vec::new();
        }
        self.out.segments.push(end);
        Ok(())
    }

    /// Salvages what comes after the point where the strict scan stopped.
    fn damaged_rest(
        &mut self,
        scan: &mut Scan,
        segment: &SegmentFile,
        end: &mut SegmentEnd,
        (open, next_base): (bool, Option<u64>),
        visit: Visit<'_>,
        anomaly: Option<Fault>,
    ) -> Result<()> {
        let from = scan.offset;
        // A roll syncs a segment before it begins the next one.
        let before_next = next_base.unwrap_or(1) - 1;
        let durable = open.then_some(self.out.durable.max(before_next));
        let found = salvage(&mut scan.window, from, self.expect, next_base, durable);
        let found = found.map_err(Error::io("read", &segment.path))?;
        let vouched = found.durable.max(before_next);
        self.out.durable = self.out.durable.max(vouched);
        let reported = self.out.damage.len();
        self.salvaged(segment, end, &found.spots, &found.regions, open, visit)?;
        // The frame there is good by itself, and yet it does not follow the one before it.
        let is_taken = found.spots.iter().any(|s| s.offset == from && s.is_good());
        let is_reported = found.regions.iter().any(|r| r.offset == from);
        let nothing = found.regions.is_empty() && self.out.damage.len() == reported;
        if let Some(fault) = anomaly.filter(|_| nothing || (is_taken && !is_reported)) {
            self.report(segment.path.clone(), &fault.to_string());
            if let Some(damage) = self.out.damage.last_mut() {
                damage.offset = from;
            }
        }
        let missing = next_base.filter(|base| *base > self.expect.version && !end.sealed);
        if let Some(base) = missing {
            let (first, last) = (Version(self.expect.version), Version(base - 1));
            self.expect = Expect {
                version: base,
                link: None,
                ..self.expect
            };
            self.hand(visit, Replayed::Lost { first, last })?;
        }
        Ok(())
    }

    /// Checks a segment against what came before it; `false` if it is not part of this log.
    pub(super) fn enter(&mut self, segment: &SegmentFile, visit: Visit<'_>) -> Result<bool> {
        match &segment.header {
            Ok(header) => {
                let log_id = *self.log_id.get_or_insert(header.log_id);
                if log_id != header.log_id {
                    self.report(segment.path.clone(), "a segment of another log");
                    return Ok(false);
                }
                if *self.expect.salt.get_or_insert(header.salt) != header.salt {
                    self.report(
                        segment.path.clone(),
                        "segment header: the salt of another log",
                    );
                }
            }
            Err(fault) => {
                self.report(segment.path.clone(), &format!("segment header: {fault}"));
                if let Some(damage) = self.out.damage.last_mut() {
                    damage.length = segment.len.min(SEGMENT_HEADER_LEN as u64);
                }
            }
        }
        if segment.base < self.expect.version {
            self.report(
                segment.path.clone(),
                "the segment repeats versions of the one before it",
            );
            return Ok(false);
        }
        if segment.base > self.expect.version {
            self.segments_lost(segment.base, visit)?;
        }
        if let Ok(header) = &segment.header {
            self.expect.link.get_or_insert(header.prev_link);
        }
        self.advance(self.expect);
        Ok(true)
    }

    /// Whole segments are missing before the one with base `base`.
    pub(super) fn segments_lost(&mut self, base: u64, visit: Visit<'_>) -> Result<()> {
        let (first, last) = (Version(self.expect.version), Version(base - 1));
        self.out.damage.push(Damage {
            segment: segment_path(&self.dir, first.0),
            offset: 0,
            length: 0,
            first_version: Some(first),
            last_version: Some(last),
            verdict: Verdict::SegmentLost,
            cause: "the segment file is missing".to_owned(),
            messages: Vec::new(),
        });
        self.expect = Expect {
            version: base,
            link: None,
            ..self.expect
        };
        self.hand(visit, Replayed::Lost { first, last })
    }

    /// Of segments that are missing at the end nobody knows where they ended.
    pub(super) fn forget_end(&mut self) {
        if let Some(damage) = self.out.damage.last_mut() {
            damage.last_version = None;
        }
    }

    pub(super) fn frame(
        &mut self,
        end: &mut SegmentEnd,
        offset: u64,
        frame: &Frame<'_>,
        whole: bool,
        visit: Visit<'_>,
    ) -> Result<()> {
        let header = &frame.header;
        end.taken.push(offset as u32);
        self.out.durable = self.out.durable.max(header.durable_version);
        self.out.epoch = self.out.epoch.max(header.epoch);
        end.sealed |= header.kind == Kind::Seal;
        if header.kind != Kind::Seal {
            end.stats.frame(header, offset);
        }
        if header.kind == Kind::Gap {
            if let Ok(gap) = serde_json::from_slice::<Gap>(frame.body()) {
                return self.hand(
                    visit,
                    Replayed::Lost {
                        first: Version(gap.first),
                        last: Version(gap.last),
                    },
                );
            }
        }
        if header.kind != Kind::Events {
            if header.durable_version + 1 >= header.first_version {
                // Only a frame of the next segment vouches for a SEAL.
                end.unsure_from = (header.kind == Kind::Seal).then_some(offset);
            }
            return Ok(());
        }
        self.out.time_us = header.time_us;
        if header.durable_version + 1 >= header.first_version {
            end.unsure_from = Some(offset);
        } else {
            end.unsure_from.get_or_insert(offset);
        }
        for (i, entry) in frame.entries().enumerate() {
            let version = Version(header.first_version + i as u64);
            let is_whole = whole || entry.is_whole();
            match event(version, header.time_us, &entry, end.base, offset, is_whole) {
                Decoded::Whole(event) => {
                    self.out.events += 1;
                    end.stats.event(version.0, event.subject);
                    if event.kind.must_understand() && self.out.not_understood.is_none() {
                        self.out.not_understood = Some((version, event.kind.byte()));
                    }
                    self.hand(visit, Replayed::Event(event))?;
                }
                Decoded::PayloadLost(event) => {
                    end.stats.event(version.0, event.subject);
                    if !entry.is_given_up() {
                        self.payload_lost(end, offset, &entry, version, Ok(&event));
                    }
                    self.hand(visit, Replayed::PayloadLost(event))?;
                }
                Decoded::Lost(fault) => {
                    // What is behind it in its commit is lost with it: repair can shorten a commit, and keep links.
                    self.payload_lost(end, offset, &entry, version, Err(&fault));
                    let last = header.last_version().map_or(version, Version);
                    if let Some(damage) = self.out.damage.last_mut() {
                        damage.last_version = Some(last);
                    }
                    let first = version;
                    return self.hand(visit, Replayed::Lost { first, last });
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, visit: Visit<'_>) -> Result<Scanned> {
        let sealed_end = self.out.segments.last().is_some_and(|end| end.sealed);
        if sealed_end {
            let base = self.expect.version;
            self.segments_lost(base + 1, visit)?;
            self.forget_end();
        }
        self.out.expect = self.expect;
        self.out.log_id = self.log_id.unwrap_or_default();
        self.out.salt = self.expect.salt.unwrap_or_default();
        Ok(self.out)
    }
}

/// Whether a segment has nothing after its header.
pub(super) fn is_frameless(segment: &SegmentFile) -> bool {
    let from = SEGMENT_HEADER_LEN as u64;
    let mut window = Window::new(Arc::clone(&segment.file), segment.len);
    window.is_zero(from, segment.len).unwrap_or(false)
}

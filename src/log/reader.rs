//! Reading a whole log forward: every good event, every damaged range.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::damage::{Damage, LostMessage, Verdict};
use crate::event::{Event, EventKind, Form, Place};
use crate::format::{Envelope, Fault, Frame, Kind, RawEntry, first_link};
use crate::storage::{OpenMode, Storage};
use crate::{Error, Result, Version};

use super::classify::{Evidence, classify};
use super::directory::Listing;
use super::salvage::{Region, Spot, salvage};
use super::scan::{Expect, Scan, Step};
use super::segment::SegmentFile;
use super::stats::SegmentStats;

/// What a reader hands to its visitor, in the order of the versions.
#[derive(Debug)]
pub(crate) enum Replayed<'a> {
    /// A good event.
    Event(Event<'a>),
    /// An event whose payload is damaged; `payload` is empty.
    PayloadLost(Event<'a>),
    /// Events that are lost altogether.
    Lost { first: Version, last: Version },
}

impl Replayed<'_> {
    /// The first version that it is about.
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Event(event) | Self::PayloadLost(event) => event.version,
            Self::Lost { first, .. } => *first,
        }
    }
}

type Visit<'v> = &'v mut dyn FnMut(Replayed<'_>) -> Result<()>;

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
    /// The next version, the last commit's link, the greatest epoch.
    pub(crate) expect: Expect,
    /// Every event up to here is known to be durable.
    pub(crate) durable: u64,
    /// The time of the last commit, in microseconds since 1970.
    pub(crate) time_us: u64,
    pub(crate) segments: Vec<SegmentEnd>,
    /// Every damaged range but a torn tail.
    pub(crate) damage: Vec<Damage>,
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
    /// Where the frames begin that no watermark vouches for yet, if there are any.
    pub(crate) unsure_from: Option<u64>,
}

impl LogReader {
    /// Reads everything once. `None` if there is no log.
    pub(crate) fn scan(&self, visit: Visit<'_>) -> Result<Option<Scanned>> {
        self.scan_since(None, visit)
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
            // An interrupted roll is finished in the segment before a last one without frames.
            if open(bases.len() - 1)?.is_some_and(|last| is_frameless(&last)) {
                first = first.min(bases.len().saturating_sub(2));
            }
            pass.expect.version = bases[first];
        }
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

/// A commit that a reader knows everything up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    /// The version of its last event.
    pub(crate) version: u64,
    /// The link after it.
    pub(crate) link: u32,
}

/// The state of one pass over a log.
struct Pass {
    since: Option<Since>,
    /// Whether the commit to read from was met.
    met_since: bool,
    dir: PathBuf,
    log_id: Option<[u8; 16]>,
    expect: Expect,
    out: Scanned,
}

impl Pass {
    fn new(dir: &Path, since: Option<Since>) -> Self {
        let expect = Expect {
            salt: None,
            version: 1,
            link: None,
            epoch: 0,
        };
        let out = Scanned {
            log_id: [0; 16],
            salt: 0,
            expect,
            durable: 0,
            time_us: 0,
            segments: Vec::new(),
            damage: Vec::new(),
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

    fn advance(&mut self, expect: Expect) {
        self.expect = expect;
        let here = (expect.version.checked_sub(1), expect.link);
        self.met_since |= self
            .since
            .is_some_and(|s| here == (Some(s.version), Some(s.link)));
    }

    /// Hands out what comes after the commit to read from.
    fn hand(&self, visit: Visit<'_>, item: Replayed<'_>) -> Result<()> {
        let is_wanted = self
            .since
            .is_none_or(|s| self.met_since && item.version().0 > s.version);
        if is_wanted { visit(item) } else { Ok(()) }
    }

    fn report(&mut self, segment: PathBuf, cause: &str) {
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
    fn segment(
        &mut self,
        segment: &SegmentFile,
        next: Option<&SegmentFile>,
        next_is_last: bool,
        visit: Visit<'_>,
    ) -> Result<()> {
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
            unsure_from: None,
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
        if anomaly.is_some() || lost_tail {
            let open = next.is_none_or(|next| next_is_last && is_frameless(next));
            let next_base = next.map(|next| next.base);
            let from = scan.offset;
            let found = salvage(&mut scan.window, from, self.expect, next_base);
            let found = found.map_err(Error::io("read", &segment.path))?;
            self.out.durable = self
                .out
                .durable
                .max(found.durable)
                .max(next_base.unwrap_or(1) - 1);
            let reported = self.out.damage.len();
            self.salvaged(segment, &mut end, &found.spots, &found.regions, open, visit)?;
            if let Some(fault) = anomaly.filter(|_| found.regions.is_empty()) {
                if self.out.damage.len() == reported {
                    // Every frame is good by itself, and yet they do not follow each other.
                    self.report(segment.path.clone(), &fault.to_string());
                    if let Some(damage) = self.out.damage.last_mut() {
                        damage.offset = from;
                    }
                }
            }
            if let Some(base) = next_base.filter(|base| *base > self.expect.version && !end.sealed)
            {
                let (first, last) = (Version(self.expect.version), Version(base - 1));
                self.expect = Expect {
                    version: base,
                    link: None,
                    ..self.expect
                };
                self.hand(visit, Replayed::Lost { first, last })?;
            }
        }
        end.link = self.expect.link;
        self.out.segments.push(end);
        Ok(())
    }

    /// Checks a segment against what came before it; `false` if it is not part of this log.
    fn enter(&mut self, segment: &SegmentFile, visit: Visit<'_>) -> Result<bool> {
        match &segment.header {
            Ok(header) => {
                let log_id = *self.log_id.get_or_insert(header.log_id);
                if log_id != header.log_id {
                    self.report(segment.path.clone(), "a segment of another log");
                    return Ok(false);
                }
                self.expect.salt.get_or_insert(header.salt);
                if segment.base == 1 && header.prev_link != first_link(&log_id) {
                    self.report(
                        segment.path.clone(),
                        "the first segment's link is not the log's",
                    );
                }
            }
            Err(fault) => {
                self.report(segment.path.clone(), &format!("segment header: {fault}"));
                if let Some(damage) = self.out.damage.last_mut() {
                    damage.length = segment.len.min(crate::format::SEGMENT_HEADER_LEN as u64);
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
    fn segments_lost(&mut self, base: u64, visit: Visit<'_>) -> Result<()> {
        let (first, last) = (Version(self.expect.version), Version(base - 1));
        self.out.damage.push(Damage {
            segment: super::directory::segment_path(&self.dir, first.0),
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
    fn forget_end(&mut self) {
        if let Some(damage) = self.out.damage.last_mut() {
            damage.last_version = None;
        }
    }

    fn frame(
        &mut self,
        end: &mut SegmentEnd,
        offset: u64,
        frame: &Frame<'_>,
        whole: bool,
        visit: Visit<'_>,
    ) -> Result<()> {
        let header = &frame.header;
        self.out.durable = self.out.durable.max(header.durable_version);
        end.sealed |= header.kind == Kind::Seal;
        if header.kind != Kind::Seal {
            end.stats.frame(header, offset);
        }
        if header.kind == Kind::Gap {
            if let Ok(gap) = serde_json::from_slice::<crate::format::Gap>(frame.body()) {
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
                end.unsure_from = None;
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
                Ok(event) => {
                    self.out.events += 1;
                    end.stats.event(version.0, event.subject);
                    if event.kind.must_understand() && self.out.not_understood.is_none() {
                        self.out.not_understood = Some((version, event.kind.byte()));
                    }
                    self.hand(visit, Replayed::Event(event))?;
                }
                Err(lost) => {
                    if !entry.is_given_up() {
                        self.payload_lost(end, offset, &entry, version, &lost);
                    }
                    match lost.envelope {
                        Some(event) => self.hand(visit, Replayed::PayloadLost(event))?,
                        None => self.hand(
                            visit,
                            Replayed::Lost {
                                first: version,
                                last: version,
                            },
                        )?,
                    }
                }
            }
        }
        Ok(())
    }

    fn payload_lost(
        &mut self,
        end: &SegmentEnd,
        frame_at: u64,
        entry: &RawEntry<'_>,
        version: Version,
        lost: &LostPayload<'_>,
    ) {
        let is_message = |e: &&Event<'_>| {
            use EventKind::{MessageAdded, MessageRedacted, MessageUpdated};
            matches!(e.kind, MessageAdded | MessageUpdated | MessageRedacted)
        };
        let message = lost
            .envelope
            .as_ref()
            .filter(is_message)
            .map(|event| LostMessage {
                version,
                agent_id: event.subject.to_owned(),
                message_id: event.message_id,
            });
        self.out.damage.push(Damage {
            segment: end.path.clone(),
            offset: frame_at + entry.payload_at as u64,
            length: entry.payload.len() as u64,
            first_version: Some(version),
            last_version: Some(version),
            verdict: Verdict::Corrupt,
            cause: lost.fault.to_string(),
            messages: message.into_iter().collect(),
        });
    }

    /// Hands out salvaged frames and judges the regions between them.
    fn salvaged(
        &mut self,
        segment: &SegmentFile,
        end: &mut SegmentEnd,
        spots: &[Spot],
        regions: &[Region],
        open: bool,
        visit: Visit<'_>,
    ) -> Result<()> {
        let judged: Vec<_> = regions
            .iter()
            .map(|r| (r, self.judge(r, end, open)))
            .collect();
        let torn = judged
            .iter()
            .find(|(_, verdict)| *verdict == Verdict::Torn)
            .map(|(r, _)| *r);
        let cut = torn.map_or(u64::MAX, |region| region.offset);
        for (region, verdict) in judged.iter().take_while(|(r, _)| r.offset < cut) {
            self.out.damage.extend(damages(&end.path, region, *verdict));
        }
        let mut next = self.expect.version;
        for spot in spots.iter().filter(|spot| spot.offset < cut) {
            let first = spot.header.first_version;
            if first > next {
                self.hand(
                    visit,
                    Replayed::Lost {
                        first: Version(next),
                        last: Version(first - 1),
                    },
                )?;
            }
            next = spot.after.version;
            let len = spot.header.frame_len() as usize;
            let mut bytes = vec![0; len];
            crate::storage::read_full_at(&*segment.file, &mut bytes, spot.offset)
                .map_err(Error::io("read", &segment.path))?;
            if let Ok(frame) = Frame::decode(spot.header, &bytes) {
                self.frame(end, spot.offset, &frame, false, visit)?;
            }
            if !spot.ends_good || spot.displaced {
                let cause = if spot.displaced {
                    "the frame belongs to another place"
                } else {
                    "trailer"
                };
                self.report(end.path.clone(), cause);
                if let Some(damage) = self.out.damage.last_mut() {
                    (damage.offset, damage.length) = (spot.offset, spot.header.frame_len());
                }
            }
            end.end = end.end.max(spot.offset + spot.header.frame_len());
            let mut expect = self.expect;
            expect.advance(&spot.header, spot.after);
            self.advance(expect);
        }
        if let Some(region) = torn {
            let length = segment.len - region.offset;
            let damage = damages(&end.path, region, Verdict::Torn).next();
            let damage = damage.map(|damage| Damage { length, ..damage });
            self.out.torn = damage.map(|d| {
                (
                    d,
                    Torn {
                        offset: region.offset,
                        length,
                    },
                )
            });
        }
        Ok(())
    }

    fn judge(&self, region: &Region, end: &SegmentEnd, open: bool) -> Verdict {
        classify(Evidence {
            durable: region.missing_from <= self.out.durable,
            closed: end.sealed || !open,
            looks_torn: region.looks_torn,
        })
    }

    fn finish(mut self, visit: Visit<'_>) -> Result<Scanned> {
        let sealed_end = self.out.segments.last().filter(|end| end.sealed).is_some();
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

/// The reports of one region: one for each lost range, or a single one if nothing is known to be lost.
fn damages<'r>(
    path: &'r Path,
    region: &'r Region,
    verdict: Verdict,
) -> impl Iterator<Item = Damage> + 'r {
    let known = region
        .lost
        .iter()
        .map(|(first, last)| (Some(*first), Some(*last)));
    let unknown_end = region.at_end && region.lost.is_empty();
    let fallback = (unknown_end.then_some(region.missing_from), None);
    let fallback = region.lost.is_empty().then_some(fallback);
    known.chain(fallback).map(move |(first, last)| Damage {
        segment: path.to_path_buf(),
        offset: region.offset,
        length: region.length,
        first_version: first.map(Version),
        last_version: last.map(Version),
        verdict,
        cause: region.fault.to_string(),
        messages: Vec::new(),
    })
}

/// Whether a segment has nothing after its header.
fn is_frameless(segment: &SegmentFile) -> bool {
    let from = crate::format::SEGMENT_HEADER_LEN as u64;
    let mut window = super::scan::Window::new(Arc::clone(&segment.file), segment.len);
    window.is_zero(from, segment.len).unwrap_or(false)
}

/// An event that cannot be handed out whole.
struct LostPayload<'a> {
    fault: Fault,
    /// The event without its payload, if the envelope is good.
    envelope: Option<Event<'a>>,
}

/// The events of a good frame; those whose payloads were given up come without.
pub(crate) fn events<'a>(
    frame: &Frame<'a>,
    segment: u64,
    offset: u64,
) -> impl DoubleEndedIterator<Item = Replayed<'a>> + use<'a> {
    let header = frame.header;
    let entries: Vec<_> = frame.entries().collect();
    entries.into_iter().enumerate().map(move |(i, entry)| {
        let version = Version(header.first_version + i as u64);
        match event(version, header.time_us, &entry, segment, offset, true) {
            Ok(event) => Replayed::Event(event),
            Err(LostPayload {
                envelope: Some(event),
                ..
            }) => Replayed::PayloadLost(event),
            Err(LostPayload { envelope: None, .. }) => Replayed::Lost {
                first: version,
                last: version,
            },
        }
    })
}

fn event<'a>(
    version: Version,
    time_us: u64,
    entry: &RawEntry<'a>,
    segment: u64,
    frame_at: u64,
    is_whole: bool,
) -> Result<Event<'a>, LostPayload<'a>> {
    let envelope = Envelope::decode(entry.envelope).map_err(|fault| LostPayload {
        fault,
        envelope: None,
    })?;
    let place = Place {
        segment,
        offset: frame_at + entry.payload_at as u64,
        len: entry.payload.len() as u32,
        crc: entry.payload_crc,
    };
    let event = Event {
        version,
        time_us,
        kind: EventKind::from_byte(envelope.kind),
        subject: envelope.subject,
        message_id: envelope.message_id,
        form: Form::from_bits(envelope.flags),
        payload: "",
        extra: std::str::from_utf8(envelope.extra).unwrap_or_default(),
        flags: envelope.flags,
        place,
    };
    if !is_whole || entry.is_given_up() {
        return Err(LostPayload {
            fault: Fault::Payload,
            envelope: Some(event),
        });
    }
    match std::str::from_utf8(entry.payload) {
        Ok(payload) => Ok(Event { payload, ..event }),
        Err(_) => Err(LostPayload {
            fault: Fault::Payload,
            envelope: Some(event),
        }),
    }
}

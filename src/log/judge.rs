//! What a pass says of damage: salvaged frames are handed out, the regions between them are judged.

use std::path::Path;
use std::sync::Arc;

use crate::damage::{Damage, LostMessage, Verdict};
use crate::event::{Event, EventKind};
use crate::format::{Fault, Frame, RawEntry};
use crate::{Error, Result, Version};

use super::classify::{Evidence, classify};
use super::events::Replayed;
use super::pass::Pass;
use super::reader::{SegmentEnd, Torn, Visit};
use super::salvage::{Region, Spot};
use super::scan::Window;
use super::segment::SegmentFile;

impl Pass {
    pub(super) fn payload_lost(
        &mut self,
        end: &SegmentEnd,
        frame_at: u64,
        entry: &RawEntry<'_>,
        version: Version,
        event: Result<&Event<'_>, &Fault>,
    ) {
        let is_message = |e: &&Event<'_>| {
            use EventKind::{MessageAdded, MessageRedacted, MessageUpdated};
            matches!(e.kind, MessageAdded | MessageUpdated | MessageRedacted)
        };
        let message = event.ok().filter(is_message).map(|event| LostMessage {
            version,
            agent_id: event.subject.to_owned(),
            message_id: event.message_id,
        });
        let cause = event.err().unwrap_or(&Fault::Payload);
        self.out.damage.push(Damage {
            segment: end.path.clone(),
            offset: frame_at + entry.payload_at as u64,
            length: entry.payload.len() as u64,
            first_version: Some(version),
            last_version: Some(version),
            verdict: Verdict::Corrupt,
            cause: cause.to_string(),
            messages: message.into_iter().collect(),
        });
    }

    /// Hands out salvaged frames and judges the regions between them.
    pub(super) fn salvaged(
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
            self.out.holes.extend(region.hole(segment.base));
            end.regions.push((*region).clone());
        }
        let mut next = self.expect.version;
        let mut window = Window::new(Arc::clone(&segment.file), segment.len);
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
            let bytes = window.get(spot.offset, spot.header.frame_len() as usize);
            let bytes = bytes.map_err(Error::io("read", &segment.path))?;
            if let Ok(frame) = Frame::decode(spot.header, bytes) {
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
                if !spot.displaced {
                    self.out.bad_ends.push((segment.base, spot.offset));
                }
            }
            end.end = end.end.max(spot.offset + spot.header.frame_len());
            let mut expect = self.expect;
            expect.advance(&spot.header, spot.after);
            self.advance(expect);
        }
        if let Some(region) = torn {
            let regions = regions.iter().map(|r| r.offset + r.length);
            let spots = spots.iter().map(|s| s.offset + s.header.frame_len());
            let until = regions.chain(spots).max().unwrap_or(region.offset);
            let length = until - region.offset;
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

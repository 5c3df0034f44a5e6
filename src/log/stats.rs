//! What a SEAL says about its segment, gathered frame by frame.

use crate::format::{AgentSeal, FrameHeader, Seal};

/// How far apart the entries of the sparse index are, in bytes.
const STRIDE: u64 = 64 << 10;

/// The running content of a segment's SEAL.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentStats {
    seal: Seal,
    digest: crc32fast::Hasher,
    indexed_to: u64,
}

impl SegmentStats {
    /// Counts a frame at `offset`.
    pub(crate) fn frame(&mut self, header: &FrameHeader, offset: u64) {
        self.seal.frames += 1;
        self.digest.update(&header.header_crc.to_le_bytes());
        if header.event_count > 0 && (self.seal.index.is_empty() || offset >= self.indexed_to) {
            self.seal.index.push((header.first_version, offset));
            self.indexed_to = offset + STRIDE;
        }
    }

    /// Counts an event about `subject`.
    pub(crate) fn event(&mut self, version: u64, subject: &str) {
        self.seal.events += 1;
        if let Some(agent) = self.seal.agents.get_mut(subject) {
            agent.events += 1;
            agent.last = version;
        } else {
            let first = AgentSeal {
                events: 1,
                first: version,
                last: version,
            };
            self.seal.agents.insert(subject.to_owned(), first);
        }
    }

    /// Whether any event was counted.
    pub(crate) fn has_events(&self) -> bool {
        self.seal.events > 0
    }

    /// The SEAL's body, given the base version of the next segment.
    pub(crate) fn seal(&self, next_base: u64) -> Seal {
        Seal {
            next_base,
            digest: self.digest.clone().finalize(),
            ..self.seal.clone()
        }
    }
}

//! Staged events: in memory, until they are written as one frame.

use super::encode::Draft;

/// So many bytes of events are written at once: more would make no frame cheaper.
const FULL: u64 = 64 << 10;
/// So many events at most.
const MOST: usize = 1024;
/// Events of one frame share its time, so they must be this close: microseconds.
const APART: u64 = 100_000;

/// What a writer has not written yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    events: Vec<(Vec<u8>, Draft)>,
    bytes: u64,
    time_us: u64,
}

impl Pending {
    /// How many events there are.
    pub(super) fn len(&self) -> u64 {
        self.events.len() as u64
    }

    /// At most so many bytes will be written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a commit of so many events, bytes and this time can join.
    pub(super) fn takes(&self, events: usize, bytes: u64, time_us: u64) -> bool {
        self.events.is_empty()
            || (self.time_us == time_us
                && self.events.len() + events <= MOST
                && self.bytes + bytes <= FULL)
    }

    pub(super) fn push(
        &mut self,
        envelopes: Vec<Vec<u8>>,
        drafts: Vec<Draft>,
        bytes: u64,
        time_us: u64,
    ) {
        self.events.extend(envelopes.into_iter().zip(drafts));
        self.bytes += bytes;
        self.time_us = time_us;
    }

    /// Whether nothing is gained by waiting for more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= FULL || self.events.len() >= MOST
    }

    /// The time of what is here, or `now_us` if there is nothing, or if it is too long ago.
    pub(super) fn time(&self, now_us: u64) -> u64 {
        let is_near = now_us <= self.time_us.saturating_add(APART);
        if !self.events.is_empty() && is_near {
            self.time_us
        } else {
            now_us
        }
    }

    /// Envelopes and payloads.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.events
            .iter()
            .map(|(envelope, draft)| (envelope.as_slice(), draft.payload.as_bytes()))
    }

    /// What each event is about.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(|(_, draft)| &*draft.subject)
    }
}

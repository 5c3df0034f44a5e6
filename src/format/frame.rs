//! A frame: one atomic commit.

use super::{FRAME_HEADER_LEN, FRAME_TRAILER_LEN, Fault, FrameHeader, Kind, crc, u16_at, u32_at};

/// The length of an entry in the meta before its envelope, in bytes.
const ENTRY_LEN: usize = 10;
/// The byte that repair overwrites a lost payload with.
pub(crate) const GIVEN_UP: u8 = 0xC1;

/// What a writer decides about a frame; the rest follows from its entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameSpec {
    pub(crate) kind: Kind,
    pub(crate) first_version: u64,
    pub(crate) durable_version: u64,
    pub(crate) salt: u32,
    pub(crate) epoch: u32,
    pub(crate) offset: u32,
    pub(crate) prev_link: u32,
    pub(crate) time_us: u64,
}

/// Appends the frame of `entries` (envelope, payload) to `out` and returns its header.
///
/// Callers have checked the limits: at most [`super::MAX_EVENTS`] entries and [`super::MAX_FRAME_LEN`] bytes.
pub(crate) fn encode_frame(
    spec: FrameSpec,
    entries: &[(&[u8], &[u8])],
    out: &mut Vec<u8>,
) -> FrameHeader {
    let start = out.len();
    let meta_len: usize = entries
        .iter()
        .map(|(envelope, _)| ENTRY_LEN + envelope.len())
        .sum();
    let payload_len: usize = entries.iter().map(|(_, payload)| payload.len()).sum();
    out.reserve(FRAME_HEADER_LEN + meta_len + payload_len + 8 + FRAME_TRAILER_LEN);
    out.resize(start + FRAME_HEADER_LEN, 0);
    for (envelope, payload) in entries {
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&crc(payload).to_le_bytes());
        out.extend_from_slice(&(envelope.len() as u16).to_le_bytes());
        out.extend_from_slice(envelope);
    }
    let meta_crc = crc(&out[start + FRAME_HEADER_LEN..]);
    for (_, payload) in entries {
        out.extend_from_slice(payload);
    }
    let unpadded = out.len() - start;
    out.resize(start + unpadded.next_multiple_of(8), 0);
    let mut header = FrameHeader {
        kind: spec.kind,
        flags: 0,
        event_count: if spec.kind == Kind::Events {
            entries.len() as u16
        } else {
            0
        },
        meta_len: meta_len as u32,
        payload_len: payload_len as u32,
        first_version: spec.first_version,
        durable_version: spec.durable_version,
        salt: spec.salt,
        epoch: spec.epoch,
        offset: spec.offset,
        prev_link: spec.prev_link,
        time_us: spec.time_us,
        meta_crc,
        header_crc: 0,
    };
    let bytes = header.encode();
    header.header_crc = u32_at(&bytes, 60);
    out[start..start + FRAME_HEADER_LEN].copy_from_slice(&bytes);
    let frame_len = (out.len() - start + FRAME_TRAILER_LEN) as u32;
    out.extend_from_slice(&frame_len.to_le_bytes());
    out.extend_from_slice(&(!header.header_crc).to_le_bytes());
    header
}

/// A frame whose header and meta are good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: FrameHeader,
    meta: &'a [u8],
    payloads: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Splits `bytes`, the whole frame, and checks the meta's checksum and shape.
    pub(crate) fn decode(header: FrameHeader, bytes: &'a [u8]) -> Result<Self, Fault> {
        let (meta_len, payload_len) = (header.meta_len as usize, header.payload_len as usize);
        if (bytes.len() as u64) < header.frame_len() {
            return Err(Fault::PastEnd);
        }
        let (meta, rest) = bytes[FRAME_HEADER_LEN..].split_at(meta_len);
        if crc(meta) != header.meta_crc {
            return Err(Fault::MetaChecksum);
        }
        let frame = Self {
            header,
            meta,
            payloads: &rest[..payload_len],
        };
        let (mut count, mut payload_sum, mut meta_sum) = (0_u64, 0, 0);
        for entry in frame.entries() {
            count += 1;
            payload_sum += entry.payload.len();
            meta_sum += ENTRY_LEN + entry.envelope.len();
        }
        let expected = match header.kind {
            Kind::Events => u64::from(header.event_count),
            Kind::Seal | Kind::Gap => 1,
            Kind::Mark | Kind::Skippable(_) => count,
        };
        if count != expected || payload_sum != payload_len || meta_sum != meta_len {
            return Err(Fault::MetaShape);
        }
        Ok(frame)
    }

    /// Checks what no event hangs on: padding and trailer.
    pub(crate) fn check_ends(&self, bytes: &[u8]) -> Result<(), Fault> {
        let used = FRAME_HEADER_LEN + self.meta.len() + self.payloads.len();
        let end = self.header.frame_len() as usize - FRAME_TRAILER_LEN;
        if bytes[used..end].iter().any(|b| *b != 0) {
            return Err(Fault::Padding);
        }
        let (len, not_crc) = (u32_at(bytes, end), u32_at(bytes, end + 4));
        if u64::from(len) != self.header.frame_len() || not_crc != !self.header.header_crc {
            return Err(Fault::Trailer);
        }
        Ok(())
    }

    /// The entries, in order.
    pub(crate) fn entries(&self) -> Entries<'a> {
        let payload_at = FRAME_HEADER_LEN + self.meta.len();
        Entries {
            meta: self.meta,
            payloads: self.payloads,
            payload_at,
        }
    }

    /// The payload of a frame that has a single entry, such as SEAL and GAP; empty if it has none.
    pub(crate) fn body(&self) -> &'a [u8] {
        self.payloads
    }
}

/// One entry of a frame. Its envelope is covered by the meta's checksum; its payload has one of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawEntry<'a> {
    pub(crate) envelope: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) payload_crc: u32,
    /// Where the payload begins, in bytes from the start of the frame.
    pub(crate) payload_at: usize,
}

impl RawEntry<'_> {
    /// Whether the payload's checksum matches.
    pub(crate) fn is_whole(&self) -> bool {
        crc(self.payload) == self.payload_crc
    }

    /// Whether the payload can be handed out: it is whole, and UTF-8.
    pub(crate) fn is_readable(&self) -> bool {
        self.is_whole() && std::str::from_utf8(self.payload).is_ok()
    }

    /// Whether repair gave the payload up: it overwrites it with C1, which is never UTF-8.
    pub(crate) fn is_given_up(&self) -> bool {
        self.payload.first() == Some(&GIVEN_UP) && self.payload.iter().all(|b| *b == GIVEN_UP)
    }
}

/// Iterates over the entries of a frame; stops at the first that does not fit.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    meta: &'a [u8],
    payloads: &'a [u8],
    payload_at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = RawEntry<'a>;

    fn next(&mut self) -> Option<RawEntry<'a>> {
        if self.meta.len() < ENTRY_LEN {
            return None;
        }
        let payload_len = u32_at(self.meta, 0) as usize;
        let envelope_end = ENTRY_LEN + u16_at(self.meta, 8) as usize;
        let envelope = self.meta.get(ENTRY_LEN..envelope_end)?;
        let payload = self.payloads.get(..payload_len)?;
        let entry = RawEntry {
            envelope,
            payload,
            payload_crc: u32_at(self.meta, 4),
            payload_at: self.payload_at,
        };
        self.meta = &self.meta[envelope_end..];
        self.payloads = &self.payloads[payload_len..];
        self.payload_at += payload_len;
        Some(entry)
    }
}

//! The segment header and the frame header.

use super::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FRAME_TRAILER_LEN, Fault, MAJOR, MAX_FRAME_LEN,
    SEGMENT_HEADER_LEN, array_at, crc, u16_at, u32_at, u64_at,
};

const SEGMENT_MAGIC: [u8; 8] = [0x89, b'S', b'L', b'G', 0x0D, 0x0A, 0x1A, 0x0A];
const WRITER: &str = concat!("sessionlog ", env!("CARGO_PKG_VERSION"));

/// The first 128 bytes of a segment; their layout is frozen for every major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) salt: u32,
    pub(crate) log_id: [u8; 16],
    pub(crate) segment_no: u64,
    pub(crate) base_version: u64,
    pub(crate) prev_link: u32,
    pub(crate) prev_len: u64,
    pub(crate) created_ms: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &SEGMENT_MAGIC);
        put(8, &MAJOR.to_le_bytes());
        put(12, &(SEGMENT_HEADER_LEN as u32).to_le_bytes());
        put(28, &self.salt.to_le_bytes());
        put(32, &self.log_id);
        put(48, &self.segment_no.to_le_bytes());
        put(56, &self.base_version.to_le_bytes());
        put(64, &self.prev_link.to_le_bytes());
        put(72, &self.prev_len.to_le_bytes());
        put(80, &self.created_ms.to_le_bytes());
        put(88, &WRITER.as_bytes()[..WRITER.len().min(32)]);
        let crc = crc(&out[..124]);
        out[124..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Checks in the order magic, checksum, version, so that a flipped version byte reads as damage.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = bytes.get(..SEGMENT_HEADER_LEN).ok_or(Fault::Short)?;
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(Fault::Magic);
        }
        if u32_at(bytes, 124) != crc(&bytes[..124]) {
            return Err(Fault::HeaderChecksum);
        }
        let (major, incompat) = (u16_at(bytes, 8), u32_at(bytes, 16));
        if major != MAJOR || incompat != 0 {
            let writer = bytes[88..120].iter().take_while(|b| **b != 0);
            let writer = writer.map(|b| {
                if b.is_ascii_graphic() {
                    char::from(*b)
                } else {
                    ' '
                }
            });
            return Err(Fault::Newer {
                major,
                incompat,
                writer: writer.collect(),
            });
        }
        if u32_at(bytes, 12) as usize != SEGMENT_HEADER_LEN {
            return Err(Fault::HeaderValue("segment header length"));
        }
        Ok(Self {
            salt: u32_at(bytes, 28),
            log_id: array_at(bytes, 32),
            segment_no: u64_at(bytes, 48),
            base_version: u64_at(bytes, 56),
            prev_link: u32_at(bytes, 64),
            prev_len: u64_at(bytes, 72),
            created_ms: u64_at(bytes, 80),
        })
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A commit of one or more events.
    Events,
    /// The end of a segment.
    Seal,
    /// A lost range of versions, written by repair.
    Gap,
    /// A watermark without events.
    Mark,
    /// A newer kind that a reader may skip (bit 7 is set).
    Skippable(u8),
}

impl Kind {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Events => 1,
            Self::Seal => 2,
            Self::Gap => 3,
            Self::Mark => 0x82,
            Self::Skippable(byte) => byte,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Events),
            2 => Some(Self::Seal),
            3 => Some(Self::Gap),
            0x82 => Some(Self::Mark),
            _ if byte & 0x80 != 0 => Some(Self::Skippable(byte)),
            _ => None,
        }
    }
}

/// The first 64 bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) event_count: u16,
    pub(crate) meta_len: u32,
    pub(crate) payload_len: u32,
    pub(crate) first_version: u64,
    pub(crate) durable_version: u64,
    pub(crate) salt: u32,
    pub(crate) epoch: u32,
    pub(crate) offset: u32,
    pub(crate) prev_link: u32,
    pub(crate) time_us: u64,
    pub(crate) meta_crc: u32,
    /// The checksum of the 60 bytes before it, as stored.
    pub(crate) header_crc: u32,
}

impl FrameHeader {
    /// The bytes, with a fresh checksum.
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut out = [0; FRAME_HEADER_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &FRAME_MAGIC);
        put(4, &[self.kind.byte(), self.flags]);
        put(6, &self.event_count.to_le_bytes());
        put(8, &self.meta_len.to_le_bytes());
        put(12, &self.payload_len.to_le_bytes());
        put(16, &self.first_version.to_le_bytes());
        put(24, &self.durable_version.to_le_bytes());
        put(32, &self.salt.to_le_bytes());
        put(36, &self.epoch.to_le_bytes());
        put(40, &self.offset.to_le_bytes());
        put(44, &self.prev_link.to_le_bytes());
        put(48, &self.time_us.to_le_bytes());
        put(56, &self.meta_crc.to_le_bytes());
        let crc = crc(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Checks magic, checksum, kind, flags, lengths. Salt, offset and order are the caller's to check.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = bytes.get(..FRAME_HEADER_LEN).ok_or(Fault::Short)?;
        if bytes[..4] != FRAME_MAGIC {
            return Err(Fault::Magic);
        }
        let header_crc = u32_at(bytes, 60);
        if header_crc != crc(&bytes[..60]) {
            return Err(Fault::HeaderChecksum);
        }
        let kind = Kind::from_byte(bytes[4]).ok_or(Fault::UnknownFrame(bytes[4]))?;
        let flags = bytes[5];
        if flags & 0xF0 != 0 {
            return Err(Fault::UnknownFrame(bytes[4]));
        }
        let header = Self {
            kind,
            flags,
            event_count: u16_at(bytes, 6),
            meta_len: u32_at(bytes, 8),
            payload_len: u32_at(bytes, 12),
            first_version: u64_at(bytes, 16),
            durable_version: u64_at(bytes, 24),
            salt: u32_at(bytes, 32),
            epoch: u32_at(bytes, 36),
            offset: u32_at(bytes, 40),
            prev_link: u32_at(bytes, 44),
            time_us: u64_at(bytes, 48),
            meta_crc: u32_at(bytes, 56),
            header_crc,
        };
        if header.frame_len() > MAX_FRAME_LEN {
            return Err(Fault::HeaderValue("frame length"));
        }
        if (kind == Kind::Events) == (header.event_count == 0) {
            return Err(Fault::HeaderValue("event count"));
        }
        if header.last_version().is_none() || header.durable_version >= u64::MAX >> 1 {
            return Err(Fault::HeaderValue("version"));
        }
        Ok(header)
    }

    /// The length of header, envelopes, payloads, padding and trailer, in bytes: a multiple of 8.
    pub(crate) fn frame_len(&self) -> u64 {
        let body = u64::from(self.meta_len) + u64::from(self.payload_len);
        (FRAME_HEADER_LEN + FRAME_TRAILER_LEN) as u64 + body.next_multiple_of(8)
    }

    /// The version of the last event; for a frame without events, the version before `first_version`.
    /// `None` if it does not fit, which no writer writes.
    pub(crate) fn last_version(&self) -> Option<u64> {
        let next = self
            .first_version
            .checked_add(u64::from(self.event_count))?;
        next.checked_sub(1).filter(|last| *last < u64::MAX >> 1)
    }

    /// The content link after this frame: what the next commit names as its predecessor.
    ///
    /// It is about content, not place: offset, watermark and epoch are not part of it, and frames without
    /// events carry the link on.
    pub(crate) fn link(&self) -> u32 {
        if self.kind != Kind::Events {
            return self.prev_link;
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.prev_link.to_le_bytes());
        hasher.update(&self.first_version.to_le_bytes());
        hasher.update(&self.event_count.to_le_bytes());
        hasher.update(&self.time_us.to_le_bytes());
        hasher.update(&self.meta_crc.to_le_bytes());
        hasher.finalize()
    }
}

//! A commit as devices share it: its frame, with zeros for everything that is local to one log.

use super::{Envelope, Fault, Frame, FrameHeader, FrameSpec, Kind, RawEntry};
use super::{encode_frame, u32_at, u64_at};

/// What identifies the end of a commit on every device: histories are compared by all four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    /// The version of the commit's last event.
    pub(crate) version: u64,
    /// The content link after it.
    pub(crate) link: u32,
    /// When the commit was made.
    pub(crate) time_us: u64,
    /// The checksum of its envelopes and of the checksums of its payloads.
    pub(crate) meta_crc: u32,
}

impl Point {
    /// The end of the commit with this header; `None` for a frame without events.
    pub(crate) fn of(header: &FrameHeader) -> Option<Self> {
        (header.kind == Kind::Events).then(|| Self {
            version: header.last_version().unwrap_or_default(),
            link: header.link(),
            time_us: header.time_us,
            meta_crc: header.meta_crc,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.time_us.to_le_bytes());
        out.extend_from_slice(&self.link.to_le_bytes());
        out.extend_from_slice(&self.meta_crc.to_le_bytes());
    }

    /// The point at the start of `bytes`, which are at least [`Point::LEN`].
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self {
            version: u64_at(bytes, 0),
            time_us: u64_at(bytes, 8),
            link: u32_at(bytes, 16),
            meta_crc: u32_at(bytes, 20),
        }
    }
}

/// A commit, whole and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    header: FrameHeader,
    bytes: Vec<u8>,
}

impl Commit {
    /// The commit of a frame of a log; an error if a payload of it was given up.
    pub(crate) fn of(frame: &Frame<'_>) -> Result<Self, Fault> {
        let from = &frame.header;
        let entries: Vec<(&[u8], &[u8])> =
            frame.entries().map(|e| (e.envelope, e.payload)).collect();
        let spec = FrameSpec {
            kind: Kind::Events,
            first_version: from.first_version,
            durable_version: 0,
            salt: 0,
            epoch: 0,
            offset: 0,
            prev_link: from.prev_link,
            time_us: from.time_us,
        };
        let mut bytes = Vec::new();
        let header = encode_frame(spec, &entries, &mut bytes);
        // Fresh checksums would hide a payload that was given up.
        let same = from.kind == Kind::Events && header.meta_crc == from.meta_crc;
        same.then_some(Self { header, bytes }).ok_or(Fault::Payload)
    }

    /// The commit at the start of `bytes`; every part of it is checked.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let header = FrameHeader::decode(bytes)?;
        let local = [
            header.salt,
            header.epoch,
            header.offset,
            u32::from(header.flags),
        ];
        if header.kind != Kind::Events || header.durable_version != 0 || local != [0; 4] {
            return Err(Fault::HeaderValue("not a shared commit"));
        }
        let frame = Frame::decode(header, bytes)?;
        frame.check_ends(bytes)?;
        for entry in frame.entries() {
            if !entry.is_whole() || std::str::from_utf8(entry.payload).is_err() {
                return Err(Fault::Payload);
            }
            let envelope = Envelope::decode(entry.envelope)?;
            if std::str::from_utf8(envelope.extra).is_err() {
                return Err(Fault::Envelope("extra is not text"));
            }
        }
        let len = header.frame_len() as usize;
        let bytes = bytes.get(..len).ok_or(Fault::PastEnd)?.to_vec();
        Ok(Self { header, bytes })
    }

    /// The commits that `bytes` consist of: each must follow the one before it.
    pub(crate) fn decode_all(mut bytes: &[u8]) -> Result<Vec<Self>, Fault> {
        let mut commits: Vec<Self> = Vec::new();
        while !bytes.is_empty() {
            let commit = Self::decode(bytes)?;
            if commits
                .last()
                .is_some_and(|last| !commit.follows(&last.point()))
            {
                return Err(Fault::Sequence(
                    "a commit does not follow the one before it",
                ));
            }
            bytes = &bytes[commit.bytes.len()..];
            commits.push(commit);
        }
        Ok(commits)
    }

    /// The bytes that devices share.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn point(&self) -> Point {
        Point::of(&self.header).unwrap_or_default()
    }

    pub(crate) fn first_version(&self) -> u64 {
        self.header.first_version
    }

    pub(crate) fn time_us(&self) -> u64 {
        self.header.time_us
    }

    pub(crate) fn prev_link(&self) -> u32 {
        self.header.prev_link
    }

    /// Whether this commit comes right after the one that ends at `point`.
    pub(crate) fn follows(&self, point: &Point) -> bool {
        self.header.first_version == point.version + 1 && self.header.prev_link == point.link
    }

    /// Its events' envelopes and payloads, in order.
    pub(crate) fn entries(&self) -> Vec<RawEntry<'_>> {
        let frame = Frame::decode(self.header, &self.bytes);
        frame.map_or_else(|_| Vec::new(), |frame| frame.entries().collect())
    }

    /// The frame that the bytes are.
    pub(crate) fn frame(&self) -> Result<Frame<'_>, Fault> {
        Frame::decode(self.header, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Commit {
        let envelope = Envelope {
            kind: 3,
            subject: "a",
            ..Envelope::default()
        };
        let envelope = envelope.encode().unwrap();
        let spec = FrameSpec {
            kind: Kind::Events,
            first_version: 7,
            durable_version: 6,
            salt: 1,
            epoch: 2,
            offset: 128,
            prev_link: 9,
            time_us: 5,
        };
        let mut bytes = Vec::new();
        let entries: [(&[u8], &[u8]); 2] = [(&envelope, b"{}"), (&envelope, b"{\"n\":1}")];
        let header = encode_frame(spec, &entries, &mut bytes);
        Commit::of(&Frame::decode(header, &bytes).unwrap()).unwrap()
    }

    #[test]
    fn what_is_local_to_a_log_is_not_shared_and_the_link_stays() {
        let commit = commit();
        let again = Commit::decode(commit.bytes()).unwrap();
        assert_eq!(again, commit);
        assert_eq!((again.point().version, again.prev_link()), (8, 9));
        assert_eq!(
            (again.header.salt, again.header.epoch, again.header.offset),
            (0, 0, 0)
        );
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let good = commit().bytes().to_vec();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Commit::decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(Commit::decode(&good[..len]).is_err(), "cut to {len}");
        }
        assert!(Commit::decode_all(&[good.clone(), good].concat()).is_err());
    }
}

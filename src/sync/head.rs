//! The head: the one object of a session that is ever overwritten.
//!
//! ```text
//! 0   magic 89 53 4C 48 0D 0A 1A 0A   8 major u16   10 minor u16   12 length of the head u32
//! 16  log id [16]   32 device [16]   48 generation u64   56 time_us u64
//! 64  last point [24]: version u64, time_us u64, link u32, meta_crc u32
//! 88  flags u32 (1 tombstone, 2 claim)   92 sealed objects u32   96 tail length u32   100 claim epoch u32
//! 104 claim device [16]   120 claim until_us u64   128 writer ascii[24]   152 reserved u32   156 header crc(0..156)
//! 160 sealed objects, 56 bytes each: first version u64, last point [24], length u64, random u64, crc u32, 0 u32
//!     the tail: commits, back to back
//! -4  crc of everything before it
//! ```

use crate::format::{Commit, Point, crc, first_link};

/// The greatest length of a head that is read, in bytes.
pub(super) const MAX_HEAD: u64 = 16 << 20;
/// The greatest length of a sealed object, in bytes.
pub(super) const MAX_OBJECT: u64 = 96 << 20;

const MAGIC: [u8; 8] = [0x89, b'S', b'L', b'H', 0x0D, 0x0A, 0x1A, 0x0A];
const MAJOR: u16 = 1;
const FIXED: usize = 160;
const SEALED: usize = 56;
const TOMBSTONE: u32 = 1;
const CLAIM: u32 = 2;
const WRITER: &str = concat!("sessionlog ", env!("CARGO_PKG_VERSION"));

/// What a head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) log_id: [u8; 16],
    /// One more with each push.
    pub(super) generation: u64,
    /// Who pushed last, and when by its clock.
    pub(super) device: [u8; 16],
    pub(super) time_us: u64,
    /// Where the history ends.
    pub(super) last: Point,
    pub(super) claim: Option<ClaimEntry>,
    /// The session was deleted.
    pub(super) tombstone: bool,
    pub(super) sealed: Vec<Sealed>,
    /// The commits after the last sealed object.
    pub(super) tail: Vec<u8>,
}

/// Who may push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClaimEntry {
    pub(super) device: [u8; 16],
    /// One more with each claim by another device.
    pub(super) epoch: u32,
    pub(super) until_us: u64,
}

/// An immutable object that the head names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) first: u64,
    pub(super) last: Point,
    pub(super) len: u64,
    pub(super) random: u64,
    pub(super) crc: u32,
}

/// Why bytes are not a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeadFault {
    Newer { major: u16, writer: String },
    Damaged(&'static str),
}

impl Sealed {
    /// The object's name, beside the head.
    pub(super) fn name(&self) -> String {
        format!(
            "{:020}-{:08x}-{:016x}.seg",
            self.first, self.crc, self.random
        )
    }
}

impl Head {
    /// The version before the tail's first.
    pub(super) fn sealed_to(&self) -> Point {
        self.sealed
            .last()
            .map_or_else(|| self.beginning(), |sealed| sealed.last)
    }

    /// Where every history of this log begins.
    pub(super) fn beginning(&self) -> Point {
        Point {
            link: first_link(&self.log_id),
            ..Point::default()
        }
    }

    /// The head without its tail, to remember.
    pub(super) fn without_tail(&self) -> Self {
        Self {
            tail: Vec::new(),
            ..self.clone()
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let claim = self.claim.unwrap_or_default();
        let flags =
            (u32::from(self.tombstone) * TOMBSTONE) | (u32::from(self.claim.is_some()) * CLAIM);
        let len = FIXED + SEALED * self.sealed.len() + self.tail.len() + 4;
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&(len as u32).to_le_bytes());
        out.extend_from_slice(&self.log_id);
        out.extend_from_slice(&self.device);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.time_us.to_le_bytes());
        self.last.encode(&mut out);
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&(self.sealed.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.tail.len() as u32).to_le_bytes());
        out.extend_from_slice(&claim.epoch.to_le_bytes());
        out.extend_from_slice(&claim.device);
        out.extend_from_slice(&claim.until_us.to_le_bytes());
        out.extend_from_slice(&WRITER.as_bytes()[..WRITER.len().min(24)]);
        out.resize(FIXED - 4, 0);
        let header_crc = crc(&out);
        out.extend_from_slice(&header_crc.to_le_bytes());
        for sealed in &self.sealed {
            out.extend_from_slice(&sealed.first.to_le_bytes());
            sealed.last.encode(&mut out);
            out.extend_from_slice(&sealed.len.to_le_bytes());
            out.extend_from_slice(&sealed.random.to_le_bytes());
            out.extend_from_slice(&sealed.crc.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
        }
        out.extend_from_slice(&self.tail);
        let all = crc(&out);
        out.extend_from_slice(&all.to_le_bytes());
        out
    }

    /// Decodes and checks all but the tail's commits. Checks in the order magic, header checksum, version, so
    /// that a flipped version byte reads as damage.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeadFault> {
        let fixed = bytes
            .get(..FIXED)
            .ok_or(HeadFault::Damaged("shorter than its header"))?;
        if fixed[..8] != MAGIC {
            return Err(HeadFault::Damaged("it is not a head"));
        }
        if u32_at(fixed, FIXED - 4) != crc(&fixed[..FIXED - 4]) {
            return Err(HeadFault::Damaged("header checksum"));
        }
        let major = u16::from_le_bytes([fixed[8], fixed[9]]);
        if major != MAJOR {
            let writer = fixed[128..152]
                .iter()
                .filter(|b| b.is_ascii_graphic() || **b == b' ');
            let writer = writer.map(|b| char::from(*b)).collect();
            return Err(HeadFault::Newer { major, writer });
        }
        let (count, tail_len) = (u32_at(fixed, 92) as usize, u32_at(fixed, 96) as usize);
        let lists = count.checked_mul(SEALED);
        let len = lists.and_then(|lists| lists.checked_add(tail_len + FIXED + 4));
        if len != Some(bytes.len()) || u32_at(fixed, 12) as usize != bytes.len() {
            return Err(HeadFault::Damaged("length"));
        }
        let (body, stored) = bytes.split_at(bytes.len() - 4);
        if crc(body) != u32_at(stored, 0) {
            return Err(HeadFault::Damaged("checksum"));
        }
        let (list, tail) = body[FIXED..].split_at(count * SEALED);
        let flags = u32_at(fixed, 88);
        let claim = ClaimEntry {
            device: id_at(fixed, 104),
            epoch: u32_at(fixed, 100),
            until_us: u64_at(fixed, 120),
        };
        let head = Self {
            log_id: id_at(fixed, 16),
            device: id_at(fixed, 32),
            generation: u64_at(fixed, 48),
            time_us: u64_at(fixed, 56),
            last: Point::decode(&fixed[64..]),
            claim: (flags & CLAIM != 0).then_some(claim),
            tombstone: flags & TOMBSTONE != 0,
            sealed: list.chunks_exact(SEALED).map(sealed).collect(),
            tail: tail.to_vec(),
        };
        head.check_order()?;
        Ok(head)
    }

    /// The tail's commits, checked against what is before and after them.
    pub(super) fn commits(&self) -> Result<Vec<Commit>, &'static str> {
        let commits = Commit::decode_all(&self.tail).map_err(|_| "a commit of the tail")?;
        let (before, mut last) = (self.sealed_to(), self.sealed_to());
        if let Some(first) = commits.first() {
            if !first.follows(&before) {
                return Err("the tail does not follow the sealed objects");
            }
        }
        if let Some(commit) = commits.last() {
            last = commit.point();
        }
        if last != self.last && !self.tombstone {
            return Err("the tail does not end where the head says");
        }
        Ok(commits)
    }

    fn check_order(&self) -> Result<(), HeadFault> {
        let mut next = 1;
        for sealed in &self.sealed {
            let in_order = sealed.first == next && sealed.last.version >= sealed.first;
            if !in_order || sealed.len > MAX_OBJECT || sealed.last.version >= u64::MAX >> 1 {
                return Err(HeadFault::Damaged("the list of sealed objects"));
            }
            next = sealed.last.version + 1;
        }
        let ends = self.last.version + 1 >= next && self.last.version < u64::MAX >> 1;
        ends.then_some(())
            .ok_or(HeadFault::Damaged("its last version"))
    }
}

fn sealed(bytes: &[u8]) -> Sealed {
    Sealed {
        first: u64_at(bytes, 0),
        last: Point::decode(&bytes[8..]),
        len: u64_at(bytes, 32),
        random: u64_at(bytes, 40),
        crc: u32_at(bytes, 48),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}

fn id_at(bytes: &[u8], at: usize) -> [u8; 16] {
    let mut array = [0; 16];
    array.copy_from_slice(&bytes[at..at + 16]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let last = Point {
            version: 9,
            link: 3,
            time_us: 4,
            meta_crc: 5,
        };
        Head {
            log_id: [7; 16],
            generation: 3,
            device: [1; 16],
            time_us: 99,
            last,
            claim: Some(ClaimEntry {
                device: [2; 16],
                epoch: 1,
                until_us: 5,
            }),
            tombstone: false,
            sealed: vec![Sealed {
                first: 1,
                last,
                len: 200,
                random: 77,
                crc: 8,
            }],
            tail: Vec::new(),
        }
    }

    #[test]
    fn a_head_comes_back_as_it_was() {
        assert_eq!(Head::decode(&head().encode()), Ok(head()));
        assert_eq!(
            head().sealed[0].name(),
            "00000000000000000001-00000008-000000000000004d.seg"
        );
    }

    #[test]
    fn a_head_with_any_flipped_bit_or_cut_short_is_damaged() {
        let good = head().encode();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(Head::decode(&bad), Err(HeadFault::Damaged(_))),
                "bit {bit}"
            );
        }
        for len in 0..good.len() {
            assert!(matches!(
                Head::decode(&good[..len]),
                Err(HeadFault::Damaged(_))
            ));
        }
    }

    #[test]
    fn a_truly_newer_head_says_who_wrote_it() {
        let mut newer = head().encode();
        newer[8] = 2;
        let header_crc = crc(&newer[..FIXED - 4]);
        newer[FIXED - 4..FIXED].copy_from_slice(&header_crc.to_le_bytes());
        let fault = Head::decode(&newer);
        assert!(matches!(fault, Err(HeadFault::Newer { major: 2, writer }) if writer == WRITER));
    }

    #[test]
    fn sealed_objects_that_leave_versions_out_are_damage() {
        let mut head = head();
        head.sealed[0].first = 2;
        assert!(Head::decode(&head.encode()).is_err());
    }
}

//! Bytes and values: format version 1 (`docs/FORMAT.md`). Pure: no I/O.
//!
//! Nothing here trusts its input: a decoder returns a [`Fault`] and never allocates more than it was given.

mod commit;
mod envelope;
mod fault;
mod frame;
mod header;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;
#[cfg(test)]
mod limits;
mod marker;
#[cfg(any(test, fuzzing, feature = "sim"))]
mod mended;

pub(crate) use commit::{Commit, Point};
pub(crate) use envelope::Envelope;
pub(crate) use fault::Fault;
pub(crate) use frame::{Frame, FrameSpec, GIVEN_UP, RawEntry, encode_frame};
pub(crate) use header::{FrameHeader, Kind, SegmentHeader};
pub(crate) use marker::{AgentSeal, Gap, Seal};
#[cfg(any(test, fuzzing, feature = "sim"))]
pub(crate) use mended::mended;

/// The major version that this program writes, and the greatest that it reads.
pub(crate) const MAJOR: u16 = 1;
/// The length of a segment header, in bytes.
pub(crate) const SEGMENT_HEADER_LEN: usize = 128;
/// The length of a frame header, in bytes.
pub(crate) const FRAME_HEADER_LEN: usize = 64;
/// The length of a frame trailer, in bytes.
pub(crate) const FRAME_TRAILER_LEN: usize = 8;
/// The most bytes that one commit's frame may have.
pub(crate) const MAX_FRAME_LEN: u64 = 64 << 20;
/// The most events that one commit may have.
pub(crate) const MAX_EVENTS: usize = u16::MAX as usize;
/// The first four bytes of a frame. F5 and C1 never occur in UTF-8.
pub(crate) const FRAME_MAGIC: [u8; 4] = [0xF5, 0x45, 0x56, 0xC1];

/// The checksum of everything in the format: CRC-32 (IEEE).
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The link of a log without commits: the checksum of its id.
pub(crate) fn first_link(log_id: &[u8; 16]) -> u32 {
    crc(log_id)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The `N` bytes at `at`; zeros where `bytes` is too short, which every caller has ruled out by its length.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        array.copy_from_slice(found);
    }
    array
}

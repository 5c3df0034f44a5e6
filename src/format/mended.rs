//! Frames that nobody wrote, and no checksum tells.

use super::{FRAME_HEADER_LEN, FRAME_MAGIC, FRAME_TRAILER_LEN, crc, u16_at, u32_at};

/// The same bytes with a magic and checksums that fit, so that what is behind the checksums is read too.
pub(crate) fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() < FRAME_HEADER_LEN {
        return bytes;
    }
    bytes[..4].copy_from_slice(&FRAME_MAGIC);
    let meta_len = u32_at(&bytes, 8) as usize;
    let payload_len = u32_at(&bytes, 12) as usize;
    let (meta_end, len) = (FRAME_HEADER_LEN.saturating_add(meta_len), bytes.len());
    if let Some(meta) = bytes.get(FRAME_HEADER_LEN..meta_end) {
        let meta_crc = crc(meta);
        mend_payloads(&mut bytes, meta_end);
        let meta_crc = bytes.get(FRAME_HEADER_LEN..meta_end).map_or(meta_crc, crc);
        bytes[56..60].copy_from_slice(&meta_crc.to_le_bytes());
    }
    let header_crc = crc(&bytes[..60]);
    bytes[60..64].copy_from_slice(&header_crc.to_le_bytes());
    let end = meta_end.saturating_add(payload_len).next_multiple_of(8);
    if end.saturating_add(FRAME_TRAILER_LEN) <= len {
        let frame_len = (end + FRAME_TRAILER_LEN) as u32;
        bytes[meta_end + payload_len..end].fill(0);
        bytes[end..end + 4].copy_from_slice(&frame_len.to_le_bytes());
        bytes[end + 4..end + 8].copy_from_slice(&(!header_crc).to_le_bytes());
    }
    bytes
}

/// Gives each entry in the meta its payload's checksum.
fn mend_payloads(bytes: &mut [u8], meta_end: usize) {
    let (mut at, mut payload_at) = (FRAME_HEADER_LEN, meta_end);
    while at + 10 <= meta_end {
        let payload_len = u32_at(bytes, at) as usize;
        let Some(payload) = bytes.get(payload_at..payload_at.saturating_add(payload_len)) else {
            return;
        };
        let payload_crc = crc(payload);
        bytes[at + 4..at + 8].copy_from_slice(&payload_crc.to_le_bytes());
        payload_at += payload_len;
        at += 10 + usize::from(u16_at(bytes, at + 8));
    }
}

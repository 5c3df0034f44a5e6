//! Correcting a single flipped bit by its CRC syndrome. Pure.

use crate::format::{FRAME_HEADER_LEN, FRAME_MAGIC, Frame, FrameHeader, crc};
use crate::json::Json;

use super::scan::Expect;

/// The reflected polynomial of CRC-32 (IEEE): the syndrome of a flip of the last bit.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// Flips the one bit of `bytes` that makes its checksum `stored`; `false` if no single bit does.
pub(crate) fn correct_bit(bytes: &mut [u8], stored: u32) -> bool {
    let wanted = crc(bytes) ^ stored;
    if wanted == 0 {
        return false;
    }
    let mut syndrome = POLYNOMIAL;
    for byte in bytes.iter_mut().rev() {
        // Bits enter the checksum from the lowest up, so the highest is the last.
        for bit in (0..8).rev() {
            if syndrome == wanted {
                *byte ^= 1 << bit;
                return true;
            }
            let carry = syndrome & 1;
            syndrome = (syndrome >> 1) ^ (POLYNOMIAL * carry);
        }
    }
    false
}

/// Tries to make `bytes`, which begin where a frame should, that frame by flipping one bit. `expect` is what
/// must be there. Returns the corrected frame; its ends and single payloads may still be bad.
pub(crate) fn correct_frame(bytes: &[u8], offset: u64, expect: Expect) -> Option<Vec<u8>> {
    let mut head = bytes.get(..FRAME_HEADER_LEN)?.to_vec();
    let mut changed = false;
    let header = if let Ok(header) = FrameHeader::decode(&head) {
        header
    } else {
        changed = true;
        correct_header(&mut head)?
    };
    expect.check(&header, offset).ok()?;
    let len = usize::try_from(header.frame_len()).ok()?;
    let mut frame = bytes.get(..len)?.to_vec();
    frame[..FRAME_HEADER_LEN].copy_from_slice(&head);
    let meta_end = FRAME_HEADER_LEN + header.meta_len as usize;
    let meta = frame.get_mut(FRAME_HEADER_LEN..meta_end)?;
    if !changed && crc(meta) != header.meta_crc {
        changed = correct_bit(meta, header.meta_crc);
    }
    let decoded = Frame::decode(header, &frame).ok()?;
    // Padding and trailer are made anew when the frame is written; nothing hangs on them.
    let whole = decoded.entries().all(|entry| entry.is_whole());
    changed |= whole && decoded.check_ends(&frame).is_err();
    changed.then_some(frame)
}

/// Corrects a frame header, or its stored checksum.
fn correct_header(head: &mut [u8]) -> Option<FrameHeader> {
    let stored = u32::from_le_bytes(head[60..64].try_into().ok()?);
    if (crc(&head[..60]) ^ stored).is_power_of_two() {
        let fresh = crc(&head[..60]);
        head[60..64].copy_from_slice(&fresh.to_le_bytes());
    } else if !correct_bit(&mut head[..60], stored) {
        return None;
    }
    (head[..4] == FRAME_MAGIC).then_some(())?;
    FrameHeader::decode(head).ok()
}

/// Corrects a payload; accepted only if it is JSON again.
pub(crate) fn correct_payload(payload: &[u8], stored: u32) -> Option<Vec<u8>> {
    let mut payload = payload.to_vec();
    (correct_bit(&mut payload, stored) && Json::from_bytes(&payload).is_ok()).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_single_flipped_bit_is_found() {
        let original: Vec<u8> = (0..200_u8).collect();
        let stored = crc(&original);
        for bit in 0..original.len() * 8 {
            let mut bytes = original.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(correct_bit(&mut bytes, stored));
            assert_eq!(bytes, original, "bit {bit}");
        }
    }

    #[test]
    fn two_flipped_bits_are_not_mistaken_for_one() {
        let original = vec![7_u8; 64];
        let stored = crc(&original);
        let mut bytes = original.clone();
        bytes[3] ^= 1;
        bytes[40] ^= 1;
        let before = bytes.clone();
        assert!(!correct_bit(&mut bytes, stored));
        assert_eq!(bytes, before, "nothing is touched when nothing fits");
    }
}

//! What must hold for any bytes that are read as a frame, and for any frame that is written.

use super::{
    FRAME_HEADER_LEN, Frame, FrameHeader, FrameSpec, Kind, RawEntry, encode_frame,
    envelope::Envelope, mended,
};

/// Reads `bytes` as a frame, as they are and with checksums that fit. Panics if a law is broken: whatever is accepted
/// is what writing it gives.
pub(crate) fn any_bytes_as_a_frame(bytes: &[u8]) {
    read(bytes);
    read(&mended(bytes));
}

fn read(bytes: &[u8]) {
    let Ok(header) = FrameHeader::decode(bytes) else {
        return;
    };
    assert_eq!(
        header.encode(),
        bytes[..FRAME_HEADER_LEN],
        "a header is written as it was read"
    );
    let Ok(frame) = Frame::decode(header, bytes) else {
        return;
    };
    let entries: Vec<_> = frame.entries().collect();
    for entry in &entries {
        assert!(entry.payload_at + entry.payload.len() <= bytes.len());
        if let Ok(envelope) = Envelope::decode(entry.envelope) {
            let again = envelope.encode().expect("it is as short as before");
            assert_eq!(Envelope::decode(&again), Ok(envelope));
        }
    }
    let is_ours = matches!(header.kind, Kind::Events) && header.flags == 0;
    if frame.check_ends(bytes).is_err() || !is_ours || !entries.iter().all(RawEntry::is_whole) {
        return;
    }
    let spec = FrameSpec {
        kind: header.kind,
        first_version: header.first_version,
        durable_version: header.durable_version,
        salt: header.salt,
        epoch: header.epoch,
        offset: header.offset,
        prev_link: header.prev_link,
        time_us: header.time_us,
    };
    let entries: Vec<_> = entries.iter().map(|e| (e.envelope, e.payload)).collect();
    let mut written = Vec::new();
    assert_eq!(encode_frame(spec, &entries, &mut written), header);
    assert_eq!(
        written,
        bytes[..written.len()],
        "a frame is written as it was read"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::{SEGMENT_HEADER_LEN, SegmentHeader};

    fn specs() -> impl Strategy<Value = FrameSpec> {
        let numbers = (1..1_u64 << 60, 0..1_u64 << 60, any::<u64>());
        let words = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
        (numbers, words).prop_map(
            |((first_version, durable_version, time_us), words)| FrameSpec {
                kind: Kind::Events,
                first_version,
                durable_version,
                salt: words.0,
                epoch: words.1,
                offset: words.2,
                prev_link: words.3,
                time_us,
            },
        )
    }

    fn envelopes() -> impl Strategy<Value = Vec<u8>> {
        let fields = (
            any::<u8>(),
            any::<u8>(),
            "\\PC{0,12}",
            any::<u64>(),
            prop::collection::vec(any::<u8>(), 0..9),
        );
        fields.prop_map(|(kind, flags, subject, message_id, extra)| {
            let envelope = Envelope {
                kind,
                flags,
                subject: &subject,
                message_id,
                extra: &extra,
            };
            envelope.encode().expect("it is short")
        })
    }

    fn entries() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let payload = prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::vec((envelopes(), payload), 1..5)
    }

    fn frame(spec: FrameSpec, entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let entries: Vec<_> = entries.iter().map(|(e, p)| (&e[..], &p[..])).collect();
        let mut bytes = Vec::new();
        encode_frame(spec, &entries, &mut bytes);
        bytes
    }

    /// Whether nothing is wrong with a frame.
    fn is_good(bytes: &[u8]) -> bool {
        FrameHeader::decode(bytes).and_then(|header| {
            let frame = Frame::decode(header, bytes)?;
            frame.check_ends(bytes)?;
            Ok(frame.entries().all(|entry| entry.is_whole()))
        }) == Ok(true)
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            any_bytes_as_a_frame(&bytes);
        }

        #[test]
        fn a_frame_gives_back_what_was_written(spec in specs(), entries in entries()) {
            let bytes = frame(spec, &entries);
            prop_assert_eq!(bytes.len() % 8, 0);
            let header = FrameHeader::decode(&bytes).unwrap();
            prop_assert_eq!(header.frame_len(), bytes.len() as u64);
            let read = Frame::decode(header, &bytes).unwrap();
            let found: Vec<_> = read.entries().map(|e| (e.envelope.to_vec(), e.payload.to_vec())).collect();
            prop_assert_eq!(found, entries);
            any_bytes_as_a_frame(&bytes);
        }

        #[test]
        fn every_flipped_bit_of_a_frame_is_noticed(spec in specs(), entries in entries()) {
            let mut bytes = frame(spec, &entries);
            prop_assert!(is_good(&bytes));
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!is_good(&bytes), "bit {}", bit);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }

        #[test]
        fn every_cut_of_a_frame_is_noticed(spec in specs(), entries in entries()) {
            let bytes = frame(spec, &entries);
            for len in 0..bytes.len() {
                prop_assert!(!is_good(&bytes[..len]), "cut to {}", len);
            }
        }

        #[test]
        fn a_link_tells_any_two_histories_apart(spec in specs(), a in entries(), b in entries()) {
            let link = |spec, entries| FrameHeader::decode(&frame(spec, entries)).unwrap().link();
            let moved = FrameSpec { offset: !spec.offset, epoch: !spec.epoch, durable_version: 0, ..spec };
            prop_assert_eq!(link(spec, &a), link(moved, &a), "a link is about content, not place");
            let later = FrameSpec { time_us: spec.time_us ^ 1, ..spec };
            prop_assert_ne!(link(spec, &a), link(later, &a));
            if a != b {
                prop_assert_ne!(link(spec, &a), link(spec, &b));
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_a_segment_header_is_noticed() {
        let header = SegmentHeader {
            salt: 7,
            log_id: [3; 16],
            segment_no: 2,
            base_version: 9,
            prev_link: 5,
            prev_len: 4096,
            created_ms: 1,
        };
        let good = header.encode();
        assert_eq!(SegmentHeader::decode(&good), Ok(header));
        for bit in 0..SEGMENT_HEADER_LEN * 8 {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}

//! Values that no writer writes are refused, though the checksums over them are good.

use super::envelope::Envelope;
use super::{
    FRAME_HEADER_LEN, Fault, Frame, FrameHeader, FrameSpec, Kind, MAX_FRAME_LEN, crc, encode_frame,
};

/// A frame of two events.
fn frame() -> (FrameHeader, Vec<u8>) {
    let spec = FrameSpec {
        kind: Kind::Events,
        first_version: 7,
        durable_version: 6,
        salt: 1,
        epoch: 1,
        offset: 128,
        prev_link: 9,
        time_us: 5,
    };
    let mut bytes = Vec::new();
    let entries: [(&[u8], &[u8]); 2] = [(b"one", b"{}"), (b"two", b"[]")];
    let header = encode_frame(spec, &entries, &mut bytes);
    (header, bytes)
}

/// What a reader says of a header with a good checksum.
fn said(change: impl FnOnce(&mut FrameHeader)) -> Result<FrameHeader, Fault> {
    let (mut header, _) = frame();
    change(&mut header);
    FrameHeader::decode(&header.encode())
}

#[test]
fn a_frame_that_is_longer_than_a_commit_may_be_is_refused() {
    let too_long = said(|header| header.payload_len = MAX_FRAME_LEN as u32);
    assert_eq!(too_long, Err(Fault::HeaderValue("frame length")));
}

#[test]
fn versions_that_a_next_one_would_not_fit_behind_are_refused() {
    for version in [u64::MAX, u64::MAX >> 1, 0] {
        let first = said(|header| (header.first_version, header.event_count) = (version, 1));
        assert_eq!(first.is_ok(), version == 0, "{version}");
    }
    let durable = said(|header| header.durable_version = u64::MAX);
    assert_eq!(durable, Err(Fault::HeaderValue("version")));
}

#[test]
fn only_a_commit_has_events_and_it_has_at_least_one() {
    let wrong = Err(Fault::HeaderValue("event count"));
    assert_eq!(said(|header| header.event_count = 0), wrong);
    assert_eq!(said(|header| header.kind = Kind::Mark), wrong);
}

#[test]
fn envelopes_whose_number_or_lengths_do_not_add_up_are_refused() {
    let (header, bytes) = frame();
    let decode = |header: FrameHeader, bytes: &[u8]| Frame::decode(header, bytes).map(|_| ());
    assert_eq!(decode(header, &bytes), Ok(()));
    let one_more = FrameHeader {
        event_count: 3,
        ..header
    };
    assert_eq!(decode(one_more, &bytes), Err(Fault::MetaShape));
    let meta = FRAME_HEADER_LEN..FRAME_HEADER_LEN + header.meta_len as usize;
    for at in [0, 8] {
        // The length of the first payload, of the first envelope.
        let mut longer = bytes.clone();
        longer[meta.start + at] += 1;
        let header = FrameHeader {
            meta_crc: crc(&longer[meta.clone()]),
            ..header
        };
        assert_eq!(decode(header, &longer), Err(Fault::MetaShape), "{at}");
    }
}

#[test]
fn an_envelope_with_bytes_left_over_is_refused() {
    let good = Envelope {
        kind: 3,
        subject: "a",
        ..Envelope::default()
    };
    let mut bytes = good.encode().unwrap();
    assert_eq!(Envelope::decode(&bytes), Ok(good));
    bytes.push(0);
    assert!(matches!(Envelope::decode(&bytes), Err(Fault::Envelope(_))));
    assert!(matches!(Envelope::decode(&[]), Err(Fault::Envelope(_))));
    assert!(matches!(Envelope::decode(&[2]), Err(Fault::Envelope(_))));
}

//! From entries of frames to events.

use crate::Version;
use crate::event::{Event, EventKind, Form, Place};
use crate::format::{Envelope, Fault, Frame, RawEntry};

/// What a reader hands to its visitor, in the order of the versions.
#[derive(Debug)]
pub(crate) enum Replayed<'a> {
    /// A good event.
    Event(Event<'a>),
    /// An event whose payload is damaged; `payload` is empty.
    PayloadLost(Event<'a>),
    /// Events that are lost altogether.
    Lost { first: Version, last: Version },
}

impl Replayed<'_> {
    /// The first version that it is about.
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Event(event) | Self::PayloadLost(event) => event.version,
            Self::Lost { first, .. } => *first,
        }
    }

    /// What the event is about: a session, an agent, a multi-agent; `None` for lost ones.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Self::Event(event) | Self::PayloadLost(event) => Some(event.subject),
            Self::Lost { .. } => None,
        }
    }
}

/// An entry as an event.
pub(super) enum Decoded<'a> {
    Whole(Event<'a>),
    /// The envelope is good, the payload is not.
    PayloadLost(Event<'a>),
    Lost(Fault),
}

/// The events of a good frame; those whose payloads were given up come without.
pub(crate) fn events<'a>(
    frame: &Frame<'a>,
    segment: u64,
    offset: u64,
) -> impl DoubleEndedIterator<Item = Replayed<'a>> + use<'a> {
    let header = frame.header;
    let entries: Vec<_> = frame.entries().collect();
    let readable = readable(frame);
    entries.into_iter().enumerate().map(move |(i, entry)| {
        let version = Version(header.first_version + i as u64);
        match event(version, header.time_us, &entry, segment, offset, true) {
            Decoded::Whole(event) if i < readable => Replayed::Event(event),
            Decoded::PayloadLost(event) if i < readable => Replayed::PayloadLost(event),
            _ => Replayed::Lost {
                first: version,
                last: version,
            },
        }
    })
}

/// How many events of a frame come before the first one whose envelope cannot be read.
pub(super) fn readable(frame: &Frame<'_>) -> usize {
    let mut entries = frame.entries();
    let unreadable = entries.position(|entry| Envelope::decode(entry.envelope).is_err());
    unreadable.unwrap_or(usize::from(frame.header.event_count))
}

/// The event of an entry. `is_whole` says that its payload was checked.
pub(super) fn event<'a>(
    version: Version,
    time_us: u64,
    entry: &RawEntry<'a>,
    segment: u64,
    frame_at: u64,
    is_whole: bool,
) -> Decoded<'a> {
    let envelope = match Envelope::decode(entry.envelope) {
        Ok(envelope) => envelope,
        Err(fault) => return Decoded::Lost(fault),
    };
    let place = Place {
        segment,
        offset: frame_at + entry.payload_at as u64,
        len: entry.payload.len() as u32,
        crc: entry.payload_crc,
    };
    let event = Event {
        version,
        time_us,
        kind: EventKind::from_byte(envelope.kind),
        subject: envelope.subject,
        message_id: envelope.message_id,
        form: Form::from_bits(envelope.flags),
        payload: "",
        extra: std::str::from_utf8(envelope.extra).unwrap_or_default(),
        flags: envelope.flags,
        place,
    };
    match std::str::from_utf8(entry.payload) {
        Ok(payload) if is_whole => Decoded::Whole(Event { payload, ..event }),
        // A payload that was given up is never UTF-8.
        _ => Decoded::PayloadLost(event),
    }
}

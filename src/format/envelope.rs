//! Envelopes: what is known of an event without its payload. The only file that uses `bincode`.
//!
//! `bincode` 2.0.1 is unmaintained (RUSTSEC-2025-0141), so it stays behind these two functions: the bytes are
//! written down in `docs/FORMAT.md` and pinned by golden tests, and another encoder can take its place.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};

use super::Fault;

/// The greatest length of an envelope in bytes: its length is stored in a `u16`.
const MAX_ENVELOPE: usize = u16::MAX as usize;
const VERSION: u8 = 1;
const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ENVELOPE>> =
    config::standard().with_limit::<MAX_ENVELOPE>();

/// Envelope version 1, frozen. Every kind of event uses the same fields; what a kind does not need is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    /// The kind of event; from 128 on, a reader that does not know it may ignore the event.
    pub(crate) kind: u8,
    /// Flags of the kind.
    pub(crate) flags: u8,
    /// The session id, agent id or multi-agent id that the event is about.
    pub(crate) subject: &'a str,
    /// The message id, for events about a message; else 0.
    pub(crate) message_id: u64,
    /// What an import keeps beside the payload, as text: a file name, missing directories. Nearly always empty.
    pub(crate) extra: &'a [u8],
}

type V1<'a> = (u8, u8, &'a str, u64, &'a [u8]);

impl<'a> Envelope<'a> {
    /// The bytes, or `None` if they are longer than an envelope may be.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let fields: V1<'_> = (
            self.kind,
            self.flags,
            self.subject,
            self.message_id,
            self.extra,
        );
        let mut bytes = bincode::encode_to_vec(fields, CONFIG).ok()?;
        bytes.insert(0, VERSION);
        (bytes.len() <= MAX_ENVELOPE).then_some(bytes)
    }

    /// Decodes; every byte must be used.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (version, rest) = bytes
            .split_first()
            .ok_or(Fault::Envelope("empty envelope"))?;
        if *version != VERSION {
            return Err(Fault::Envelope("unknown envelope version"));
        }
        let (fields, used): (V1<'a>, usize) = bincode::borrow_decode_from_slice(rest, CONFIG)
            .map_err(|_| Fault::Envelope("envelope does not decode"))?;
        if used != rest.len() {
            return Err(Fault::Envelope("envelope has bytes left over"));
        }
        let (kind, flags, subject, message_id, extra) = fields;
        Ok(Self {
            kind,
            flags,
            subject,
            message_id,
            extra,
        })
    }
}

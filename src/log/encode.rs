//! Events before they are written.

use std::sync::Arc;

use crate::event::EventKind;
use crate::format::{
    Envelope, FRAME_HEADER_LEN, FrameSpec, MAX_EVENTS, MAX_FRAME_LEN, Seal, encode_frame,
};
use crate::{Error, Result};

/// An event before it has a version.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: EventKind,
    pub(crate) flags: u8,
    pub(crate) subject: Arc<str>,
    pub(crate) message_id: u64,
    /// What an import keeps beside the payload; nearly always empty.
    pub(crate) extra: Arc<str>,
    pub(crate) payload: String,
}

pub(super) fn encode_seal(spec: FrameSpec, seal: &Seal, out: &mut Vec<u8>) {
    // A struct of numbers, strings and maps with string keys always serializes.
    let body = serde_json::to_vec(seal).unwrap_or_default();
    encode_frame(spec, &[(&[], &body)], out);
}

pub(super) fn encode_envelopes(drafts: &[Draft]) -> Result<Vec<Vec<u8>>> {
    if drafts.is_empty() || drafts.len() > MAX_EVENTS {
        let (size, limit) = (drafts.len() as u64, MAX_EVENTS as u64);
        let what = "the number of events in a commit".to_owned();
        return Err(Error::TooLarge { what, size, limit });
    }
    let encode = |draft: &Draft| {
        let envelope = Envelope {
            kind: draft.kind.byte(),
            flags: draft.flags,
            subject: &draft.subject,
            message_id: draft.message_id,
            extra: draft.extra.as_bytes(),
        };
        envelope.encode().ok_or_else(|| Error::TooLarge {
            what: "the id".to_owned(),
            size: (draft.subject.len() + draft.extra.len()) as u64,
            limit: u64::from(u16::MAX),
        })
    };
    drafts.iter().map(encode).collect()
}

/// The most bytes that a commit of these entries takes.
pub(super) fn check_size(entries: &[(&[u8], &[u8])]) -> Result<u64> {
    let body: u64 = entries
        .iter()
        .map(|(e, p)| (e.len() + p.len() + 10) as u64)
        .sum();
    let size = body + FRAME_HEADER_LEN as u64 + 16;
    if size > MAX_FRAME_LEN {
        let what = "the commit".to_owned();
        return Err(Error::TooLarge {
            what,
            size,
            limit: MAX_FRAME_LEN,
        });
    }
    Ok(size)
}

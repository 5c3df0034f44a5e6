//! The vocabulary: what can happen to a session.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Version;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The session began. Payload: the session record.
    SessionCreated,
    /// An agent joined. Payload: the agent record.
    AgentCreated,
    /// A message was appended. Payload: the message, or an imported record.
    MessageAdded,
    /// A message was replaced by another. Payload: as in `MessageAdded`.
    MessageUpdated,
    /// A message was redacted. Payload: what is shown instead.
    MessageRedacted,
    /// An agent's record changed. Payload: the change, or the whole record.
    AgentSynced,
    /// A multi-agent began. Payload: its object.
    MultiAgentCreated,
    /// A multi-agent's object changed. Payload: the change, or the whole object.
    MultiAgentSynced,
    /// Edits that overlay an agent's broken tool history. Payload: the edits.
    HistoryRepaired,
    /// The session's record changed. Payload: the whole record.
    SessionUpdated,
    /// A kind that this program does not know; kept as it is.
    Unknown(u8),
}

impl EventKind {
    /// The byte that stands for the kind in an envelope.
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::SessionCreated => 1,
            Self::AgentCreated => 2,
            Self::MessageAdded => 3,
            Self::MessageUpdated => 4,
            Self::MessageRedacted => 5,
            Self::AgentSynced => 6,
            Self::MultiAgentCreated => 7,
            Self::MultiAgentSynced => 8,
            Self::HistoryRepaired => 9,
            Self::SessionUpdated => 10,
            Self::Unknown(byte) => byte,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::SessionCreated,
            2 => Self::AgentCreated,
            3 => Self::MessageAdded,
            4 => Self::MessageUpdated,
            5 => Self::MessageRedacted,
            6 => Self::AgentSynced,
            7 => Self::MultiAgentCreated,
            8 => Self::MultiAgentSynced,
            9 => Self::HistoryRepaired,
            10 => Self::SessionUpdated,
            other => Self::Unknown(other),
        }
    }

    /// Whether a program that does not know the kind must not write to the log.
    pub(crate) const fn must_understand(self) -> bool {
        matches!(self, Self::Unknown(byte) if byte < 128)
    }

    /// The name used in reports and JSON, such as `message_added`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionCreated => "session_created",
            Self::AgentCreated => "agent_created",
            Self::MessageAdded => "message_added",
            Self::MessageUpdated => "message_updated",
            Self::MessageRedacted => "message_redacted",
            Self::AgentSynced => "agent_synced",
            Self::MultiAgentCreated => "multi_agent_created",
            Self::MultiAgentSynced => "multi_agent_synced",
            Self::HistoryRepaired => "history_repaired",
            Self::SessionUpdated => "session_updated",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How an event's payload is to be read. Bits 0 and 1 of the envelope's flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Form {
    /// A message, or a change of a record: what this crate writes by itself.
    #[default]
    Plain,
    /// A whole record of the standard layout, minified; written out in the layout's own formatting.
    Record,
    /// A whole file of the standard layout, kept byte for byte because its formatting is unusual.
    File,
}

impl Form {
    /// The bits of the flags that hold a form.
    pub(crate) const MASK: u8 = 3;

    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Record => 1,
            Self::File => 2,
        }
    }

    pub(crate) const fn from_bits(flags: u8) -> Self {
        match flags & Self::MASK {
            0 => Self::Plain,
            1 => Self::Record,
            _ => Self::File,
        }
    }
}

/// Envelope flag: the payload is a record whose `redact_message` is not null.
pub(crate) const REDACTED: u8 = 1 << 3;
/// Envelope flag: the message's id is below one that the agent had before, so messages are not in log order.
pub(crate) const OUT_OF_ORDER: u8 = 1 << 2;

/// Where a payload is in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The base version of the segment: its name.
    pub(crate) segment: u64,
    /// The payload's offset in the segment, in bytes.
    pub(crate) offset: u64,
    /// The payload's length in bytes.
    pub(crate) len: u32,
    /// The payload's CRC-32.
    pub(crate) crc: u32,
}

/// One event, as replay hands it out: borrowed from the log.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The event's version.
    pub version: Version,
    /// When its commit was written, in microseconds since 1970 (UTC).
    pub time_us: u64,
    /// What happened.
    pub kind: EventKind,
    /// The session id, agent id or multi-agent id that it is about.
    pub subject: &'a str,
    /// The message id, for events about a message; else 0.
    pub message_id: u64,
    /// How to read the payload.
    pub form: Form,
    /// The payload: JSON text as it came, not parsed.
    pub payload: &'a str,
    /// What an import kept beside the payload: an unusual file name, or directories that were missing.
    pub extra: &'a str,
    pub(crate) flags: u8,
    pub(crate) place: Place,
}

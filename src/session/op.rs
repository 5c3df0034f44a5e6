//! What can be done to a session.

use std::sync::Arc;

use crate::event::Form;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Creates the session with this record; otherwise it is created with a record of our own when needed.
    CreateSession {
        payload: String,
        form: Form,
        extra: Arc<str>,
    },
    /// Creates the session with a record of our own, unless it exists.
    EnsureSession,
    /// Creates the agent with a record of our own, unless it exists.
    EnsureAgent {
        agent: Arc<str>,
    },
    /// Replaces the session's record.
    UpdateSession {
        payload: String,
        form: Form,
    },
    CreateAgent {
        agent: Arc<str>,
        payload: String,
        form: Form,
        extra: Arc<str>,
    },
    /// With [`Form::Plain`] the payload is a message, else a record. `extra` is the record's file name if that is
    /// not the usual one.
    AddMessage {
        agent: Arc<str>,
        id: Option<u64>,
        payload: String,
        form: Form,
        extra: Arc<str>,
    },
    /// The payload is a record.
    UpdateMessage {
        agent: Arc<str>,
        id: u64,
        payload: String,
        form: Form,
    },
    RedactMessage {
        agent: Arc<str>,
        id: u64,
        payload: String,
    },
    SyncAgent {
        agent: Arc<str>,
        sync: Sync,
    },
    SyncMultiAgent {
        id: Arc<str>,
        sync: Sync,
    },
    RepairHistory {
        agent: Arc<str>,
        edits: String,
    },
}

impl Op {
    /// The length of what it writes, nearly, in bytes.
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::EnsureSession | Self::EnsureAgent { .. } => 0,
            Self::CreateSession { payload, .. }
            | Self::UpdateSession { payload, .. }
            | Self::CreateAgent { payload, .. }
            | Self::AddMessage { payload, .. }
            | Self::UpdateMessage { payload, .. }
            | Self::RedactMessage { payload, .. } => payload.len(),
            Self::SyncAgent { sync, .. } | Self::SyncMultiAgent { sync, .. } => match sync {
                Sync::Whole(text, _) => text.len(),
                Sync::Parts(parts) => parts.iter().map(|(_, text)| text.len()).sum(),
            },
            Self::RepairHistory { edits, .. } => edits.len(),
        }
    }
}

/// What a record becomes.
#[derive(Clone, Debug)]
pub(crate) enum Sync {
    /// These members are set.
    Parts(Vec<(&'static str, String)>),
    /// The whole record; with [`Form::Plain`], stored as a change where that is shorter.
    Whole(String, Form),
}

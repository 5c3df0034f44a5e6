//! Several events in one commit.

use serde::Serialize;

use crate::event::Form;
use crate::json::Json;
use crate::{Error, Result, Version, id};

use super::op::{Op, Sync};
use super::{AgentSync, Committed, Durability, Session, message_text, serialized};

/// Events that are committed together, or not at all.
///
/// Nothing is written before [`Batch::commit`]; a batch that is dropped leaves no trace.
#[derive(Debug)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch<'s> {
    session: &'s Session,
    ops: Vec<Op>,
    expected: Option<Version>,
    durability: Durability,
}

impl<'s> Batch<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        let durability = session.store.durability;
        Self {
            session,
            ops: Vec::new(),
            expected: None,
            durability,
        }
    }

    /// Appends a message: anything that serializes to a JSON object.
    pub fn append_message<M: Serialize + ?Sized>(self, agent: &str, message: &M) -> Result<Self> {
        let payload = serialized("message", message)?;
        self.message(agent, payload)
    }

    /// Appends a message given as JSON text.
    pub fn append_json(self, agent: &str, message: &str) -> Result<Self> {
        let payload = message_text("message", message)?;
        self.message(agent, payload)
    }

    /// Redacts a message, which may be one that this batch appends.
    pub fn redact_message<M: Serialize + ?Sized>(
        self,
        agent: &str,
        message_id: u64,
        replacement: &M,
    ) -> Result<Self> {
        let payload = serialized("replacement", replacement)?;
        self.redaction(agent, message_id, payload)
    }

    /// Redacts a message with a replacement given as JSON text.
    pub fn redact_json(self, agent: &str, message_id: u64, replacement: &str) -> Result<Self> {
        let payload = message_text("replacement", replacement)?;
        self.redaction(agent, message_id, payload)
    }

    /// Brings an agent's record up to date; creates the agent if it is new.
    pub fn sync_agent(mut self, agent: &str, sync: AgentSync<'_>) -> Result<Self> {
        id::check("agent id", agent)?;
        let parts = [
            ("state", sync.state),
            (
                "conversation_manager_state",
                sync.conversation_manager_state,
            ),
            ("_internal_state", sync.internal_state),
        ];
        let mut checked = Vec::new();
        for (name, part) in parts {
            if let Some(text) = part {
                checked.push((name, message_text(name, text)?));
            }
        }
        self.ops.push(Op::SyncAgent {
            agent: agent.into(),
            sync: Sync::Parts(checked),
        });
        Ok(self)
    }

    /// Brings a multi-agent's object up to date; creates it if it is new.
    pub fn sync_multi_agent(mut self, id: &str, object: &str) -> Result<Self> {
        id::check("multi-agent id", id)?;
        let object = message_text("multi-agent object", object)?;
        self.ops.push(Op::SyncMultiAgent {
            id: id.into(),
            sync: Sync::Whole(object, Form::Plain),
        });
        Ok(self)
    }

    /// Lays edits over an agent's broken tool history (see [`crate::history`]); replaces earlier edits.
    pub fn repair_history(mut self, agent: &str, edits: &str) -> Result<Self> {
        id::check("agent id", agent)?;
        let edits = Json::parse(edits).map_err(|source| Error::InvalidJson {
            what: "edits".to_owned(),
            source,
        })?;
        self.ops.push(Op::RepairHistory {
            agent: agent.into(),
            edits: edits.minified(),
        });
        Ok(self)
    }

    /// Commits only if the session is at this version.
    pub fn expect_version(mut self, version: Version) -> Self {
        self.expected = Some(version);
        self
    }

    /// When the commit is acknowledged, instead of the store's default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Writes the events as one commit.
    ///
    /// Errors: [`Error::VersionConflict`] and the errors of single operations leave nothing written;
    /// [`Error::OutcomeUnknown`] may.
    pub fn commit(self) -> Result<Committed> {
        self.session
            .commit(&self.ops, self.expected, self.durability)
    }

    /// Adds an operation of this crate's own.
    pub(crate) fn push(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }

    fn message(mut self, agent: &str, payload: String) -> Result<Self> {
        id::check("agent id", agent)?;
        self.ops.push(Op::AddMessage {
            agent: agent.into(),
            id: None,
            payload,
            form: Form::Plain,
            extra: std::sync::Arc::default(),
        });
        Ok(self)
    }

    fn redaction(mut self, agent: &str, message_id: u64, payload: String) -> Result<Self> {
        id::check("agent id", agent)?;
        self.ops.push(Op::RedactMessage {
            agent: agent.into(),
            id: message_id,
            payload,
        });
        Ok(self)
    }
}

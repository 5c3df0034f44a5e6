//! Repositories: sessions as records, in the terms of Strands Agents' `SessionRepository`.
//!
//! Four implementations do the same, and one conformance suite (feature `conformance`) says so:
//!
//! | | holds sessions in | for |
//! |---|---|---|
//! | [`LogRepository`] | a [`Store`](crate::Store) | everything that this crate promises |
//! | [`DirectoryRepository`] | a directory of the standard layout | sharing a directory with a Python agent |
//! | `BucketRepository` (feature `s3`) | a bucket, in the standard layout | sharing a bucket with a Python agent |
//! | [`MemoryRepository`] | memory | tests |
//!
//! A record is a JSON text that is kept as it came: unknown members, number spellings and key order stay. Bring a
//! backend of your own by implementing [`SessionRepository`]; a [`SessionManager`](crate::SessionManager) works on
//! top of any.
//!
//! # Where it differs from the reference
//!
//! - Creating what exists is [`Error::AlreadyExists`](crate::Error::AlreadyExists). The reference overwrites agents and
//!   messages silently.
//! - Creating something in a session or agent that does not exist is [`Error::NotFound`](crate::Error::NotFound).
//! - A record that cannot be read is an error, and never "there is none". In a list it does not hide the others: see
//!   [`MessageList::unreadable`].
//! - An update keeps the members that it does not name, where the reference drops those that it does not know.
//! - A redaction is final: an update without one keeps it. See [`MessageRecord::updated_by`].

#[cfg(feature = "s3")]
mod bucket;
#[cfg(feature = "conformance")]
pub mod conformance;
mod directory;
mod log;
mod memory;
mod names;
mod record;
mod slice;

use std::fmt;

use crate::Result;
use crate::history::Edit;

#[cfg(feature = "s3")]
pub use bucket::BucketRepository;
pub use directory::DirectoryRepository;
pub use log::LogRepository;
pub use memory::MemoryRepository;
pub use record::{AgentRecord, MessageRecord, MultiAgentRecord, SessionRecord};
pub use slice::slice;

const SESSION_FILE: &str = "session.json";
const AGENT_FILE: &str = "agent.json";
const MULTI_AGENT_FILE: &str = "multi_agent.json";
const AGENTS: &str = "agents";
const MULTI_AGENTS: &str = "multi_agents";
const MESSAGES: &str = "messages";

/// A place that holds sessions, their agents, their messages and their multi-agents.
///
/// An operation that returned is done: as durable as the place can make it. All methods may be called from any thread.
///
/// Errors of every method: [`Error::InvalidId`](crate::Error::InvalidId) for an id that cannot be a file name, and
/// whatever the place itself fails with.
pub trait SessionRepository: Send + Sync + fmt::Debug {
    /// Creates a session.
    ///
    /// Errors: `AlreadyExists`.
    fn create_session(&self, session: &SessionRecord) -> Result<()>;

    /// A session's record; `None` if there is no such session.
    fn read_session(&self, session_id: &str) -> Result<Option<SessionRecord>>;

    /// Deletes a session and everything in it.
    ///
    /// Errors: `NotFound`.
    fn delete_session(&self, session_id: &str) -> Result<()>;

    /// Creates an agent without messages. An agent whose record was lost gets a new one, and keeps its messages.
    ///
    /// Errors: `AlreadyExists`; `NotFound` if there is no such session.
    fn create_agent(&self, session_id: &str, agent: &AgentRecord) -> Result<()>;

    /// An agent's record; `None` if there is no such session or agent.
    fn read_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<AgentRecord>>;

    /// Updates an agent's record as [`AgentRecord::updated_by`] says: `created_at` stays, `updated_at` is what `agent` has.
    ///
    /// Errors: `NotFound`.
    fn update_agent(&self, session_id: &str, agent: &AgentRecord) -> Result<()>;

    /// Creates a message under its id. Ids may have gaps, and need not come in order.
    ///
    /// Errors: `AlreadyExists`; `NotFound` if there is no such session or agent.
    fn create_message(
        &self,
        session_id: &str,
        agent_id: &str,
        message: &MessageRecord,
    ) -> Result<()>;

    /// A message; `None` if there is no such session, agent or message.
    fn read_message(
        &self,
        session_id: &str,
        agent_id: &str,
        message_id: u64,
    ) -> Result<Option<MessageRecord>>;

    /// Updates a message's record as [`MessageRecord::updated_by`] says: `created_at` stays, and so does a redaction that
    /// `message` does not replace.
    ///
    /// Errors: `NotFound`.
    fn update_message(
        &self,
        session_id: &str,
        agent_id: &str,
        message: &MessageRecord,
    ) -> Result<()>;

    /// The messages of an agent in the order of their ids, those that the Python slice `[offset : offset + limit]`
    /// selects by position, or `[offset:]` without a limit. See [`fn@slice`].
    ///
    /// Errors: `NotFound` if there is no such session or agent.
    fn list_messages(
        &self,
        session_id: &str,
        agent_id: &str,
        limit: Option<i64>,
        offset: i64,
    ) -> Result<MessageList>;

    /// The id for an agent's next message: above every id that it ever had, as far as the place knows.
    ///
    /// Errors: `NotFound` if there is no such session or agent.
    fn next_message_id(&self, session_id: &str, agent_id: &str) -> Result<u64> {
        let last = self.list_messages(session_id, agent_id, None, -1)?;
        let read = last.messages.iter().map(MessageRecord::id);
        let unread = last.unreadable.iter().filter_map(|message| message.id);
        Ok(read
            .chain(unread)
            .max()
            .map_or(0, |id| id.saturating_add(1)))
    }

    /// Creates a multi-agent.
    ///
    /// Errors: `AlreadyExists`; `NotFound` if there is no such session.
    fn create_multi_agent(&self, session_id: &str, multi_agent: &MultiAgentRecord) -> Result<()>;

    /// A multi-agent's object; `None` if there is no such session or multi-agent.
    fn read_multi_agent(
        &self,
        session_id: &str,
        multi_agent_id: &str,
    ) -> Result<Option<MultiAgentRecord>>;

    /// Replaces a multi-agent's object as a whole.
    ///
    /// Errors: `NotFound`.
    fn update_multi_agent(&self, session_id: &str, multi_agent: &MultiAgentRecord) -> Result<()>;

    /// The edits that were stored to mend an agent's broken tool history (see [`crate::history`]); none where the place
    /// cannot store edits.
    fn history_edits(&self, session_id: &str, agent_id: &str) -> Result<Vec<Edit>> {
        let _ = (session_id, agent_id);
        Ok(Vec::new())
    }
}

/// What [`SessionRepository::list_messages`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageList {
    /// The messages, in the order of their ids.
    pub messages: Vec<MessageRecord>,
    /// What is there and cannot be read. Each counts as one position of the list.
    pub unreadable: Vec<Unreadable>,
}

/// A message that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its position in the list of all messages, from 0 on; `None` if it cannot be told.
    pub position: Option<u64>,
    /// Its id, if that can be told.
    pub id: Option<u64>,
    /// What it is: a path, or an event's version.
    pub what: String,
    /// Why it cannot be read, in one line.
    pub error: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

/// The errors for what is missing or there already, in the same words everywhere.
mod errors {
    use crate::Error;

    pub(super) fn session(id: &str) -> String {
        format!("session {id:?}")
    }

    pub(super) fn agent(session: &str, id: &str) -> String {
        format!("agent {id:?} of session {session:?}")
    }

    pub(super) fn message(session: &str, agent: &str, id: u64) -> String {
        format!("message {id} of agent {agent:?} of session {session:?}")
    }

    pub(super) fn multi_agent(session: &str, id: &str) -> String {
        format!("multi-agent {id:?} of session {session:?}")
    }

    pub(super) fn no_session(id: &str) -> Error {
        Error::NotFound(session(id))
    }

    pub(super) fn no_agent(session: &str, id: &str) -> Error {
        Error::NotFound(agent(session, id))
    }
}

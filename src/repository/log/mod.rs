//! The repository on top of a store: sessions as logs.

mod sessions;

use std::sync::Arc;

use crate::event::Form;
use crate::history::Edit;
use crate::session::{Op, Session, Sync, session_record};
use crate::state::{Agent, Document, Message, State};
use crate::store::Store;
use crate::view::View;
use crate::{Error, Result, Version, id};

use super::errors::{agent, message, multi_agent, no_agent, no_session, session};
use super::{
    AgentRecord, MessageList, MessageRecord, MultiAgentRecord, SessionRecord, SessionRepository,
    Unreadable, slice,
};
use sessions::Sessions;

/// So near to the end of a conversation, a message is found backwards from there.
const NEAR: u64 = 256;

/// Sessions in a [`Store`].
///
/// The first write to a session opens it: this process is its one writer until [`LogRepository::release`], or until the
/// repository is dropped. Another writer gets [`Error::Locked`]. Reads take no lock.
///
/// Nothing is ever overwritten: an update is a new event, and [`Store::read`] shows any earlier version.
#[derive(Debug)]
pub struct LogRepository {
    sessions: Sessions,
}

impl LogRepository {
    /// A repository of the sessions in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            sessions: Sessions::new(store),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.sessions.store
    }

    /// The session, open for writing until it is released: for what the log can do and a repository cannot, such as
    /// [`Session::repair_history`].
    ///
    /// Errors: as [`Store::session`].
    pub fn session(&self, session_id: &str) -> Result<Arc<Session>> {
        self.sessions.writer(session_id)
    }

    /// Gives up a session, so that another process can write to it. The next write opens it again.
    pub fn release(&self, session_id: &str) -> Result<()> {
        self.sessions.release(session_id)
    }
}

/// The session exists.
fn exists(state: &State, session_id: &str) -> Result<()> {
    if state.version() == Version::ZERO {
        return Err(no_session(session_id));
    }
    Ok(())
}

/// An agent that has a record.
fn known<'s>(
    state: &'s State,
    session_id: &str,
    agent_id: &str,
) -> Result<(&'s Agent, &'s Document)> {
    exists(state, session_id)?;
    let agent = state.agent(agent_id);
    let found = agent.and_then(|agent| Some((agent, agent.record()?)));
    found.ok_or_else(|| no_agent(session_id, agent_id))
}

/// A message by its id. Near the end of the conversation it is read backwards from there.
fn find(view: &View, agent_id: &str, message_id: u64, next: u64) -> Result<Option<Message>> {
    let messages = match view.messages(agent_id) {
        Err(Error::NotFound(_)) => return Ok(None),
        messages => messages?,
    };
    let behind = next.saturating_sub(message_id);
    let found = if behind <= NEAR {
        let mut last = messages.last(behind as usize);
        last.find(|message| message.as_ref().map_or(true, |m| m.id() == message_id))
            .transpose()
    } else {
        messages.get(message_id).map(Some)
    };
    match found {
        Err(Error::NotFound(_)) => Ok(None),
        found => found,
    }
}

fn record(message: &Message) -> MessageRecord {
    MessageRecord::trusted(message.id(), message.record())
}

impl SessionRepository for LogRepository {
    fn create_session(&self, record: &SessionRecord) -> Result<()> {
        self.sessions.commit(record.id(), &|_, state| {
            if state.version() > Version::ZERO {
                return Err(Error::AlreadyExists(session(record.id())));
            }
            Ok(Op::CreateSession {
                payload: record.text().to_owned(),
                form: Form::Record,
                extra: Arc::default(),
            })
        })
    }

    fn read_session(&self, session_id: &str) -> Result<Option<SessionRecord>> {
        let text = self
            .sessions
            .look(session_id, |state| match state.session() {
                Some(record) => record.text(),
                // It was lost to damage.
                None => session_record(session_id, state.time_us()),
            })?;
        text.map(|text| SessionRecord::from_text(session_id, &text))
            .transpose()
    }

    fn delete_session(&self, session_id: &str) -> Result<()> {
        self.release(session_id)?;
        self.store().delete(session_id)
    }

    fn create_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        id::check("agent id", record.id())?;
        self.sessions.commit(session_id, &|_, state| {
            exists(state, session_id)?;
            let known = state.agent(record.id());
            if known.is_some_and(|agent| agent.record().is_some()) {
                return Err(Error::AlreadyExists(agent(session_id, record.id())));
            }
            Ok(Op::CreateAgent {
                agent: record.id().into(),
                payload: record.text().to_owned(),
                form: Form::Record,
                extra: Arc::default(),
            })
        })
    }

    fn read_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<AgentRecord>> {
        id::check("agent id", agent_id)?;
        let text = self.sessions.look(session_id, |state| {
            Some(state.agent(agent_id)?.record()?.text())
        })?;
        text.flatten()
            .map(|text| AgentRecord::from_text(agent_id, &text))
            .transpose()
    }

    fn update_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        id::check("agent id", record.id())?;
        self.sessions.commit(session_id, &|_, state| {
            let (_, stored) = known(state, session_id, record.id())?;
            let stored = AgentRecord::from_text(record.id(), &stored.text())?;
            let text = stored.updated_by(record).text().to_owned();
            Ok(Op::SyncAgent {
                agent: record.id().into(),
                sync: Sync::Whole(text, Form::Plain),
            })
        })
    }

    fn create_message(
        &self,
        session_id: &str,
        agent_id: &str,
        record: &MessageRecord,
    ) -> Result<()> {
        id::check("agent id", agent_id)?;
        self.sessions.commit(session_id, &|_, state| {
            let (agent, _) = known(state, session_id, agent_id)?;
            if agent.has_message(record.id()) {
                let what = message(session_id, agent_id, record.id());
                return Err(Error::AlreadyExists(what));
            }
            Ok(Op::AddMessage {
                agent: agent_id.into(),
                id: Some(record.id()),
                payload: record.text().to_owned(),
                form: Form::Record,
                extra: Arc::default(),
            })
        })
    }

    fn read_message(
        &self,
        session_id: &str,
        agent_id: &str,
        message_id: u64,
    ) -> Result<Option<MessageRecord>> {
        id::check("agent id", agent_id)?;
        let next = self.sessions.look(session_id, |state| {
            state.agent(agent_id).map(Agent::next_message_id)
        })?;
        let Some(next) = next.flatten() else {
            return Ok(None);
        };
        let view = if next.saturating_sub(message_id) <= NEAR {
            self.sessions.view(session_id)?
        } else {
            self.sessions.replayed(session_id)?
        };
        let found = view.map(|view| find(&view, agent_id, message_id, next));
        Ok(found.transpose()?.flatten().as_ref().map(record))
    }

    fn update_message(
        &self,
        session_id: &str,
        agent_id: &str,
        update: &MessageRecord,
    ) -> Result<()> {
        id::check("agent id", agent_id)?;
        self.sessions.commit(session_id, &|open, state| {
            let (agent, _) = known(state, session_id, agent_id)?;
            let missing = || Error::NotFound(message(session_id, agent_id, update.id()));
            if !agent.has_message(update.id()) {
                return Err(missing());
            }
            let next = agent.next_message_id();
            let stored = find(&open.read()?, agent_id, update.id(), next)?;
            let stored = record(&stored.ok_or_else(missing)?);
            Ok(Op::UpdateMessage {
                agent: agent_id.into(),
                id: update.id(),
                payload: stored.updated_by(update).text().to_owned(),
                form: Form::Record,
            })
        })
    }

    fn list_messages(
        &self,
        session_id: &str,
        agent_id: &str,
        limit: Option<i64>,
        offset: i64,
    ) -> Result<MessageList> {
        id::check("agent id", agent_id)?;
        let view = self.sessions.replayed(session_id)?;
        let view = view.ok_or_else(|| no_session(session_id))?;
        let messages = match view.messages(agent_id) {
            Err(Error::NotFound(_)) => return Err(no_agent(session_id, agent_id)),
            messages => messages?,
        };
        let entries = view.content()?.index.agent(agent_id);
        let wanted = slice(entries.len(), limit, offset);
        let mut list = MessageList::default();
        for position in wanted.clone() {
            let entry = &entries[position];
            if entry.payload.is_none() && entry.redaction.is_none() {
                list.unreadable.push(Unreadable {
                    position: Some(position as u64),
                    id: Some(entry.id),
                    what: message(session_id, agent_id, entry.id),
                    error: format!("its text was lost to damage at version {}", entry.version),
                });
            }
        }
        for message in messages.window(wanted.start, Some(wanted.len())) {
            list.messages.push(record(&message?));
        }
        Ok(list)
    }

    fn next_message_id(&self, session_id: &str, agent_id: &str) -> Result<u64> {
        id::check("agent id", agent_id)?;
        let next = self.sessions.look(session_id, |state| {
            Some(state.agent(agent_id)?.next_message_id())
        })?;
        let next = next.ok_or_else(|| no_session(session_id))?;
        next.ok_or_else(|| no_agent(session_id, agent_id))
    }

    fn create_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        id::check("multi-agent id", record.id())?;
        self.sessions.commit(session_id, &|_, state| {
            exists(state, session_id)?;
            if state.multi_agent(record.id()).is_some() {
                return Err(Error::AlreadyExists(multi_agent(session_id, record.id())));
            }
            Ok(sync_multi_agent(record))
        })
    }

    fn read_multi_agent(
        &self,
        session_id: &str,
        multi_agent_id: &str,
    ) -> Result<Option<MultiAgentRecord>> {
        id::check("multi-agent id", multi_agent_id)?;
        let text = self.sessions.look(session_id, |state| {
            state.multi_agent(multi_agent_id).map(Document::text)
        })?;
        text.flatten()
            .map(|text| MultiAgentRecord::new(multi_agent_id, &text))
            .transpose()
    }

    fn update_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        id::check("multi-agent id", record.id())?;
        self.sessions.commit(session_id, &|_, state| {
            exists(state, session_id)?;
            if state.multi_agent(record.id()).is_none() {
                return Err(Error::NotFound(multi_agent(session_id, record.id())));
            }
            Ok(sync_multi_agent(record))
        })
    }

    fn history_edits(&self, session_id: &str, agent_id: &str) -> Result<Vec<Edit>> {
        id::check("agent id", agent_id)?;
        let edits = self
            .sessions
            .look(session_id, |state| state.agent(agent_id).map(Agent::edits))?;
        Ok(edits.flatten().unwrap_or_default())
    }
}

fn sync_multi_agent(record: &MultiAgentRecord) -> Op {
    Op::SyncMultiAgent {
        id: record.id().into(),
        sync: Sync::Whole(record.text().to_owned(), Form::Plain),
    }
}

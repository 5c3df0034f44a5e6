//! A repository in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Error, Result, id};

use super::errors::{agent, message, multi_agent, no_agent, no_session, session};
use super::{
    AgentRecord, MessageList, MessageRecord, MultiAgentRecord, SessionRecord, SessionRepository,
    slice,
};

/// Sessions that end with the process: for tests.
#[derive(Debug, Default)]
pub struct MemoryRepository {
    sessions: Mutex<BTreeMap<String, Session>>,
}

#[derive(Debug)]
struct Session {
    record: SessionRecord,
    agents: BTreeMap<String, Agent>,
    multi_agents: BTreeMap<String, MultiAgentRecord>,
}

#[derive(Debug)]
struct Agent {
    record: AgentRecord,
    messages: BTreeMap<u64, MessageRecord>,
}

impl MemoryRepository {
    /// An empty repository.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        // Every change is one step, so a thread that panicked left whole records.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Sessions = BTreeMap<String, Session>;

fn session_mut<'s>(sessions: &'s mut Sessions, session_id: &str) -> Result<&'s mut Session> {
    id::check("session id", session_id)?;
    sessions
        .get_mut(session_id)
        .ok_or_else(|| no_session(session_id))
}

fn agent_mut<'s>(
    sessions: &'s mut Sessions,
    session_id: &str,
    agent_id: &str,
) -> Result<&'s mut Agent> {
    id::check("agent id", agent_id)?;
    let session = session_mut(sessions, session_id)?;
    let agent = session.agents.get_mut(agent_id);
    agent.ok_or_else(|| no_agent(session_id, agent_id))
}

/// What was found; a missing session or agent is nothing found.
fn found<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(Error::NotFound(_)) => Ok(None),
        found => found,
    }
}

impl SessionRepository for MemoryRepository {
    fn create_session(&self, record: &SessionRecord) -> Result<()> {
        id::check("session id", record.id())?;
        let mut sessions = self.lock();
        if sessions.contains_key(record.id()) {
            return Err(Error::AlreadyExists(session(record.id())));
        }
        let session = Session {
            record: record.clone(),
            agents: BTreeMap::new(),
            multi_agents: BTreeMap::new(),
        };
        sessions.insert(record.id().to_owned(), session);
        Ok(())
    }

    fn read_session(&self, session_id: &str) -> Result<Option<SessionRecord>> {
        let mut sessions = self.lock();
        found(session_mut(&mut sessions, session_id).map(|session| Some(session.record.clone())))
    }

    fn delete_session(&self, session_id: &str) -> Result<()> {
        let mut sessions = self.lock();
        session_mut(&mut sessions, session_id)?;
        sessions.remove(session_id);
        Ok(())
    }

    fn create_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        id::check("agent id", record.id())?;
        let mut sessions = self.lock();
        let session = session_mut(&mut sessions, session_id)?;
        if session.agents.contains_key(record.id()) {
            return Err(Error::AlreadyExists(agent(session_id, record.id())));
        }
        let agent = Agent {
            record: record.clone(),
            messages: BTreeMap::new(),
        };
        session.agents.insert(record.id().to_owned(), agent);
        Ok(())
    }

    fn read_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<AgentRecord>> {
        let mut sessions = self.lock();
        found(agent_mut(&mut sessions, session_id, agent_id).map(|a| Some(a.record.clone())))
    }

    fn update_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        let mut sessions = self.lock();
        let agent = agent_mut(&mut sessions, session_id, record.id())?;
        agent.record = agent.record.updated_by(record);
        Ok(())
    }

    fn create_message(
        &self,
        session_id: &str,
        agent_id: &str,
        record: &MessageRecord,
    ) -> Result<()> {
        let mut sessions = self.lock();
        let agent = agent_mut(&mut sessions, session_id, agent_id)?;
        if agent.messages.contains_key(&record.id()) {
            let what = message(session_id, agent_id, record.id());
            return Err(Error::AlreadyExists(what));
        }
        agent.messages.insert(record.id(), record.clone());
        Ok(())
    }

    fn read_message(
        &self,
        session_id: &str,
        agent_id: &str,
        message_id: u64,
    ) -> Result<Option<MessageRecord>> {
        let mut sessions = self.lock();
        let agent = agent_mut(&mut sessions, session_id, agent_id);
        found(agent.map(|agent| agent.messages.get(&message_id).cloned()))
    }

    fn update_message(
        &self,
        session_id: &str,
        agent_id: &str,
        record: &MessageRecord,
    ) -> Result<()> {
        let mut sessions = self.lock();
        let agent = agent_mut(&mut sessions, session_id, agent_id)?;
        let stored = agent.messages.get_mut(&record.id());
        let missing = || Error::NotFound(message(session_id, agent_id, record.id()));
        let stored = stored.ok_or_else(missing)?;
        *stored = stored.updated_by(record);
        Ok(())
    }

    fn list_messages(
        &self,
        session_id: &str,
        agent_id: &str,
        limit: Option<i64>,
        offset: i64,
    ) -> Result<MessageList> {
        let mut sessions = self.lock();
        let agent = agent_mut(&mut sessions, session_id, agent_id)?;
        let wanted = slice(agent.messages.len(), limit, offset);
        let messages = agent.messages.values();
        Ok(MessageList {
            messages: messages
                .skip(wanted.start)
                .take(wanted.len())
                .cloned()
                .collect(),
            unreadable: Vec::new(),
        })
    }

    fn create_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        id::check("multi-agent id", record.id())?;
        let mut sessions = self.lock();
        let session = session_mut(&mut sessions, session_id)?;
        if session.multi_agents.contains_key(record.id()) {
            return Err(Error::AlreadyExists(multi_agent(session_id, record.id())));
        }
        session
            .multi_agents
            .insert(record.id().to_owned(), record.clone());
        Ok(())
    }

    fn read_multi_agent(
        &self,
        session_id: &str,
        multi_agent_id: &str,
    ) -> Result<Option<MultiAgentRecord>> {
        id::check("multi-agent id", multi_agent_id)?;
        let mut sessions = self.lock();
        let session = session_mut(&mut sessions, session_id);
        found(session.map(|session| session.multi_agents.get(multi_agent_id).cloned()))
    }

    fn update_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        id::check("multi-agent id", record.id())?;
        let mut sessions = self.lock();
        let session = session_mut(&mut sessions, session_id)?;
        let stored = session.multi_agents.get_mut(record.id());
        let missing = || Error::NotFound(multi_agent(session_id, record.id()));
        *stored.ok_or_else(missing)? = record.clone();
        Ok(())
    }
}

//! The session manager: what an agent loop needs to keep its conversation in a repository.

mod agent;
mod restore;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::environment::{Environment, SystemEnvironment};
use crate::repository::{MessageRecord, MultiAgentRecord, SessionRecord, SessionRepository};
use crate::session::{AgentSync, serialized};
use crate::{Error, Result};

use agent::Tracked;
pub use restore::Restored;

/// One session of one or more agents, kept in any [`SessionRepository`].
///
/// For each agent: [`initialize`](Self::initialize) when it starts, [`append_message`](Self::append_message) for each
/// message, [`sync_agent`](Self::sync_agent) after each turn. What a call did is kept when it returns.
///
/// It can be shared between threads: what one agent does waits for nothing that another does.
///
/// ```
/// use std::sync::Arc;
/// use serde_json::json;
/// use sessionlog::{AgentSync, SessionManager, Store};
/// use sessionlog::repository::LogRepository;
///
/// # fn main() -> sessionlog::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let path = dir.path().join("sessions");
/// let repository = Arc::new(LogRepository::new(Store::open(&path)?));
/// let manager = SessionManager::open(repository, "user-123")?;
/// let restored = manager.initialize("default", AgentSync::default())?;
/// assert!(restored.is_new);
///
/// manager.append_message("default", &json!({"role": "user", "content": [{"text": "Hi"}]}))?;
/// manager.sync_agent("default", AgentSync { state: Some(r#"{"turns":1}"#), ..Default::default() })?;
///
/// let restored = manager.initialize("default", AgentSync::default())?; // as after a restart
/// assert!(restored.messages[0].text.contains("Hi"));
/// assert_eq!(restored.record.state(), r#"{"turns":1}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SessionManager {
    repository: Arc<dyn SessionRepository>,
    environment: Arc<dyn Environment>,
    session_id: String,
    agents: Mutex<HashMap<String, Arc<Mutex<Tracked>>>>,
    /// Each multi-agent as it was last written or read.
    multi_agents: Mutex<HashMap<String, MultiAgentRecord>>,
}

impl SessionManager {
    /// Opens a session; creates it if it is new.
    ///
    /// Errors: whatever the repository fails with. A record that cannot be read is an error, never a new session.
    pub fn open(repository: Arc<dyn SessionRepository>, session_id: &str) -> Result<Self> {
        Self::open_in(Arc::new(SystemEnvironment), repository, session_id)
    }

    /// As [`SessionManager::open`], with another clock than the system's.
    pub fn open_in(
        environment: Arc<dyn Environment>,
        repository: Arc<dyn SessionRepository>,
        session_id: &str,
    ) -> Result<Self> {
        if repository.read_session(session_id)?.is_none() {
            let record = SessionRecord::new(session_id, environment.now_us());
            match repository.create_session(&record) {
                // Another one was quicker.
                Err(Error::AlreadyExists(_)) => {}
                created => created?,
            }
        }
        Ok(Self {
            repository,
            environment,
            session_id: session_id.to_owned(),
            agents: Mutex::default(),
            multi_agents: Mutex::default(),
        })
    }

    /// The session's id.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Arc<dyn SessionRepository> {
        &self.repository
    }

    /// Appends a message: anything that serializes to a JSON object. Returns its id, which no message of the agent ever
    /// had before, whatever a window removed.
    ///
    /// Errors: [`Error::AlreadyExists`] if another writer appended a message meanwhile; nothing was written, and
    /// [`initialize`](Self::initialize) shows what it was.
    pub fn append_message<M: Serialize + ?Sized>(
        &self,
        agent_id: &str,
        message: &M,
    ) -> Result<u64> {
        self.append_json(agent_id, &serialized("message", message)?)
    }

    /// As [`append_message`](Self::append_message), with a message given as JSON text.
    pub fn append_json(&self, agent_id: &str, message: &str) -> Result<u64> {
        let agent = self.agent(agent_id)?;
        let mut agent = guard(&agent);
        let id = agent.next_id;
        let record = MessageRecord::new(id, message, self.environment.now_us())?;
        let created = self
            .repository
            .create_message(&self.session_id, agent_id, &record);
        created.map_err(|e| match e {
            Error::AlreadyExists(what) => {
                let hint = "another writer appended it: initialize the agent again";
                Error::AlreadyExists(format!("{what} ({hint}): it"))
            }
            e => e,
        })?;
        (agent.next_id, agent.latest) = (id.saturating_add(1), Some(id));
        Ok(id)
    }

    /// Shows `replacement` instead of the agent's latest message from now on, and instead of the ones right before it
    /// with the same text: a prompt that was tried again is stored twice. The original stays in the record.
    ///
    /// Returns the ids of the redacted messages, the latest first.
    ///
    /// Errors: [`Error::NotFound`] if the agent has no message.
    pub fn redact_latest_message<M: Serialize + ?Sized>(
        &self,
        agent_id: &str,
        replacement: &M,
    ) -> Result<Vec<u64>> {
        self.redact_latest_json(agent_id, &serialized("replacement", replacement)?)
    }

    /// As [`redact_latest_message`](Self::redact_latest_message), with the replacement given as JSON text.
    pub fn redact_latest_json(&self, agent_id: &str, replacement: &str) -> Result<Vec<u64>> {
        let agent = self.agent(agent_id)?;
        let agent = guard(&agent);
        let (session, now_us) = (&*self.session_id, self.environment.now_us());
        let read = |id| self.repository.read_message(session, agent_id, id);
        let missing = || Error::NotFound(format!("a message to redact, of agent {agent_id:?},"));
        let latest = agent.latest.ok_or_else(missing)?;
        let first = read(latest)?.ok_or_else(missing)?;
        let mut next = Some(first.clone());
        let mut redacted = Vec::new();
        while let Some(message) = next.filter(|message| message.original() == first.original()) {
            let update = message.redacted(replacement, now_us)?;
            self.repository.update_message(session, agent_id, &update)?;
            redacted.push(message.id());
            next = message.id().checked_sub(1).map(read).transpose()?.flatten();
        }
        Ok(redacted)
    }

    /// Brings an agent's record up to date; writes only what changed, and nothing if nothing did. Returns whether
    /// anything was written.
    ///
    /// A `removed_message_count` counts the messages that [`initialize`](Self::initialize) handed out and those appended
    /// since. Where a repair inserted or hid messages, it is stored as the count of stored messages, so that a later
    /// restore loses none and repeats none.
    pub fn sync_agent(&self, agent_id: &str, parts: AgentSync<'_>) -> Result<bool> {
        let agent = self.agent(agent_id)?;
        let mut agent = guard(&agent);
        let counted = parts
            .conversation_manager_state
            .and_then(|state| agent.handed_out.in_stored_messages(state));
        let parts = AgentSync {
            conversation_manager_state: counted.as_deref().or(parts.conversation_manager_state),
            ..parts
        };
        let Some(update) = agent.record.update(parts, self.environment.now_us())? else {
            return Ok(false);
        };
        self.repository.update_agent(&self.session_id, &update)?;
        agent.record = agent.record.updated_by(&update);
        Ok(true)
    }

    /// A multi-agent's object as JSON text; `None` if there is none yet.
    pub fn multi_agent(&self, id: &str) -> Result<Option<String>> {
        let mut known = guard(&self.multi_agents);
        let Some(record) = self.repository.read_multi_agent(&self.session_id, id)? else {
            return Ok(None);
        };
        let text = record.text().to_owned();
        known.insert(id.to_owned(), record);
        Ok(Some(text))
    }

    /// Brings a multi-agent's object up to date; creates it if it is new, and writes nothing if nothing changed. Returns
    /// whether anything was written.
    pub fn sync_multi_agent(&self, id: &str, object: &str) -> Result<bool> {
        let record = MultiAgentRecord::new(id, object)?;
        let (session, repository) = (&*self.session_id, &self.repository);
        let mut known = guard(&self.multi_agents);
        let stored = match known.get(id) {
            Some(stored) => Some(stored.clone()),
            None => repository.read_multi_agent(session, id)?,
        };
        let is_new = stored.as_ref() != Some(&record);
        if stored.is_none() {
            repository.create_multi_agent(session, &record)?;
        } else if is_new {
            repository.update_multi_agent(session, &record)?;
        }
        known.insert(id.to_owned(), record);
        Ok(is_new)
    }

    fn agent(&self, agent_id: &str) -> Result<Arc<Mutex<Tracked>>> {
        let agents = guard(&self.agents);
        let missing = || Error::InvalidInput {
            what: format!("agent {agent_id:?} of session {:?}", self.session_id),
            reason: "it was not initialized: call `initialize` first".to_owned(),
        };
        agents.get(agent_id).cloned().ok_or_else(missing)
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside changes only when everything that could fail is done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

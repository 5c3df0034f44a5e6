//! The repository on a plain directory of the standard layout.

mod disk;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::environment::{Environment, SystemEnvironment};
use crate::storage::{FileStorage, Storage};
use crate::{Error, Result, id};

use super::errors::{agent, message, multi_agent, no_agent, no_session, session};
use super::names::{Names, file_name, read};
use super::{AGENT_FILE, AGENTS, MESSAGES, MULTI_AGENT_FILE, MULTI_AGENTS, SESSION_FILE};
use super::{
    AgentRecord, MessageList, MessageRecord, MultiAgentRecord, SessionRecord, SessionRepository,
};
use disk::Disk;

/// Sessions in a directory of the standard layout, as the Python package's `FileSessionManager` has them: a Python agent
/// and a Rust agent can take turns on one directory.
///
/// Files have the same names, bytes and modes as the package's (0600, directories 0700). What is different:
///
/// - A file is synced before it gets its name, and the name before the operation returns: no power cut leaves an empty
///   or half a file, or loses what was acknowledged.
/// - Creating never replaces: of two writers that create the same message, one gets [`Error::AlreadyExists`]. (The
///   package itself replaces files, also ours: let only one of the two write at a time.)
/// - A session that a crash left without its `session.json` can be created again, and keeps what is in it.
/// - The id in a message's record counts, not the one in its file name.
/// - A symbolic link is never followed, and read as an error.
///
/// Crashes leave temporary files (`.strands_*.tmp`, `.session_*.tmp`), which every reader ignores.
#[derive(Debug)]
pub struct DirectoryRepository {
    disk: Disk,
    root: PathBuf,
    /// Held while a record is read, changed and replaced. For each directory of messages it has the ids in files of
    /// unusual names, which creating a file cannot collide with.
    unusual: Mutex<HashMap<PathBuf, HashSet<u64>>>,
}

impl DirectoryRepository {
    /// The sessions in the storage directory `path`, which the first session creates.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self::on(Arc::new(FileStorage), Arc::new(SystemEnvironment), path)
    }

    /// The same on another storage than files, with another source of random numbers than the system's.
    #[must_use]
    pub fn on(
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        path: impl AsRef<Path>,
    ) -> Self {
        Self {
            disk: Disk {
                storage,
                environment,
            },
            root: path.as_ref().to_path_buf(),
            unusual: Mutex::default(),
        }
    }

    /// The storage directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn session_dir(&self, session_id: &str) -> Result<PathBuf> {
        id::check("session id", session_id)?;
        Ok(self.root.join(format!("session_{session_id}")))
    }

    fn agent_dir(&self, session_id: &str, agent_id: &str) -> Result<PathBuf> {
        id::check("agent id", agent_id)?;
        let agents = self.session_dir(session_id)?.join(AGENTS);
        Ok(agents.join(format!("agent_{agent_id}")))
    }

    fn multi_agent_dir(&self, session_id: &str, multi_agent_id: &str) -> Result<PathBuf> {
        id::check("multi-agent id", multi_agent_id)?;
        let multi_agents = self.session_dir(session_id)?.join(MULTI_AGENTS);
        Ok(multi_agents.join(format!("multi_agent_{multi_agent_id}")))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, HashSet<u64>>> {
        // What it holds is only added to.
        self.unusual.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of a session that exists.
    fn existing_session(&self, session_id: &str) -> Result<PathBuf> {
        let dir = self.session_dir(session_id)?;
        if self.disk.has_file(&dir.join(SESSION_FILE))? {
            return Ok(dir);
        }
        Err(no_session(session_id))
    }

    /// Makes the names that lead to `dir` durable: another program may have made them and not synced them.
    fn settle(&self, dir: &Path) -> Result<()> {
        let above = dir.ancestors().skip(1);
        for dir in above.take_while(|above| above.starts_with(&self.root)) {
            self.disk.sync_dir(dir)?;
        }
        Ok(())
    }

    /// The messages of an agent, whose own record may be lost.
    fn names(&self, session_id: &str, agent_id: &str) -> Result<Names> {
        let dir = self.agent_dir(session_id, agent_id)?;
        if !self.disk.has_dir(&dir)? {
            return Err(no_agent(session_id, agent_id));
        }
        Names::list(&self.disk, &dir.join(MESSAGES))
    }

    /// A message, and the file that it is in.
    fn find(&self, dir: &Path, message_id: u64) -> Result<Option<(PathBuf, MessageRecord)>> {
        let path = dir.join(file_name(message_id));
        match read(&self.disk, &path, message_id)? {
            Some(message) if message.id() == message_id => Ok(Some((path, message))),
            // It can only be in a file of another name.
            _ => Names::list(&self.disk, dir)?.find(&self.disk, message_id),
        }
    }

    /// Builds a session beside the others and moves it to its place when it is whole.
    fn build(&self, dir: &Path, record: &SessionRecord) -> Result<bool> {
        self.disk.create_all(&self.root)?;
        let building = self.disk.temporary(&self.root, "session");
        let built = self.fill(&building, record);
        match built.and_then(|_| self.disk.move_dir(&building, dir)) {
            Ok(true) => Ok(true),
            failed => {
                self.remove(&building);
                failed
            }
        }
    }

    /// Makes what is missing in a session's directory; `false` if it has a record.
    fn fill(&self, dir: &Path, record: &SessionRecord) -> Result<bool> {
        for dir in [dir, &dir.join(AGENTS), &dir.join(MULTI_AGENTS)] {
            self.disk.create_dir(dir)?;
        }
        self.disk.create(&dir.join(SESSION_FILE), record.text())
    }

    /// Removes a directory that has a temporary name. If that fails, the rest stays and is ignored.
    fn remove(&self, temporary: &Path) {
        if let Err(error) = self.disk.remove_tree(temporary) {
            tracing::warn!(path = %temporary.display(), %error, "a temporary directory stays");
        }
    }
}

impl SessionRepository for DirectoryRepository {
    fn create_session(&self, record: &SessionRecord) -> Result<()> {
        let dir = self.session_dir(record.id())?;
        let _one_at_a_time = self.lock();
        let is_new = if self.disk.has_dir(&dir)? {
            let is_new = self.fill(&dir, record)?;
            self.disk.sync_dir(&self.root)?;
            is_new
        } else {
            self.build(&dir, record)?
        };
        if is_new {
            return Ok(());
        }
        Err(Error::AlreadyExists(session(record.id())))
    }

    fn read_session(&self, session_id: &str) -> Result<Option<SessionRecord>> {
        let path = self.session_dir(session_id)?.join(SESSION_FILE);
        let text = self.disk.read(&path)?;
        text.map(|text| SessionRecord::from_text(session_id, &text))
            .transpose()
    }

    fn delete_session(&self, session_id: &str) -> Result<()> {
        let dir = self.session_dir(session_id)?;
        let mut unusual = self.lock();
        if !self.disk.has_dir(&dir)? {
            return Err(no_session(session_id));
        }
        let doomed = self.disk.temporary(&self.root, "session");
        self.disk.move_dir(&dir, &doomed)?;
        unusual.retain(|messages, _| !messages.starts_with(&dir));
        self.remove(&doomed);
        Ok(())
    }

    fn create_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        let dir = self.agent_dir(session_id, record.id())?;
        let session_dir = self.existing_session(session_id)?;
        let agents = session_dir.join(AGENTS);
        let _one_at_a_time = self.lock();
        for dir in [&agents, &dir, &dir.join(MESSAGES)] {
            self.disk.create_dir(dir)?;
        }
        if !self.disk.create(&dir.join(AGENT_FILE), record.text())? {
            return Err(Error::AlreadyExists(agent(session_id, record.id())));
        }
        self.settle(&dir)
    }

    fn read_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<AgentRecord>> {
        let path = self.agent_dir(session_id, agent_id)?.join(AGENT_FILE);
        let text = self.disk.read(&path)?;
        text.map(|text| AgentRecord::from_text(agent_id, &text))
            .transpose()
    }

    fn update_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        let path = self.agent_dir(session_id, record.id())?.join(AGENT_FILE);
        let _one_at_a_time = self.lock();
        let stored = self.read_agent(session_id, record.id())?;
        let stored = stored.ok_or_else(|| no_agent(session_id, record.id()))?;
        self.disk.replace(&path, stored.updated_by(record).text())
    }

    fn create_message(
        &self,
        session_id: &str,
        agent_id: &str,
        record: &MessageRecord,
    ) -> Result<()> {
        let dir = self.agent_dir(session_id, agent_id)?;
        if !self.disk.has_file(&dir.join(AGENT_FILE))? {
            return Err(no_agent(session_id, agent_id));
        }
        let messages = dir.join(MESSAGES);
        let mut unusual = self.lock();
        if !unusual.contains_key(&messages) {
            self.disk.create_dir(&messages)?;
            self.settle(&messages)?;
            let names = Names::list(&self.disk, &messages)?;
            unusual.insert(messages.clone(), names.unusual().collect());
        }
        let is_there = unusual
            .get(&messages)
            .is_some_and(|ids| ids.contains(&record.id()));
        let path = messages.join(file_name(record.id()));
        if is_there || !self.disk.create(&path, record.text())? {
            let what = message(session_id, agent_id, record.id());
            return Err(Error::AlreadyExists(what));
        }
        Ok(())
    }

    fn read_message(
        &self,
        session_id: &str,
        agent_id: &str,
        message_id: u64,
    ) -> Result<Option<MessageRecord>> {
        let dir = self.agent_dir(session_id, agent_id)?.join(MESSAGES);
        let found = self.find(&dir, message_id)?;
        Ok(found.map(|(_, message)| message))
    }

    fn update_message(
        &self,
        session_id: &str,
        agent_id: &str,
        record: &MessageRecord,
    ) -> Result<()> {
        let dir = self.agent_dir(session_id, agent_id)?.join(MESSAGES);
        let _one_at_a_time = self.lock();
        let found = self.find(&dir, record.id())?;
        let missing = || Error::NotFound(message(session_id, agent_id, record.id()));
        let (path, stored) = found.ok_or_else(missing)?;
        self.disk.replace(&path, stored.updated_by(record).text())
    }

    fn list_messages(
        &self,
        session_id: &str,
        agent_id: &str,
        limit: Option<i64>,
        offset: i64,
    ) -> Result<MessageList> {
        let names = self.names(session_id, agent_id)?;
        names.read(&self.disk, limit, offset)
    }

    fn next_message_id(&self, session_id: &str, agent_id: &str) -> Result<u64> {
        self.names(session_id, agent_id)?.next_id(&self.disk)
    }

    fn create_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        let dir = self.multi_agent_dir(session_id, record.id())?;
        let session_dir = self.existing_session(session_id)?;
        let multi_agents = session_dir.join(MULTI_AGENTS);
        let _one_at_a_time = self.lock();
        for dir in [&multi_agents, &dir] {
            self.disk.create_dir(dir)?;
        }
        let path = dir.join(MULTI_AGENT_FILE);
        if !self.disk.create(&path, record.text())? {
            return Err(Error::AlreadyExists(multi_agent(session_id, record.id())));
        }
        self.settle(&dir)
    }

    fn read_multi_agent(
        &self,
        session_id: &str,
        multi_agent_id: &str,
    ) -> Result<Option<MultiAgentRecord>> {
        let dir = self.multi_agent_dir(session_id, multi_agent_id)?;
        let text = self.disk.read(&dir.join(MULTI_AGENT_FILE))?;
        text.map(|text| MultiAgentRecord::new(multi_agent_id, &text))
            .transpose()
    }

    fn update_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        let dir = self.multi_agent_dir(session_id, record.id())?;
        let _one_at_a_time = self.lock();
        if self.read_multi_agent(session_id, record.id())?.is_none() {
            return Err(Error::NotFound(multi_agent(session_id, record.id())));
        }
        self.disk
            .replace(&dir.join(MULTI_AGENT_FILE), record.text())
    }
}

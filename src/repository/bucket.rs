//! The repository on the standard layout in a bucket.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bucket::{Bucket, Content, each};
use crate::format::MAX_FRAME_LEN;
use crate::json::Json;
use crate::sync::RemoteError;
use crate::{Error, Result, id};

use super::errors::{agent, message, multi_agent, no_agent, no_session, session};
use super::names::{Files, Names, file_name, object_text, read};
use super::{
    AGENT_FILE, AGENTS, MESSAGES, MULTI_AGENT_FILE, MULTI_AGENTS, SESSION_FILE, SessionRepository,
};
use super::{AgentRecord, MessageList, MessageRecord, MultiAgentRecord, SessionRecord};

/// How often an update starts again because somebody else changed the object, and a deletion because of new objects.
const ATTEMPTS: usize = 8;

/// Sessions in a bucket, as the Python package's `S3SessionManager` has them: a Python agent and a Rust agent can take
/// turns on one bucket.
///
/// Keys, bytes and content type are the package's. What is different:
///
/// - Creating never replaces, and an update changes only what it read, by conditional writes: of two writers that
///   create the same message, one gets [`Error::AlreadyExists`]. (The package itself overwrites: let only one of the
///   two write at a time. A store that ignores conditions overwrites too.)
/// - A write without a clear answer is settled by reading the object; if even that fails, it is [`Error::Remote`] with
///   [`RemoteError::Ambiguous`].
/// - Lists are complete, however many objects there are, and their messages are read 16 at a time.
/// - A deletion removes `session.json` last: one that was interrupted can be done again.
///
/// A bucket has no locks and no transactions over several objects. For many devices on one session use
/// [`crate::sync`].
#[derive(Debug)]
pub struct BucketRepository {
    bucket: Bucket,
    /// For each directory of messages the ids in objects of unusual names, which creating one cannot collide with.
    unusual: Mutex<HashMap<PathBuf, HashSet<u64>>>,
}

impl Files for Bucket {
    fn names(&self, dir: &Path) -> Result<Vec<String>> {
        let dir = key(dir);
        let below = |key: &str| {
            let name = key.strip_prefix(&dir)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        let objects = self.list(&dir)?;
        Ok(objects.iter().filter_map(|o| below(&o.key)).collect())
    }

    fn text(&self, path: &Path) -> Result<Option<String>> {
        Ok(content(self, path)?.map(|(text, _)| text))
    }

    fn texts(&self, paths: &[PathBuf]) -> Vec<Result<Option<String>>> {
        let places: Vec<_> = paths.iter().enumerate().collect();
        let mut texts: Vec<Result<Option<String>>> = paths.iter().map(|_| Ok(None)).collect();
        let whole = each(
            &places,
            |(_, path)| match self.text(path) {
                // Nothing more can be read then.
                Err(e @ Error::Remote { .. }) => Err(e),
                text => Ok(text),
            },
            &mut |(place, _), text| {
                texts[*place] = text;
                Ok(())
            },
        );
        match whole {
            Ok(()) => texts,
            Err(e) => vec![Err(e)],
        }
    }

    fn show(&self, path: &Path) -> String {
        self.url(&key(path))
    }
}

/// The key of a path.
fn key(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// An object's text, checked to be a JSON object, and its state.
fn content(bucket: &Bucket, path: &Path) -> Result<Option<(String, Content)>> {
    let Some(content) = bucket.read(&key(path), MAX_FRAME_LEN)? else {
        return Ok(None);
    };
    let text = object_text(content.bytes.clone(), || bucket.show(path))?;
    Ok(Some((text, content)))
}

impl BucketRepository {
    /// The sessions in a bucket.
    #[must_use]
    pub fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            unusual: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, HashSet<u64>>> {
        // What it holds is only added to.
        self.unusual.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of a session that exists.
    fn existing_session(&self, session_id: &str) -> Result<PathBuf> {
        let dir = session_dir(session_id)?;
        if self.bucket.has(&key(&dir.join(SESSION_FILE)))? {
            return Ok(dir);
        }
        Err(no_session(session_id))
    }

    /// Writes an object that is not there yet.
    fn create(&self, path: &Path, json: &str, what: impl FnOnce() -> String) -> Result<()> {
        if self.bucket.create(&key(path), &self.file(path, json)?)? {
            return Ok(());
        }
        Err(Error::AlreadyExists(what()))
    }

    /// Replaces an object by what `change` makes of its text; nobody else's change in between is lost.
    fn update(
        &self,
        path: &Path,
        missing: impl Fn() -> Error,
        change: impl Fn(&str) -> Result<String>,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let (text, old) = content(&self.bucket, path)?.ok_or_else(&missing)?;
            let new = self.file(path, &change(&text)?)?;
            if self.bucket.replace(&key(path), &new, &old)? {
                return Ok(());
            }
        }
        Err(Error::Remote {
            place: self.bucket.show(path),
            source: RemoteError::Precondition,
        })
    }

    /// A record's file as the package formats it.
    fn file(&self, path: &Path, json: &str) -> Result<Vec<u8>> {
        let text = Json::parse(json).map(Json::to_python);
        let invalid = |source| Error::InvalidJson {
            what: self.bucket.show(path),
            source,
        };
        text.map(String::into_bytes).map_err(invalid)
    }

    /// The messages of an agent, whose own record may be lost.
    fn names(&self, session_id: &str, agent_id: &str) -> Result<Names> {
        let dir = agent_dir(session_id, agent_id)?;
        let names = Names::list(&self.bucket, &dir.join(MESSAGES))?;
        if names.is_empty() && !self.bucket.has(&key(&dir.join(AGENT_FILE)))? {
            return Err(no_agent(session_id, agent_id));
        }
        Ok(names)
    }

    /// A message, and the object that it is in.
    fn find(&self, dir: &Path, message_id: u64) -> Result<Option<(PathBuf, MessageRecord)>> {
        let path = dir.join(file_name(message_id));
        match read(&self.bucket, &path, message_id)? {
            Some(message) if message.id() == message_id => Ok(Some((path, message))),
            // It can only be in an object of another name.
            _ => Names::list(&self.bucket, dir)?.find(&self.bucket, message_id),
        }
    }
}

fn session_dir(session_id: &str) -> Result<PathBuf> {
    id::check("session id", session_id)?;
    Ok(PathBuf::from(format!("session_{session_id}")))
}

fn agent_dir(session_id: &str, agent_id: &str) -> Result<PathBuf> {
    id::check("agent id", agent_id)?;
    let agents = session_dir(session_id)?.join(AGENTS);
    Ok(agents.join(format!("agent_{agent_id}")))
}

fn multi_agent_file(session_id: &str, multi_agent_id: &str) -> Result<PathBuf> {
    id::check("multi-agent id", multi_agent_id)?;
    let multi_agents = session_dir(session_id)?.join(MULTI_AGENTS);
    let dir = multi_agents.join(format!("multi_agent_{multi_agent_id}"));
    Ok(dir.join(MULTI_AGENT_FILE))
}

impl SessionRepository for BucketRepository {
    fn create_session(&self, record: &SessionRecord) -> Result<()> {
        let path = session_dir(record.id())?.join(SESSION_FILE);
        self.create(&path, record.text(), || session(record.id()))
    }

    fn read_session(&self, session_id: &str) -> Result<Option<SessionRecord>> {
        let path = session_dir(session_id)?.join(SESSION_FILE);
        let text = self.bucket.text(&path)?;
        text.map(|text| SessionRecord::from_text(session_id, &text))
            .transpose()
    }

    fn delete_session(&self, session_id: &str) -> Result<()> {
        let dir = session_dir(session_id)?;
        let mut unusual = self.lock();
        for attempt in 0..ATTEMPTS {
            let mut keys: Vec<_> = self.bucket.list(&key(&dir))?;
            if keys.is_empty() && attempt == 0 {
                return Err(no_session(session_id));
            }
            // The session's record has the shortest key.
            keys.sort_by_key(|object| std::cmp::Reverse(object.key.len()));
            let records = keys.len().saturating_sub(1);
            let (others, record) = keys.split_at(records);
            for group in [others, record] {
                let delete = |object: &crate::bucket::Object| self.bucket.delete(&object.key);
                each(group, delete, &mut |_, ()| Ok(()))?;
            }
            if keys.is_empty() {
                break;
            }
        }
        unusual.retain(|messages, _| !messages.starts_with(&dir));
        Ok(())
    }

    fn create_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        let path = agent_dir(session_id, record.id())?.join(AGENT_FILE);
        self.existing_session(session_id)?;
        self.create(&path, record.text(), || agent(session_id, record.id()))
    }

    fn read_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<AgentRecord>> {
        let path = agent_dir(session_id, agent_id)?.join(AGENT_FILE);
        let text = self.bucket.text(&path)?;
        text.map(|text| AgentRecord::from_text(agent_id, &text))
            .transpose()
    }

    fn update_agent(&self, session_id: &str, record: &AgentRecord) -> Result<()> {
        let path = agent_dir(session_id, record.id())?.join(AGENT_FILE);
        let missing = || no_agent(session_id, record.id());
        self.update(&path, missing, |text| {
            let stored = AgentRecord::from_text(record.id(), text)?;
            Ok(stored.updated_by(record).text().to_owned())
        })
    }

    fn create_message(
        &self,
        session_id: &str,
        agent_id: &str,
        record: &MessageRecord,
    ) -> Result<()> {
        let dir = agent_dir(session_id, agent_id)?;
        if !self.bucket.has(&key(&dir.join(AGENT_FILE)))? {
            return Err(no_agent(session_id, agent_id));
        }
        let messages = dir.join(MESSAGES);
        let what = || message(session_id, agent_id, record.id());
        let mut unusual = self.lock();
        if !unusual.contains_key(&messages) {
            let names = Names::list(&self.bucket, &messages)?;
            unusual.insert(messages.clone(), names.unusual().collect());
        }
        let ids = unusual.get(&messages);
        if ids.is_some_and(|ids| ids.contains(&record.id())) {
            return Err(Error::AlreadyExists(what()));
        }
        drop(unusual);
        self.create(&messages.join(file_name(record.id())), record.text(), what)
    }

    fn read_message(
        &self,
        session_id: &str,
        agent_id: &str,
        message_id: u64,
    ) -> Result<Option<MessageRecord>> {
        let dir = agent_dir(session_id, agent_id)?.join(MESSAGES);
        let found = self.find(&dir, message_id)?;
        Ok(found.map(|(_, message)| message))
    }

    fn update_message(
        &self,
        session_id: &str,
        agent_id: &str,
        record: &MessageRecord,
    ) -> Result<()> {
        let dir = agent_dir(session_id, agent_id)?.join(MESSAGES);
        let missing = || Error::NotFound(message(session_id, agent_id, record.id()));
        let (path, _) = self.find(&dir, record.id())?.ok_or_else(missing)?;
        self.update(&path, missing, |text| {
            let stored = MessageRecord::from_text(record.id(), text)?;
            Ok(stored.updated_by(record).text().to_owned())
        })
    }

    fn list_messages(
        &self,
        session_id: &str,
        agent_id: &str,
        limit: Option<i64>,
        offset: i64,
    ) -> Result<MessageList> {
        let names = self.names(session_id, agent_id)?;
        names.read(&self.bucket, limit, offset)
    }

    fn next_message_id(&self, session_id: &str, agent_id: &str) -> Result<u64> {
        self.names(session_id, agent_id)?.next_id(&self.bucket)
    }

    fn create_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        let path = multi_agent_file(session_id, record.id())?;
        self.existing_session(session_id)?;
        self.create(&path, record.text(), || {
            multi_agent(session_id, record.id())
        })
    }

    fn read_multi_agent(
        &self,
        session_id: &str,
        multi_agent_id: &str,
    ) -> Result<Option<MultiAgentRecord>> {
        let text = self
            .bucket
            .text(&multi_agent_file(session_id, multi_agent_id)?)?;
        text.map(|text| MultiAgentRecord::new(multi_agent_id, &text))
            .transpose()
    }

    fn update_multi_agent(&self, session_id: &str, record: &MultiAgentRecord) -> Result<()> {
        let path = multi_agent_file(session_id, record.id())?;
        let missing = || Error::NotFound(multi_agent(session_id, record.id()));
        self.update(&path, missing, |_| Ok(record.text().to_owned()))
    }
}

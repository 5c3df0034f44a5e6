//! Writing a session: appends, batches, expected versions.

mod adopt;
mod batch;
mod commit;
mod group;
mod handle;
mod op;
mod plan;
mod record;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::damage::Damage;
use crate::json::Json;
use crate::log::{Listing, LogReader, LogWriter, Scanned, recover};
use crate::snapshot::{self, Snapshot};
use crate::state::State;
use crate::storage::StorageLock;
use crate::store::Inner as StoreInner;
use crate::view::View;
use crate::{Error, Result, Version};

pub use batch::Batch;
pub(crate) use group::Group;
use group::Inner;
pub(crate) use handle::SessionHandle;
pub(crate) use op::{Op, Sync};
pub(crate) use plan::Plan;
pub(crate) use record::{agent_record, session_record, with_members};

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on disk. Threads that append at the same time share one sync and one frame.
    #[default]
    Sync,
    /// As [`Durability::Sync`], for callers that want to say that they count on sharing.
    Group,
    /// At once: it is in this process' memory, and joins others in one frame. A crash may lose it until
    /// [`Session::flush`], a later durable append, [`Session::close`], or
    /// [`StoreOptions::flush_interval`](crate::StoreOptions::flush_interval). What survives has no holes. Readers see it when
    /// 64 KiB are there, or after any of these, or after [`Session::read`].
    Buffered,
}

/// An acknowledged commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The version of the commit's last event: the session's version now.
    pub version: Version,
    /// The id of the last message that was appended; 0 if there was none.
    pub message_id: u64,
    /// Whether anything was written: a sync without a change writes nothing.
    pub changed: bool,
}

/// The parts of an agent's record that a sync brings: each a JSON text, `None` for as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentSync<'a> {
    /// The agent's `state`.
    pub state: Option<&'a str>,
    /// The agent's `conversation_manager_state`.
    pub conversation_manager_state: Option<&'a str>,
    /// The agent's `_internal_state`: interrupts, model state.
    pub internal_state: Option<&'a str>,
}

/// A session, open for writing: this process is its one writer until it is dropped.
///
/// It can be shared between threads. Dropping it closes it.
#[derive(Debug)]
pub struct Session {
    store: Arc<StoreInner>,
    id: Arc<str>,
    dir: PathBuf,
    process: u32,
    group: Arc<Group>,
}

impl Session {
    pub(crate) fn open(store: Arc<StoreInner>, id: &str) -> Result<Self> {
        let dir = store.session_dir(id);
        let session = Self::new(store, id, dir);
        if session.log_exists()? || session.store.finish_replacement(id)? {
            let mut inner = session.group.lock();
            session.take_over(&mut inner)?;
        }
        Ok(session)
    }

    /// A session that is being built in a directory of its own, which is locked already.
    pub(crate) fn build_in(
        store: Arc<StoreInner>,
        id: &str,
        dir: PathBuf,
        lock: Box<dyn StorageLock>,
    ) -> Self {
        let session = Self::new(store, id, dir);
        session.group.lock().lock = Some(lock);
        session
    }

    fn new(store: Arc<StoreInner>, id: &str, dir: PathBuf) -> Self {
        let (process, group_dir) = (store.environment.process_id(), dir.clone());
        Self {
            dir,
            store,
            id: id.into(),
            process,
            group: Arc::new(Group::new(group_dir)),
        }
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version of the last event; 0 for a session that does not exist yet.
    #[must_use]
    pub fn version(&self) -> Version {
        self.group.lock().state.version()
    }

    /// Every event up to here is durable.
    #[must_use]
    pub fn durable_version(&self) -> Version {
        self.group
            .lock()
            .writer
            .as_ref()
            .map_or(Version::ZERO, LogWriter::durable)
    }

    /// What opening the session cut from its tail: bytes that were never acknowledged, and where they are kept.
    #[must_use]
    pub fn recovered(&self) -> Option<(Damage, PathBuf)> {
        self.group.lock().recovery.torn.clone()
    }

    /// A copy of the session's state as of its last event.
    #[must_use]
    pub fn state(&self) -> State {
        self.group.lock().state.clone()
    }

    /// Appends a message; creates session and agent if they are new. Durable when it returns.
    ///
    /// The message is anything that serializes to a JSON object.
    pub fn append_message<M: Serialize + ?Sized>(
        &self,
        agent: &str,
        message: &M,
    ) -> Result<Committed> {
        self.batch().append_message(agent, message)?.commit()
    }

    /// Appends a message given as JSON text, which is kept as it is but for white space.
    pub fn append_json(&self, agent: &str, message: &str) -> Result<Committed> {
        self.batch().append_json(agent, message)?.commit()
    }

    /// Replaces what is shown of a message. The original stays in the log, and in what is exported.
    ///
    /// Errors: [`Error::NotFound`] if there is no such agent or message.
    pub fn redact_message<M: Serialize + ?Sized>(
        &self,
        agent: &str,
        message_id: u64,
        replacement: &M,
    ) -> Result<Committed> {
        self.batch()
            .redact_message(agent, message_id, replacement)?
            .commit()
    }

    /// Brings an agent's record up to date; writes only what changed, and nothing if nothing did.
    pub fn sync_agent(&self, agent: &str, sync: AgentSync<'_>) -> Result<Committed> {
        self.batch().sync_agent(agent, sync)?.commit()
    }

    /// Brings a multi-agent's object up to date; creates it if it is new.
    pub fn sync_multi_agent(&self, id: &str, object: &str) -> Result<Committed> {
        self.batch().sync_multi_agent(id, object)?.commit()
    }

    /// Several events in one atomic commit: all of them are there after a crash, or none.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Makes every event that was appended durable.
    pub fn flush(&self) -> Result<()> {
        self.group.flush()
    }

    /// Reads the session as of now, buffered appends included.
    pub fn read(&self) -> Result<View> {
        let written = self.group.spill()?;
        View::open(self.log_reader(), &self.id, written)
    }

    /// Flushes, says in the log that all of it is durable, and gives up unused space and the lock.
    pub fn close(self) -> Result<()> {
        self.shut()
    }

    /// As [`Session::close`], but keeps the lock.
    pub(crate) fn shut(&self) -> Result<()> {
        {
            let inner = self.group.lock();
            if inner.closed || self.process != self.store.environment.process_id() {
                return Ok(());
            }
        }
        self.flush()?;
        let now = self.store.environment.now_us();
        let mut inner = self.group.lock();
        inner.closed = true;
        let Some(writer) = &mut inner.writer else {
            return Ok(());
        };
        writer.finish(now)?;
        let state = inner.state.clone();
        self.written(&mut inner, state);
        Ok(())
    }

    pub(crate) fn log_reader(&self) -> LogReader {
        LogReader {
            storage: Arc::clone(&self.store.storage),
            dir: self.dir.clone(),
        }
    }

    fn log_exists(&self) -> Result<bool> {
        let listing = Listing::read(&*self.store.storage, &self.dir)?;
        Ok(listing.is_some_and(|listing| !listing.is_unborn()))
    }

    /// Takes the writer's lock; `None` if somebody deleted the session this moment.
    fn lock_log(&self) -> Result<Option<Box<dyn StorageLock>>> {
        match self.store.lock(&self.dir) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            locked => locked.map(Some),
        }
    }

    /// Locks an existing log, replays it and makes it writable.
    fn take_over(&self, inner: &mut Inner) -> Result<()> {
        let lock = match inner.lock.take() {
            Some(lock) => lock,
            None => match self.lock_log()? {
                Some(lock) => lock,
                None => return Ok(()),
            },
        };
        let Some((mut scanned, state)) = self.replay()? else {
            return Ok(());
        };
        self.check_writable(&scanned, &state)?;
        let storage = &self.store.storage;
        inner.recovery = recover(&**storage, &self.dir, &mut scanned)?;
        if scanned.expect.version == 1 {
            self.store.sync_session_dir(&self.dir)?;
        }
        let writer =
            LogWriter::resume(Arc::clone(storage), &self.dir, self.store.writer, &scanned)?;
        tracing::debug!(session = %self.id, version = writer.version().0, "opened");
        (inner.lock, inner.writer, inner.state) = (Some(lock), Some(writer), state);
        Ok(())
    }

    /// The log and the state at its end, from the newest snapshot on if there is one.
    fn replay(&self) -> Result<Option<(Scanned, State)>> {
        let (reader, newest) = (self.log_reader(), Version(u64::MAX));
        let listing = Listing::read(&*self.store.storage, &self.dir)?.unwrap_or_default();
        let usual = self.store.writer.segment_len;
        let sealed = listing.sealed_len(&*self.store.storage, &self.dir, usual)?;
        let snapshot = Snapshot::newest(&*self.store.storage, &self.dir, newest);
        if let Some(snapshot) = snapshot.filter(|_| self.store.wants_snapshot(sealed)) {
            let mut state = snapshot.state;
            let scanned = reader.scan_since(Some(snapshot.since), &mut |item| {
                state.apply(&item);
                Ok(())
            })?;
            if let Some(scanned) = scanned.filter(|scanned| scanned.log_id == snapshot.log_id) {
                return Ok(Some((scanned, state)));
            }
        }
        let mut state = State::default();
        let scanned = reader.scan(&mut |item| {
            state.apply(&item);
            Ok(())
        })?;
        Ok(scanned.map(|mut scanned| {
            let lost = snapshot::tail_lost(&*self.store.storage, &self.dir, &scanned);
            scanned.damage.extend(lost);
            (scanned, state)
        }))
    }

    fn check_writable(&self, scanned: &Scanned, state: &State) -> Result<()> {
        if !scanned.damage.is_empty() {
            let report = scanned.damage.clone();
            return Err(Error::Damaged {
                path: self.dir.clone(),
                report,
            });
        }
        if let Some((version, kind)) = scanned.not_understood {
            return Err(Error::UnsupportedVersion {
                path: self.dir.clone(),
                found: format!("1 with event kind {kind} at version {version}"),
                supported: 1,
                writer: "a newer program".to_owned(),
            });
        }
        match state.session_id() {
            Some(found) if found != &*self.id => Err(Error::InvalidInput {
                what: self.dir.display().to_string(),
                reason: format!(
                    "it holds the log of session {found:?}, not of {:?}; move it back to its own directory",
                    self.id
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Makes the session's directory and its log, with this id or a random one; `false` if another writer was first.
    fn give_birth(&self, inner: &mut Inner, log_id: Option<[u8; 16]>) -> Result<bool> {
        if inner.lock.is_none() {
            self.store.create_store()?;
            let _turn = self.store.lock_names()?;
            self.store.finish_replacement(&self.id)?;
            self.store.create_session_dir(&self.dir)?;
            inner.lock = self.lock_log()?;
            if inner.lock.is_none() {
                return Ok(false);
            }
        }
        if self.log_exists()? {
            self.take_over(inner)?;
            return Ok(false);
        }
        self.begin_log(inner, log_id)?;
        Ok(true)
    }

    /// Makes the log's first segment; one without events is replaced.
    fn begin_log(&self, inner: &mut Inner, log_id: Option<[u8; 16]>) -> Result<()> {
        let environment = &self.store.environment;
        let (mut fresh, mut salt) = ([0; 16], [0; 4]);
        environment.fill_random(&mut fresh);
        environment.fill_random(&mut salt);
        let birth = crate::log::Birth {
            log_id: log_id.unwrap_or(fresh),
            salt: u32::from_le_bytes(salt),
            time_us: environment.now_us(),
        };
        let storage = Arc::clone(&self.store.storage);
        let writer = LogWriter::create(storage, &self.dir, self.store.writer, birth)?;
        self.store.sync_session_dir(&self.dir)?;
        inner.writer = Some(writer);
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::warn!(session = %self.id, %error, "closing failed; what was acknowledged is safe");
        }
        // Whoever looks through a handle this moment must not keep the next writer out.
        self.group.lock().lock = None;
    }
}

/// A message as JSON text: one object.
fn message_text(what: &str, text: &str) -> Result<String> {
    let json = Json::parse(text).map_err(|source| Error::InvalidJson {
        what: what.to_owned(),
        source,
    })?;
    if json.kind() != crate::json::Kind::Object {
        let reason = "it is not a JSON object; a message looks like {\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}";
        return Err(Error::InvalidInput {
            what: what.to_owned(),
            reason: reason.to_owned(),
        });
    }
    Ok(json.minified())
}

/// A value of the caller's as JSON text: one object.
pub(crate) fn serialized(what: &str, value: &(impl Serialize + ?Sized)) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|e| Error::InvalidInput {
        what: what.to_owned(),
        reason: format!("it does not serialize to JSON: {e}"),
    })?;
    message_text(what, &text)
}

//! The thread that pushes.

use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Instant;

use crate::session::SessionHandle;
use crate::store::Store;
use crate::sync::local::{Local, settle};
use crate::sync::memory::Memory;
use crate::sync::{Remote, SyncError, Synced, Syncer};
use crate::{Error, Result, Version};

use super::Shared;
use super::watched::{Phase, Retry, Watched, Work};

/// A session to push, open or not.
type Due = (String, Option<SessionHandle>);

#[derive(Debug)]
pub(super) struct Background {
    shared: Arc<Shared>,
    /// Without the companion, so that the store's end is not held up by it.
    store: Store,
    remote: Arc<dyn Remote>,
    /// Made at the first push: until then there may be no store.
    syncer: Option<Syncer>,
}

impl Background {
    pub(super) fn new(shared: Arc<Shared>, store: Store, remote: Arc<dyn Remote>) -> Self {
        Self {
            shared,
            store,
            remote,
            syncer: None,
        }
    }

    pub(super) fn run(mut self) {
        self.find_left_behind();
        while let Some(closing) = self.wait() {
            self.look_at_closed();
            self.push(closing);
            if closing {
                break;
            }
        }
        self.shared.lock().phase = Phase::Ended;
        self.shared.changed.notify_all();
    }

    /// Waits for commits to come together; whether this is the last time, `None` if the store is gone.
    fn wait(&self) -> Option<bool> {
        let idle = |work: &mut Work| work.phase == Phase::Running;
        let (work, after) = (self.shared.lock(), self.shared.after);
        let waited = self.shared.changed.wait_timeout_while(work, after, idle);
        let phase = waited.unwrap_or_else(PoisonError::into_inner).0.phase;
        (phase != Phase::Left).then_some(phase == Phase::Closing)
    }

    /// Sessions with something that an earlier process did not get to push.
    fn find_left_behind(&self) {
        let ids = match self.store.list() {
            Err(Error::NotFound(_)) => return,
            Err(error) => return tracing::warn!(%error, "nobody knows what is not pushed yet"),
            Ok(ids) => ids,
        };
        for id in ids {
            if let Some((local, pushed)) = self.versions(&id) {
                let mut work = self.shared.lock();
                if local > pushed.unwrap_or_default() {
                    let left = || Watched::left(local, pushed);
                    work.watched.entry(id).or_insert_with(left);
                }
                if work.phase != Phase::Running {
                    return;
                }
            }
        }
    }

    /// The session's version on disk, and that of the remote as this device saw it last.
    fn versions(&self, id: &str) -> Option<(Version, Option<Version>)> {
        let read = || -> Result<_> {
            let local = self.store.read(id)?.version();
            let memory = Memory::of(&self.store.inner, &self.remote.name());
            let known = memory.read(&self.store.inner, id)?;
            let known = known.filter(|known| !known.head.tombstone);
            Ok((local, known.map(|known| Version(known.head.last.version))))
        };
        let found = read();
        if let Err(error) = &found {
            tracing::debug!(session = id, %error, "not looked at");
        }
        found.ok()
    }

    /// Learns where open sessions are, and where those are that were closed since.
    fn look_at_closed(&self) {
        let mut closed = Vec::new();
        for (id, watched) in &mut self.shared.lock().watched {
            match watched.session.as_ref().map(SessionHandle::version) {
                Some(Some(version)) => watched.local = version,
                Some(None) => {
                    watched.session = None;
                    closed.push(id.clone());
                }
                None => {}
            }
        }
        for id in closed {
            let found = self.versions(&id);
            let mut work = self.shared.lock();
            match (work.watched.get_mut(&id), found) {
                // Opened again.
                (Some(watched), _) if watched.session.is_some() => {}
                (Some(watched), Some((local, pushed))) => {
                    watched.local = local;
                    watched.pushed = watched.pushed.max(pushed);
                }
                _ => drop(work.watched.remove(&id)),
            }
        }
    }

    /// The sessions with something to push now; those that are closed and pushed are forgotten.
    fn due(&self, closing: bool) -> Vec<Due> {
        let (mut work, now) = (self.shared.lock(), Instant::now());
        let has_network = closing || work.network.is_due(now);
        let mut due = Vec::new();
        work.watched.retain(|id, watched| {
            let pending = watched.is_pending(now);
            let wanted = watched.is_due(now) || (closing && pending && !watched.is_stopped());
            if has_network && wanted {
                due.push((id.clone(), watched.session.clone()));
            }
            pending || watched.session.is_some()
        });
        due
    }

    fn push(&mut self, closing: bool) {
        for (id, session) in self.due(closing) {
            let result = self.push_one(&id, session.as_ref());
            let is_down = matches!(result, Err(SyncError::Remote { .. }));
            let (mut work, after) = (self.shared.lock(), self.shared.after);
            if is_down {
                work.network.failed(after);
            } else {
                work.network = Retry::default();
            }
            if let Some(watched) = work.watched.get_mut(&id) {
                watched.note(result, after);
            }
            if is_down || work.phase == Phase::Left {
                break;
            }
        }
    }

    fn push_one(&mut self, id: &str, session: Option<&SessionHandle>) -> Result<Synced, SyncError> {
        let open = session.map(Local::of_handle).transpose()?.flatten();
        let local = match open {
            Some(local) => local,
            None => self.read_closed(id)?,
        };
        let syncer = self.syncer()?;
        Ok(syncer.push_local(&local)?.synced(&local))
    }

    /// A session that is not open in this process. What its last writer left in doubt is made durable by opening
    /// it, while nobody here can open it too; if somebody is opening a session this moment, that is left for later.
    fn read_closed(&self, id: &str) -> Result<Local, SyncError> {
        Local::read_settled(&self.store, id, || {
            let _turn = match self.shared.opening.try_write() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(None),
            };
            let work = self.shared.lock();
            let is_open = |watched: &Watched| watched.session.is_some();
            if work.watched.get(id).is_some_and(is_open) {
                return Ok(None);
            }
            drop(work);
            settle(&self.store, id)
        })
    }

    fn syncer(&mut self) -> Result<&Syncer, SyncError> {
        let syncer = match self.syncer.take() {
            Some(syncer) => syncer,
            None => Syncer::new(&self.store, Arc::clone(&self.remote))?,
        };
        Ok(self.syncer.insert(syncer))
    }
}

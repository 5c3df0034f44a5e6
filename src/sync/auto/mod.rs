//! Pushing in the background: appends never wait for it, and days without a network are normal.

mod background;
mod watched;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::session::Session;
use crate::store::{Companion, Store, StoreOptions};
use crate::{Error, Result, Version};

use super::{Outcome, Remote};

use background::Background;
use watched::{Phase, Watched, Work};

/// Pushes the sessions of a store, a while after each commit, from a thread of its own: see
/// [`StoreOptions::remote`]. A clone is the same.
///
/// It only pushes: it changes no session, and it stops at a divergence, which is for the caller to resolve.
#[derive(Clone, Debug)]
pub struct AutoSync {
    shared: Arc<Shared>,
}

/// Where the background pushes of one session are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoStatus {
    /// The session's id.
    pub session_id: String,
    /// The version that the remote has, as far as it is known.
    pub pushed: Version,
    /// The local version.
    pub local: Version,
    /// For how long there has been something that is not pushed.
    pub pending: Option<Duration>,
    /// Why there is, if an attempt failed.
    pub failure: Option<String>,
    /// Whether somebody must decide before anything more is pushed: diverged, or deleted elsewhere.
    pub stopped: Option<Outcome>,
}

#[derive(Debug)]
struct Shared {
    after: Duration,
    work: Mutex<Work>,
    changed: Condvar,
    /// Held for reading while a session is opened, and for writing while the background has one for itself: so
    /// nobody finds a session locked because of it.
    opening: RwLock<()>,
}

/// An [`AutoSync`] and the remote that it pushes to.
#[derive(Debug)]
struct Pusher {
    remote: Arc<dyn Remote>,
    shared: Arc<Shared>,
}

impl AutoSync {
    /// Pushes; `after` is how long to wait for more commits before each push, and between looking for them.
    #[must_use]
    pub fn after(after: Duration) -> Self {
        let shared = Shared {
            after: after.max(Duration::from_millis(1)),
            work: Mutex::default(),
            changed: Condvar::new(),
            opening: RwLock::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Where each session is that is open in this process, or that the remote has not all of, by id.
    #[must_use]
    pub fn status(&self) -> Vec<AutoStatus> {
        let work = self.shared.lock();
        let each = work.watched.iter();
        each.map(|(id, watched)| watched.status(id)).collect()
    }

    /// Pushes what is left, waiting at most so long, and ends. What is not pushed then is durable here, and the
    /// next push brings it; the store stays usable.
    pub fn close(&self, wait: Duration) -> Vec<AutoStatus> {
        let end = Instant::now() + wait;
        let mut work = self.shared.lock();
        if work.phase == Phase::Running {
            work.phase = Phase::Closing;
        }
        self.shared.changed.notify_all();
        let goes_on = |phase| ![Phase::Fresh, Phase::Ended].contains(&phase);
        while goes_on(work.phase) && Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            let waited = self.shared.changed.wait_timeout(work, left);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(work);
        self.status()
    }
}

impl StoreOptions {
    /// Opens the store with a remote: what is appended is pushed in the background, sessions that were left
    /// behind by an earlier process included. Appends never wait for it, and nothing is pulled.
    ///
    /// Opening sends nothing. One [`AutoSync`] goes with one store: opening a second one with it is an
    /// [`Error::InvalidInput`].
    #[must_use]
    pub fn remote(self, remote: Arc<dyn Remote>, auto: &AutoSync) -> Self {
        let shared = Arc::clone(&auto.shared);
        self.companion(Arc::new(Pusher { remote, shared }))
    }
}

impl Companion for Pusher {
    fn begin(&self, store: Store) -> Result<()> {
        let mut work = self.shared.lock();
        if work.phase != Phase::Fresh {
            return Err(Error::InvalidInput {
                what: store.path().display().to_string(),
                reason: "its AutoSync goes with another store; make one for each".to_owned(),
            });
        }
        let path = store.path().to_path_buf();
        let background = Background::new(Arc::clone(&self.shared), store, Arc::clone(&self.remote));
        let thread = Builder::new().name("sessionlog-sync".to_owned());
        let spawned = thread.spawn(move || background.run());
        spawned.map_err(Error::io("start a thread for", &path))?;
        work.phase = Phase::Running;
        Ok(())
    }

    fn open(&self, id: &str, open: &mut dyn FnMut() -> Result<Session>) -> Result<Session> {
        let turn = self.shared.opening.read();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        let session = open()?;
        let watched = Watched::open(session.handle(), session.version());
        self.shared.lock().watched.insert(id.to_owned(), watched);
        Ok(session)
    }

    fn end(&self) {
        let mut work = self.shared.lock();
        if work.phase == Phase::Running {
            work.phase = Phase::Left;
        }
        drop(work);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        // Every change is one step, so a thread that panicked left a whole state.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

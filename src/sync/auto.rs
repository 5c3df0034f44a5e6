//! Pushing in the background: appends never wait for it, and days without a network are normal.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::session::Session;
use crate::{Error, Version};

use super::{Outcome, SyncError, Syncer};

/// The longest pause between two attempts while the remote cannot be reached.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Pushes sessions that are open in this process, a while after each commit, from a thread of its own.
///
/// It only pushes: it changes no session, and it stops at a divergence, which is for the caller to resolve.
/// Dropping it ends the thread after the push that is under way.
#[derive(Debug)]
pub struct AutoSync {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
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
}

#[derive(Debug, Default)]
struct Work {
    watched: BTreeMap<String, Watched>,
    closing: bool,
    done: bool,
}

#[derive(Debug)]
struct Watched {
    session: Weak<Session>,
    local: Version,
    pushed: Option<Version>,
    pending_since: Option<Instant>,
    not_before: Instant,
    failures: u32,
    failure: Option<String>,
    stopped: Option<Outcome>,
}

impl AutoSync {
    /// Begins to push through `syncer`; `after` is how long to wait for more commits before each push.
    ///
    /// Errors: [`Error::Io`] if no thread can be started.
    pub fn start(syncer: Syncer, after: Duration) -> Result<Self, SyncError> {
        let shared = Arc::new(Shared {
            after: after.max(Duration::from_millis(1)),
            work: Mutex::default(),
            changed: Condvar::new(),
        });
        let (own, path) = (Arc::clone(&shared), syncer.store.path().to_path_buf());
        let thread = Builder::new().name("sessionlog-sync".to_owned());
        let thread = thread
            .spawn(move || own.run(&syncer))
            .map_err(Error::io("start a thread for", &path))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Pushes this session too, from now on, for as long as somebody else holds it. After a divergence that was
    /// resolved, watch the session again.
    pub fn watch(&self, session: &Arc<Session>) {
        let watched = Watched {
            session: Arc::downgrade(session),
            local: session.version(),
            pushed: None,
            pending_since: None,
            not_before: Instant::now(),
            failures: 0,
            failure: None,
            stopped: None,
        };
        self.shared
            .lock()
            .watched
            .insert(session.id().to_owned(), watched);
    }

    /// Where each session is, by id.
    #[must_use]
    pub fn status(&self) -> Vec<AutoStatus> {
        let work = self.shared.lock();
        work.watched
            .iter()
            .map(|(id, watched)| watched.status(id))
            .collect()
    }

    /// Pushes what is left, waiting at most so long, and ends. What is not pushed then is durable here, and the
    /// next push brings it.
    #[must_use]
    pub fn close(mut self, wait: Duration) -> Vec<AutoStatus> {
        let end = Instant::now() + wait;
        let mut work = self.shared.lock();
        work.closing = true;
        self.shared.changed.notify_all();
        while !work.done && Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            let waited = self.shared.changed.wait_timeout(work, left);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let is_done = work.done;
        drop(work);
        if let Some(thread) = self.thread.take().filter(|_| is_done) {
            // It has nothing left to do.
            let _ = thread.join();
        }
        self.status()
    }
}

impl Drop for AutoSync {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        // Every change is one step, so a thread that panicked left a whole state.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, syncer: &Syncer) {
        loop {
            let closing = {
                let work = self.lock();
                let idle = |work: &mut Work| !work.closing;
                let waited = self.changed.wait_timeout_while(work, self.after, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0.closing
            };
            for (id, session) in self.due(closing) {
                let result = push(syncer, &session);
                if let Some(watched) = self.lock().watched.get_mut(&id) {
                    watched.note(result, self.after);
                }
            }
            if closing {
                self.lock().done = true;
                self.changed.notify_all();
                return;
            }
        }
    }

    /// The sessions with something to push now; sessions that nobody holds any more are forgotten.
    fn due(&self, closing: bool) -> Vec<(String, Arc<Session>)> {
        let (mut work, now) = (self.lock(), Instant::now());
        let mut due = Vec::new();
        work.watched.retain(|id, watched| {
            let Some(session) = watched.session.upgrade() else {
                return watched.pending_since.is_some();
            };
            watched.local = session.version();
            let pending = watched.local > Version::ZERO && watched.pushed != Some(watched.local);
            if pending {
                watched.pending_since.get_or_insert(now);
            }
            if pending && watched.stopped.is_none() && (closing || watched.not_before <= now) {
                due.push((id.clone(), session));
            }
            true
        });
        due
    }
}

fn push(syncer: &Syncer, session: &Session) -> Result<super::Synced, SyncError> {
    let local = super::Local::of(session)?;
    Ok(syncer.push_local(&local)?.synced(&local))
}

impl Watched {
    fn note(&mut self, result: Result<super::Synced, SyncError>, after: Duration) {
        match result {
            Ok(synced) => {
                (self.failures, self.failure) = (0, None);
                match synced.outcome {
                    stop @ (Outcome::Diverged { .. } | Outcome::Deleted) => {
                        self.stopped = Some(stop);
                    }
                    _ => self.pushed = Some(synced.local),
                }
                if self.pushed == Some(self.local) {
                    self.pending_since = None;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "not pushed; tried again later");
                self.failures = self.failures.saturating_add(1);
                self.failure = Some(error.to_string());
                let pause = after.saturating_mul(1 << self.failures.min(16));
                self.not_before = Instant::now() + pause.min(LONGEST_PAUSE);
            }
        }
    }

    fn status(&self, id: &str) -> AutoStatus {
        AutoStatus {
            session_id: id.to_owned(),
            pushed: self.pushed.unwrap_or(Version::ZERO),
            local: self
                .session
                .upgrade()
                .map_or(self.local, |session| session.version()),
            pending: self.pending_since.map(|since| since.elapsed()),
            failure: self.failure.clone(),
            stopped: self.stopped.clone(),
        }
    }
}

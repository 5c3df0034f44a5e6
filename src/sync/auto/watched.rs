//! What the background knows of each session, and when it tries again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::session::SessionHandle;
use crate::sync::{Outcome, SyncError, Synced};
use crate::{Result, Version};

use super::AutoStatus;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Everything that the background and its owner share.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) watched: BTreeMap<String, Watched>,
    /// After a failure of the remote itself no session is tried before its time.
    pub(super) network: Retry,
    pub(super) phase: Phase,
}

/// How far the background is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// No store was opened with it yet.
    #[default]
    Fresh,
    Running,
    /// One more attempt, then it ends.
    Closing,
    /// The store is gone; it ends at once.
    Left,
    Ended,
}

/// When to try again.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    not_before: Option<Instant>,
}

/// One session.
#[derive(Debug)]
pub(super) struct Watched {
    /// As long as it is open in this process.
    pub(super) session: Option<SessionHandle>,
    pub(super) local: Version,
    /// `None` until it is known.
    pub(super) pushed: Option<Version>,
    pending_since: Option<Instant>,
    retry: Retry,
    failure: Option<String>,
    stopped: Option<Outcome>,
}

impl Retry {
    pub(super) fn failed(&mut self, after: Duration) {
        self.failures = self.failures.saturating_add(1);
        let pause = after.saturating_mul(1 << self.failures.min(16));
        self.not_before = Some(Instant::now() + pause.min(LONGEST_PAUSE));
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|then| then <= now)
    }
}

impl Watched {
    /// A session that was opened; whatever was known of it may have changed.
    pub(super) fn open(session: SessionHandle, local: Version) -> Self {
        Self {
            session: Some(session),
            ..Self::left(local, None)
        }
    }

    /// A session that nobody has open here.
    pub(super) fn left(local: Version, pushed: Option<Version>) -> Self {
        Self {
            session: None,
            local,
            pushed,
            pending_since: None,
            retry: Retry::default(),
            failure: None,
            stopped: None,
        }
    }

    /// Notes whether there is something to push, and since when.
    pub(super) fn is_pending(&mut self, now: Instant) -> bool {
        let pending = self.local > self.pushed.unwrap_or_default();
        if !pending {
            self.pending_since = None;
        } else if self.pending_since.is_none() {
            self.pending_since = Some(now);
        }
        pending
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.pending_since.is_some() && self.stopped.is_none() && self.retry.is_due(now)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    pub(super) fn note(&mut self, result: Result<Synced, SyncError>, after: Duration) {
        match result {
            Ok(synced) => {
                let is_new = self.pushed != Some(synced.local);
                self.failure = None;
                match synced.outcome {
                    stop @ (Outcome::Diverged { .. } | Outcome::Deleted) => {
                        self.stopped = Some(stop);
                    }
                    _ => self.pushed = Some(synced.local),
                }
                if is_new {
                    self.retry = Retry::default();
                } else {
                    // What is left is not durable yet, and somebody else is at it.
                    self.retry.failed(after);
                }
                self.is_pending(Instant::now());
            }
            Err(error) => {
                tracing::debug!(%error, "not pushed; tried again later");
                self.failure = Some(error.to_string());
                self.retry.failed(after);
            }
        }
    }

    pub(super) fn status(&self, id: &str) -> AutoStatus {
        let now = self.session.as_ref().and_then(SessionHandle::version);
        AutoStatus {
            session_id: id.to_owned(),
            pushed: self.pushed.unwrap_or_default(),
            local: now.unwrap_or(self.local),
            pending: self.pending_since.map(|since| since.elapsed()),
            failure: self.failure.clone(),
            stopped: self.stopped.clone(),
        }
    }
}

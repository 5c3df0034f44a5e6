//! One commit: checked, planned, staged, written, synced, acknowledged, in that order.

use crate::log::Haste;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::{Error, Result, Version};

use super::group::Inner;
use super::op::Op;
use super::plan::Plan;
use super::{Committed, Durability, Session};

impl Session {
    pub(super) fn commit(
        &self,
        ops: &[Op],
        expected: Option<Version>,
        durability: Durability,
    ) -> Result<Committed> {
        if self.process != self.store.environment.process_id() {
            return Err(Error::InvalidInput {
                what: format!("session {:?}", self.id),
                reason: "it was opened by another process: open it in this one".to_owned(),
            });
        }
        let mut inner = self.group.lock();
        loop {
            let actual = inner.state.version();
            if let Some(expected) = expected.filter(|expected| *expected != actual) {
                let session = self.id.to_string();
                return Err(Error::VersionConflict {
                    session,
                    expected,
                    actual,
                });
            }
            let is_buffered = durability == Durability::Buffered;
            let now = self.store.environment.now_us();
            let now = match &inner.writer {
                Some(writer) => writer.staged_time(now),
                None => now,
            };
            let plan = Plan::new(&self.id, inner.state.clone(), ops, now)?;
            if plan.drafts.is_empty() {
                return Ok(Committed {
                    version: actual,
                    message_id: 0,
                    changed: false,
                });
            }
            if inner.writer.is_none() && !self.give_birth(&mut inner, None)? {
                // Another writer created the session meanwhile: look at it before planning again.
                continue;
            }
            let Some(writer) = &mut inner.writer else {
                continue;
            };
            let (version, message_id) = (plan.state.version(), plan.message_id);
            let haste = if is_buffered {
                Haste::Later
            } else {
                Haste::Soon
            };
            writer.stage(plan.drafts, now, haste)?;
            self.written(&mut inner, plan.state);
            if is_buffered {
                drop(inner);
                self.store.flush_later(&self.group);
            } else {
                self.group.wait_durable(inner, version)?;
            }
            return Ok(Committed {
                version,
                message_id,
                changed: true,
            });
        }
    }

    /// Takes note of a commit that was written or staged: the session is at `state` now.
    pub(super) fn written(&self, inner: &mut Inner, state: State) {
        let before = std::mem::replace(&mut inner.state, state);
        let Some(writer) = &mut inner.writer else {
            return;
        };
        let begins = writer.first_pending() == Some(before.version().next());
        let rolled = writer.take_rolled();
        if let Some((log_id, since, sealed)) = rolled.filter(|r| self.store.wants_snapshot(r.2)) {
            // The segment ended before this commit, or before those that were buffered.
            let at_end = |state: &&State| state.version().0 == since.version;
            tracing::debug!(session = %self.id, sealed, "snapshot");
            if let Some(state) = [&inner.unbuffered, &before].into_iter().find(at_end) {
                let state = state.clone();
                self.snapshot(&Snapshot {
                    log_id,
                    since,
                    state,
                });
            }
        }
        if begins {
            inner.unbuffered = before;
        }
    }

    /// Keeps the state of a sealed segment's end, which is durable. A failure costs the next open some time and
    /// nothing else.
    fn snapshot(&self, snapshot: &Snapshot) {
        if let Err(error) = snapshot.write(&*self.store.storage, &self.dir) {
            tracing::warn!(session = %self.id, %error, "no snapshot");
        }
    }
}

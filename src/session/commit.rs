//! One commit: checked, planned, written, synced, acknowledged, in that order.

use std::io;
use std::sync::{MutexGuard, PoisonError};

use crate::snapshot::Snapshot;
use crate::{Error, Result, Version};

use super::op::Op;
use super::plan::Plan;
use super::{Committed, Durability, Inner, Session};

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
        let mut inner = self.lock();
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
            let now = self.store.environment.now_us();
            let plan = Plan::new(&self.id, inner.state.clone(), ops, now)?;
            if plan.drafts.is_empty() {
                return Ok(Committed {
                    version: actual,
                    message_id: 0,
                    changed: false,
                });
            }
            if inner.writer.is_none() && !self.give_birth(&mut inner)? {
                // Another writer created the session meanwhile: look at it before planning again.
                continue;
            }
            let Some(writer) = &mut inner.writer else {
                continue;
            };
            let unsynced = writer.append(&plan.drafts, now)?;
            let rolled = writer.take_rolled();
            let message_id = plan.message_id;
            let before = std::mem::replace(&mut inner.state, plan.state);
            if let Some((log_id, since, sealed)) = rolled {
                if self.store.wants_snapshot(sealed) {
                    self.snapshot(&Snapshot {
                        log_id,
                        since,
                        state: before,
                    });
                }
            }
            if durability != Durability::Buffered {
                self.wait_durable(inner, unsynced.version)?;
            }
            return Ok(Committed {
                version: unsynced.version,
                message_id,
                changed: true,
            });
        }
    }

    /// Keeps the state of a sealed segment's end, which is durable. A failure costs the next open some time and
    /// nothing else.
    fn snapshot(&self, snapshot: &Snapshot) {
        if let Err(error) = snapshot.write(&*self.store.storage, &self.dir) {
            tracing::warn!(session = %self.id, %error, "no snapshot");
        }
    }

    /// Returns when everything up to `version` is durable. One thread syncs for all that wait; a failed sync
    /// fails them all.
    pub(super) fn wait_durable<'s>(
        &'s self,
        mut inner: MutexGuard<'s, Inner>,
        version: Version,
    ) -> Result<()> {
        loop {
            let Some(writer) = &inner.writer else {
                return Ok(());
            };
            if writer.durable() >= version {
                return Ok(());
            }
            if writer.check().is_err() {
                return Err(self.unknown("fdatasync", io::Error::other("the shared sync failed")));
            }
            if inner.syncing {
                inner = self
                    .synced
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let unsynced = writer.unsynced();
            inner.syncing = true;
            drop(inner);
            let result = unsynced.file.sync_data();
            inner = self.lock();
            inner.syncing = false;
            if let Some(writer) = &mut inner.writer {
                match &result {
                    Ok(()) => writer.synced(unsynced.version),
                    Err(_) => writer.poison(),
                }
            }
            self.synced.notify_all();
            if let Err(source) = result {
                let path = unsynced.path;
                return Err(Error::OutcomeUnknown {
                    path,
                    operation: "fdatasync",
                    source,
                });
            }
        }
    }

    fn unknown(&self, operation: &'static str, source: io::Error) -> Error {
        Error::OutcomeUnknown {
            path: self.dir.clone(),
            operation,
            source,
        }
    }
}

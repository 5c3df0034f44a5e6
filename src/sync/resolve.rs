//! The three ways out of a divergence. Each is whole after a crash, or has not begun.

use std::path::PathBuf;

use crate::format::{Point, crc};
use crate::log::{Replayed, events};
use crate::session::Session;
use crate::{Error, Version, id};

use super::local::Local;
use super::push::Step;
use super::rebase::{RebaseReport, write_ours};
use super::replan::renamed;
use super::{Fetched, Outcome, SyncError, Synced, Syncer};

/// What to do where a session and its remote both moved on. None of them loses an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The remote's events become ours, and our own follow as new events with new versions. Message ids that
    /// are taken get the next free ones; redactions follow their messages.
    Rebase,
    /// Our branch becomes a new session of this id; this one takes the remote's history.
    Fork(String),
    /// This session takes the remote's history.
    TakeRemote,
}

impl Syncer {
    /// Syncs, and resolves a divergence in the way that is given. The branch that loses is kept whole.
    ///
    /// The session is locked meanwhile. After [`Resolution::Rebase`] our events are pushed; where that fails, the
    /// answer's `remote` is below its `local`, and the next push brings them.
    ///
    /// Errors: [`Error::Locked`] if a writer has the session.
    pub fn resolve(&self, session_id: &str, how: &Resolution) -> Result<Synced, SyncError> {
        id::check("session id", session_id)?;
        let session = self.store.session(session_id)?;
        let local = Local::of(&session)?;
        match self.push_local(&local)? {
            Step::Diverged { common, fetched } => match how {
                Resolution::Rebase => self.rebase(&session, &local, &fetched, &common),
                Resolution::Fork(new_id) => self.fork(&session, &local, &fetched, &common, new_id),
                Resolution::TakeRemote => {
                    let branch = self.take_remote(&session, &local, &fetched, &common)?;
                    let set_aside = (Version(common.version + 1), Version(local.tip.version));
                    Ok(took(
                        &local,
                        &fetched,
                        Outcome::TookRemote { set_aside, branch },
                    ))
                }
            },
            Step::Behind(fetched) => self.pull_local(&local, Some(&session), &fetched),
            step => Ok(step.synced(&local)),
        }
    }

    fn take_remote(
        &self,
        session: &Session,
        local: &Local,
        fetched: &Fetched,
        common: &Point,
    ) -> Result<PathBuf, SyncError> {
        let name = self.branch_name(local);
        let ((), branch) = self.store.replace(session, &name, |new| {
            self.write_remote(new, local, fetched, common)
        })?;
        Ok(branch)
    }

    fn rebase(
        &self,
        session: &Session,
        local: &Local,
        fetched: &Fetched,
        common: &Point,
    ) -> Result<Synced, SyncError> {
        let name = self.branch_name(local);
        let (replan, branch) = self.store.replace(session, &name, |new| {
            self.write_remote(new, local, fetched, common)?;
            Ok::<_, SyncError>(write_ours(new, local, common, fetched.head.log_id)?)
        })?;
        let report = RebaseReport {
            common: Version(common.version),
            was: Version(local.tip.version),
            now_after: Version(fetched.head.last.version),
            moved: replan.moved,
            held_back: replan.held_back,
            branch,
        };
        let mut done = took(local, fetched, Outcome::Rebased(report));
        let rebased = Local::read(&self.store, &local.id)?;
        done.local = Version(rebased.tip.version);
        match self.push_local(&rebased) {
            Ok(Step::Pushed { .. } | Step::Equal) => done.remote = done.local,
            Ok(step) => tracing::warn!(session = local.id, ?step, "rebased, and not pushed yet"),
            Err(error) => tracing::warn!(session = local.id, %error, "rebased, and not pushed yet"),
        }
        Ok(done)
    }

    fn fork(
        &self,
        session: &Session,
        local: &Local,
        fetched: &Fetched,
        common: &Point,
        new_id: &str,
    ) -> Result<Synced, SyncError> {
        id::check("session id", new_id)?;
        let log_id = forked_log_id(local, new_id);
        let is_this_fork = |error: &Error| {
            let made = matches!(error, Error::AlreadyExists(_))
                .then(|| Local::read(&self.store, new_id).ok());
            made.flatten()
                .is_some_and(|made| made.log_id == log_id && made.tip.version == local.tip.version)
        };
        let built = self.store.build_beside(new_id, |new| {
            local
                .reader
                .commits(0, local.tip.version, &mut |frame, point| {
                    new.write_anew(log_id, point.time_us, &mut |plan| {
                        for item in events(frame, 0, 0) {
                            if let Replayed::Event(event) = &item {
                                plan.emit(renamed(event, new_id)?);
                            }
                        }
                        Ok(())
                    })?;
                    Ok(true)
                })
        });
        match built {
            // A crash came between the two steps: the first is done.
            Err(error) if is_this_fork(&error) => {}
            built => built?,
        }
        let branch = self.take_remote(session, local, fetched, common)?;
        let session_id = new_id.to_owned();
        Ok(took(local, fetched, Outcome::Forked { session_id, branch }))
    }

    /// No branch has the name of another, or a quarantine could not keep both.
    fn branch_name(&self, local: &Local) -> String {
        let (version, random) = (local.tip.version, self.random() >> 32);
        format!("branch-{version:020}-{:08x}-{random:08x}", local.tip.link)
    }
}

fn took(local: &Local, fetched: &Fetched, outcome: Outcome) -> Synced {
    let version = Version(fetched.head.last.version);
    Synced {
        session_id: local.id.clone(),
        outcome,
        local: version,
        remote: version,
    }
}

/// The same branch forked under the same id is the same log, so a fork that a crash interrupted is known again.
fn forked_log_id(local: &Local, new_id: &str) -> [u8; 16] {
    let mut log_id = [0; 16];
    for (i, part) in log_id.chunks_exact_mut(4).enumerate() {
        let mut seed = vec![i as u8];
        seed.extend_from_slice(&local.log_id);
        seed.extend_from_slice(&local.tip.link.to_le_bytes());
        seed.extend_from_slice(new_id.as_bytes());
        part.copy_from_slice(&crc(&seed).to_le_bytes());
    }
    log_id
}

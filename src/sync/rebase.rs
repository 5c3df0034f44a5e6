//! Rebase: the remote's events become ours, and our own come after them as new events.

use std::path::PathBuf;

use crate::format::{Commit, Point};
use crate::log::{Replayed, events};
use crate::session::Session;
use crate::state::State;
use crate::{Error, Result, Version};

use super::local::Local;
use super::replan::Replan;
use super::{Fetched, SyncError, Syncer};

/// How many bytes of commits are written with one sync.
const BATCH: usize = 4 << 20;

/// A message whose id was taken on another device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The agent.
    pub agent_id: String,
    /// The id that the message had here.
    pub from: u64,
    /// The id that it has now.
    pub to: u64,
}

/// What a rebase did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebaseReport {
    /// The last version that both branches have.
    pub common: Version,
    /// Our events had the versions after `common` up to this one.
    pub was: Version,
    /// They have the versions after this one now.
    pub now_after: Version,
    /// Messages whose ids changed.
    pub moved: Vec<Moved>,
    /// Versions of ours, as they were, that are not repeated: creations of what the other device had created
    /// too, and changes of what is gone, redacted or different there. They are in the branch.
    pub held_back: Vec<Version>,
    /// The store that keeps our branch as it was: `sessionlog --store BRANCH show SESSION`.
    pub branch: PathBuf,
}

impl Syncer {
    /// Writes the remote's whole history to `new`: what both have from here, the rest from there.
    pub(super) fn write_remote(
        &self,
        new: &Session,
        local: &Local,
        fetched: &Fetched,
        common: &Point,
    ) -> Result<(), SyncError> {
        let log_id = fetched.head.log_id;
        let (mut last, mut batch, mut len) = (fetched.head.beginning(), Vec::new(), 0);
        local
            .reader
            .commits(0, common.version, &mut |frame, point| {
                // What a repair gave up here may still be there.
                let commit = Commit::of(frame)
                    .ok()
                    .filter(|commit| commit.follows(&last));
                let Some(commit) = commit else {
                    return Ok(false);
                };
                len += commit.bytes().len();
                batch.push(commit);
                last = point;
                if len > BATCH {
                    new.adopt(log_id, &batch)?;
                    (batch, len) = (Vec::new(), 0);
                }
                Ok(true)
            })?;
        new.adopt(log_id, &batch)?;
        let (head, tail) = (&fetched.head, &fetched.tail);
        self.commits_after(&local.id, head, tail, last.version, &mut |commits| {
            new.adopt(log_id, commits)?;
            Ok(())
        })
    }
}

/// Writes the events of `local` after `common` to `new`, behind what is there.
pub(super) fn write_ours(
    new: &Session,
    local: &Local,
    common: &Point,
    log_id: [u8; 16],
) -> Result<Replan> {
    let mut replan = Replan::new(state_at(local, common.version)?);
    local
        .reader
        .commits(common.version, local.tip.version, &mut |frame, point| {
            let mut plan_all = |plan: &mut crate::session::Plan<'_>| {
                for item in events(frame, 0, 0) {
                    // What was given up has no text to repeat; the branch keeps what is left of it.
                    match &item {
                        Replayed::Event(event) => replan.event(event, plan)?,
                        lost => replan.held_back.push(lost.version()),
                    }
                }
                Ok(())
            };
            new.write_anew(log_id, point.time_us, &mut plan_all)?;
            Ok(true)
        })?;
    Ok(replan)
}

/// The state after a version of the local log.
fn state_at(local: &Local, version: u64) -> Result<State> {
    let mut state = State::default();
    let scanned = local.reader.scan(&mut |item| {
        if item.version().0 <= version {
            state.apply(&item);
        }
        Ok(())
    })?;
    let missing = || Error::NotFound(format!("session {:?}", local.id));
    scanned.map(|_| state).ok_or_else(missing)
}

//! Commits that come from elsewhere: another device's, or a branch that is written anew.

use crate::event::EventKind;
use crate::format::{Commit, Envelope};
use crate::log::{Replayed, events};
use crate::{Error, Result, Version};

use super::Session;
use super::group::Inner;
use super::plan::Plan;

impl Session {
    /// Appends commits of another device and makes them durable, all with one sync. A session without a log
    /// gets one with this id.
    ///
    /// Errors: [`Error::VersionConflict`] if they do not begin after the last version here,
    /// [`Error::InvalidInput`] if they are another branch's or another session's,
    /// [`Error::UnsupportedVersion`] if they hold an event that must be understood and is not.
    pub(crate) fn adopt(&self, log_id: [u8; 16], commits: &[Commit]) -> Result<Version> {
        let mut inner = self.group.lock();
        for commit in commits {
            self.adopt_one(&mut inner, log_id, commit)?;
        }
        let version = inner.state.version();
        self.group.wait_durable(inner, version)?;
        Ok(version)
    }

    fn adopt_one(&self, inner: &mut Inner, log_id: [u8; 16], commit: &Commit) -> Result<()> {
        let unusable = |reason: String| Error::InvalidInput {
            what: format!("session {:?}", self.id),
            reason,
        };
        let frame = commit
            .frame()
            .map_err(|fault| unusable(fault.to_string()))?;
        let (expected, actual) = (Version(commit.first_version() - 1), inner.state.version());
        if expected != actual {
            return Err(Error::VersionConflict {
                session: self.id.to_string(),
                expected,
                actual,
            });
        }
        let mut state = inner.state.clone();
        for item in events(&frame, 0, 0) {
            let Replayed::Event(event) = &item else {
                return Err(unusable(
                    "a commit holds an event that is not whole".to_owned(),
                ));
            };
            if event.kind.must_understand() {
                return Err(Error::UnsupportedVersion {
                    path: self.dir.clone(),
                    found: format!(
                        "1 with event kind {} at version {}",
                        event.kind.byte(),
                        event.version
                    ),
                    supported: 1,
                    writer: "a newer program".to_owned(),
                });
            }
            if event.kind == EventKind::SessionCreated && event.subject != &*self.id {
                return Err(unusable(format!(
                    "the commits are session {:?}'s",
                    event.subject
                )));
            }
            state.apply(&item);
        }
        if inner.writer.is_none() {
            self.give_birth(inner, Some(log_id))?;
        }
        let other = inner
            .writer
            .as_ref()
            .is_some_and(|writer| writer.log_id() != log_id);
        if other && inner.state.version() == Version::ZERO {
            // A creation that never got to its first event left a log with an id of its own.
            self.begin_log(inner, Some(log_id))?;
        }
        let Some(writer) = &mut inner.writer else {
            return Err(unusable("it has no log".to_owned()));
        };
        if writer.log_id() != log_id {
            return Err(unusable("the commits are another log's".to_owned()));
        }
        let entries = commit.entries();
        let envelopes = entries.iter().map(|entry| Envelope::decode(entry.envelope));
        let subjects: Vec<&str> = envelopes
            .map(|envelope| envelope.map_or("", |envelope| envelope.subject))
            .collect();
        writer.adopt(commit, &subjects)?;
        self.written(inner, state);
        Ok(())
    }

    /// Writes one commit that was made at `time_us`, planned by `plan` at the present state; not synced. Writes
    /// nothing if nothing is planned. A session without a log gets one with this id.
    pub(crate) fn write_anew(
        &self,
        log_id: [u8; 16],
        time_us: u64,
        plan: &mut dyn FnMut(&mut Plan<'_>) -> Result<()>,
    ) -> Result<Version> {
        let mut inner = self.group.lock();
        let mut planned = Plan::new(&self.id, inner.state.clone(), &[], time_us)?;
        plan(&mut planned)?;
        if planned.drafts.is_empty() {
            return Ok(inner.state.version());
        }
        if inner.writer.is_none() {
            self.give_birth(&mut inner, Some(log_id))?;
        }
        if let Some(writer) = &mut inner.writer {
            writer.append(planned.drafts, time_us)?;
            self.written(&mut inner, planned.state);
        }
        Ok(inner.state.version())
    }
}

//! Claims, deletion, verification, repair and collection: what changes a head without a push.

use std::time::Duration;

use crate::Version;
use crate::format::{Commit, Point};

use super::fetch::Run;
use super::head::{ClaimEntry, Head, Sealed};
use super::local::Local;
use super::push::CLOCK_SKEW_US;
use super::{Condition, Fetched, RemoteError, SyncError, Syncer, hex, object_key};

/// How often a change of a head starts again because somebody else was first.
const ATTEMPTS: u32 = 12;

/// A claim: the device that may push, until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The device, in hexadecimal.
    pub device_id: String,
    /// One more each time another device claims the session: the fencing token.
    pub epoch: u32,
    /// When the claim ends, in microseconds since 1970.
    pub until_us: u64,
}

/// What a remote holds of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteReport {
    /// The session's id.
    pub session_id: String,
    /// One more with each change of the head.
    pub generation: u64,
    /// The history's last version.
    pub version: Version,
    /// Whether the session was deleted.
    pub deleted: bool,
    /// How many sealed objects the head names.
    pub objects: usize,
    /// Their length and the head's tail's, in bytes.
    pub bytes: u64,
    /// Who may push, if somebody has claimed the session.
    pub claim: Option<Claim>,
    /// Objects that fail their checks: the key, and what is wrong.
    pub damage: Vec<(String, String)>,
}

/// Takes where an object begins, its entry in the head, and its commits.
type VisitObject<'v> =
    &'v mut dyn FnMut(Point, &Sealed, Result<Vec<Commit>, SyncError>) -> Result<(), SyncError>;

impl Syncer {
    /// Lets only this device push, for a while. Claiming again makes it longer.
    ///
    /// A wrong clock can end a claim early or late. That can cause a divergence, and never a loss.
    ///
    /// Errors: [`SyncError::Claimed`] by another device, [`SyncError::NotFound`].
    pub fn claim(&self, session_id: &str, duration: Duration) -> Result<Claim, SyncError> {
        let wanted = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let head = self.change_head(session_id, &mut |head, now| {
            let old = head.claim.unwrap_or_default();
            let is_ours = old.device == self.device;
            let is_over = now >= old.until_us.saturating_add(CLOCK_SKEW_US);
            if head.claim.is_some() && !is_ours && !is_over {
                return Err(self.claimed(session_id, &old));
            }
            head.claim = Some(ClaimEntry {
                device: self.device,
                epoch: old.epoch.saturating_add(u32::from(!is_ours)),
                until_us: now.saturating_add(wanted),
            });
            Ok(true)
        })?;
        let claim = head.claim.as_ref().map(claim);
        claim.ok_or_else(|| SyncError::Busy(session_id.to_owned()))
    }

    /// Gives a claim of this device up; whether there was one.
    pub fn release(&self, session_id: &str) -> Result<bool, SyncError> {
        let mut held = false;
        self.change_head(session_id, &mut |head, _| {
            let is_ours = |claim: &ClaimEntry| claim.device == self.device && claim.until_us > 0;
            let Some(old) = head.claim.filter(is_ours) else {
                return Ok(false);
            };
            held = true;
            // The epoch stays, so that it never goes back; this end is over by everybody's clock.
            head.claim = Some(ClaimEntry { until_us: 0, ..old });
            Ok(true)
        })?;
        Ok(held)
    }

    /// Deletes a session on the remote and here. Other devices learn of it at their next sync, and keep what
    /// they have until it is deleted there too.
    ///
    /// Errors: [`SyncError::NotFound`] if the remote has no such session.
    pub fn delete(&self, session_id: &str) -> Result<(), SyncError> {
        let mut old = Vec::new();
        self.change_head(session_id, &mut |head, _| {
            if !head.tombstone {
                old.clone_from(&head.sealed);
            }
            let change = !head.tombstone;
            head.tombstone = true;
            head.sealed.clear();
            head.tail.clear();
            Ok(change)
        })?;
        for sealed in old {
            let key = object_key(session_id, &sealed.name());
            if let Err(error) = self.remote.delete(&key) {
                tracing::warn!(key, %error, "stays until the next collection");
            }
        }
        match self.store.delete(session_id) {
            Err(crate::Error::NotFound(_)) => Ok(()),
            done => Ok(done?),
        }
    }

    /// What the remote holds of a session. With `all`, every object is read and checked.
    pub fn inspect(&self, session_id: &str, all: bool) -> Result<RemoteReport, SyncError> {
        let fetched = self.existing(session_id)?;
        let head = &fetched.head;
        let mut damage = Vec::new();
        if all {
            self.each_object(session_id, head, &mut |_, _, found| {
                match found {
                    Err(SyncError::Damaged { key, reason }) => damage.push((key, reason)),
                    Err(e) => return Err(e),
                    Ok(_) => {}
                }
                Ok(())
            })?;
        }
        let sealed: u64 = head.sealed.iter().map(|sealed| sealed.len).sum();
        Ok(RemoteReport {
            session_id: session_id.to_owned(),
            generation: head.generation,
            version: Version(head.last.version),
            deleted: head.tombstone,
            objects: head.sealed.len(),
            bytes: sealed + head.tail.len() as u64,
            claim: head.claim.as_ref().filter(|c| c.until_us > 0).map(claim),
            damage,
        })
    }

    /// Uploads again what the remote lost and this device has; returns how many objects were replaced.
    ///
    /// Errors: [`SyncError::Damaged`] with the first object that this device does not have either.
    pub fn repair_remote(&self, session_id: &str) -> Result<usize, SyncError> {
        let local = Local::read(&self.store, session_id)?;
        let fetched = self.existing(session_id)?;
        let mut fresh: Vec<(Sealed, Sealed)> = Vec::new();
        self.each_object(session_id, &fetched.head, &mut |before, sealed, found| {
            let Err(error) = found else { return Ok(()) };
            let mut run = Run::after(before);
            if local.log_id == fetched.head.log_id && local.has(&sealed.last)? {
                local
                    .reader
                    .commits(before.version, sealed.last.version, &mut |frame, _| {
                        let commit = Commit::of(frame).ok().filter(|c| c.follows(&run.last));
                        if let Some(commit) = &commit {
                            run.push(commit);
                        }
                        Ok(commit.is_some())
                    })?;
            }
            if run.last != sealed.last || !matches!(error, SyncError::Damaged { .. }) {
                return Err(error);
            }
            fresh.push((*sealed, self.seal(session_id, local.log_id, &run)?));
            Ok(())
        })?;
        if !fresh.is_empty() {
            self.change_head(session_id, &mut |head, _| {
                for (old, new) in &fresh {
                    let named = head.sealed.iter_mut().find(|sealed| *sealed == old);
                    if let Some(sealed) = named {
                        *sealed = *new;
                    }
                }
                Ok(true)
            })?;
        }
        Ok(fresh.len())
    }

    /// Removes objects that the head does not name and that are older than `grace`, by the remote's clock;
    /// returns how many.
    ///
    /// The head is changed first, so that a push that slept through the grace time fails and starts again, under
    /// new names.
    pub fn collect(&self, session_id: &str, grace: Duration) -> Result<usize, SyncError> {
        let prefix = object_key(session_id, "");
        let list = || {
            self.remote
                .list(&prefix)
                .map_err(|e| self.remote_error(&prefix, e))
        };
        let unnamed = |head: &Head, key: &str| {
            let name = key.strip_prefix(&prefix).unwrap_or_default();
            name != "head" && head.sealed.iter().all(|sealed| sealed.name() != name)
        };
        let fetched = self.existing(session_id)?;
        if !list()?
            .iter()
            .any(|object| unnamed(&fetched.head, &object.key))
        {
            return Ok(0);
        }
        let head = self.change_head(session_id, &mut |_, _| Ok(true))?;
        let listed = list()?;
        let now = listed
            .iter()
            .map(|object| object.modified_us)
            .max()
            .unwrap_or(0);
        let grace = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
        let old = |modified: u64| modified.saturating_add(grace) <= now;
        let mut removed = 0;
        for object in listed
            .iter()
            .filter(|o| unnamed(&head, &o.key) && old(o.modified_us))
        {
            let deleted = self.remote.delete(&object.key);
            deleted.map_err(|e| self.remote_error(&object.key, e))?;
            removed += 1;
        }
        Ok(removed)
    }

    fn existing(&self, session_id: &str) -> Result<Fetched, SyncError> {
        let found = self.head(session_id)?;
        found.ok_or_else(|| SyncError::NotFound(session_id.to_owned()))
    }

    fn each_object(
        &self,
        session_id: &str,
        head: &Head,
        visit: VisitObject<'_>,
    ) -> Result<(), SyncError> {
        let mut before = head.beginning();
        for sealed in &head.sealed {
            let found = self.object(session_id, head.log_id, &before, sealed);
            visit(before, sealed, found)?;
            before = sealed.last;
        }
        Ok(())
    }

    /// Changes the head by compare and swap; `change` gets it and the time, and says whether there is anything
    /// to change.
    fn change_head(
        &self,
        session_id: &str,
        change: &mut dyn FnMut(&mut Head, u64) -> Result<bool, SyncError>,
    ) -> Result<Head, SyncError> {
        // Every attempt that may have taken effect, or still may.
        let mut doubts: Vec<(Head, RemoteError)> = Vec::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.remote.pause(attempt, self.random());
            }
            let found = self.existing(session_id);
            let Fetched { mut head, tag, .. } =
                found.map_err(|e| overruled(session_id, doubts.first(), e))?;
            if doubts.iter().any(|(wanted, _)| *wanted == head) {
                return Ok(head);
            }
            // Somebody else was first, and the answer said so.
            doubts.retain(|(_, source)| *source != RemoteError::Precondition);
            let now = self.store.inner.environment.now_us();
            if !change(&mut head, now)? {
                return Ok(head);
            }
            head.generation += 1;
            (head.device, head.time_us) = (self.device, now);
            match self.put_head(session_id, &head, &Condition::Unchanged(tag)) {
                Ok(_) => return Ok(head),
                Err(SyncError::Remote { source, .. }) => match source {
                    RemoteError::Precondition | RemoteError::Ambiguous(_) => {
                        doubts.push((head, source));
                    }
                    source => {
                        let error = self.remote_error(session_id, source);
                        return Err(overruled(session_id, doubts.first(), error));
                    }
                },
                Err(e) => return Err(e),
            }
        }
        let busy = SyncError::Busy(session_id.to_owned());
        Err(overruled(session_id, doubts.first(), busy))
    }
}

/// While a change of the head is in doubt, no error may say that it was not made.
fn overruled(session: &str, doubt: Option<&(Head, RemoteError)>, error: SyncError) -> SyncError {
    match (doubt, error) {
        (Some((_, source)), SyncError::Remote { .. } | SyncError::Busy(_)) => {
            SyncError::OutcomeUnknown {
                session: session.to_owned(),
                source: source.clone(),
            }
        }
        (_, error) => error,
    }
}

fn claim(entry: &ClaimEntry) -> Claim {
    Claim {
        device_id: hex(&entry.device),
        epoch: entry.epoch,
        until_us: entry.until_us,
    }
}

//! Pushing: sealed objects first, then the head, in one conditional put.

use crate::Version;
use crate::format::{Commit, Point};

use super::divergence::Relation;
use super::fetch::Run;
use super::head::{ClaimEntry, Head, Sealed};
use super::local::Local;
use super::memory::Remembered;
use super::{
    Condition, Fetched, Outcome, RemoteError, SyncError, Synced, Syncer, Tag, head_key, hex,
};

/// A tail longer than this becomes an immutable object, in bytes.
const TAIL_LEN: usize = 128 << 10;
/// An object that is as long as this is not merged with others any more, in bytes.
const SEAL_LEN: usize = 16 << 20;
/// How often a push starts again because somebody else was first, or because the answer is in doubt.
const ATTEMPTS: u32 = 12;
/// How wrong the clocks of two devices may be before a claim is judged wrongly, in microseconds.
pub(super) const CLOCK_SKEW_US: u64 = 30_000_000;

/// Where a push or a comparison ended.
#[derive(Debug)]
pub(super) enum Step {
    Pushed {
        remote: u64,
    },
    Equal,
    /// The remote has no such session.
    Absent,
    Behind(Box<Fetched>),
    Ahead {
        remote: u64,
    },
    Diverged {
        common: Point,
        fetched: Box<Fetched>,
    },
    Deleted,
}

impl Step {
    pub(super) fn synced(&self, local: &Local) -> Synced {
        let here = local.tip.version;
        let (outcome, remote) = match self {
            Self::Pushed { remote } => (Outcome::Pushed, *remote),
            Self::Equal => (Outcome::Equal, here),
            Self::Absent if here == 0 => (Outcome::Equal, 0),
            Self::Absent => (Outcome::Ahead, 0),
            Self::Behind(fetched) => (Outcome::Behind, fetched.head.last.version),
            Self::Ahead { remote } => (Outcome::Ahead, *remote),
            Self::Diverged { common, fetched } => {
                let common = Version(common.version);
                (Outcome::Diverged { common }, fetched.head.last.version)
            }
            Self::Deleted => (Outcome::Deleted, 0),
        };
        Synced {
            session_id: local.id.clone(),
            outcome,
            local: Version(here),
            remote: Version(remote),
        }
    }
}

/// A put of the head that may have taken effect, or may still: a failed condition may be the answer to a
/// repetition that met the first attempt.
#[derive(Debug)]
struct Doubt {
    source: RemoteError,
    /// The tag that the put was on; `None` for the first head.
    tag: Option<Tag>,
}

impl Doubt {
    /// Whether it is still open when the head with this tag is there, and has not what the put had: a put on
    /// another tag can take effect no more.
    fn holds(&self, tag: Option<&Tag>) -> bool {
        self.tag.as_ref() == tag && self.source != RemoteError::Precondition
    }

    /// While there is a doubt, no other error may say that nothing was written.
    fn overrules(doubt: Option<&Self>, local: &Local, error: SyncError) -> SyncError {
        match (doubt, error) {
            // The head was read, and these say more.
            (
                _,
                error @ (SyncError::RemoteLost { .. }
                | SyncError::Damaged { .. }
                | SyncError::UnsupportedVersion { .. }),
            )
            | (None, error) => error,
            (Some(doubt), _) => SyncError::OutcomeUnknown {
                session: local.id.clone(),
                source: doubt.source.clone(),
            },
        }
    }
}

impl Syncer {
    /// Compares with the head of the remote; one request, or two where the histories' relation is inside an
    /// object.
    pub(super) fn compare(&self, local: &Local) -> Result<Step, SyncError> {
        match self.head(&local.id)? {
            None => Ok(Step::Absent),
            Some(fetched) => self.step(local, fetched),
        }
    }

    fn step(&self, local: &Local, fetched: Fetched) -> Result<Step, SyncError> {
        let remote = fetched.head.last.version;
        if fetched.head.tombstone {
            return Ok(Step::Deleted);
        }
        Ok(match self.relation(local, &fetched)? {
            Relation::Equal => Step::Equal,
            Relation::Ahead => Step::Ahead { remote },
            Relation::Behind => Step::Behind(Box::new(fetched)),
            Relation::Diverged => {
                let common = self.common(local, &fetched)?;
                let fetched = Box::new(fetched);
                Step::Diverged { common, fetched }
            }
        })
    }

    /// Pushes until the remote has all of `local`, or until it turns out that it must not be pushed.
    pub(super) fn push_local(&self, local: &Local) -> Result<Step, SyncError> {
        let mut doubt: Option<Doubt> = None;
        let mut base = self.remembered(local)?;
        for attempt in 0..=ATTEMPTS {
            if attempt > 0 {
                self.remote.pause(attempt, self.random());
            }
            if base.is_none() {
                let found = self.look(local);
                match found.map_err(|e| Doubt::overrules(doubt.as_ref(), local, e))? {
                    (Step::Ahead { .. }, known) => base = known,
                    (Step::Absent, _) if !local.is_empty() => {}
                    // Our commit is there: the put that was in doubt took effect.
                    (Step::Equal, _) if doubt.is_some() => {
                        let remote = local.tip.version;
                        return Ok(Step::Pushed { remote });
                    }
                    (step, _) => return Ok(step),
                }
                let tag = base.as_ref().map(|base| &base.tag);
                doubt = doubt.filter(|doubt| doubt.holds(tag));
            }
            if attempt == ATTEMPTS {
                break;
            }
            let tag = base.as_ref().map(|base| base.tag.clone());
            match self.push_onto(local, base.take()) {
                Ok(remote) => return Ok(Step::Pushed { remote }),
                Err(SyncError::Remote {
                    source: source @ (RemoteError::Precondition | RemoteError::Ambiguous(_)),
                    ..
                }) => doubt = Some(Doubt { source, tag }),
                Err(e) => return Err(Doubt::overrules(doubt.as_ref(), local, e)),
            }
        }
        let busy = SyncError::Busy(local.id.clone());
        Err(Doubt::overrules(doubt.as_ref(), local, busy))
    }

    /// Fetches the head and compares; with the head, to push on top of it.
    fn look(&self, local: &Local) -> Result<(Step, Option<Remembered>), SyncError> {
        let Some(fetched) = self.head(&local.id)? else {
            return Ok((Step::Absent, None));
        };
        let known = Remembered {
            head: fetched.head.clone(),
            tag: fetched.tag.clone(),
        };
        Ok((self.step(local, fetched)?, Some(known)))
    }

    /// The head that this device saw last, if a push can be tried on top of it without asking.
    fn remembered(&self, local: &Local) -> Result<Option<Remembered>, SyncError> {
        let known = self.memory.read(&self.store.inner, &local.id)?;
        // A claim of another device may be over: that is worth a request.
        let is_free = |head: &Head| head.claim.is_none_or(|claim| claim.device == self.device);
        let known = known.filter(|known| !known.head.tombstone && is_free(&known.head));
        let Some(known) = known else { return Ok(None) };
        let relation = Relation::locally(local, &known.head)?;
        Ok((relation == Some(Relation::Ahead)).then_some(known))
    }

    /// One attempt: what the remote has not yet, on top of the head that we saw.
    fn push_onto(&self, local: &Local, base: Option<Remembered>) -> Result<u64, SyncError> {
        if !self.memory.is_probed(&self.store.inner) {
            let probed = self.remote.probe();
            probed.map_err(|e| self.remote_error("", e.not_in_doubt()))?;
            self.memory.set_probed(&self.store.inner)?;
        }
        let now = self.store.inner.environment.now_us();
        let (old, condition) = match base {
            Some(base) => (base.head, Condition::Unchanged(base.tag)),
            None => (Head::default(), Condition::Absent),
        };
        self.check_claim(local, &old, now)?;
        let mut head = Head {
            log_id: local.log_id,
            generation: old.generation + 1,
            device: self.device,
            time_us: now,
            ..old
        };
        self.extend(local, &mut head)?;
        self.put_head(&local.id, &head, &condition)
    }

    pub(super) fn put_head(
        &self,
        session_id: &str,
        head: &Head,
        condition: &Condition,
    ) -> Result<u64, SyncError> {
        let key = head_key(session_id);
        let tag = self
            .remote
            .put(&key, &head.encode(), condition)
            .map_err(|e| self.remote_error(&key, e))?;
        if let Err(error) = self.remember(session_id, head, &tag) {
            // The push took effect; without the memory the next one asks first.
            tracing::warn!(session = session_id, %error, "the remote's head is not remembered");
        }
        Ok(head.last.version)
    }

    fn check_claim(&self, local: &Local, head: &Head, now: u64) -> Result<(), SyncError> {
        match head.claim {
            Some(claim)
                if claim.device != self.device
                    && now < claim.until_us.saturating_add(CLOCK_SKEW_US) =>
            {
                Err(self.claimed(&local.id, &claim))
            }
            _ => Ok(()),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what this device is told")]
    pub(super) fn claimed(&self, session_id: &str, claim: &ClaimEntry) -> SyncError {
        SyncError::Claimed {
            session: session_id.to_owned(),
            by: hex(&claim.device),
            until_us: claim.until_us,
        }
    }

    /// Adds the local commits to the head: into its tail, or sealed where that would be too long.
    fn extend(&self, local: &Local, head: &mut Head) -> Result<(), SyncError> {
        let mut run = Run::after(head.sealed_to());
        if !head.tail.is_empty() {
            run.bytes = std::mem::take(&mut head.tail);
            run.last = head.last;
        }
        let mut failed = None;
        let from = run.last.version;
        local
            .reader
            .commits(from, local.tip.version, &mut |frame, point| {
                let commit = Commit::of(frame)
                    .ok()
                    .filter(|commit| commit.follows(&run.last));
                let Some(commit) = commit else {
                    failed = Some(SyncError::GivenUp {
                        session: local.id.clone(),
                        first: Version(run.last.version + 1),
                        last: Version(point.version),
                    });
                    return Ok(false);
                };
                run.push(&commit);
                if run.bytes.len() >= SEAL_LEN {
                    match self.seal(&local.id, local.log_id, &run) {
                        Ok(sealed) => head.sealed.push(sealed),
                        Err(e) => {
                            failed = Some(e);
                            return Ok(false);
                        }
                    }
                    run = Run::after(point);
                }
                Ok(true)
            })?;
        if let Some(error) = failed {
            return Err(error);
        }
        head.last = run.last;
        if run.bytes.len() > TAIL_LEN {
            self.merge(local, head, &mut run)?;
            let sealed = self.seal(&local.id, local.log_id, &run)?;
            head.sealed.push(sealed);
            run.bytes.clear();
        }
        head.tail = run.bytes;
        Ok(())
    }

    /// Takes shorter objects at the end into the run, so that their number grows with the logarithm of the
    /// history until they have their full length.
    #[expect(clippy::unused_self, reason = "reads as a step of the push")]
    fn merge(&self, local: &Local, head: &mut Head, run: &mut Run) -> Result<(), SyncError> {
        let fits = |sealed: &Sealed, run: &Run| {
            let len = sealed.len as usize;
            len <= 2 * run.bytes.len() && len + run.bytes.len() <= SEAL_LEN
        };
        while let Some(sealed) = head
            .sealed
            .last()
            .filter(|sealed| fits(sealed, run))
            .copied()
        {
            let before = head
                .sealed
                .len()
                .checked_sub(2)
                .map(|i| head.sealed[i].last);
            let mut longer = Run::after(before.unwrap_or_else(|| head.beginning()));
            local
                .reader
                .commits(longer.last.version, sealed.last.version, &mut |frame, _| {
                    let commit = Commit::of(frame)
                        .ok()
                        .filter(|commit| commit.follows(&longer.last));
                    if let Some(commit) = &commit {
                        longer.push(commit);
                    }
                    Ok(commit.is_some())
                })?;
            if longer.last != sealed.last {
                // The local log has a gap where the remote has none: its object stays as it is.
                break;
            }
            longer.bytes.append(&mut run.bytes);
            longer.last = run.last;
            *run = longer;
            head.sealed.pop();
        }
        Ok(())
    }
}

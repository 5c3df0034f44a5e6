//! Every crash of a short history: each operation, and each image that a policy allows there.

use crate::{Error, Session};

use super::super::{Choice, Crash, Exhaustive, FaultPlan, Policy, SimDisk};
use super::check::check;
use super::history::{ID, Journal, append, buffered, redact, store, sync};
use super::{Summary, recover};

/// One step of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A message with so many bytes of text.
    Append(u64),
    /// Three messages in one commit, each with so many bytes of text.
    Batch(u64),
    /// A message with so many bytes of text that is not synced.
    Buffered(u64),
    /// Makes durable what is not.
    Flush,
    /// Redacts the last message.
    Redact,
    /// Changes the agent's state.
    Sync,
    /// Closes the session and opens it again.
    Reopen,
}

/// Always the same choice, or the greatest there is.
struct Always(u64);

impl Choice for Always {
    fn choose(&mut self, _what: &'static str, n: u64) -> u64 {
        self.0.min(n.saturating_sub(1))
    }
}

/// Runs a history once for each of its operations, with a power cut there, and applies what must hold to every image that
/// the crash allows. With `recovery`, the power goes once more at each operation of each image's recovery, and all or
/// nothing of what that wrote survives.
///
/// Errors: what did not hold, with the choices that lead to it.
pub fn every_crash(
    steps: &[Step],
    crash: impl Into<Crash>,
    recovery: bool,
) -> Result<Summary, String> {
    let (crash, mut summary) = (crash.into(), Summary::default());
    let disk = SimDisk::new();
    run(&disk, steps, &mut Journal::default()).map_err(|e| format!("{steps:?}: {e}"))?;
    for at in 1..=disk.operations() {
        let (disk, mut journal) = (SimDisk::new(), Journal::default());
        disk.set_faults(FaultPlan::power_cut(at));
        // The history ends where the power does.
        let _ = run(&disk, steps, &mut journal);
        let mut all = Exhaustive::new();
        loop {
            let image = summary.crash(&disk, crash, &mut all);
            let again = if recovery { Some(image.kill()) } else { None };
            let mut checked = journal.clone();
            let result = check(&image, crash.policy(), &mut checked, &mut summary);
            let result = result.and_then(|()| match again {
                Some(image) => in_recovery(&image, crash, &journal, &mut summary),
                None => Ok(()),
            });
            result.map_err(|e| format!("{steps:?} at operation {at}, {:?}: {e}", all.made()))?;
            if !all.advance() {
                break;
            }
        }
    }
    Ok(summary)
}

/// The power goes at each operation of the recovery of an image.
fn in_recovery(
    image: &SimDisk,
    crash: Crash,
    journal: &Journal,
    summary: &mut Summary,
) -> Result<(), String> {
    for at in 1.. {
        for policy in [Policy::Nothing, Policy::Everything] {
            let disk = image.kill();
            disk.set_faults(FaultPlan::power_cut(at));
            let _ = recover(&disk);
            if disk.faults_struck() == 0 {
                return Ok(());
            }
            summary.in_recovery += 1;
            let after = summary.crash(&disk, policy, &mut Always(0));
            check(&after, crash.policy(), &mut journal.clone(), summary)
                .map_err(|e| format!("at operation {at} of its recovery, {policy:?}: {e}"))?;
        }
    }
    Ok(())
}

fn run(disk: &SimDisk, steps: &[Step], journal: &mut Journal) -> Result<(), Error> {
    let mut session = store(disk)?.session(ID)?;
    for step in steps {
        if *step == Step::Reopen {
            session.close()?;
            journal.settle();
            session = store(disk)?.session(ID)?;
        } else {
            take(*step, &session, journal)?;
        }
    }
    session.close()?;
    journal.settle();
    Ok(())
}

fn take(step: Step, session: &Session, journal: &mut Journal) -> Result<(), Error> {
    match step {
        Step::Append(length) => append(session, journal, &mut Always(length), 1),
        Step::Batch(length) => append(session, journal, &mut Always(length), 3),
        Step::Buffered(length) => buffered(session, journal, &mut Always(length)),
        Step::Redact => redact(session, journal, &mut Always(u64::MAX)),
        Step::Sync => sync(session, journal),
        Step::Flush | Step::Reopen => {
            session.flush()?;
            journal.settle();
            Ok(())
        }
    }
}

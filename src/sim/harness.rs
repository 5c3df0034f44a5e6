//! The crash harness: a random history on a simulated disk, a power cut, and what must hold afterwards.
//!
//! It keeps a journal of what was acknowledged and of what was under way. After every power cut the session is
//! opened again on the disk's image and compared with the journal:
//!
//! 1. Every acknowledged event is there, byte for byte, at its version.
//! 2. What is there beyond is whole commits that were under way, in order. Nothing is invented.
//! 3. The image is never called corrupt. A tail with garbage in it may be called suspect: then repair makes the
//!    session writable again, and 1 and 2 hold.
//! 4. A power cut during the recovery changes nothing of this.
//! 5. The session goes on: the next generation appends, crashes and is checked in the same way.

use std::sync::Arc;

use crate::damage::Verdict;
use crate::{AgentSync, Durability, Error, RepairOptions, Session, Store, Version};

use super::{Choice, FaultPlan, Policy, Seeded, SimDisk};

const ID: &str = "s";
/// The policies that a power cut is drawn from.
const POLICIES: [Policy; 5] = [
    Policy::Nothing,
    Policy::Everything,
    Policy::PageCache,
    Policy::AnySubset,
    Policy::Trashed,
];
/// How many generations follow each other after a first power cut.
const GENERATIONS: u64 = 4;

/// What a run of the harness saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many power cuts there were.
    pub power_cuts: u64,
    /// How many of them left a torn tail that was set aside.
    pub torn: u64,
    /// How many of them left a suspect tail that was repaired.
    pub suspect: u64,
    /// How many of them came during a recovery.
    pub in_recovery: u64,
}

/// A commit as the journal knows it.
#[derive(Clone, Debug)]
struct Commit {
    first: u64,
    last: u64,
    /// Version and payload of its messages and redactions.
    payloads: Vec<(u64, String)>,
}

/// What was acknowledged as durable, and what was under way.
#[derive(Clone, Debug, Default)]
struct Journal {
    durable: Vec<Commit>,
    /// Written, not known to be durable.
    open: Vec<Commit>,
    messages: u64,
    texts: u64,
}

impl Journal {
    fn version(&self) -> u64 {
        self.open
            .last()
            .or(self.durable.last())
            .map_or(0, |commit| commit.last)
    }

    fn settle(&mut self) {
        self.durable.append(&mut self.open);
    }
}

/// Runs one history several times, with a power cut at another operation each time.
///
/// Errors: what did not hold, with everything needed to run it again.
pub fn run(seed: u64, cuts: u64) -> Result<Summary, String> {
    let mut summary = Summary::default();
    let (disk, mut journal) = (SimDisk::new(), Journal::default());
    work(&disk, &mut Seeded::new(seed), &mut journal).map_err(|e| format!("seed {seed}: {e}"))?;
    let operations = disk.operations();
    let mut choice = Seeded::new(seed ^ 0x5EED);
    for cut in 0..cuts {
        let at = 1 + choice.choose("cut", operations);
        let policy = POLICIES[choice.choose("policy", POLICIES.len() as u64) as usize];
        let context =
            |e: String| format!("seed {seed}, cut {cut} at operation {at}, {policy:?}: {e}");
        let (disk, mut journal) = (SimDisk::new(), Journal::default());
        disk.set_faults(FaultPlan::power_cut(at));
        // The history ends where the power does.
        let _ = work(&disk, &mut Seeded::new(seed), &mut journal);
        generations(&disk, policy, &mut journal, &mut choice, &mut summary).map_err(context)?;
    }
    Ok(summary)
}

/// Crashes, checks, works on and crashes again.
fn generations(
    disk: &SimDisk,
    policy: Policy,
    journal: &mut Journal,
    choice: &mut Seeded,
    summary: &mut Summary,
) -> Result<(), String> {
    let mut image = disk.crash(policy, choice);
    for generation in 0..GENERATIONS {
        summary.power_cuts += 1;
        if choice.choose("crash in recovery", 2) == 1 {
            summary.power_cuts += 1;
            summary.in_recovery += 1;
            let at = image.operations() + 1 + choice.choose("recovery cut", 40);
            image.set_faults(FaultPlan::power_cut(at));
            // Whatever comes of it, only what it leaves on the disk counts.
            let _ = store(&image).and_then(|store| store.session(ID)).map(drop);
            image = image.crash(policy, choice);
        }
        check(&image, policy, journal, summary)
            .map_err(|e| format!("generation {generation}: {e}"))?;
        let at = image.operations() + 20 + choice.choose("next cut", 120);
        image.set_faults(FaultPlan::power_cut(at));
        let seed = choice.choose("next seed", u64::MAX);
        let _ = work(&image, &mut Seeded::new(seed), journal);
        image = image.crash(policy, choice);
    }
    check(&image, policy, journal, summary)
}

fn store(disk: &SimDisk) -> Result<Store, Error> {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(4096)
        .snapshot_after(4096)
        .open("/store")
}

/// A random history; goes on from what the journal says.
fn work(disk: &SimDisk, choice: &mut Seeded, journal: &mut Journal) -> Result<(), Error> {
    let mut session = Some(store(disk)?.session(ID)?);
    for _ in 0..8 + choice.choose("operations", 24) {
        let Some(open) = &session else { break };
        match choice.choose("operation", 10) {
            0..=3 => append(open, journal, choice, 1)?,
            4 => append(open, journal, choice, 3)?,
            5 => redact(open, journal, choice)?,
            6 => sync(open, journal)?,
            7 => {
                open.flush()?;
                journal.settle();
            }
            8 => {
                if let Some(open) = session.take() {
                    open.close()?;
                    journal.settle();
                }
                session = Some(store(disk)?.session(ID)?);
            }
            _ => buffered(open, journal, choice)?,
        }
    }
    Ok(())
}

fn text(journal: &mut Journal, choice: &mut Seeded) -> String {
    journal.texts += 1;
    let filler = "x".repeat(choice.choose("length", 700) as usize);
    format!(
        "{{\"role\":\"user\",\"n\":{},\"content\":\"{filler}\"}}",
        journal.texts
    )
}

/// How many events come before the first message of a session: its own creation and its agent's.
fn before(session: &Session) -> u64 {
    let state = session.state();
    let creates_session = state.session_id().is_none() && state.lost().is_empty();
    let creates_agent = state
        .agent("a")
        .is_none_or(|agent| agent.record().is_none());
    u64::from(creates_session) + u64::from(creates_agent)
}

fn append(
    session: &Session,
    journal: &mut Journal,
    choice: &mut Seeded,
    count: u64,
) -> Result<(), Error> {
    commit_messages(session, journal, choice, count, Durability::Sync)?;
    journal.settle();
    Ok(())
}

fn buffered(session: &Session, journal: &mut Journal, choice: &mut Seeded) -> Result<(), Error> {
    commit_messages(session, journal, choice, 1, Durability::Buffered)
}

fn commit_messages(
    session: &Session,
    journal: &mut Journal,
    choice: &mut Seeded,
    count: u64,
    durability: Durability,
) -> Result<(), Error> {
    let (first, extra) = (journal.version() + 1, before(session));
    let texts: Vec<String> = (0..count).map(|_| text(journal, choice)).collect();
    let batch = texts
        .iter()
        .try_fold(session.batch(), |batch, text| batch.append_json("a", text))?;
    let payloads = (first + extra..).zip(texts).collect();
    journal.open.push(Commit {
        first,
        last: first + extra + count - 1,
        payloads,
    });
    let done = batch.durability(durability).commit()?;
    debug_assert_eq!(
        done.version.0,
        journal.version(),
        "the journal counts as the session does"
    );
    journal.messages += count;
    Ok(())
}

fn redact(session: &Session, journal: &mut Journal, choice: &mut Seeded) -> Result<(), Error> {
    if journal.messages == 0 {
        return Ok(());
    }
    let (version, id) = (
        journal.version() + 1,
        choice.choose("message", journal.messages),
    );
    let payload = text(journal, choice);
    let batch = session.batch().redact_json("a", id, &payload)?;
    journal.open.push(Commit {
        first: version,
        last: version,
        payloads: vec![(version, payload)],
    });
    let done = batch.commit()?;
    debug_assert_eq!(
        done.version.0,
        journal.version(),
        "a redaction is one event"
    );
    journal.settle();
    Ok(())
}

fn sync(session: &Session, journal: &mut Journal) -> Result<(), Error> {
    journal.texts += 1;
    let (first, extra) = (journal.version() + 1, before(session));
    let state = format!("{{\"n\":{}}}", journal.texts);
    journal.open.push(Commit {
        first,
        last: first + extra,
        payloads: Vec::new(),
    });
    let sync = AgentSync {
        state: Some(&state),
        ..AgentSync::default()
    };
    let done = session.sync_agent("a", sync)?;
    debug_assert_eq!(
        done.version.0,
        journal.version(),
        "a sync of a new state is one event"
    );
    journal.settle();
    Ok(())
}

/// Opens the session on an image and compares it with the journal; afterwards the journal is what is there.
fn check(
    image: &SimDisk,
    policy: Policy,
    journal: &mut Journal,
    summary: &mut Summary,
) -> Result<(), String> {
    let store = store(image).map_err(|e| format!("open the store: {e}"))?;
    let session = match store.session(ID) {
        Err(Error::Damaged { report, .. }) => {
            let only_suspect = report
                .iter()
                .all(|damage| damage.verdict == Verdict::Suspect);
            if !only_suspect || policy != Policy::Trashed {
                return Err(format!("a crash image is called damaged: {report:?}"));
            }
            summary.suspect += 1;
            store
                .repair(ID, &RepairOptions::default())
                .map_err(|e| format!("repair: {e}"))?;
            store
                .session(ID)
                .map_err(|e| format!("after repair: {e}"))?
        }
        other => other.map_err(|e| format!("open: {e}"))?,
    };
    summary.torn += u64::from(session.recovered().is_some());
    let durable = journal.durable.last().map_or(0, |commit| commit.last);
    let version = session.version().0;
    let lost = session.state().lost().to_vec();
    let is_lost = |commit: &Commit| {
        lost.iter()
            .any(|(first, last)| first.0 <= commit.last && commit.first <= last.0)
    };
    let mut known = journal.durable.clone();
    let open = journal
        .open
        .iter()
        .filter(|commit| commit.last <= version && !is_lost(commit));
    known.extend(open.cloned());
    let reached = known.last().map_or(0, |commit| commit.last);
    let given_up = lost.last().map_or(0, |(_, last)| last.0);
    if version < durable || version != reached.max(given_up) {
        return Err(format!(
            "the session is at version {version}; {durable} was acknowledged, {reached} is the last commit, {lost:?} is given up"
        ));
    }
    compare(&session, &known)?;
    journal.messages = session
        .state()
        .agent("a")
        .map_or(0, crate::Agent::next_message_id);
    journal.durable = known;
    journal.open.clear();
    if reached != version {
        // Versions that a repair gave up are used by nobody.
        journal.durable.push(Commit {
            first: version + 1,
            last: version,
            payloads: Vec::new(),
        });
    }
    drop(session);
    let verified = store.verify(ID);
    match verified {
        Ok(report) if report.is_ok() => Ok(()),
        Err(Error::NotFound(_)) if version == 0 => Ok(()),
        other => Err(format!("verify after recovery: {other:?}")),
    }
}

/// Compares every event with what the journal knows of it.
fn compare(session: &Session, known: &[Commit]) -> Result<(), String> {
    if known.is_empty() {
        return Ok(());
    }
    let view = session.read().map_err(|e| format!("read: {e}"))?;
    let mut found = std::collections::BTreeMap::new();
    let mut visit = |event: &crate::Event<'_>| {
        found.insert(event.version.0, event.payload.to_owned());
        Ok(())
    };
    let all = view.for_each_event(Version(1), Version(u64::MAX), &mut visit);
    all.map_err(|e| format!("read events: {e}"))?;
    for commit in known {
        if let Some(missing) = (commit.first..=commit.last).find(|v| !found.contains_key(v)) {
            return Err(format!("acknowledged version {missing} is missing"));
        }
        for (version, payload) in &commit.payloads {
            if found.get(version) != Some(payload) {
                return Err(format!("version {version} has another payload"));
            }
        }
    }
    let known: u64 = known
        .iter()
        .map(|commit| commit.last + 1 - commit.first)
        .sum();
    if found.len() as u64 == known {
        Ok(())
    } else {
        Err(format!(
            "{} events were committed, {} are there",
            known,
            found.len()
        ))
    }
}

//! A random history of one session, and the journal of what was acknowledged.

use std::sync::Arc;

use crate::{AgentSync, Durability, Error, Session, Store};

use super::super::{Choice, SimDisk};

/// The session.
pub(super) const ID: &str = "s";

/// A commit as the journal knows it.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Version and payload of its messages and redactions.
    pub(super) payloads: Vec<(u64, String)>,
}

/// What was acknowledged as durable, and what was under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    pub(super) durable: Vec<Commit>,
    /// Written, not known to be durable.
    pub(super) open: Vec<Commit>,
    pub(super) messages: u64,
    texts: u64,
}

impl Journal {
    fn version(&self) -> u64 {
        self.open
            .last()
            .or(self.durable.last())
            .map_or(0, |commit| commit.last)
    }

    pub(super) fn settle(&mut self) {
        self.durable.append(&mut self.open);
    }
}

/// A store of small segments and many snapshots.
pub(super) fn store(disk: &SimDisk) -> Result<Store, Error> {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(4096)
        .allocate_above(1 << 10)
        .snapshot_after(4096)
        .open("/store")
}

/// A random history; goes on from what the journal says.
pub(super) fn work(
    disk: &SimDisk,
    choice: &mut dyn Choice,
    journal: &mut Journal,
) -> Result<(), Error> {
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

fn text(journal: &mut Journal, choice: &mut dyn Choice) -> String {
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

pub(super) fn append(
    session: &Session,
    journal: &mut Journal,
    choice: &mut dyn Choice,
    count: u64,
) -> Result<(), Error> {
    commit_messages(session, journal, choice, count, Durability::Sync)?;
    journal.settle();
    Ok(())
}

pub(super) fn buffered(
    session: &Session,
    journal: &mut Journal,
    choice: &mut dyn Choice,
) -> Result<(), Error> {
    commit_messages(session, journal, choice, 1, Durability::Buffered)
}

fn commit_messages(
    session: &Session,
    journal: &mut Journal,
    choice: &mut dyn Choice,
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

pub(super) fn redact(
    session: &Session,
    journal: &mut Journal,
    choice: &mut dyn Choice,
) -> Result<(), Error> {
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

pub(super) fn sync(session: &Session, journal: &mut Journal) -> Result<(), Error> {
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

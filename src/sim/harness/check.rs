//! What must hold after a power cut.

use crate::damage::Verdict;
use crate::{Error, RepairOptions, Session, Version};

use super::super::{Policy, SimDisk};
use super::Summary;
use super::history::{Commit, ID, Journal, store};

/// Opens the session on an image and compares it with the journal; afterwards the journal is what is there.
pub(super) fn check(
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

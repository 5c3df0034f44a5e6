//! Verifying sessions.

use crate::damage::{Damage, Verdict};
use crate::log::{Listing, LogReader, Replayed, Scanned, snapshot_path};
use crate::snapshot::{self, Snapshot, Stored};
use crate::state::State;
use crate::store::Store;
use crate::view::{Look, looked};
use crate::{Error, Result, Version, id};

/// What [`Store::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// The session's id.
    pub session_id: String,
    /// The session's version.
    pub version: Version,
    /// How many good events there are.
    pub events: u64,
    /// The length of the segment files, in bytes.
    pub bytes: u64,
    /// Every damaged range, a torn tail included. Empty for a sound log.
    pub damage: Vec<Damage>,
    /// Versions that an earlier repair gave up, first and last of each range: reported then, lost for good.
    pub given_up: Vec<(Version, Version)>,
}

impl VerifyReport {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.damage.is_empty()
    }
}

impl Store {
    /// Reads all of a session and checks everything; changes nothing, and works beside a writer.
    ///
    /// Snapshots are checked too: each must be what replay gives at its version.
    ///
    /// Errors: [`Error::NotFound`]. Damage is not an error but the answer.
    pub fn verify(&self, session_id: &str) -> Result<VerifyReport> {
        id::check("session id", session_id)?;
        let log = self.inner.log_reader(session_id);
        let checked = looked(&|| check(&log))?.filter(|checked| {
            checked.state.version() > Version::ZERO || !checked.scanned.damage.is_empty()
        });
        let missing = || Error::NotFound(format!("session {session_id:?} ({})", log.dir.display()));
        let Checked { state, scanned } = checked.ok_or_else(missing)?;
        let mut damage = scanned.damage;
        damage.extend(scanned.torn.map(|(torn, _)| torn));
        let is_reported =
            |lost: &&(Version, Version)| !damage.iter().any(|d| d.first_version == Some(lost.0));
        let given_up = state.lost().iter().filter(is_reported).copied().collect();
        Ok(VerifyReport {
            session_id: session_id.to_owned(),
            version: state.version(),
            events: scanned.events,
            bytes: scanned.segments.iter().map(|segment| segment.len).sum(),
            damage,
            given_up,
        })
    }
}

struct Checked {
    state: State,
    scanned: Scanned,
}

impl Look for Checked {
    fn scanned(&self) -> &Scanned {
        &self.scanned
    }
}

/// Reads everything once: memory is bounded by the state and the snapshots, not by the log.
fn check(log: &LogReader) -> Result<Option<Checked>> {
    let (storage, dir) = (&*log.storage, &log.dir);
    let listing = Listing::read(storage, dir)?.unwrap_or_default();
    let (mut snapshots, mut wrong) = (Vec::new(), Vec::new());
    for version in listing.snapshots {
        match Snapshot::read(storage, dir, version) {
            Ok(Stored::Good(snapshot)) => snapshots.push(snapshot),
            // It is ignored: it was made by another release, or a writer has just removed it.
            Ok(Stored::Foreign) | Err(_) => {}
            Ok(Stored::Damaged) => wrong.push((version, "the snapshot is damaged; it is not used")),
        }
    }
    let mut state = State::default();
    let mut compare = |state: &State, until: Version| {
        while let Some(snapshot) = snapshots.first().filter(|s| s.state.version() < until) {
            if snapshot.state.version() == state.version() && snapshot.state != *state {
                let version = snapshot.since.version;
                wrong.push((version, "the snapshot is not what replay gives"));
            }
            snapshots.remove(0);
        }
    };
    let scanned = log.scan(&mut |item: Replayed<'_>| {
        compare(&state, item.version());
        state.apply(&item);
        Ok(())
    })?;
    compare(&state, Version(u64::MAX));
    Ok(scanned.map(|mut scanned| {
        // Where events are lost, a snapshot may know more than the log.
        let comparable = scanned.damage.is_empty() && state.lost().is_empty();
        scanned
            .damage
            .extend(snapshot::tail_lost(storage, dir, &scanned));
        let wrong = wrong.into_iter().filter(|_| comparable);
        scanned.damage.extend(wrong.map(|(version, cause)| Damage {
            segment: snapshot_path(dir, version),
            offset: 0,
            length: 0,
            first_version: None,
            last_version: None,
            verdict: Verdict::Corrupt,
            cause: cause.to_owned(),
            messages: Vec::new(),
        }));
        Checked { state, scanned }
    }))
}

/// Whether any snapshot of a sound log is damaged, or is not what replay gives.
pub(crate) fn snapshots_disagree(log: &LogReader) -> Result<bool> {
    let listing = Listing::read(&*log.storage, &log.dir)?.unwrap_or_default();
    if listing.snapshots.is_empty() {
        return Ok(false);
    }
    let checked = check(log)?;
    Ok(checked.is_some_and(|checked| !checked.scanned.damage.is_empty()))
}

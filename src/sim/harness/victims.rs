//! Any mixture of damage to a log's files: nothing wrong is read, repair keeps every event that could be read, and the
//! session goes on.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sim::{Choice, Policy, Seeded, SimDisk};
use crate::storage::{OpenMode, Storage};
use crate::{AgentSync, Error, Event, RepairOptions, Result as Outcome, Session, Store, Version};

type Events = BTreeMap<u64, String>;

const ID: &str = "s";
const DIR: &str = "/store/sessions/s";

/// Logs to damage, of different lengths.
#[derive(Debug)]
pub struct Victims(Vec<Victim>);

/// A log, files that a mix-up may put among its own, and what it says.
#[derive(Debug)]
struct Victim {
    disk: SimDisk,
    strangers: Vec<PathBuf>,
    good: Events,
}

impl Victims {
    /// Writes the logs.
    ///
    /// Errors: what went wrong, in words.
    pub fn new() -> Result<Self, String> {
        let victims = [2, 8, 30, 60].into_iter().map(Victim::new);
        Ok(Self(victims.collect::<Outcome<_>>().map_err(in_words)?))
    }

    /// Damages a copy of one of the logs as `choice` says, repairs it, and goes on with its session. Returns whether there
    /// was anything to repair. If `forges`, some damage has checksums that fit: an event that can be read in between may
    /// then be set aside by the repair, though that is rare.
    ///
    /// Errors: the guarantee that was broken, in words.
    pub fn damage_and_repair(&self, forges: bool, choice: &mut dyn Choice) -> Result<bool, String> {
        let Self(victims) = self;
        let victim = &victims[choice.choose("log", victims.len() as u64) as usize];
        // Everything is durable: a crash only makes a copy.
        let disk = victim.disk.crash(Policy::Nothing, &mut Seeded::new(0));
        let mut is_forged = false;
        for _ in 0..=choice.choose("how many", 5) {
            is_forged |= disk.wreck(Path::new(DIR), &victim.strangers, forges, choice);
        }
        let store = open(&disk).map_err(in_words)?;
        let before = events(&store).unwrap_or_default();
        for (version, event) in before.iter().filter(|_| !is_forged) {
            if victim.good.get(version) != Some(event) {
                return Err(format!("wrong data at version {version}: {event}"));
            }
        }
        let is_damaged = match store.session(ID).map(drop) {
            // Damage before a snapshot does not hinder a writer; `verify` finds it.
            Ok(()) => !store.verify(ID).is_ok_and(|report| report.is_ok()),
            Err(Error::Damaged { .. }) => true,
            Err(_) if is_forged || before.is_empty() => return Ok(false),
            Err(error) => return Err(format!("{error}, with {before:?}")),
        };
        if is_damaged {
            match store.repair(ID, &RepairOptions::default()) {
                Ok(_) => {}
                // No file has anything of it.
                Err(Error::NotFound(_)) if before.is_empty() => {}
                // A forged header says that a later release wrote it.
                Err(Error::UnsupportedVersion { .. }) if is_forged => return Ok(false),
                Err(error) => return Err(format!("it cannot be repaired: {error}")),
            }
        }
        match store.session(ID) {
            Ok(session) => goes_on(session, &store, &before)?,
            // It is the log of another session, or of a later release.
            Err(Error::InvalidInput { .. } | Error::UnsupportedVersion { .. }) if is_forged => {}
            Err(error) => return Err(format!("it is not repaired: {error}")),
        }
        Ok(is_damaged)
    }
}

impl Victim {
    fn new(commits: usize) -> Outcome<Self> {
        let (disk, again) = (SimDisk::new(), SimDisk::new());
        write(&open(&again)?, ID, 0..commits)?;
        let store = open(&disk)?;
        write(&store, "other", 0..commits)?;
        // Half of it, as a backup has it, and what somebody made of that backup.
        write(&store, ID, 0..commits / 2)?;
        let backup = disk.crash(Policy::Everything, &mut Seeded::new(0));
        let fork = disk.crash(Policy::Everything, &mut Seeded::new(0));
        write(&open(&fork)?, ID, commits..commits + commits / 2)?;
        write(&store, ID, commits / 2..commits)?;
        let good = events(&store)?;
        for (name, from) in [("/again", again), ("/backup", backup), ("/fork", fork)] {
            copy(&from, &disk, Path::new(name)).map_err(Error::io("copy to", Path::new(name)))?;
        }
        let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
        let mut strangers = disk.files();
        strangers.retain(|path| !path.starts_with(DIR) && path.extension().is_some());
        Ok(Self {
            disk,
            strangers,
            good,
        })
    }
}

/// Copies the session's files of one disk to a directory of another.
fn copy(from: &SimDisk, to: &SimDisk, dir: &Path) -> io::Result<()> {
    to.create_dir(dir)?;
    for path in from.files().iter().filter(|path| path.starts_with(DIR)) {
        let copy = dir.join(path.file_name().unwrap_or_default());
        to.open(&copy, OpenMode::CreateNew)?;
        let bytes = from.peek(path)?;
        to.damage(&copy, |empty| *empty = bytes)?;
    }
    Ok(())
}

fn open(disk: &SimDisk) -> Outcome<Store> {
    let options = Store::options().storage(Arc::new(disk.clone()));
    let options = options.segment_len(4 << 10).snapshot_after(8 << 10);
    options.allocate_above(1 << 10).open("/store")
}

/// Writes commits to a session, by several writers one after the other.
fn write(store: &Store, id: &str, commits: Range<usize>) -> Outcome<()> {
    let mut session = store.session(id)?;
    for i in commits {
        if i % 13 == 0 {
            drop(session);
            session = store.session(id)?;
        }
        let text = "x".repeat(i * 5 % 300);
        let message = format!(r#"{{"role":"user","content":[{{"text":"{text}"}}]}}"#);
        session.append_json("a", &message)?;
        if i % 7 == 0 {
            let state = format!(r#"{{"turn":{i}}}"#);
            let sync = AgentSync {
                state: Some(&state),
                ..AgentSync::default()
            };
            session.sync_agent("a", sync)?;
            session.sync_multi_agent("g", &state)?;
            let batch = session.batch().append_json("a", "{}")?;
            let batch = batch.append_json("b", "{}")?;
            batch.redact_json("a", i as u64 / 2, "{}")?.commit()?;
        }
    }
    session.close()
}

fn events(store: &Store) -> Outcome<Events> {
    let view = store.read(ID)?;
    let mut events = Events::new();
    let mut visit = |event: &Event<'_>| {
        events.insert(event.version.0, format!("{} {}", event.kind, event.payload));
        Ok(())
    };
    view.for_each_event(Version(1), Version(u64::MAX), &mut visit)?;
    Ok(events)
}

/// A repaired session can be written to, and has all events that it had.
fn goes_on(session: Session, store: &Store, before: &Events) -> Result<(), String> {
    let done = session.append_json("a", "{}").map_err(in_words)?;
    session.close().map_err(in_words)?;
    let after = events(store).map_err(in_words)?;
    for (version, event) in before {
        if after.get(version) != Some(event) {
            return Err(format!("version {version} was lost: {event}"));
        }
    }
    if !after.contains_key(&done.version.0) {
        return Err("what was appended after the repair is not there".to_owned());
    }
    let verified = store.verify(ID).map_err(in_words)?;
    let good = verified.is_ok().then_some(());
    good.ok_or_else(|| format!("it is still damaged: {verified:?}"))
}

fn in_words(error: impl Display) -> String {
    error.to_string()
}

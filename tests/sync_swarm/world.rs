//! A random history of several devices, and the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sessionlog::sim::{Choice, Seeded};
use sessionlog::storage::MemoryStorage;
use sessionlog::sync::sim::{FaultyRemote, Weather};
use sessionlog::sync::{MemoryRemote, Outcome, Remote, Resolution, SyncError, Syncer};
use sessionlog::{AgentSync, EventKind, Store};

use crate::careless::Careless;
use crate::device::{Device, ID};
use crate::history::{Known, events, texts};
use crate::summary::Summary;

const DAY_US: u64 = 86_400_000_000;

pub(crate) struct World {
    pub(crate) choice: Seeded,
    pub(crate) bucket: MemoryRemote,
    pub(crate) devices: Vec<Device>,
    ticks: Arc<AtomicU64>,
    /// Texts of acknowledged events.
    acknowledged: BTreeSet<String>,
    /// Texts that an old backup brought back, and that a rebase may therefore repeat.
    brought_back: BTreeSet<String>,
    remote: Vec<Known>,
    texts: u64,
    is_long: bool,
    forks: u64,
    /// The other session was deleted, and somebody was told so.
    pub(crate) is_other_deleted: bool,
    pub(crate) summary: Summary,
}

impl World {
    pub(crate) fn new(seed: u64, careless: bool) -> Self {
        let mut choice = Seeded::new(seed);
        let bucket = MemoryRemote::new();
        let ticks = Arc::new(AtomicU64::new(0));
        let weather = Weather {
            one_in: [0, 3, 8][choice.choose("weather", 3) as usize],
        };
        let count = 2 + choice.choose("devices", 4);
        let devices = (0..count).map(|i| {
            let own = seed.wrapping_mul(31).wrapping_add(i);
            let remote = FaultyRemote::new(bucket.clone(), own, weather);
            let link: Arc<dyn Remote> = if careless {
                Arc::new(Careless(bucket.clone()))
            } else {
                Arc::new(remote.clone())
            };
            Device::new(
                !own,
                &ticks,
                choice.choose("skew", 5) * DAY_US,
                remote,
                link,
            )
        });
        let devices = devices.collect();
        Self {
            is_long: choice.choose("long texts", 4) == 0,
            choice,
            bucket,
            devices,
            ticks,
            acknowledged: BTreeSet::new(),
            brought_back: BTreeSet::new(),
            remote: Vec::new(),
            texts: 0,
            forks: 0,
            is_other_deleted: false,
            summary: Summary::default(),
        }
    }

    pub(crate) fn run(mut self) -> Result<Summary, String> {
        for step in 0..30 + self.choice.choose("steps", 40) {
            self.step().map_err(|e| format!("step {step}: {e}"))?;
            self.check_remote()
                .map_err(|e| format!("after step {step}: {e}"))?;
        }
        self.settle()?;
        self.summary.faults = self
            .devices
            .iter()
            .map(|device| device.remote.struck())
            .sum();
        Ok(self.summary)
    }

    fn step(&mut self) -> Result<(), String> {
        let at = self.choice.choose("device", self.devices.len() as u64) as usize;
        let threatened = self.choice.choose("threat", 4) == 1;
        let (before, remote) = (self.local(at)?, self.remote.len());
        if threatened {
            self.devices[at].threaten(&mut self.choice);
        }
        match self.choice.choose("step", 26) {
            7 => self.change(at),
            8..=10 => self.sync(at, None)?,
            11 | 12 => self.push_or_pull(at)?,
            13 | 14 => self.sync(at, Some(&Resolution::Rebase))?,
            15 => self.sync(at, Some(&Resolution::TakeRemote))?,
            16 => {
                self.forks += self.choice.choose("new fork", 2);
                let id = format!("fork-{at}-{}", self.forks);
                self.sync(at, Some(&Resolution::Fork(id)))?;
            }
            17 => {
                self.devices[at]
                    .disk
                    .set_faults(sessionlog::sim::FaultPlan::none());
                let copy = self.devices[at].disk.kill();
                self.devices[at].backup = Some(copy);
            }
            18 if !threatened && self.choice.choose("restore", 3) == 0 => self.restore(at)?,
            20 | 21 => self.claim(at)?,
            22 | 23 => self.collect(at)?,
            24 | 25 => self.other(at)?,
            _ => self.append(at),
        }
        if threatened && self.devices[at].crash(&mut self.choice) {
            self.summary.power_cuts += 1;
            // The log goes on where it was, or it was replaced by one that goes on where the remote was.
            let after = self.local(at)?;
            let replaced = remote > 0 && after.starts_with(&self.remote[..remote]);
            if !after.starts_with(&before) && !replaced {
                return Err(format!(
                    "a power cut left {} of {} events",
                    after.len(),
                    before.len()
                ));
            }
        }
        Ok(())
    }

    /// What a device would find on its disk.
    fn local(&self, at: usize) -> Result<Vec<Known>, String> {
        let disk = Arc::new(self.devices[at].disk.kill());
        let store = Store::options().storage(disk).open("/store");
        events(&store.map_err(|e| e.to_string())?, ID)
    }

    fn text(&mut self, at: usize) -> String {
        self.texts += 1;
        // Long enough now and then for a push to make sealed objects.
        let is_long = self.is_long && self.choice.choose("long", 3) == 0;
        let most = if is_long { 60_000 } else { 600 };
        let filler = "x".repeat(self.choice.choose("length", most) as usize);
        format!(
            "{{\"role\":\"user\",\"n\":\"{at}-{}\",\"content\":\"{filler}\"}}",
            self.texts
        )
    }

    /// What a device does on its own; what it acknowledged must never be lost.
    fn append(&mut self, at: usize) {
        let count = 1 + self.choice.choose("batch", 3);
        let all: Vec<String> = (0..count).map(|_| self.text(at)).collect();
        let Ok(session) = self.devices[at].session() else {
            return;
        };
        let batch = all
            .iter()
            .try_fold(session.batch(), |batch, text| batch.append_json("a", text));
        if batch.and_then(sessionlog::Batch::commit).is_ok() {
            self.acknowledged.extend(all);
        }
    }

    fn change(&mut self, at: usize) {
        let text = self.text(at);
        let Ok(session) = self.devices[at].session() else {
            return;
        };
        let known = session
            .state()
            .agent("a")
            .map_or(0, sessionlog::Agent::next_message_id);
        let id = self.choice.choose("message", known);
        let redact = self.choice.choose("redact", 2) == 0 && known > 0;
        if redact {
            let batch = session.batch().redact_json("a", id, &text);
            if batch.and_then(sessionlog::Batch::commit).is_ok() {
                self.acknowledged.insert(text);
            }
        } else {
            let state = format!("{{\"n{at}\":{}}}", self.texts);
            let sync = AgentSync {
                state: Some(&state),
                ..AgentSync::default()
            };
            // A state is replaced by the next one, so only that it does no harm is checked.
            let _ = session.sync_agent("a", sync);
        }
    }

    fn push_or_pull(&mut self, at: usize) -> Result<(), String> {
        let push = self.choice.choose("push", 2) == 0;
        let late = self.devices[at].remote.late();
        let done = self.devices[at].syncer().and_then(|syncer| {
            if push {
                syncer.push(ID)
            } else {
                syncer.pull(ID)
            }
        });
        self.note(at, late, done)
    }

    fn sync(&mut self, at: usize, how: Option<&Resolution>) -> Result<(), String> {
        let late = self.devices[at].remote.late();
        let done = self.devices[at].syncer().and_then(|syncer| match how {
            None => syncer.sync(ID),
            Some(how) => syncer.resolve(ID, how),
        });
        self.note(at, late, done)
    }

    /// What is reported must be so: neither a false success nor a false failure.
    fn note(
        &mut self,
        at: usize,
        late: usize,
        done: Result<sessionlog::sync::Synced, SyncError>,
    ) -> Result<(), String> {
        let before = self.remote.len();
        self.check_remote()?;
        match done {
            Ok(synced) => {
                let diverged = matches!(synced.outcome, Outcome::Diverged { .. });
                let is_there = synced.local == synced.remote && synced.local.0 > 0 && !diverged;
                let has_power = self.devices[at].disk.faults_struck() == 0;
                if is_there && has_power && !self.remote.starts_with(&self.local(at)?) {
                    return Err(format!("a false success of device {at}: {synced:?}"));
                }
                match synced.outcome {
                    Outcome::Pushed => self.summary.pushed += 1,
                    Outcome::Pulled => self.summary.pulled += 1,
                    Outcome::Diverged { .. } => self.summary.diverged += 1,
                    Outcome::Rebased(_) => self.summary.rebased += 1,
                    Outcome::Forked { .. } => self.summary.forked += 1,
                    Outcome::TookRemote { .. } => self.summary.took += 1,
                    _ => {}
                }
            }
            Err(SyncError::Local(sessionlog::Error::AlreadyExists(_))) => {}
            Err(error) => {
                let is_failure = self.note_error(at, &error)?;
                if is_failure && late == 0 && self.remote.len() != before {
                    return Err(format!("a false failure of device {at}: {error}"));
                }
            }
        }
        Ok(())
    }

    /// Whether the error says that nothing was changed; an error that nothing explains is one of the run.
    pub(crate) fn note_error(&mut self, at: usize, error: &SyncError) -> Result<bool, String> {
        match error {
            SyncError::OutcomeUnknown { .. } => self.summary.unknown += 1,
            SyncError::Claimed { .. } => self.summary.claimed += 1,
            SyncError::Remote { .. } | SyncError::Busy(_) => return Ok(true),
            SyncError::Local(_) if self.devices[at].disk.faults_struck() > 0 => return Ok(false),
            error => return Err(format!("device {at}: {error} ({error:?})")),
        }
        Ok(matches!(error, SyncError::Claimed { .. }))
    }

    /// An old backup comes back: what only this disk had is gone, and everything else is not.
    fn restore(&mut self, at: usize) -> Result<(), String> {
        let Some(backup) = &self.devices[at].backup else {
            return Ok(());
        };
        let backup = backup.kill();
        self.check_acknowledged()?;
        self.devices[at].disk = backup;
        let mut here = Vec::new();
        texts(&self.devices[at].disk, Path::new("/store"), &mut here)?;
        self.brought_back.extend(here);
        let left = self.everywhere()?;
        self.acknowledged.retain(|text| left.contains(text));
        self.summary.restores += 1;
        Ok(())
    }

    fn everywhere(&self) -> Result<BTreeSet<String>, String> {
        let mut all: Vec<String> = self
            .remote
            .iter()
            .map(|event| event.payload.clone())
            .collect();
        for (at, device) in self.devices.iter().enumerate() {
            let found = texts(&device.disk, Path::new("/store"), &mut all);
            found.map_err(|e| format!("device {at}: {e}"))?;
        }
        Ok(all.into_iter().collect())
    }

    fn check_acknowledged(&self) -> Result<(), String> {
        let all = self.everywhere()?;
        match self.acknowledged.iter().find(|text| !all.contains(*text)) {
            Some(lost) => Err(format!(
                "acknowledged and lost: {}",
                &lost[..40.min(lost.len())]
            )),
            None => Ok(()),
        }
    }

    /// The remote has one history, it only grows, and has nothing twice.
    fn check_remote(&mut self) -> Result<(), String> {
        let storage = Arc::new(MemoryStorage::new());
        let store = Store::options()
            .storage(storage)
            .open("/fresh")
            .map_err(|e| e.to_string())?;
        let syncer =
            Syncer::new(&store, Arc::new(self.bucket.clone())).map_err(|e| e.to_string())?;
        let now = match syncer.clone_session(ID) {
            Ok(_) => events(&store, ID)?,
            Err(SyncError::NotFound(_)) => Vec::new(),
            Err(e) => return Err(format!("the remote cannot be cloned: {e}")),
        };
        if !now.starts_with(&self.remote) {
            return Err(format!(
                "the remote's history of {} events was rewritten",
                self.remote.len()
            ));
        }
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        for event in now
            .iter()
            .filter(|event| event.kind == EventKind::MessageAdded)
        {
            let before = seen.insert(&event.payload, event.version);
            if let Some(before) = before.filter(|_| !self.brought_back.contains(&event.payload)) {
                return Err(format!(
                    "versions {before} and {} are the same event",
                    event.version
                ));
            }
        }
        self.remote = now;
        Ok(())
    }

    /// The network is well again: everybody syncs, and everybody has the same.
    fn settle(&mut self) -> Result<(), String> {
        self.check_acknowledged()?;
        for device in &self.devices {
            device.remote.set_weather(Weather::default());
            device.remote.settle();
            device.disk.set_faults(sessionlog::sim::FaultPlan::none());
        }
        // Every claim is over by every clock.
        self.ticks.fetch_add(30 * DAY_US, Ordering::Relaxed);
        self.check_remote()?;
        self.settle_other()?;
        for _ in 0..2 {
            for device in &self.devices {
                let synced = device
                    .syncer()
                    .and_then(|s| s.resolve(ID, &Resolution::Rebase));
                synced.map_err(|e| format!("the last sync: {e}"))?;
            }
        }
        self.check_remote()?;
        for (at, device) in self.devices.iter().enumerate() {
            let store = device.store().map_err(|e| e.to_string())?;
            if events(&store, ID)? != self.remote {
                return Err(format!("device {at} has another history than the remote"));
            }
            let quiet = device
                .syncer()
                .and_then(|s| s.sync(ID))
                .map_err(|e| e.to_string())?;
            if quiet.outcome != Outcome::Equal {
                return Err(format!("device {at} is not done: {quiet:?}"));
            }
        }
        self.check_acknowledged()
    }
}

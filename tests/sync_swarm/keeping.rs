//! Claims, collection and deletion, between everything else that devices do.

use std::sync::Arc;
use std::time::Duration;

use sessionlog::Store;
use sessionlog::sim::Choice;
use sessionlog::storage::MemoryStorage;
use sessionlog::sync::{Outcome, SyncError, Syncer};

use crate::device::ID;
use crate::history::events;
use crate::world::World;

/// A session that is deleted sooner or later.
const OTHER: &str = "other";

impl World {
    /// Claims the session for up to a day, or gives the claim up.
    pub(crate) fn claim(&mut self, at: usize) -> Result<(), String> {
        let seconds = self.choice.choose("claim", 86_400);
        let release = self.choice.choose("release", 3) == 0;
        let (late, before) = (self.devices[at].remote.late(), self.generation(ID)?);
        let done = self.devices[at].syncer().and_then(|syncer| {
            if release {
                syncer.release(ID).map(drop)
            } else {
                syncer.claim(ID, Duration::from_secs(seconds)).map(drop)
            }
        });
        match done {
            Ok(()) | Err(SyncError::NotFound(_)) => Ok(()),
            Err(error) => {
                let is_failure = self.note_error(at, &error)?;
                if is_failure && late == 0 && self.generation(ID)? != before {
                    return Err(format!("a claim that failed took effect: {error}"));
                }
                Ok(())
            }
        }
    }

    /// Collects without any grace: that no push is under way is the run's own doing.
    pub(crate) fn collect(&mut self, at: usize) -> Result<(), String> {
        let collected = self.devices[at].syncer();
        match collected.and_then(|syncer| syncer.collect(ID, Duration::ZERO)) {
            Ok(count) => self.summary.collected += count as u64,
            Err(SyncError::NotFound(_)) => {}
            Err(error) => drop(self.note_error(at, &error)?),
        }
        Ok(())
    }

    /// Works on the other session, and once in a while deletes it.
    pub(crate) fn other(&mut self, at: usize) -> Result<(), String> {
        let before = self.others(at)?;
        let what = self.choice.choose("other", 5);
        if what < 2 {
            let append = |store: Store| {
                let session = store.session(OTHER)?;
                session.append_json("a", "{}").map(drop)
            };
            // A power cut may be on its way; what is there is looked at below.
            let _ = self.devices[at].store().and_then(append);
        } else if what == 4 && !self.is_other_deleted {
            return self.delete(at);
        } else {
            self.sync_other(at)?;
        }
        let after = self.others(at)?;
        if after < before && self.devices[at].disk.faults_struck() == 0 {
            return Err(format!(
                "device {at} lost {before} to {after} events of the other"
            ));
        }
        Ok(())
    }

    fn delete(&mut self, at: usize) -> Result<(), String> {
        let deleted = self.devices[at].syncer().and_then(|s| s.delete(OTHER));
        match deleted {
            Ok(()) => {
                self.is_other_deleted = true;
                self.summary.deleted += 1;
            }
            Err(SyncError::NotFound(_)) => {}
            Err(error) => drop(self.note_error(at, &error)?),
        }
        Ok(())
    }

    fn sync_other(&mut self, at: usize) -> Result<(), String> {
        let synced = self.devices[at].syncer().and_then(|s| s.sync(OTHER));
        match synced {
            Ok(synced) => {
                let answer = &synced.outcome;
                if self.is_other_deleted && !matches!(answer, Outcome::Deleted) {
                    return Err(format!("device {at} revived what was deleted: {answer:?}"));
                }
            }
            Err(error) => drop(self.note_error(at, &error)?),
        }
        Ok(())
    }

    /// Everybody learns of the deletion, and keeps what it has.
    pub(crate) fn settle_other(&mut self) -> Result<(), String> {
        for at in 0..self.devices.len() {
            let before = self.others(at)?;
            self.sync_other(at)?;
            if self.others(at)? < before {
                return Err(format!("device {at} lost its copy of what was deleted"));
            }
        }
        Ok(())
    }

    /// How many events of the other session a device has.
    fn others(&self, at: usize) -> Result<usize, String> {
        let disk = Arc::new(self.devices[at].disk.kill());
        let store = Store::options().storage(disk).open("/store");
        Ok(events(&store.map_err(|e| e.to_string())?, OTHER)?.len())
    }

    /// How often the head was changed.
    fn generation(&self, id: &str) -> Result<u64, String> {
        let options = Store::options().storage(Arc::new(MemoryStorage::new()));
        let store = options.open("/fresh").map_err(|e| e.to_string())?;
        let syncer = Syncer::new(&store, Arc::new(self.bucket.clone()));
        match syncer.and_then(|syncer| syncer.inspect(id, false)) {
            Ok(report) => Ok(report.generation),
            Err(SyncError::NotFound(_)) => Ok(0),
            Err(error) => Err(error.to_string()),
        }
    }
}

//! A remote that fails in every way that a network allows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sim::{Choice, Seeded};

use super::{Condition, Listed, MemoryRemote, Remote, RemoteError, Tag};

/// How likely faults are: one request in so many, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Every so many requests fail in some way; 0 for never.
    pub one_in: u64,
}

/// A [`MemoryRemote`] behind a bad network. A clone is another way to the same bucket through the same network.
///
/// A request may not arrive; it may be done and its answer lost; it may be done later, when nobody waits any
/// more; a client's own repetition may meet the first attempt and answer that the condition does not hold.
#[derive(Clone, Debug)]
pub struct FaultyRemote {
    bucket: MemoryRemote,
    network: Arc<Mutex<Network>>,
}

#[derive(Debug)]
struct Network {
    choice: Seeded,
    weather: Weather,
    late: Vec<(String, Vec<u8>, Condition)>,
    struck: u64,
}

impl FaultyRemote {
    /// A way to `bucket`; the seed decides what fails.
    #[must_use]
    pub fn new(bucket: MemoryRemote, seed: u64, weather: Weather) -> Self {
        let network = Network {
            choice: Seeded::new(seed),
            weather,
            late: Vec::new(),
            struck: 0,
        };
        Self {
            bucket,
            network: Arc::new(Mutex::new(network)),
        }
    }

    /// Changes the weather. Requests that are late stay on their way.
    pub fn set_weather(&self, weather: Weather) {
        self.network().weather = weather;
    }

    /// Lets every late request arrive.
    pub fn settle(&self) {
        while self.arrive_late(0) {}
    }

    /// How many requests are on their way although nobody waits for them.
    #[must_use]
    pub fn late(&self) -> usize {
        self.network().late.len()
    }

    /// How many requests failed in some way.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.network().struck
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kind of fault of this request, below `kinds`; `None` if it is well.
    fn fault(&self, kinds: u64) -> Option<u64> {
        if self.network().choice.choose("late arrival", 3) == 1 {
            let which = self.network().choice.choose("which", 1 << 20);
            self.arrive_late(which);
        }
        let mut network = self.network();
        let one_in = network.weather.one_in;
        if one_in == 0 || network.choice.choose("fault", one_in) != 0 {
            return None;
        }
        network.struck += 1;
        Some(network.choice.choose("kind", kinds))
    }

    fn arrive_late(&self, which: u64) -> bool {
        let mut network = self.network();
        if network.late.is_empty() {
            return false;
        }
        let at = (which % network.late.len() as u64) as usize;
        let (key, bytes, condition) = network.late.swap_remove(at);
        // Nobody waits for the answer.
        let _ = self.bucket.put(&key, &bytes, &condition);
        true
    }
}

fn lost() -> RemoteError {
    RemoteError::Ambiguous("the answer was lost".to_owned())
}

fn unreachable() -> RemoteError {
    RemoteError::Unreachable("the network is down".to_owned())
}

impl Remote for FaultyRemote {
    fn name(&self) -> String {
        self.bucket.name()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError> {
        match self.fault(2) {
            None => self.bucket.get(key, limit),
            Some(0) => Err(unreachable()),
            Some(_) => Err(lost()),
        }
    }

    fn put(&self, key: &str, bytes: &[u8], condition: &Condition) -> Result<Tag, RemoteError> {
        let done = || self.bucket.put(key, bytes, condition);
        match self.fault(6) {
            None => done(),
            Some(0) => Err(unreachable()),
            Some(1) => Err(lost()),
            Some(2) => {
                let _ = done();
                Err(lost())
            }
            Some(3) => {
                let late = (key.to_owned(), bytes.to_vec(), condition.clone());
                self.network().late.push(late);
                Err(lost())
            }
            Some(4) => done().and(Err(RemoteError::Precondition)),
            Some(_) => {
                let _ = done();
                let late = (key.to_owned(), bytes.to_vec(), condition.clone());
                self.network().late.push(late);
                Err(lost())
            }
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, RemoteError> {
        match self.fault(1) {
            None => self.bucket.list(prefix),
            Some(_) => Err(unreachable()),
        }
    }

    fn delete(&self, key: &str) -> Result<(), RemoteError> {
        match self.fault(2) {
            None => self.bucket.delete(key),
            Some(0) => Err(unreachable()),
            Some(_) => self.bucket.delete(key).and(Err(lost())),
        }
    }

    fn probe(&self) -> Result<(), RemoteError> {
        self.fault(1).map_or(Ok(()), |_| Err(unreachable()))
    }

    fn parallel(&self) -> usize {
        1
    }

    fn pause(&self, _attempt: u32, _random: u64) {}
}

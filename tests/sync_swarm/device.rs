//! One device: a disk, a clock that may be wrong, and its own way to the remote.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sessionlog::sim::{Choice, FaultPlan, Policy, Seeded, SimDisk};
use sessionlog::sync::sim::FaultyRemote;
use sessionlog::sync::{Remote, Syncer};
use sessionlog::{Environment, Error, Session, Store};

pub(crate) const ID: &str = "s";
const POLICIES: [Policy; 4] = [
    Policy::Nothing,
    Policy::Everything,
    Policy::PageCache,
    Policy::AnySubset,
];

/// A clock that ticks with each look, and is days off.
#[derive(Debug)]
pub(crate) struct Skewed {
    ticks: Arc<AtomicU64>,
    skew_us: u64,
    random: Mutex<Seeded>,
}

impl Environment for Skewed {
    fn now_us(&self) -> u64 {
        1_795_000_000_000_000 + self.skew_us + self.ticks.fetch_add(1_000, Ordering::Relaxed)
    }

    fn fill_random(&self, buf: &mut [u8]) {
        let mut random = self.random.lock().unwrap();
        buf.fill_with(|| random.choose("random byte", 256) as u8);
    }
}

pub(crate) struct Device {
    pub(crate) disk: SimDisk,
    pub(crate) backup: Option<SimDisk>,
    pub(crate) remote: FaultyRemote,
    pub(crate) link: Arc<dyn Remote>,
    environment: Arc<Skewed>,
}

impl Device {
    pub(crate) fn new(
        seed: u64,
        ticks: &Arc<AtomicU64>,
        skew_us: u64,
        remote: FaultyRemote,
        link: Arc<dyn Remote>,
    ) -> Self {
        let environment = Skewed {
            ticks: Arc::clone(ticks),
            skew_us,
            random: Mutex::new(Seeded::new(seed)),
        };
        Self {
            disk: SimDisk::new(),
            backup: None,
            remote,
            link,
            environment: Arc::new(environment),
        }
    }

    pub(crate) fn store(&self) -> Result<Store, Error> {
        let options = Store::options().storage(Arc::new(self.disk.clone()));
        let environment = Arc::clone(&self.environment) as Arc<dyn Environment>;
        options
            .environment(environment)
            .segment_len(4096)
            .open("/store")
    }

    pub(crate) fn session(&self) -> Result<Session, Error> {
        self.store()?.session(ID)
    }

    pub(crate) fn syncer(&self) -> Result<Syncer, sessionlog::sync::SyncError> {
        Syncer::new(&self.store()?, Arc::clone(&self.link))
    }

    /// The power will go at one of the next operations.
    pub(crate) fn threaten(&self, choice: &mut Seeded) {
        let at = self.disk.operations() + 1 + choice.choose("power cut", 160);
        self.disk.set_faults(FaultPlan::power_cut(at));
    }

    /// Takes the power away, or lets the threat pass if it did not come to it; whether the power went.
    pub(crate) fn crash(&mut self, choice: &mut Seeded) -> bool {
        if self.disk.faults_struck() == 0 {
            self.disk.set_faults(FaultPlan::none());
            return false;
        }
        let policy = POLICIES[choice.choose("policy", POLICIES.len() as u64) as usize];
        self.disk = self.disk.crash(policy, choice);
        true
    }
}

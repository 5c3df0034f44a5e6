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
//!
//! [`Victims`] does the like for damage at rest.

mod check;
mod every;
mod history;
mod victims;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{Error, RepairOptions};

use super::{Choice, Crash, FaultPlan, Policy, Seeded, SimDisk};
use check::check;
pub use every::{Step, every_crash};
use history::{ID, Journal, store, work};
pub use victims::Victims;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many power cuts there were.
    pub power_cuts: u64,
    /// How many of them left a torn tail that was set aside.
    pub torn: u64,
    /// How many of them left a suspect tail that was repaired.
    pub suspect: u64,
    /// How many of them came during a recovery.
    pub in_recovery: u64,
    /// The contents of all disks after a power cut, as hashes: how many different ones there were.
    pub states: HashSet<u64>,
}

impl Summary {
    /// Adds what another run saw.
    pub fn add(&mut self, other: Self) {
        self.power_cuts += other.power_cuts;
        self.torn += other.torn;
        self.suspect += other.suspect;
        self.in_recovery += other.in_recovery;
        self.states.extend(other.states);
    }

    /// Takes the power away and counts it.
    fn crash(
        &mut self,
        disk: &SimDisk,
        crash: impl Into<Crash>,
        choice: &mut dyn Choice,
    ) -> SimDisk {
        let image = disk.crash(crash, choice);
        self.power_cuts += 1;
        let mut hasher = DefaultHasher::new();
        for path in image.files() {
            path.hash(&mut hasher);
            image.peek(&path).unwrap_or_default().hash(&mut hasher);
        }
        self.states.insert(hasher.finish());
        image
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
        let (at, policy) = (1 + choice.choose("cut", operations), policy(&mut choice));
        let (disk, mut journal) = (SimDisk::new(), Journal::default());
        disk.set_faults(FaultPlan::power_cut(at));
        // The history ends where the power does.
        let _ = work(&disk, &mut Seeded::new(seed), &mut journal);
        generations(&disk, policy, &mut journal, &mut choice, &mut summary)
            .map_err(|e| format!("seed {seed}, cut {cut} at operation {at}, {policy:?}: {e}"))?;
    }
    Ok(summary)
}

/// Runs one history with a power cut, and what follows it, all as `choice` says: for a fuzzer.
///
/// Errors: what did not hold.
pub fn run_chosen(choice: &mut dyn Choice) -> Result<Summary, String> {
    let mut summary = Summary::default();
    let (at, policy) = (1 + choice.choose("cut", 400), policy(choice));
    let (disk, mut journal) = (SimDisk::new(), Journal::default());
    disk.set_faults(FaultPlan::power_cut(at));
    let _ = work(&disk, choice, &mut journal);
    generations(&disk, policy, &mut journal, choice, &mut summary)?;
    Ok(summary)
}

fn policy(choice: &mut dyn Choice) -> Policy {
    POLICIES[choice.choose("policy", POLICIES.len() as u64) as usize]
}

/// Crashes, checks, works on and crashes again.
fn generations(
    disk: &SimDisk,
    policy: Policy,
    journal: &mut Journal,
    choice: &mut dyn Choice,
    summary: &mut Summary,
) -> Result<(), String> {
    let mut image = summary.crash(disk, policy, choice);
    for generation in 0..GENERATIONS {
        if choice.choose("crash in recovery", 2) == 1 {
            summary.in_recovery += 1;
            let at = image.operations() + 1 + choice.choose("recovery cut", 40);
            image.set_faults(FaultPlan::power_cut(at));
            // Whatever comes of it, only what it leaves on the disk counts.
            let _ = recover(&image);
            image = summary.crash(&image, policy, choice);
        }
        check(&image, policy, journal, summary)
            .map_err(|e| format!("generation {generation}: {e}"))?;
        let at = image.operations() + 20 + choice.choose("next cut", 120);
        image.set_faults(FaultPlan::power_cut(at));
        let seed = choice.choose("next seed", u64::MAX);
        let _ = work(&image, &mut Seeded::new(seed), journal);
        image = summary.crash(&image, policy, choice);
    }
    check(&image, policy, journal, summary)
}

/// Opens the session, repairs it if need be.
fn recover(image: &SimDisk) -> Result<(), Error> {
    let store = store(image)?;
    match store.session(ID) {
        Err(Error::Damaged { .. }) => store.repair(ID, &RepairOptions::default()).map(drop),
        opened => opened.map(drop),
    }
}

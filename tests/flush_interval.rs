//! `StoreOptions::flush_interval`: what is buffered becomes durable and readable by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sessionlog::sim::{Fault, FaultPlan, Policy, Seeded, SimDisk};
use sessionlog::{Durability, Error, Session, Store, Version};

/// So short that a test is quick; nothing depends on how late a flush comes.
const INTERVAL: Duration = Duration::from_millis(5);
/// So long that only a flush that never comes takes it.
const NEVER: Duration = Duration::from_secs(60);

fn store(disk: &SimDisk) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options.flush_interval(INTERVAL).open("/s").unwrap()
}

fn buffered(session: &Session) -> sessionlog::Result<Version> {
    let batch = session.batch().append_json("a", "{}")?;
    let done = batch.durability(Durability::Buffered).commit()?;
    Ok(done.version)
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < NEVER, "{what} never happened");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_buffered_append_becomes_durable_and_readable_without_a_flush() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let session = store.session("x").unwrap();
    // The thread that flushes ends when there is nothing to do, and comes again.
    for _ in 0..5 {
        let version = buffered(&session).unwrap();
        wait_for("a flush", || session.durable_version() >= version);
        assert_eq!(store.read("x").unwrap().version(), version);
        let after = disk.crash(Policy::Nothing, &mut Seeded::new(1));
        let after = Store::options()
            .storage(Arc::new(after))
            .open("/s")
            .unwrap();
        assert_eq!(after.read("x").unwrap().version(), version);
        std::thread::sleep(3 * INTERVAL);
    }
}

#[test]
fn every_session_of_a_store_is_flushed() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let open = |n: usize| store.session(&n.to_string()).unwrap();
    let sessions: Vec<_> = (0..20).map(open).collect();
    let versions: Vec<_> = sessions.iter().map(|s| buffered(s).unwrap()).collect();
    for (session, version) in sessions.iter().zip(versions) {
        wait_for("a flush", || session.durable_version() >= version);
    }
}

#[test]
fn a_flush_in_the_background_that_fails_is_told_to_the_next_append() {
    let disk = SimDisk::new();
    let session = store(&disk).session("x").unwrap();
    session.append_json("a", "{}").unwrap();
    disk.set_faults(FaultPlan::none().from(disk.operations() + 1, Fault::Io));
    buffered(&session).unwrap();
    wait_for("a failed flush", || {
        matches!(buffered(&session), Err(Error::Poisoned { .. }))
    });
}

#[test]
fn a_session_that_is_dropped_before_its_flush_is_durable() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let version = buffered(&store.session("x").unwrap()).unwrap();
    let after = disk.crash(Policy::Nothing, &mut Seeded::new(1));
    let after = Store::options()
        .storage(Arc::new(after))
        .open("/s")
        .unwrap();
    assert_eq!(after.read("x").unwrap().version(), version);
}

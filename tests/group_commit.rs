//! Group commit under every kind of schedule:
//! `RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=target/shuttle cargo test --features sim --test group_commit`.
//!
//! Without that flag there is nothing here: `shuttle` takes the place of the standard locks.
#![cfg(shuttle)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use shuttle::rand::Rng;

use sessionlog::sim::{Fault, FaultPlan, Policy, Seeded, SimDisk};
use sessionlog::{Durability, Store};

const THREADS: u64 = 4;
const EACH: u64 = 3;

fn message(thread: u64, n: u64) -> String {
    format!(r#"{{"role":"user","content":[{{"text":"{thread} {n}"}}]}}"#)
}

/// Threads append to one session, and the first operation of the disk fails that can fail so and comes so many later;
/// returns the disk and what was acknowledged: version and text. Segments are short: some appends roll, which syncs, too.
fn race(failure: Option<(u64, Fault)>) -> (SimDisk, BTreeSet<(u64, String)>) {
    let disk = SimDisk::new();
    let store = Store::options()
        .storage(Arc::new(disk.clone()))
        .segment_len(1200)
        .open("/s")
        .unwrap();
    let session = Arc::new(store.session("s").unwrap());
    session.append_json("a", "{}").unwrap();
    if let Some((later, fault)) = failure {
        // Only once; after a sync the bytes count as clean: who tried again would be told that they are durable.
        let at = disk.operations() + later;
        disk.set_faults(FaultPlan::none().once(at, fault));
    }
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (session, acknowledged) = (Arc::clone(&session), Arc::clone(&acknowledged));
            shuttle::thread::spawn(move || {
                for n in 0..EACH {
                    let text = message(thread, n);
                    let batch = session.batch().append_json("a", &text).unwrap();
                    let buffered = (thread + n) % 3 == 0;
                    let durability = if buffered {
                        Durability::Buffered
                    } else {
                        Durability::Sync
                    };
                    match batch.durability(durability).commit() {
                        Ok(done) if !buffered => {
                            acknowledged.lock().unwrap().insert((done.version.0, text));
                        }
                        Ok(_) => {}
                        // A failed sync fails every waiter, and nothing is acknowledged after it.
                        Err(_) => return,
                    }
                }
            })
        })
        .collect();
    let reader = {
        let session = Arc::clone(&session);
        // It writes what is buffered: a failure of that is met by nobody who waits for a sync.
        shuttle::thread::spawn(move || (0..EACH).for_each(|_| drop(session.read())))
    };
    let threads = threads.into_iter().chain([reader]);
    threads.for_each(|thread| thread.join().unwrap());
    std::mem::forget(session);
    let acknowledged = acknowledged.lock().unwrap().clone();
    (disk, acknowledged)
}

/// What is durable on the disk.
fn durable(disk: &SimDisk) -> BTreeSet<(u64, String)> {
    let disk = disk.crash(Policy::Nothing, &mut Seeded::new(1));
    let store = Store::options().storage(Arc::new(disk)).open("/s").unwrap();
    let mut found = BTreeSet::new();
    let view = store.read("s").unwrap();
    let mut visit = |event: &sessionlog::Event<'_>| {
        found.insert((event.version.0, event.payload.to_owned()));
        Ok(())
    };
    view.for_each_event(sessionlog::Version(1), view.version(), &mut visit)
        .unwrap();
    found
}

#[test]
fn whoever_is_acknowledged_is_durable_and_versions_are_given_out_once() {
    let check = || {
        let (disk, acknowledged) = race(None);
        let versions: BTreeSet<_> = acknowledged.iter().map(|(version, _)| *version).collect();
        assert_eq!(
            versions.len(),
            acknowledged.len(),
            "a version was given out twice"
        );
        assert!(acknowledged.is_subset(&durable(&disk)));
    };
    shuttle::check_random(check, 3_000);
    shuttle::check_pct(check, 3_000, 3);
}

/// A thread that waited for others before its sync was acknowledged although its event was not written: a reader had
/// tried to, and failed. And a thread that was woken up to sync for the rest, and had nothing to sync, left them asleep.
#[test]
fn a_failed_write_or_sync_fails_every_waiter() {
    let check = || {
        let later = shuttle::rand::thread_rng().gen_range(1..16_u64);
        let fault = match shuttle::rand::thread_rng().gen_range(0..3_u8) {
            0 => Fault::SyncFailsClean,
            1 => Fault::Io,
            _ => Fault::Full,
        };
        let (disk, acknowledged) = race(Some((later, fault)));
        assert!(
            acknowledged.is_subset(&durable(&disk)),
            "acknowledged, and not durable"
        );
    };
    shuttle::check_random(check, 3_000);
    shuttle::check_pct(check, 3_000, 3);
}

//! Pushing in the background never holds an append up, and gives up on nothing but a divergence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sessionlog::sync::sim::{FaultyRemote, Weather};
use sessionlog::sync::{AutoStatus, AutoSync, MemoryRemote, Outcome, Syncer};
use sessionlog::{Store, Version};

const SOON: Duration = Duration::from_secs(20);

fn until(auto: &AutoSync, holds: impl Fn(&AutoStatus) -> bool) -> AutoStatus {
    let end = Instant::now() + SOON;
    loop {
        let status = auto.status().remove(0);
        if holds(&status) {
            return status;
        }
        assert!(Instant::now() < end, "{status:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_appended_without_a_network_is_pushed_when_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryRemote::new();
    let network = FaultyRemote::new(bucket.clone(), 1, Weather { one_in: 1 });
    let store = Store::open(dir.path().join("one")).unwrap();
    let syncer = Syncer::new(&store, Arc::new(network.clone())).unwrap();
    let auto = AutoSync::start(syncer, Duration::from_millis(2)).unwrap();
    let session = Arc::new(store.session("s").unwrap());
    auto.watch(&session);
    for _ in 0..20 {
        session.append_json("a", "{}").unwrap();
    }
    let offline = until(&auto, |status| status.failure.is_some());
    assert!(offline.pending.is_some() && offline.pushed == Version::ZERO);
    assert_eq!(offline.local, Version(22));

    network.set_weather(Weather::default());
    network.settle();
    let online = until(&auto, |status| status.pushed == Version(22));
    assert_eq!((online.failure, online.pending), (None, None));
    session.append_json("a", "{}").unwrap();
    let closed = auto.close(SOON);
    assert_eq!(closed[0].pushed, Version(23));

    let other = Store::open(dir.path().join("two")).unwrap();
    let syncer = Syncer::new(&other, Arc::new(bucket)).unwrap();
    assert_eq!(syncer.clone_session("s").unwrap().local, Version(23));
}

#[test]
fn a_divergence_stops_it_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryRemote::new();
    let device = |name: &str| {
        let store = Store::open(dir.path().join(name)).unwrap();
        let syncer = Syncer::new(&store, Arc::new(bucket.clone())).unwrap();
        (store, syncer)
    };
    let ((one, on_one), (two, on_two)) = (device("one"), device("two"));
    one.session("s").unwrap().append_json("a", "{}").unwrap();
    on_one.push("s").unwrap();
    let auto = AutoSync::start(on_two, Duration::from_millis(2)).unwrap();
    let session = Arc::new(two.session("s").unwrap());
    auto.watch(&session);
    session.append_json("a", r#"{"mine":1}"#).unwrap();
    let status = until(&auto, |status| status.stopped.is_some());
    assert_eq!(
        status.stopped,
        Some(Outcome::Diverged { common: Version(0) })
    );
    assert_eq!(on_one.sync("s").unwrap().outcome, Outcome::Equal);
    session.append_json("a", "{}").unwrap();
    assert_eq!(auto.close(SOON)[0].pushed, Version::ZERO);
}

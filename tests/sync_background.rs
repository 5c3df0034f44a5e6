//! A store that is opened with a remote: appends never wait for the network, what is not pushed is known, and it
//! gives up on nothing but a divergence.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sessionlog::sync::sim::{FaultyRemote, Weather};
use sessionlog::sync::{
    AutoStatus, AutoSync, Condition, Listed, MemoryRemote, Outcome, Remote, RemoteError,
    Resolution, Syncer, Tag, unpushed,
};
use sessionlog::{Error, Store, Version};

const SOON: Duration = Duration::from_secs(20);
const AFTER: Duration = Duration::from_millis(2);

fn open(path: &Path, remote: impl Remote + 'static) -> (Store, AutoSync) {
    let auto = AutoSync::after(AFTER);
    let options = Store::options().remote(Arc::new(remote), &auto);
    (options.open(path).unwrap(), auto)
}

fn until(auto: &AutoSync, holds: impl Fn(&AutoStatus) -> bool) -> AutoStatus {
    let end = Instant::now() + SOON;
    loop {
        let status = auto.status();
        if let Some(found) = status.iter().find(|status| holds(status)) {
            return found.clone();
        }
        assert!(Instant::now() < end, "{status:?}");
        std::thread::sleep(AFTER);
    }
}

/// The version that a new device finds in the bucket.
fn cloned(dir: &Path, bucket: &MemoryRemote) -> Version {
    let other = tempfile::tempdir_in(dir).unwrap();
    let store = Store::open(other.path()).unwrap();
    let syncer = Syncer::new(&store, Arc::new(bucket.clone())).unwrap();
    syncer.clone_session("s").unwrap().local
}

#[test]
fn what_is_appended_without_a_network_is_pushed_when_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryRemote::new();
    let network = FaultyRemote::new(bucket.clone(), 1, Weather { one_in: 1 });
    let (store, auto) = open(&dir.path().join("one"), network.clone());
    let session = store.session("s").unwrap();
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
    assert_eq!(cloned(dir.path(), &bucket), Version(23));
    session.append_json("a", "{}").unwrap();
    assert_eq!(session.version(), Version(24), "the store stays usable");
}

#[test]
fn days_offline_and_another_process_later_it_is_pushed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one");
    let bucket = MemoryRemote::new();
    let down = FaultyRemote::new(bucket.clone(), 1, Weather { one_in: 1 });
    let (store, auto) = open(&path, down);
    store.session("s").unwrap().append_json("a", "{}").unwrap();
    until(&auto, |status| status.failure.is_some());
    drop((store, auto));

    // `info` shows it without asking anybody.
    let plain = Store::open(&path).unwrap();
    let known = unpushed(&plain, &plain.read("s").unwrap()).unwrap();
    assert_eq!(known[0].versions, Some((Version(1), Version(3))));
    assert_eq!(bucket.keys().len(), 0);

    // The session is not even opened.
    let (store, auto) = open(&path, bucket.clone());
    let end = Instant::now() + SOON;
    while bucket.keys().is_empty() && Instant::now() < end {
        std::thread::sleep(AFTER);
    }
    assert_eq!(cloned(dir.path(), &bucket), Version(3));
    auto.close(SOON);
    let known = unpushed(&store, &store.read("s").unwrap()).unwrap();
    assert_eq!(known[0].versions, None);
}

#[test]
fn a_session_that_is_closed_at_once_is_pushed_and_can_be_opened_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryRemote::new();
    let (store, auto) = open(&dir.path().join("one"), bucket.clone());
    for _ in 0..300 {
        // The background must never be the writer that keeps us out.
        let session = store.session("s").unwrap();
        session.append_json("a", "{}").unwrap();
    }
    auto.close(SOON);
    assert_eq!(cloned(dir.path(), &bucket), Version(302));
}

/// A network that holds every request up, and never answers.
#[derive(Debug)]
struct Hanging;

impl Hanging {
    fn hang<T>() -> Result<T, RemoteError> {
        std::thread::sleep(Duration::from_secs(60));
        Err(RemoteError::Unreachable("no answer".to_owned()))
    }
}

impl Remote for Hanging {
    fn name(&self) -> String {
        "hanging:".to_owned()
    }

    fn get(&self, _: &str, _: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError> {
        Self::hang()
    }

    fn put(&self, _: &str, _: &[u8], _: &Condition) -> Result<Tag, RemoteError> {
        Self::hang()
    }

    fn list(&self, _: &str) -> Result<Vec<Listed>, RemoteError> {
        Self::hang()
    }

    fn delete(&self, _: &str) -> Result<(), RemoteError> {
        Self::hang()
    }

    fn probe(&self) -> Result<(), RemoteError> {
        Self::hang()
    }
}

#[test]
fn a_network_that_never_answers_holds_up_no_append_no_close_and_no_opening() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let (store, auto) = open(dir.path(), Hanging);
    let session = store.session("s").unwrap();
    session.append_json("a", "{}").unwrap();
    until(&auto, |status| status.pending.is_some());
    for _ in 0..50 {
        session.append_json("a", "{}").unwrap();
    }
    session.close().unwrap();
    store.session("s").unwrap().append_json("a", "{}").unwrap();
    let left = auto.close(Duration::from_millis(50));
    assert_eq!(left[0].pushed, Version::ZERO);
    drop(store);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_divergence_stops_it_until_it_is_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryRemote::new();
    let one = Store::open(dir.path().join("one")).unwrap();
    one.session("s").unwrap().append_json("a", "{}").unwrap();
    let on_one = Syncer::new(&one, Arc::new(bucket.clone())).unwrap();
    on_one.push("s").unwrap();

    let (two, auto) = open(&dir.path().join("two"), bucket.clone());
    let session = two.session("s").unwrap();
    session.append_json("a", r#"{"mine":1}"#).unwrap();
    let status = until(&auto, |status| status.stopped.is_some());
    let diverged = Outcome::Diverged { common: Version(0) };
    assert_eq!(status.stopped, Some(diverged));
    session.append_json("a", "{}").unwrap();
    drop(session);
    assert_eq!(on_one.sync("s").unwrap().outcome, Outcome::Equal);

    let on_two = Syncer::new(&two, Arc::new(bucket.clone())).unwrap();
    on_two.resolve("s", &Resolution::Rebase).unwrap();
    let session = two.session("s").unwrap();
    session.append_json("a", r#"{"later":1}"#).unwrap();
    let version = session.version();
    until(&auto, |status| status.pushed == version);
    assert_eq!(cloned(dir.path(), &bucket), version);
}

#[test]
fn one_background_goes_with_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, auto) = open(&dir.path().join("one"), MemoryRemote::new());
    let options = Store::options().remote(Arc::new(MemoryRemote::new()), &auto);
    let refused = options.open(dir.path().join("two"));
    assert!(matches!(refused, Err(Error::InvalidInput { .. })));
}

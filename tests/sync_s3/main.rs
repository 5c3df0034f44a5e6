//! Sync through the wire, against a real S3 server.
#![cfg(feature = "s3")]

mod proxy;
mod server;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use sessionlog::sync::{Outcome, Remote, RemoteError, Resolution, S3Remote, SyncError, Syncer};
use sessionlog::{Store, Version};

use proxy::Proxy;
use server::{BUCKET, Server, options};

struct Device {
    _dir: tempfile::TempDir,
    store: Store,
    syncer: Syncer,
}

fn device(remote: S3Remote) -> Device {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let syncer = Syncer::new(&store, Arc::new(remote)).unwrap();
    Device {
        _dir: dir,
        store,
        syncer,
    }
}

impl Device {
    fn append(&self, text: &str) {
        let message = format!(r#"{{"role":"user","content":[{{"text":"{text}"}}]}}"#);
        self.store
            .session("s")
            .unwrap()
            .append_json("a", &message)
            .unwrap();
    }

    fn texts(&self) -> Vec<String> {
        texts(&self.store)
    }
}

fn texts(store: &Store) -> Vec<String> {
    let view = store.read("s").unwrap();
    let text = |message: sessionlog::Message| {
        let json: serde_json::Value = serde_json::from_str(&message.text()).unwrap();
        json["content"][0]["text"].as_str().unwrap().to_owned()
    };
    view.messages("a")
        .unwrap()
        .map(|m| text(m.unwrap()))
        .collect()
}

#[test]
fn a_session_goes_to_a_bucket_and_comes_back_as_it_was() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, two) = (device(server.remote()), device(server.remote()));
    for i in 0..40 {
        // Long enough for a few sealed objects, merged and not.
        one.append(&format!("{i} {}", "x".repeat(20_000)));
        if i % 4 == 0 {
            assert_eq!(one.syncer.push("s").unwrap().outcome, Outcome::Pushed);
        }
    }
    one.syncer.push("s").unwrap();
    let cloned = two.syncer.clone_session("s").unwrap();
    assert_eq!(
        (cloned.outcome, cloned.local),
        (Outcome::Pulled, Version(42))
    );
    assert_eq!(two.texts(), one.texts());
    let report = two.syncer.inspect("s", true).unwrap();
    assert!(
        report.damage.is_empty() && (1..8).contains(&report.objects),
        "{report:?}"
    );
    assert_eq!(two.syncer.sync("s").unwrap().outcome, Outcome::Equal);
    assert_eq!(one.syncer.remote_sessions().unwrap(), ["s"]);

    // What the merges left behind is collected, and nothing else.
    assert!(one.syncer.collect("s", Duration::ZERO).unwrap() > 0);
    assert!(two.syncer.inspect("s", true).unwrap().damage.is_empty());
}

#[test]
fn a_divergence_writes_nothing_and_has_three_ways_out() {
    let Some(server) = Server::start() else {
        return;
    };
    let devices: Vec<_> = (0..4).map(|_| device(server.remote())).collect();
    devices[0].append("common");
    devices[0].syncer.push("s").unwrap();
    for device in &devices[1..] {
        device.syncer.clone_session("s").unwrap();
        device.append("mine");
    }
    devices[0].append("theirs");
    devices[0].syncer.push("s").unwrap();

    let diverged = devices[1].syncer.sync("s").unwrap();
    assert_eq!(diverged.outcome, Outcome::Diverged { common: Version(3) });
    assert_eq!(devices[1].texts(), ["common", "mine"]);

    let took = devices[1]
        .syncer
        .resolve("s", &Resolution::TakeRemote)
        .unwrap();
    let Outcome::TookRemote { branch, .. } = took.outcome else {
        panic!("{took:?}")
    };
    assert_eq!(devices[1].texts(), ["common", "theirs"]);
    assert_eq!(texts(&Store::open(branch).unwrap()), ["common", "mine"]);

    devices[2]
        .syncer
        .resolve("s", &Resolution::Fork("mine".to_owned()))
        .unwrap();
    assert_eq!(devices[2].texts(), ["common", "theirs"]);
    assert_eq!(
        devices[2]
            .store
            .read("mine")
            .unwrap()
            .messages("a")
            .unwrap()
            .count(),
        2
    );

    let rebased = devices[3].syncer.resolve("s", &Resolution::Rebase).unwrap();
    let Outcome::Rebased(report) = rebased.outcome else {
        panic!("{rebased:?}")
    };
    assert_eq!(devices[3].texts(), ["common", "theirs", "mine"]);
    assert_eq!((report.moved[0].from, report.moved[0].to), (1, 2));
    assert_eq!(
        devices[0].syncer.sync("s").unwrap().outcome,
        Outcome::Pulled
    );
    assert_eq!(devices[0].texts(), devices[3].texts());
}

#[test]
fn devices_that_push_at_once_have_one_history_and_lose_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let rounds: usize = std::env::var("SESSIONLOG_ROUNDS").map_or(3, |n| n.parse().unwrap());
    let devices: Vec<_> = (0..6).map(|_| device(server.remote())).collect();
    devices[0].append("first");
    devices[0].syncer.push("s").unwrap();
    for device in &devices[1..] {
        device.syncer.clone_session("s").unwrap();
    }
    for round in 0..rounds {
        let barrier = Barrier::new(devices.len());
        std::thread::scope(|scope| {
            for (i, device) in devices.iter().enumerate() {
                let barrier = &barrier;
                scope.spawn(move || {
                    device.append(&format!("{round}-{i}"));
                    barrier.wait();
                    // Losing a race is a divergence; rebasing may lose the next one.
                    while let Err(error) = settle(device) {
                        assert!(matches!(error, SyncError::Busy(_)), "{error}");
                    }
                });
            }
        });
    }
    for device in &devices {
        device.syncer.sync("s").unwrap();
    }
    let mut texts = devices[0].texts();
    assert!(devices.iter().all(|device| device.texts() == texts));
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 1 + rounds * devices.len());
}

fn settle(device: &Device) -> Result<(), SyncError> {
    loop {
        let synced = device.syncer.resolve("s", &Resolution::Rebase)?;
        if synced.local == synced.remote {
            return Ok(());
        }
    }
}

#[test]
fn the_repository_in_a_bucket_conforms() {
    use sessionlog::{bucket::Bucket, repository::BucketRepository, repository::conformance};
    let Some(server) = Server::start() else {
        return;
    };
    let mut count = 0;
    conformance::run(&mut || {
        count += 1;
        let url = format!("{}/repository-{count}", server.url());
        let bucket = Bucket::open(&url, &options(&server.endpoint)).unwrap();
        Arc::new(BucketRepository::new(bucket))
    });
}

#[test]
fn lost_answers_never_double_or_lose_an_event() {
    let Some(server) = Server::start() else {
        return;
    };
    let proxy = Proxy::start(&server.endpoint, 11);
    let (one, two) = (
        device(server.remote_at(&proxy.endpoint)),
        device(server.remote()),
    );
    for i in 0..40 {
        one.append(&i.to_string());
        let mut tries = 0;
        loop {
            match one.syncer.push("s") {
                Ok(_) => break,
                Err(SyncError::Remote { .. } | SyncError::OutcomeUnknown { .. }) => tries += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(tries < 50);
        }
    }
    assert!(proxy.cuts() > 3);
    two.syncer.clone_session("s").unwrap();
    let expected: Vec<String> = (0..40).map(|i| i.to_string()).collect();
    assert_eq!(two.texts(), expected);
}

#[test]
fn each_fault_of_the_remote_has_its_own_error() {
    let Some(server) = Server::start() else {
        return;
    };
    let one = device(server.remote());
    one.append("x");
    one.syncer.push("s").unwrap();
    let claimed = one.syncer.claim("s", Duration::from_secs(3600)).unwrap();
    assert_eq!(
        (claimed.epoch, claimed.device_id),
        (1, one.syncer.device_id())
    );

    let two = device(server.remote());
    two.syncer.clone_session("s").unwrap();
    two.append("y");
    assert!(matches!(
        two.syncer.push("s"),
        Err(SyncError::Claimed { .. })
    ));
    assert!(one.syncer.release("s").unwrap());
    assert_eq!(two.syncer.push("s").unwrap().outcome, Outcome::Pushed);

    one.syncer.delete("s").unwrap();
    assert!(!one.store.contains("s").unwrap());
    assert_eq!(two.syncer.sync("s").unwrap().outcome, Outcome::Deleted);
    assert_eq!(two.texts(), ["x", "y"]);
    assert!(matches!(
        one.syncer.clone_session("s"),
        Err(SyncError::Deleted(_))
    ));
    assert!(matches!(
        one.syncer.clone_session("t"),
        Err(SyncError::NotFound(_))
    ));

    let nowhere = S3Remote::open(&server.url(), &options("http://127.0.0.1:1")).unwrap();
    assert!(matches!(
        nowhere.get("x", 9),
        Err(RemoteError::Unreachable(_))
    ));
    let missing = S3Remote::open("s3://no-such-bucket-here", &options(&server.endpoint)).unwrap();
    assert!(matches!(missing.get("x", 9), Err(RemoteError::NoBucket(_))));
    assert!(
        format!("{missing:?}").contains("no-such-bucket")
            && !format!("{:?}", options("e")).contains("testtest")
    );
    assert_eq!(BUCKET, "sessions");
}

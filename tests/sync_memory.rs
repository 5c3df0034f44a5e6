//! The protocol's own promises, one by one, on a remote in memory.

use std::sync::Arc;
use std::time::Duration;

use sessionlog::sync::{MemoryRemote, Outcome, Resolution, SyncError, Syncer, unpushed};
use sessionlog::{Error, RepairOptions, Store, Version};

struct Device {
    dir: tempfile::TempDir,
    store: Store,
    syncer: Syncer,
}

fn device(bucket: &MemoryRemote) -> Device {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let syncer = Syncer::new(&store, Arc::new(bucket.clone())).unwrap();
    Device { dir, store, syncer }
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

    fn count(&self) -> usize {
        self.store.read("s").unwrap().messages("a").unwrap().count()
    }

    /// Overwrites a text in the log; with `frame`, all that is before it in its frame, too.
    fn damage(&self, text: &str, frame: bool) {
        let dir = self.dir.path().join("store/sessions/s");
        let segment = dir.join("00000000000000000001.seg");
        let mut bytes = std::fs::read(&segment).unwrap();
        let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).rposition(|b| b == what);
        let at = find(&bytes, text.as_bytes()).unwrap();
        let begin = find(&bytes[..at], b"\xF5EV\xC1").filter(|_| frame);
        bytes[begin.unwrap_or(at)..at + text.len()].fill(0xAA);
        std::fs::write(&segment, bytes).unwrap();
    }

    /// How many requests something costs.
    fn cost(bucket: &MemoryRemote, work: impl FnOnce()) -> u64 {
        let before = bucket.requests();
        work();
        bucket.requests() - before
    }
}

#[test]
fn a_push_of_one_message_is_one_request_and_a_restore_is_one_and_the_objects() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    one.append("first");
    one.syncer.push("s").unwrap();
    one.append("second");
    let cost = Device::cost(&bucket, || drop(one.syncer.push("s").unwrap()));
    assert_eq!(cost, 1, "a push of one message");
    let cost = Device::cost(&bucket, || {
        assert_eq!(one.syncer.sync("s").unwrap().outcome, Outcome::Equal);
    });
    assert_eq!(cost, 1, "a sync without a change");

    for i in 0..50 {
        one.append(&format!("{i}{}", "x".repeat(10_000)));
    }
    one.syncer.push("s").unwrap();
    let two = device(&bucket);
    let cost = Device::cost(&bucket, || drop(two.syncer.clone_session("s").unwrap()));
    let objects = two.syncer.inspect("s", true).unwrap().objects as u64;
    assert_eq!(cost, 1 + objects);
    assert_eq!(two.count(), 52);
}

#[test]
fn what_is_not_pushed_is_known_without_asking_the_remote() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    one.append("first");
    let unpushed = || {
        let view = one.store.read("s").unwrap();
        unpushed(&one.store, &view).unwrap().remove(0)
    };
    assert_eq!(unpushed().versions, Some((Version(1), Version(3))));
    one.syncer.push("s").unwrap();
    assert_eq!((unpushed().versions, unpushed().since_us), (None, None));
    one.append("second");
    one.append("third");
    let requests = bucket.requests();
    let known = unpushed();
    assert_eq!(known.remote_version, Version(3));
    assert_eq!(known.versions, Some((Version(4), Version(5))));
    let log = one.store.read("s").unwrap().at(Version(4)).unwrap();
    assert_eq!(known.since_us, Some(log.updated_us()));
    assert_eq!(bucket.requests(), requests);
}

#[test]
fn after_a_pull_both_devices_have_the_same_log_id_and_the_same_events() {
    let bucket = MemoryRemote::new();
    let (one, two) = (device(&bucket), device(&bucket));
    one.append("x");
    let session = one.store.session("s").unwrap();
    session
        .redact_message("a", 0, &serde_json::json!({"role": "user"}))
        .unwrap();
    one.syncer.sync_open(&session).unwrap();
    two.syncer.clone_session("s").unwrap();
    let events = |store: &Store| {
        let mut all = Vec::new();
        let view = store.read("s").unwrap();
        view.for_each_event(Version(1), Version(u64::MAX), &mut |event| {
            all.push(format!(
                "{} {} {} {}",
                event.version, event.time_us, event.kind, event.payload
            ));
            Ok(())
        })
        .unwrap();
        (view.log().unwrap().log_id, all)
    };
    assert_eq!(events(&one.store), events(&two.store));
    assert_eq!(
        one.store.read("s").unwrap().state().unwrap(),
        two.store.read("s").unwrap().state().unwrap()
    );
}

#[test]
fn a_remote_that_lost_its_data_is_not_pushed_to_until_somebody_decides() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    one.append("x");
    one.syncer.push("s").unwrap();
    let head = bucket
        .keys()
        .into_iter()
        .find(|key| key.ends_with("/head"))
        .unwrap();
    bucket.damage(&head, |_| None);
    one.append("y");
    for _ in 0..2 {
        let refused = one.syncer.push("s");
        assert!(
            matches!(
                refused,
                Err(SyncError::RemoteLost {
                    known: 1,
                    found: 0,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    one.syncer.forget("s").unwrap();
    assert_eq!(one.syncer.push("s").unwrap().outcome, Outcome::Pushed);
    assert_eq!(
        device(&bucket).syncer.clone_session("s").unwrap().local,
        Version(4)
    );
}

#[test]
fn damage_in_the_bucket_is_never_applied_and_a_device_that_has_the_events_repairs_it() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    for i in 0..30 {
        one.append(&format!("{i}{}", "x".repeat(10_000)));
    }
    one.syncer.push("s").unwrap();
    let object = bucket
        .keys()
        .into_iter()
        .find(|key| key.contains(".seg"))
        .unwrap();
    bucket.damage(&object, |mut bytes| {
        bytes[5_000] ^= 1;
        Some(bytes)
    });
    let two = device(&bucket);
    let refused = two.syncer.clone_session("s");
    assert!(
        matches!(&refused, Err(SyncError::Damaged { key, .. }) if *key == object),
        "{refused:?}"
    );
    assert!(!two.store.contains("s").unwrap());
    assert_eq!(two.syncer.inspect("s", true).unwrap().damage.len(), 1);
    assert!(matches!(
        two.syncer.repair_remote("s"),
        Err(SyncError::Damaged { .. })
    ));

    assert_eq!(one.syncer.repair_remote("s").unwrap(), 1);
    two.syncer.clone_session("s").unwrap();
    assert_eq!(two.count(), 30);
    assert_eq!(
        one.syncer.collect("s", Duration::from_secs(3600)).unwrap(),
        0,
        "too young"
    );
    assert_eq!(one.syncer.collect("s", Duration::ZERO).unwrap(), 1);
}

#[test]
fn a_damaged_local_log_is_not_pushed() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    for i in 0..3 {
        one.append(&i.to_string());
    }
    let segment = one
        .dir
        .path()
        .join("store/sessions/s/00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[400] ^= 0xFF;
    std::fs::write(&segment, bytes).unwrap();
    let refused = one.syncer.push("s");
    assert!(
        matches!(refused, Err(SyncError::Local(Error::Damaged { .. }))),
        "{refused:?}"
    );
    one.store.repair("s", &RepairOptions::default()).unwrap();
    let refused = one.syncer.push("s");
    assert!(
        matches!(refused, Err(SyncError::GivenUp { .. })),
        "{refused:?}"
    );
    assert_eq!(bucket.keys().len(), 0);
}

#[test]
fn damage_in_what_the_remote_has_stops_a_push_even_beside_a_writer() {
    let bucket = MemoryRemote::new();
    let mut one = device(&bucket);
    let options = Store::options().segment_len(4096);
    one.store = options.open(one.dir.path().join("store")).unwrap();
    one.syncer = Syncer::new(&one.store, Arc::new(bucket.clone())).unwrap();
    let session = one.store.session("s").unwrap();
    let append = |text: &str, len: usize| {
        let message = format!(r#"{{"n":"{text}{}"}}"#, "x".repeat(len));
        session.append_json("a", &message).unwrap();
    };
    // Each in a segment of its own. The first push seals two in an object, so the next does not read them again.
    append("pushed long ago", 200_000);
    append("pushed last", 5_000);
    one.syncer.sync_open(&session).unwrap();
    append("new and durable", 5_000);
    append("new", 5_000);
    one.damage("pushed long ago", false);
    let refused = one.syncer.push("s");
    assert!(
        matches!(refused, Err(SyncError::Local(Error::Damaged { .. }))),
        "{refused:?}"
    );
    let two = device(&bucket);
    two.syncer.clone_session("s").unwrap();
    assert_eq!(two.count(), 2);
}

#[test]
fn commits_behind_one_that_a_repair_gave_up_are_not_pushed() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    one.append("pushed");
    one.syncer.push("s").unwrap();
    for text in ["the commit before", "the lost commit", "the commit behind"] {
        one.append(text);
    }
    one.damage("the lost commit", true);
    let repaired = one.store.repair("s", &RepairOptions::default()).unwrap();
    assert_eq!(repaired.lost, [(Version(5), Version(5))]);
    assert_eq!(one.count(), 3);
    for _ in 0..2 {
        let refused = one.syncer.push("s");
        assert!(
            matches!(refused, Err(SyncError::GivenUp { first, .. }) if first == Version(5)),
            "{refused:?}"
        );
    }
    let two = device(&bucket);
    two.syncer.clone_session("s").unwrap();
    assert_eq!(two.count(), 1);
}

#[test]
fn an_object_of_another_branch_is_not_taken_though_it_is_whole() {
    let (bucket, elsewhere) = (MemoryRemote::new(), MemoryRemote::new());
    let (one, two) = (device(&bucket), device(&bucket));
    one.append("common");
    one.syncer.push("s").unwrap();
    two.syncer.clone_session("s").unwrap();
    // Two branches of one log, each with one object from version 1 on.
    one.append(&"x".repeat(200_000));
    one.syncer.push("s").unwrap();
    two.append(&"y".repeat(200_000));
    two.syncer.forget("s").unwrap();
    let to_elsewhere = Syncer::new(&two.store, Arc::new(elsewhere.clone())).unwrap();
    to_elsewhere.push("s").unwrap();
    let object = |bucket: &MemoryRemote| {
        let mut keys = bucket.keys().into_iter();
        keys.find(|key| key.contains(".seg")).unwrap()
    };
    let mut other = Vec::new();
    elsewhere.damage(&object(&elsewhere), |bytes| {
        other.clone_from(&bytes);
        Some(bytes)
    });
    bucket.damage(&object(&bucket), |_| Some(other));
    let three = device(&bucket);
    let refused = three.syncer.clone_session("s");
    assert!(
        matches!(&refused, Err(SyncError::Damaged { key, .. }) if *key == object(&bucket)),
        "{refused:?}"
    );
    assert!(!three.store.contains("s").unwrap());
}

#[test]
fn sessions_of_one_id_that_were_created_apart_have_the_same_three_ways_out() {
    for how in [
        Resolution::Rebase,
        Resolution::Fork("mine".to_owned()),
        Resolution::TakeRemote,
    ] {
        let bucket = MemoryRemote::new();
        let (one, two) = (device(&bucket), device(&bucket));
        one.append("theirs");
        two.append("mine");
        one.syncer.push("s").unwrap();
        let diverged = two.syncer.sync("s").unwrap().outcome;
        assert_eq!(diverged, Outcome::Diverged { common: Version(0) });
        two.syncer.resolve("s", &how).unwrap();
        one.syncer.sync("s").unwrap();
        let expected = if how == Resolution::Rebase { 2 } else { 1 };
        assert_eq!((one.count(), two.count()), (expected, expected), "{how:?}");
        assert_eq!(
            two.store.contains("mine").unwrap(),
            matches!(how, Resolution::Fork(_))
        );
        assert_eq!(two.syncer.sync("s").unwrap().outcome, Outcome::Equal);
        assert!(two.store.verify("s").unwrap().is_ok());
    }
}

#[test]
fn what_a_restored_backup_lost_comes_back_by_a_pull() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    one.append("before the backup");
    let session = one.dir.path().join("store/sessions/s");
    let segment = session.join("00000000000000000001.seg");
    let backup = std::fs::read(&segment).unwrap();
    one.append("after it");
    one.syncer.push("s").unwrap();
    std::fs::write(&segment, backup).unwrap();
    assert_eq!(one.count(), 1);
    assert_eq!(one.syncer.sync("s").unwrap().outcome, Outcome::Pulled);
    assert_eq!(one.count(), 2);
}

#[test]
fn a_push_works_beside_a_writer_and_takes_only_what_is_durable() {
    let bucket = MemoryRemote::new();
    let one = device(&bucket);
    let session = one.store.session("s").unwrap();
    session.append_json("a", "{}").unwrap();
    session.append_json("a", "{}").unwrap();
    // The last frame's own watermark does not vouch for itself yet.
    assert_eq!(one.syncer.push("s").unwrap().local, Version(3));
    assert_eq!(one.syncer.sync_open(&session).unwrap().local, Version(4));
    session.append_json("a", "{}").unwrap();
    assert_eq!(session.version(), Version(5));
}

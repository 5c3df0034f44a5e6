//! The standard layout in a bucket: what is imported is exported again byte for byte, without objects for directories.
#![cfg(feature = "s3")]

mod trees;

use std::collections::BTreeMap;
use std::path::Path;

use sessionlog::bucket::Bucket;
use sessionlog::layout::{
    ExportOptions, ImportOptions, Progress, export, export_to, find_sessions, import, import_from,
    sessions_in,
};
use sessionlog::{Error, Store};
use trees::{Tree, fixtures};

const FORCE: ExportOptions = ExportOptions {
    at: None,
    redacted: false,
    force: true,
    include_unknown: false,
};

/// Puts the files of a storage directory into a bucket, as the package does.
fn upload(dir: &Path, bucket: &Bucket) {
    for (path, bytes) in Tree::read(dir).0 {
        if let Some(bytes) = bytes {
            bucket.put(path.to_str().unwrap(), &bytes).unwrap();
        }
    }
}

fn objects(bucket: &Bucket) -> BTreeMap<String, Vec<u8>> {
    let objects = bucket.list("").unwrap().into_iter();
    let read = |key: String| (key.clone(), bucket.get(&key, 1 << 20).unwrap().unwrap());
    objects.map(|object| read(object.key)).collect()
}

/// A store with one session of so many messages.
fn store_with(dir: &Path, messages: usize) -> Store {
    let store = Store::open(dir).unwrap();
    let session = store.session("s").unwrap();
    for i in 0..messages {
        let text = format!(r#"{{"role":"user","content":[{{"text":"{i}"}}]}}"#);
        session.append_json("a", &text).unwrap();
    }
    drop(session);
    store
}

#[test]
fn every_healthy_fixture_comes_back_byte_for_byte() {
    for (name, dir) in fixtures().stores() {
        if name == "21_corrupt" {
            continue;
        }
        let (from, to) = (Bucket::in_memory().unwrap(), Bucket::in_memory().unwrap());
        upload(&dir, &from);
        let work = tempfile::tempdir().unwrap();
        let store = Store::open(work.path()).unwrap();
        for id in sessions_in(&from).unwrap() {
            let options = ImportOptions::default();
            let report = import_from(&store, &from, &id, &options, &mut |_| {}).unwrap();
            assert!(report.skipped.is_empty(), "{name}: {report:?}");
            let options = ExportOptions::default();
            export_to(&store, &id, &to, &options, &mut |_| {}).unwrap();
        }
        let mut expected = objects(&from);
        expected.retain(|key, _| !key.contains(".tmp"));
        assert_eq!(objects(&to), expected, "{name}");
        let left = std::fs::read_dir(work.path().join("sessions")).unwrap();
        let building = left.filter(|e| {
            let name = e.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with('.')
        });
        assert_eq!(building.count(), 0, "{name}: a download stays");
    }
}

#[test]
fn a_session_from_a_bucket_has_the_directories_that_the_package_needs() {
    let bucket = Bucket::in_memory().unwrap();
    let work = tempfile::tempdir().unwrap();
    let record = br#"{"session_id":"s"}"#;
    bucket.put("session_s/session.json", record).unwrap();
    bucket
        .put(
            "session_s/agents/agent_a/agent.json",
            br#"{"agent_id":"a"}"#,
        )
        .unwrap();
    let store = Store::open(work.path().join("store")).unwrap();
    import_from(&store, &bucket, "s", &ImportOptions::default(), &mut |_| {}).unwrap();
    let out = work.path().join("out");
    export(&store, "s", &out, &ExportOptions::default(), &mut |_| {}).unwrap();
    assert!(out.join("session_s/multi_agents").is_dir());
    assert!(out.join("session_s/agents/agent_a/messages").is_dir());
}

#[test]
fn damaged_large_and_foreign_objects_are_reported_by_their_urls() {
    let (bucket, fixtures) = (Bucket::in_memory().unwrap(), fixtures());
    upload(&fixtures.store("21_corrupt"), &bucket);
    bucket.put("session_x/session.json", b"{}").unwrap();
    bucket.put("session_x/notes.txt", b"?").unwrap();
    bucket.put("session_x/agents", b"").unwrap();
    let work = tempfile::tempdir().unwrap();
    let dirs = Store::open(work.path().join("dirs")).unwrap();
    let store = Store::open(work.path().join("bucket")).unwrap();
    for dir in find_sessions(&fixtures.store("21_corrupt")).unwrap() {
        let options = ImportOptions::default();
        let expected = import(&dirs, &dir, &options, &mut |_| {}).unwrap();
        let id = &dir.session_id;
        let report = import_from(&store, &bucket, id, &options, &mut |_| {}).unwrap();
        assert_eq!(report.messages, expected.messages, "{id}");
        assert_eq!(report.skipped.len(), expected.skipped.len(), "{id}");
        for skipped in report.skipped {
            let path = skipped.path.to_str().unwrap();
            assert!(path.starts_with("memory:/session_"), "{path}");
        }
    }
    let options = ImportOptions::default();
    let report = import_from(&store, &bucket, "x", &options, &mut |_| {}).unwrap();
    assert_eq!(report.strays, [Path::new("memory:/session_x/notes.txt")]);
}

#[test]
fn an_export_replaces_another_only_when_told_and_takes_away_what_is_too_much() {
    let work = tempfile::tempdir().unwrap();
    let store = store_with(work.path(), 12);
    let bucket = Bucket::in_memory().unwrap();
    bucket.put("session_s2/session.json", b"{}").unwrap();
    let mut last = Progress::default();
    let options = ExportOptions::default();
    let report = export_to(&store, "s", &bucket, &options, &mut |p| last = p).unwrap();
    assert_eq!((report.files, last.done, last.total), (14, 28, 28));
    let exported = objects(&bucket);
    assert_eq!(exported.len(), 15);

    let again = export_to(&store, "s", &bucket, &options, &mut |_| {});
    assert!(matches!(again, Err(Error::AlreadyExists(what)) if what.contains("--force")));
    let first = "session_s/agents/agent_a/messages/message_0.json";
    bucket.put(first, b"{}").unwrap();
    let more = "session_s/agents/agent_a/messages/message_12.json";
    bucket.put(more, b"{}").unwrap();
    export_to(&store, "s", &bucket, &FORCE, &mut |_| {}).unwrap();
    assert_eq!(objects(&bucket), exported);
}

#[test]
fn an_update_from_a_bucket_brings_what_is_new_and_says_what_differs() {
    let work = tempfile::tempdir().unwrap();
    let theirs = store_with(&work.path().join("theirs"), 3);
    let ours = Store::open(work.path().join("ours")).unwrap();
    let bucket = Bucket::in_memory().unwrap();
    let update = ImportOptions { update: true };
    let import = || import_from(&ours, &bucket, "s", &update, &mut |_| {});
    assert!(matches!(import(), Err(Error::NotFound(_))));
    export_to(&theirs, "s", &bucket, &FORCE, &mut |_| {}).unwrap();
    assert_eq!(import().unwrap().messages, 3);
    theirs.session("s").unwrap().append_json("a", "{}").unwrap();
    export_to(&theirs, "s", &bucket, &FORCE, &mut |_| {}).unwrap();
    assert_eq!(import().unwrap().messages, 1);
    assert_eq!(import().unwrap().messages, 0);

    let gone = "session_s/agents/agent_a/messages/message_1.json";
    bucket.delete(gone).unwrap();
    let error = import().unwrap_err().to_string();
    assert!(
        error.contains("memory:/session_s") && !error.contains("ours"),
        "{error}"
    );
}

//! Any files as a session's directory: reading, verifying and repairing them does not panic; repair keeps every event
//! that could be read, and leaves a session that can be written to.
//!
//! The input is a list of files: which name, a number, the length in two bytes, the bytes.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sessionlog::storage::{MemoryStorage, OpenMode, Storage, write_all_at};
use sessionlog::{Error, Event, RepairOptions, Store, Version};

/// The session of the golden log that the corpus begins with.
const ID: &str = "Golden é";
const SESSION: &str = "/store/sessions/%47olden%20%c3%a9";

fuzz_target!(|bytes: &[u8]| {
    let storage = MemoryStorage::new();
    for dir in [
        "/store",
        "/store/sessions",
        SESSION,
        &format!("{SESSION}/quarantine"),
    ] {
        storage.create_dir(Path::new(dir)).expect("a new directory");
    }
    write_files(&storage, bytes);
    let store = Store::options()
        .storage(Arc::new(storage))
        .open("/store")
        .expect("a store");
    let before = events(&store);
    if let Ok(view) = store.read(ID) {
        let _ = (
            view.damage().map(<[_]>::len),
            view.torn().is_ok(),
            view.log().is_ok(),
        );
        if let Ok(state) = view.state() {
            for (agent, _) in state.agents() {
                let _ = view.effective(agent);
                let _ = view
                    .messages(agent)
                    .map(|messages| messages.last(3).count());
            }
        }
    }
    let verified = store.verify(ID);
    match store.session(ID).map(drop) {
        // A damaged snapshot does not hinder a writer; `verify` finds it.
        Ok(()) if store.verify(ID).is_ok_and(|report| report.is_ok()) => {}
        Ok(()) | Err(Error::Damaged { .. }) => {
            let repaired = store.repair(ID, &RepairOptions::default());
            assert!(
                repaired.is_ok() || matches!(repaired, Err(Error::NotFound(_))),
                "{repaired:?}"
            );
        }
        Err(_) => return,
    }
    let session = match store.session(ID) {
        // It is the log of another session.
        Err(Error::InvalidInput { .. }) => return,
        session => session.expect("it is repaired"),
    };
    let done = session
        .append_json("a", "{}")
        .unwrap_or_else(|e| panic!("{e} after {verified:?}"));
    session.close().expect("it closes");
    let after = events(&store).expect("it is good");
    for (version, payload) in before.unwrap_or_default() {
        assert_eq!(
            after.get(&version),
            Some(&payload),
            "version {version} was lost"
        );
    }
    assert!(after.contains_key(&done.version.0));
    let verified = store.verify(ID).expect("it can be read");
    assert!(verified.is_ok(), "{verified:?}");
});

fn write_files(storage: &MemoryStorage, mut bytes: &[u8]) {
    while let [which, number, low, high, rest @ ..] = bytes {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (text, rest) = rest.split_at(len);
        bytes = rest;
        let name = match which % 4 {
            0 | 1 => format!("{number:020}.seg"),
            2 => format!("{number:020}.snap"),
            _ => format!("{number:020}.seg.tmp"),
        };
        let path = Path::new(SESSION).join(name);
        if let Ok(file) = storage.open(&path, OpenMode::CreateNew) {
            write_all_at(&*file, text, 0).expect("memory takes it");
        }
    }
}

/// The events that can be read. What is in the torn tail of a crash does not count.
fn events(store: &Store) -> Option<BTreeMap<u64, String>> {
    let view = store.read(ID).ok()?;
    let mut events = BTreeMap::new();
    let mut visit = |event: &Event<'_>| {
        events.insert(event.version.0, format!("{} {}", event.kind, event.payload));
        Ok(())
    };
    view.for_each_event(Version(1), Version(u64::MAX), &mut visit)
        .ok()?;
    Some(events)
}

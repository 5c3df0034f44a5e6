//! Damage of any kind to a good log: nothing wrong is ever read, and repair keeps every event that could be read.

#![no_main]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use sessionlog::sim::{Bytes, Choice, Policy, Seeded, SimDisk};
use sessionlog::{AgentSync, Error, Event, RepairOptions, Store, Version};

type Events = BTreeMap<u64, String>;

fuzz_target!(|bytes: &[u8]| {
    static LOG: OnceLock<(SimDisk, Events)> = OnceLock::new();
    let (disk, good) = LOG.get_or_init(build);
    // Everything is durable: a crash only makes a copy.
    let disk = disk.crash(Policy::Nothing, &mut Seeded::new(0));
    let mut choice = Bytes::new(bytes);
    for _ in 0..=choice.choose("how many", 4) {
        damage(&disk, &mut choice);
    }
    let store = open(&disk);
    let before = events(&store, good);
    let opened = store.session("s").map(drop);
    // Damage before a snapshot does not hinder a writer; `verify` finds it.
    let hidden = opened.is_ok() && store.verify("s").is_ok_and(|report| !report.is_ok());
    match opened {
        Ok(()) if !hidden => {}
        Ok(()) | Err(Error::Damaged { .. }) => {
            store
                .repair("s", &RepairOptions::default())
                .expect("damage can be repaired");
        }
        // Nothing is left of it.
        Err(error) => {
            assert!(before.is_empty(), "{error}, with {} events", before.len());
            return;
        }
    }
    let after = events(&store, good);
    let lost = before.keys().find(|version| !after.contains_key(version));
    assert_eq!(lost, None, "a good event was lost");
    let session = store.session("s").expect("it is repaired");
    session
        .append_json("a", "{}")
        .expect("it can be written to");
    session.close().expect("it closes");
    let verified = store.verify("s").expect("it can be read");
    assert!(verified.is_ok(), "{verified:?}");
});

fn open(disk: &SimDisk) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(4 << 10)
        .snapshot_after(8 << 10)
        .open("/store")
        .expect("a store")
}

fn build() -> (SimDisk, Events) {
    let disk = SimDisk::new();
    let store = open(&disk);
    let session = store.session("s").expect("a new session");
    for i in 0..60 {
        let message = format!(
            r#"{{"role":"user","content":[{{"text":"{}"}}]}}"#,
            "x".repeat(i * 5)
        );
        session.append_json("a", &message).expect("a message");
        if i % 7 == 0 {
            let state = format!(r#"{{"turn":{i}}}"#);
            let sync = AgentSync {
                state: Some(&state),
                ..AgentSync::default()
            };
            session.sync_agent("a", sync).expect("a state");
            session.sync_multi_agent("g", &state).expect("an object");
            let hidden = session
                .batch()
                .redact_json("a", i as u64 / 2, "{}")
                .expect("a redaction");
            hidden.commit().expect("a commit");
        }
    }
    session.close().expect("it closes");
    drop(store);
    let disk = disk.crash(Policy::Everything, &mut Seeded::new(0));
    let all = events(&open(&disk), &Events::new());
    (disk, all)
}

/// The events that can be read: each must be as it was.
fn events(store: &Store, good: &Events) -> Events {
    let mut events = Events::new();
    let Ok(view) = store.read("s") else {
        return events;
    };
    let mut visit = |event: &Event<'_>| {
        let event_text = format!("{} {}", event.kind, event.payload);
        if let Some(good) = good.get(&event.version.0) {
            assert_eq!(&event_text, good, "wrong data at version {}", event.version);
        }
        events.insert(event.version.0, event_text);
        Ok(())
    };
    let all = view.for_each_event(Version(1), Version(u64::MAX), &mut visit);
    all.expect("the log can be read");
    events
}

fn damage(disk: &SimDisk, choice: &mut Bytes<'_>) {
    let mut files: Vec<PathBuf> = disk.files();
    files.retain(|path| path.starts_with("/store/sessions/s"));
    if files.is_empty() {
        return;
    }
    let path = &files[choice.choose("file", files.len() as u64) as usize];
    let len = disk.peek(path).map_or(0, |bytes| bytes.len() as u64);
    let mut at = || choice.choose("place", len.max(1));
    let (first, second) = (at(), at());
    let range = first.min(second)..first.max(second);
    let near = first..len.min(first + 1 + second % 700);
    // What does not fit the file is refused, and does nothing.
    let _ = match choice.choose("damage", 10) {
        0 => disk.flip_bit(path, first * 8 + second % 8),
        1 => disk.zero(path, near),
        2 => disk.garbage(path, near, second),
        3 => disk.zero(path, range),
        4 => disk.truncate(path, first),
        5 => disk.remove_range(path, near),
        6 => disk.swap_sectors(path, first / 512, second / 512),
        7 => disk.misdirect(path, near, second),
        8 => disk.delete(path),
        _ => {
            let other = &files[second as usize % files.len()];
            disk.replace(path, other)
        }
    };
}

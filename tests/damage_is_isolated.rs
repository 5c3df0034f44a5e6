//! Damage at rest costs what it hits and nothing else, is always reported, and can be repaired.
//!
//! `SESSIONLOG_EXHAUSTIVE=1 cargo test --release --test damage_is_isolated` tries every bit and every length.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sessionlog::storage::{MemoryStorage, OpenMode, Storage, read_full_at, write_all_at};
use sessionlog::{AgentSync, RepairOptions, Store, Version};

type Events = BTreeMap<u64, String>;

fn store(storage: &MemoryStorage) -> Store {
    let options = Store::options().storage(Arc::new(storage.clone()));
    options
        .segment_len(24 << 10)
        .allocate_above(1 << 10)
        .open("/s")
        .unwrap()
}

fn events(store: &Store) -> Events {
    let mut events = Events::new();
    let mut visit = |event: &sessionlog::Event<'_>| {
        events.insert(event.version.0, format!("{} {}", event.kind, event.payload));
        Ok(())
    };
    let view = store.read("x").unwrap();
    view.for_each_event(Version(1), Version(u64::MAX), &mut visit)
        .unwrap();
    events
}

/// The segments of a log of 64 KiB with every kind of event that an append writes.
struct Log {
    segments: Vec<(PathBuf, Vec<u8>)>,
    events: Events,
}

impl Log {
    fn new() -> Self {
        let storage = MemoryStorage::new();
        let store = store(&storage);
        let session = store.session("x").unwrap();
        for i in 0..150 {
            let text = "text äö ".repeat(30 + i % 20);
            let message =
                format!("{{\"role\":\"user\",\"content\":[{{\"text\":\"{i} {text}\"}}]}}");
            session.append_json("a", &message).unwrap();
            if i % 10 == 0 {
                let state = format!("{{\"turn\":{i}}}");
                let sync = AgentSync {
                    state: Some(&state),
                    ..AgentSync::default()
                };
                session.sync_agent("a", sync).unwrap();
                session.sync_multi_agent("graph", &state).unwrap();
                let hidden = serde_json::json!({"role": "user", "content": []});
                session.redact_message("a", i as u64, &hidden).unwrap();
            }
        }
        session.close().unwrap();
        let dir = Path::new("/s/sessions/x");
        let mut paths: Vec<_> = storage
            .list(dir)
            .unwrap()
            .into_iter()
            .map(|e| dir.join(e.name))
            .collect();
        paths.retain(|path| path.extension() == Some("seg".as_ref()));
        paths.sort();
        let read = |path: PathBuf| {
            let file = storage.open(&path, OpenMode::Read).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            read_full_at(&*file, &mut bytes, 0).unwrap();
            (path, bytes)
        };
        let mut log = Self {
            segments: paths.into_iter().map(read).collect(),
            events: events(&store),
        };
        // As if the session had been killed before its unused space was cut.
        if let Some((_, last)) = log.segments.last_mut() {
            last.resize(last.len().next_multiple_of(1 << 10) + 512, 0);
        }
        let bytes: usize = log.segments.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(
            log.segments.len() >= 3 && bytes >= 64 << 10,
            "{bytes} bytes"
        );
        log
    }

    /// A store with one segment's bytes replaced, or with the segment missing.
    fn with(&self, index: usize, bytes: Option<&[u8]>) -> Store {
        let storage = MemoryStorage::new();
        for dir in ["/s", "/s/sessions", "/s/sessions/x"] {
            storage.create_dir(Path::new(dir)).unwrap();
        }
        for (i, (path, good)) in self.segments.iter().enumerate() {
            let bytes = if i == index {
                bytes
            } else {
                Some(good.as_slice())
            };
            if let Some(bytes) = bytes {
                let file = storage.open(path, OpenMode::CreateNew).unwrap();
                write_all_at(&*file, bytes, 0).unwrap();
            }
        }
        store(&storage)
    }

    /// Reads, repairs and reads again. `most` is how many events the damage may cost.
    fn check(&self, damaged: &Store, most: usize, reported: bool, case: &str) {
        let before = events(damaged);
        self.compare(&before, case);
        let verified = damaged.verify("x").unwrap();
        assert_eq!(!verified.is_ok(), reported, "{case}: {verified:?}");
        let report = damaged.repair("x", &RepairOptions::default()).unwrap();
        let after = events(damaged);
        self.compare(&after, case);
        assert!(
            before.keys().all(|v| after.contains_key(v)),
            "{case}: a good event was lost"
        );
        let lost = self.events.len() - after.len();
        assert!(
            lost <= most,
            "{case}: {lost} events lost, not {most}: {report:?}"
        );
        let verified = damaged.verify("x").unwrap();
        assert!(verified.is_ok(), "{case}: {verified:?}");
        damaged
            .session("x")
            .unwrap()
            .append_json("a", "{}")
            .unwrap();
    }

    fn compare(&self, found: &Events, case: &str) {
        let wrong = found
            .iter()
            .find(|(version, event)| self.events.get(version) != Some(event));
        assert!(wrong.is_none(), "{case}: wrong data {wrong:?}");
    }
}

fn exhaustive() -> bool {
    std::env::var_os("SESSIONLOG_EXHAUSTIVE").is_some()
}

#[test]
fn every_flipped_bit_is_reported_and_corrected() {
    let log = Log::new();
    let (step, bits) = if exhaustive() { (1, 8) } else { (13, 1) };
    for (index, (path, good)) in log.segments.iter().enumerate() {
        for at in (0..good.len()).step_by(step) {
            for bit in 0..bits {
                let mut bad = good.clone();
                bad[at] ^= 1 << ((at + bit) % 8);
                let case = format!("{} byte {at} bit {}", path.display(), (at + bit) % 8);
                log.check(&log.with(index, Some(&bad)), 0, true, &case);
            }
        }
    }
}

#[test]
fn a_cut_of_the_last_segment_keeps_everything_before_it() {
    let log = Log::new();
    let index = log.segments.len() - 1;
    let good = &log.segments[index].1;
    for len in (128..good.len()).step_by(if exhaustive() { 1 } else { 17 }) {
        let store = log.with(index, Some(&good[..len]));
        let found = events(&store);
        log.compare(&found, &format!("cut to {len}"));
        let last = *found.keys().last().unwrap();
        assert_eq!(
            found.len() as u64,
            last,
            "cut to {len}: what is there has no holes"
        );
        let session = store
            .session("x")
            .unwrap_or_else(|e| panic!("cut to {len}: {e}"));
        let done = session.append_json("a", "{}").unwrap();
        assert_eq!(done.version.0, last + 1, "cut to {len}");
    }
}

#[test]
fn sectors_that_are_zeroed_trashed_or_swapped_cost_only_what_is_in_them() {
    let log = Log::new();
    for (index, (path, good)) in log.segments.iter().enumerate() {
        // The last sectors of the log may look like the torn tail of a crash, which is cut, not repaired.
        let is_last = index + 1 == log.segments.len();
        let end = if is_last {
            good.len() - 4096
        } else {
            good.len()
        };
        for at in (0..end).step_by(512) {
            let sector = at..(at + 512).min(good.len());
            let mut zeroed = good.clone();
            zeroed[sector.clone()].fill(0);
            let mut trashed = good.clone();
            trashed[sector.clone()].fill(0xA7);
            let mut swapped = good.clone();
            let other = (at + 5 * 512) % (good.len() - 512) / 512 * 512;
            for i in 0..sector.len() {
                swapped.swap(at + i, other + i);
            }
            for (what, bad, most) in [
                ("zeroed", zeroed, 5),
                ("trashed", trashed, 5),
                ("swapped", swapped, 10),
            ] {
                let case = format!("{} sector {at} {what}", path.display());
                let is_same = bad == *good;
                log.check(&log.with(index, Some(&bad)), most, !is_same, &case);
            }
        }
    }
}

#[test]
fn a_missing_segment_is_reported_and_the_others_are_read() {
    let log = Log::new();
    for (index, (path, _)) in log.segments.iter().enumerate() {
        let store = log.with(index, None);
        let case = format!("{} is missing", path.display());
        let others = events(&store).len();
        assert!(others > 0, "{case}");
        log.check(&store, log.events.len() - others, true, &case);
    }
}

//! Damage at rest costs what it hits and nothing else, is always reported, and can be repaired.
//!
//! `SESSIONLOG_EXHAUSTIVE=1 cargo test --release --test damage_is_isolated` tries every bit and every length. With `0/2` and
//! `1/2` instead of `1`, two processes share them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sessionlog::repository::{LogRepository, MessageRecord, SessionRepository};
use sessionlog::storage::{MemoryStorage, OpenMode, Storage, read_full_at, write_all_at};
use sessionlog::{AgentSync, RepairOptions, Store, Version};

type Events = BTreeMap<u64, String>;

const HEADER_LEN: usize = 128;

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
        let hide = r#"{"format":1,"edits":[{"edit":"hide","message":2}]}"#;
        let batch = session.batch().repair_history("a", hide).unwrap();
        batch.commit().unwrap();
        session.close().unwrap();
        let update = MessageRecord::new(3, r#"{"role":"user","content":[]}"#, 1).unwrap();
        let repository = LogRepository::new(store.clone());
        repository.update_message("x", "a", &update).unwrap();
        drop(repository);
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
        let kinds: BTreeSet<_> = log.events.values().map(|e| e.split(' ').next()).collect();
        assert_eq!(kinds.len(), 9, "all that an append writes: {kinds:?}");
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

/// Which offsets to try: the first one, and how far apart they are. `usual` is how far in an ordinary run.
fn offsets(usual: usize) -> (usize, usize) {
    let Ok(share) = std::env::var("SESSIONLOG_EXHAUSTIVE") else {
        return (0, usual);
    };
    let (this, of) = share.split_once('/').unwrap_or(("0", "1"));
    (this.parse().unwrap(), of.parse().unwrap())
}

fn is_exhaustive() -> bool {
    std::env::var_os("SESSIONLOG_EXHAUSTIVE").is_some()
}

#[test]
fn every_flipped_bit_is_reported_and_corrected() {
    let log = Log::new();
    let (first, step) = offsets(13);
    let bits = if is_exhaustive() { 8 } else { 1 };
    for (index, (path, good)) in log.segments.iter().enumerate() {
        for at in (first..good.len()).step_by(step) {
            for bit in 0..bits {
                let mut bad = good.clone();
                bad[at] ^= 1 << ((at + bit) % 8);
                let case = format!("{} byte {at} bit {}", path.display(), (at + bit) % 8);
                log.check(&log.with(index, Some(&bad)), 0, true, &case);
            }
        }
    }
}

/// Where the frames of a segment end, and how many events each has.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut frames) = (HEADER_LEN, Vec::new());
    while bytes[at..].starts_with(&[0xF5, 0x45, 0x56, 0xC1]) {
        let is_commit = bytes[at + 4] == 1;
        let events = if is_commit { field(at + 4) >> 16 } else { 0 };
        at += (64 + field(at + 8) + field(at + 12)).next_multiple_of(8) + 8;
        frames.push((at, events));
        if at >= bytes.len() {
            break;
        }
    }
    frames
}

#[test]
fn a_cut_of_the_last_segment_keeps_everything_before_it() {
    let log = Log::new();
    let index = log.segments.len() - 1;
    let good = &log.segments[index].1;
    let (first, step) = offsets(17);
    let (mut cuts, mut silent) = (0, 0);
    for len in (HEADER_LEN + first..good.len()).step_by(step) {
        let store = log.with(index, Some(&good[..len]));
        let found = events(&store);
        log.compare(&found, &format!("cut to {len}"));
        let last = *found.keys().last().unwrap();
        assert_eq!(
            found.len() as u64,
            last,
            "cut to {len}: what is there has no holes"
        );
        cuts += 1;
        if store.verify("x").unwrap().is_ok() {
            // A log that never went further has the same bytes.
            let ends = frames(good).into_iter().map(|(end, _)| end);
            let end = ends.filter(|end| *end <= len).max().unwrap_or(HEADER_LEN);
            assert!(
                good[end..len].iter().all(|byte| *byte == 0),
                "a cut to {len} is not reported"
            );
            silent += usize::from(found.len() < log.events.len());
        }
        let session = store
            .session("x")
            .unwrap_or_else(|e| panic!("cut to {len}: {e}"));
        let done = session.append_json("a", "{}").unwrap();
        assert_eq!(done.version.0, last + 1, "cut to {len}");
    }
    println!(
        "{cuts} cuts of the last segment, {silent} of them at the end of a commit and not reported"
    );
}

#[test]
fn a_cut_of_any_other_segment_or_of_a_header_costs_what_was_behind_it() {
    let log = Log::new();
    let (first, step) = offsets(41);
    for (index, (path, good)) in log.segments.iter().enumerate() {
        let is_last = index + 1 == log.segments.len();
        let until = if is_last { HEADER_LEN } else { good.len() };
        for len in (first..until).step_by(step) {
            let cut_off = frames(good).into_iter().filter(|(end, _)| *end > len);
            let most = cut_off.map(|(_, events)| events).sum();
            let case = format!("{} cut to {len}", path.display());
            log.check(&log.with(index, Some(&good[..len])), most, true, &case);
        }
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

//! A snapshot changes how long opening takes, and nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use sessionlog::storage::{MemoryStorage, OpenMode, Storage, read_full_at, write_all_at};
use sessionlog::{AgentSync, Error, RepairOptions, Store};

const HEADER_LEN: usize = 56;

fn store(storage: &MemoryStorage) -> Store {
    let options = Store::options().storage(Arc::new(storage.clone()));
    options
        .segment_len(4096)
        .allocate_above(1 << 10)
        .snapshot_after(0)
        .open("/s")
        .unwrap()
}

fn fill(store: &Store, messages: u64) {
    let session = store.session("x").unwrap();
    for i in 0..messages {
        let message = json!({"role": "user", "content": [{"text": format!("message {i}")}]});
        session.append_message("agent", &message).unwrap();
        let state = format!("{{\"turn\":{i}}}");
        let sync = AgentSync {
            state: Some(&state),
            ..AgentSync::default()
        };
        session.sync_agent("agent", sync).unwrap();
    }
}

fn files(storage: &MemoryStorage, ending: &str) -> Vec<PathBuf> {
    let dir = Path::new("/s/sessions/x");
    let mut paths: Vec<_> = storage
        .list(dir)
        .unwrap()
        .into_iter()
        .map(|entry| dir.join(entry.name))
        .collect();
    paths.retain(|path| path.extension() == Some(ending.as_ref()));
    paths.sort();
    paths
}

#[test]
fn opening_from_a_snapshot_gives_the_state_that_replay_gives() {
    let storage = MemoryStorage::new();
    for round in 1..6 {
        fill(&store(&storage), 30 * round);
        assert_eq!(files(&storage, "snap").len(), 2, "two snapshots are kept");
        let with = store(&storage).session("x").unwrap().state();
        for path in files(&storage, "snap") {
            storage.remove_file(&path).unwrap();
        }
        let without = store(&storage).session("x").unwrap().state();
        assert_eq!(with, without);
        fill(&store(&storage), 30);
    }
}

#[test]
fn a_snapshot_of_another_history_is_not_used() {
    let (storage, other) = (MemoryStorage::new(), MemoryStorage::new());
    fill(&store(&storage), 60);
    fill(&store(&other), 60);
    let before = store(&storage).session("x").unwrap().state();
    for path in files(&other, "snap") {
        let from = other.open(&path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; from.len().unwrap() as usize];
        sessionlog::storage::read_full_at(&*from, &mut bytes, 0).unwrap();
        let _ = storage.remove_file(&path);
        let to = storage.open(&path, OpenMode::CreateNew).unwrap();
        write_all_at(&*to, &bytes, 0).unwrap();
    }
    assert_eq!(store(&storage).session("x").unwrap().state(), before);
}

#[test]
fn a_snapshot_that_names_another_log_is_not_used_though_its_commit_is_in_this_one() {
    // A link has 32 bits, so two logs may have the same one at the same version; the log id tells them apart.
    let storage = MemoryStorage::new();
    fill(&store(&storage), 60);
    let before = store(&storage).session("x").unwrap().state();
    let path = files(&storage, "snap").pop().unwrap();
    let file = storage.open(&path, OpenMode::Write).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_full_at(&*file, &mut bytes, 0).unwrap();
    let body = HEADER_LEN;
    let own = bytes[body..]
        .windows(8)
        .position(|w| w == b"\"agent\":")
        .expect("its state names the agent");
    bytes[body + own..][..8].copy_from_slice(b"\"other\":");
    bytes[16] ^= 1;
    let crc = crc32fast::hash(&bytes[body..]);
    bytes[48..52].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..52]);
    bytes[52..56].copy_from_slice(&crc.to_le_bytes());
    write_all_at(&*file, &bytes, 0).unwrap();
    assert_eq!(store(&storage).session("x").unwrap().state(), before);
}

#[test]
fn a_log_that_ends_before_its_snapshot_has_lost_its_tail() {
    let storage = MemoryStorage::new();
    fill(&store(&storage), 60);
    let last = store(&storage).read("x").unwrap().version();
    let segments = files(&storage, "seg");
    for path in &segments[segments.len() - 2..] {
        storage.remove_file(path).unwrap();
    }
    // Without its SEAL the new last segment does not say that there was more.
    let path = &segments[segments.len() - 3];
    let file = storage.open(path, OpenMode::Write).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    sessionlog::storage::read_full_at(&*file, &mut bytes, 0).unwrap();
    let seal = bytes
        .windows(5)
        .rposition(|w| w == [0xF5, 0x45, 0x56, 0xC1, 2])
        .unwrap();
    file.set_len(seal as u64).unwrap();
    let store = store(&storage);
    let report = store.verify("x").unwrap();
    let verdicts: Vec<_> = report.damage.iter().map(|d| d.verdict.name()).collect();
    assert_eq!(verdicts, ["tail_lost"], "{report:?}");
    assert!(matches!(store.session("x"), Err(Error::Damaged { .. })));
    store
        .repair("x", &sessionlog::RepairOptions::default())
        .unwrap();
    let done = store
        .session("x")
        .unwrap()
        .append_json("agent", "{}")
        .unwrap();
    assert!(
        done.version.0 > report.damage[0].last_version.unwrap().0,
        "no version is used twice"
    );
    assert!(last.0 >= report.damage[0].last_version.unwrap().0);
}

#[test]
fn verify_reports_a_snapshot_that_is_not_what_replay_gives_and_repair_removes_it() {
    let (storage, other) = (MemoryStorage::new(), MemoryStorage::new());
    fill(&store(&storage), 60);
    fill(&store(&other), 60);
    assert!(store(&storage).verify("x").unwrap().is_ok());
    // The same number of events, and another text in the state.
    let session = store(&other).session("x").unwrap();
    let path = files(&other, "snap")[0].clone();
    drop(session);
    let read = |storage: &MemoryStorage, path: &Path| {
        let file = storage.open(path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_full_at(&*file, &mut bytes, 0).unwrap();
        bytes
    };
    let good = read(&storage, &path);
    let damaged = {
        let mut bytes = good.clone();
        bytes[70] ^= 1;
        bytes
    };
    for (bytes, cause) in [
        (read(&other, &path), "the snapshot is not what replay gives"),
        (damaged, "the snapshot is damaged"),
    ] {
        let file = storage.open(&path, OpenMode::Write).unwrap();
        file.set_len(0).unwrap();
        write_all_at(&*file, &bytes, 0).unwrap();
        let report = store(&storage).verify("x").unwrap();
        assert_eq!(report.damage.len(), 1, "{report:?}");
        assert!(report.damage[0].cause.contains(cause), "{report:?}");
        assert_eq!(report.damage[0].segment, path);
        store(&storage)
            .repair("x", &RepairOptions::default())
            .unwrap();
        assert!(store(&storage).verify("x").unwrap().is_ok());
        assert!(files(&storage, "snap").is_empty());
        let file = storage.open(&path, OpenMode::CreateNew).unwrap();
        write_all_at(&*file, &good, 0).unwrap();
    }
}

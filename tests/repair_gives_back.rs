//! Repair: every event that can be had is had, nothing is renumbered, and doing it again changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use sessionlog::storage::{MemoryStorage, OpenMode, Storage, read_full_at, write_all_at};
use sessionlog::{Error, RepairOptions, Store, Version};

type Events = Vec<(u64, String, String)>;

fn store(storage: &MemoryStorage) -> Store {
    Store::options()
        .storage(Arc::new(storage.clone()))
        .segment_len(4096)
        .allocate_above(1 << 10)
        .open("/s")
        .unwrap()
}

fn events(store: &Store) -> Events {
    let (mut events, view) = (Vec::new(), store.read("x").unwrap());
    let mut visit = |event: &sessionlog::Event<'_>| {
        events.push((
            event.version.0,
            event.kind.to_string(),
            event.payload.to_owned(),
        ));
        Ok(())
    };
    view.for_each_event(Version(1), Version(u64::MAX), &mut visit)
        .unwrap();
    events
}

fn filled(storage: &MemoryStorage, messages: u32) -> Events {
    let store = store(storage);
    let session = store.session("x").unwrap();
    for i in 0..messages {
        let message = json!({"role": "user", "content": [{"text": format!("message {i} ärger")}]});
        session.append_message("agent", &message).unwrap();
    }
    session.close().unwrap();
    events(&store)
}

/// A store's files, to begin every case from the same bytes.
struct Image {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Image {
    fn take(storage: &MemoryStorage) -> Self {
        let dir = Path::new("/s/sessions/x");
        let mut paths: Vec<_> = storage
            .list(dir)
            .unwrap()
            .into_iter()
            .map(|e| dir.join(e.name))
            .collect();
        paths.push(PathBuf::from("/s/STORE"));
        paths.sort();
        let read = |path: PathBuf| {
            let file = storage.open(&path, OpenMode::Read).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            read_full_at(&*file, &mut bytes, 0).unwrap();
            (path, bytes)
        };
        Self {
            files: paths.into_iter().map(read).collect(),
        }
    }

    fn segments(&self) -> Vec<usize> {
        let is_segment = |i: &usize| self.files[*i].0.extension() == Some("seg".as_ref());
        (0..self.files.len()).filter(is_segment).collect()
    }

    /// A storage with these files, one of them with other bytes.
    fn with(&self, index: usize, bytes: &[u8]) -> MemoryStorage {
        let storage = MemoryStorage::new();
        for dir in ["/s", "/s/sessions", "/s/sessions/x"] {
            storage.create_dir(Path::new(dir)).unwrap();
        }
        for (i, (path, good)) in self.files.iter().enumerate() {
            let file = storage.open(path, OpenMode::CreateNew).unwrap();
            write_all_at(&*file, if i == index { bytes } else { good }, 0).unwrap();
        }
        storage
    }
}

#[test]
fn every_flipped_bit_is_reported_and_repaired_without_loss() {
    let storage = MemoryStorage::new();
    let original = filled(&storage, 60);
    let image = Image::take(&storage);
    assert_eq!(image.segments().len(), 3);
    for index in image.segments() {
        let (path, good) = &image.files[index];
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            let damaged = store(&image.with(index, &bad));
            let case = format!("{} byte {at}", path.display());
            let before = events(&damaged);
            let wrong = before.iter().filter(|event| !original.contains(event));
            assert_eq!(wrong.count(), 0, "{case}: wrong data");
            assert!(
                !damaged.verify("x").unwrap().is_ok(),
                "{case}: not reported"
            );
            let report = damaged.repair("x", &RepairOptions::default()).unwrap();
            let after = events(&damaged);
            let verified = damaged.verify("x").unwrap();
            assert_eq!(after, original, "{case}: {report:?} {verified:?}");
            assert!(verified.is_ok(), "{case}: {verified:?}");
        }
    }
}

#[test]
fn a_destroyed_range_loses_only_what_was_in_it() {
    let storage = MemoryStorage::new();
    let original = filled(&storage, 60);
    let image = Image::take(&storage);
    let index = image.segments()[1];
    let good = &image.files[index].1;
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        let end = (at + 300).min(bad.len());
        bad[at..end].fill(0x5A);
        let store = store(&image.with(index, &bad));
        let before = events(&store);
        assert!(
            matches!(store.session("x"), Err(Error::Damaged { .. })),
            "at {at}"
        );
        let dry = RepairOptions {
            dry_run: true,
            copy: None,
        };
        let foretold = store.repair("x", &dry).unwrap();
        let report = store.repair("x", &RepairOptions::default()).unwrap();
        assert_eq!(
            (&foretold.lost, foretold.recovered),
            (&report.lost, report.recovered)
        );
        let after = events(&store);
        assert!(
            before.iter().all(|event| after.contains(event)),
            "at {at}: a good event was lost"
        );
        let lost: u64 = report.lost.iter().map(|(a, b)| b.0 - a.0 + 1).sum();
        assert_eq!(
            after.len() as u64 + lost,
            original.len() as u64,
            "at {at}: {report:?}"
        );
        assert!(
            lost <= 4,
            "at {at}: 300 bytes hold at most 4 events of this log: {report:?}"
        );
        assert!(!report.quarantine.is_empty());
        let verified = store.verify("x").unwrap();
        assert!(verified.is_ok(), "at {at}: {verified:?}");
        let given_up: u64 = verified.given_up.iter().map(|(a, b)| b.0 - a.0 + 1).sum();
        assert_eq!(given_up, lost, "at {at}");
        let again = store.repair("x", &RepairOptions::default()).unwrap();
        assert!(again.rewritten.is_empty(), "at {at}: {again:?}");
        let session = store.session("x").unwrap();
        let done = session.append_json("agent", "{}").unwrap();
        assert_eq!(
            done.version.0,
            original.last().unwrap().0 + 1,
            "versions are never reused"
        );
    }
}

#[test]
fn a_lost_segment_comes_back_from_a_copy() {
    let storage = MemoryStorage::new();
    let original = filled(&storage, 60);
    let image = Image::take(&storage);
    for index in image.segments() {
        let damaged = image.with(usize::MAX, &[]);
        let copy = Path::new("/copy");
        damaged.create_dir(copy).unwrap();
        for i in image.segments() {
            let name = image.files[i].0.file_name().unwrap();
            let file = damaged.open(&copy.join(name), OpenMode::CreateNew).unwrap();
            write_all_at(&*file, &image.files[i].1, 0).unwrap();
        }
        damaged.remove_file(&image.files[index].0).unwrap();
        let store = store(&damaged);
        let report = store.verify("x").unwrap();
        let is_last = index == *image.segments().last().unwrap();
        assert!(!report.is_ok(), "segment {index} is missing: {report:?}");
        let kept = store.repair("x", &RepairOptions::default()).unwrap();
        assert_eq!(kept.recovered, 0);
        let verified = store.verify("x").unwrap();
        assert!(verified.is_ok(), "{index}: {verified:?}");
        let options = RepairOptions {
            copy: Some(copy.to_path_buf()),
            dry_run: false,
        };
        let report = store.repair("x", &options).unwrap();
        assert_eq!(
            events(&store),
            original,
            "segment {index}, last {is_last}: {report:?}"
        );
        let verified = store.verify("x").unwrap();
        assert!(verified.is_ok(), "{index}: {verified:?}");
        store
            .session("x")
            .unwrap()
            .append_json("agent", "{}")
            .unwrap();
    }
}

//! Between the two renames of a swap the session's name is free, and no log may begin under it.
//!
//! A session that was opened before it existed begins its log at its first append. It once could do so in just
//! that moment: the second rename failed then, and the next replacement removed the directory with both histories.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use sessionlog::storage::{Entry, FileStorage, OpenMode, Storage, StorageFile, StorageLock};
use sessionlog::sync::{MemoryRemote, Outcome, Resolution, Syncer};
use sessionlog::{Session, Store, Version};

type Work = Box<dyn FnOnce() + Send>;

/// Files, and something to do just before a swapped log takes its name.
struct BetweenTheRenames {
    files: FileStorage,
    work: Mutex<Option<Work>>,
}

impl std::fmt::Debug for BetweenTheRenames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.fmt(f)
    }
}

impl Storage for BetweenTheRenames {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        self.files.open(path, mode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let name = from.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(".swap-") {
            if let Some(work) = self.work.lock().unwrap().take() {
                work();
            }
        }
        self.files.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.files.remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.files.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.files.sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        self.files.try_lock(path)
    }
}

fn texts(store: &Store) -> Vec<String> {
    let view = store.read("s").unwrap();
    let all = view.messages("a").unwrap();
    all.map(|message| message.unwrap().text().into_owned())
        .collect()
}

#[test]
fn a_session_that_begins_between_the_renames_waits_for_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryRemote::new();
    let other = Store::open(dir.path().join("other")).unwrap();
    let append = |session: Session, text: &str| session.append_json("a", text).map(|_| ());
    append(other.session("s").unwrap(), r#"{"n":"theirs"}"#).unwrap();
    let on_other = Syncer::new(&other, Arc::new(bucket.clone())).unwrap();
    on_other.push("s").unwrap();

    let storage = Arc::new(BetweenTheRenames {
        files: FileStorage,
        work: Mutex::new(None),
    });
    let options = Store::options().lock_wait(Duration::from_secs(10));
    let store = options.storage(Arc::clone(&storage) as Arc<dyn Storage>);
    let store = store.open(dir.path().join("here")).unwrap();
    // Opened before there is a session, so it has no log and no lock yet.
    let lazy = store.session("s").unwrap();
    append(store.session("s").unwrap(), r#"{"n":"mine"}"#).unwrap();

    let (sender, begun) = mpsc::channel::<JoinHandle<Result<(), sessionlog::Error>>>();
    let work = move || {
        let late = move || lazy.append_json("a", r#"{"n":"late"}"#).map(|_| ());
        sender.send(std::thread::spawn(late)).unwrap();
        // Long enough to begin a log, for one that does not wait.
        std::thread::sleep(Duration::from_millis(300));
    };
    *storage.work.lock().unwrap() = Some(Box::new(work));
    let syncer = Syncer::new(&store, Arc::new(bucket)).unwrap();
    let took = syncer.resolve("s", &Resolution::TakeRemote).unwrap();
    let Outcome::TookRemote { set_aside, branch } = took.outcome else {
        panic!("{took:?}")
    };
    assert_eq!(set_aside, (Version(1), Version(3)));
    begun.recv().unwrap().join().unwrap().unwrap();
    assert_eq!(texts(&store), [r#"{"n":"theirs"}"#, r#"{"n":"late"}"#]);
    assert_eq!(texts(&Store::open(branch).unwrap()), [r#"{"n":"mine"}"#]);
    assert!(store.verify("s").unwrap().is_ok());
}

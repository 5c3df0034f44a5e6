//! Claims and collections, on a remote in memory: who may push, and what may go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sessionlog::Store;
use sessionlog::sync::{
    Condition, Listed, MemoryRemote, Outcome, Remote, RemoteError, SyncError, Syncer, Tag,
};

struct Device {
    _dir: tempfile::TempDir,
    store: Store,
    syncer: Syncer,
}

fn device(remote: impl Remote + 'static) -> Device {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let syncer = Syncer::new(&store, Arc::new(remote)).unwrap();
    Device {
        _dir: dir,
        store,
        syncer,
    }
}

impl Device {
    fn append(&self, length: usize) {
        let text = format!("{{\"text\":\"{}\"}}", "x".repeat(length));
        let session = self.store.session("s").unwrap();
        session.append_json("a", &text).unwrap();
    }
}

#[test]
fn only_the_device_that_claimed_a_session_pushes_until_it_gives_it_up() {
    let bucket = MemoryRemote::new();
    let (one, two) = (device(bucket.clone()), device(bucket.clone()));
    one.append(1);
    one.syncer.push("s").unwrap();
    two.syncer.clone_session("s").unwrap();
    let claim = one.syncer.claim("s", Duration::from_secs(3600)).unwrap();
    assert_eq!((claim.epoch, claim.device_id), (1, one.syncer.device_id()));
    two.append(1);
    for _ in 0..2 {
        let refused = two.syncer.push("s");
        assert!(
            matches!(&refused, Err(SyncError::Claimed { by, .. }) if *by == one.syncer.device_id()),
            "{refused:?}"
        );
    }
    let refused = two.syncer.claim("s", Duration::from_secs(1));
    assert!(matches!(refused, Err(SyncError::Claimed { .. })));
    assert!(one.syncer.release("s").unwrap());
    assert!(!one.syncer.release("s").unwrap());
    assert_eq!(two.syncer.push("s").unwrap().outcome, Outcome::Pushed);
    let claim = two.syncer.claim("s", Duration::from_secs(1)).unwrap();
    assert_eq!(claim.epoch, 2, "the fencing token never goes back");
}

type Work = Box<dyn FnOnce() + Send>;

/// A way to the bucket on which something happens just before the next put of a head.
#[derive(Clone)]
struct Slow {
    bucket: MemoryRemote,
    before: Arc<Mutex<Option<Work>>>,
}

impl std::fmt::Debug for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bucket.fmt(f)
    }
}

impl Remote for Slow {
    fn name(&self) -> String {
        self.bucket.name()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError> {
        self.bucket.get(key, limit)
    }

    fn put(&self, key: &str, bytes: &[u8], condition: &Condition) -> Result<Tag, RemoteError> {
        let work = self
            .before
            .lock()
            .unwrap()
            .take_if(|_| key.ends_with("/head"));
        if let Some(work) = work {
            work();
        }
        self.bucket.put(key, bytes, condition)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, RemoteError> {
        self.bucket.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.bucket.delete(key)
    }

    fn probe(&self) -> Result<(), RemoteError> {
        self.bucket.probe()
    }
}

#[test]
fn a_push_that_sleeps_through_a_collection_uploads_again() {
    let bucket = MemoryRemote::new();
    let before = Arc::default();
    let one = device(Slow {
        bucket: bucket.clone(),
        before: Arc::clone(&before),
    });
    one.append(1);
    one.syncer.push("s").unwrap();
    let other = device(bucket.clone());
    // Its sealed object is uploaded, and no head names it yet.
    one.append(200_000);
    let removed = Arc::new(Mutex::new(0));
    let count = Arc::clone(&removed);
    let collect =
        move || *count.lock().unwrap() = other.syncer.collect("s", Duration::ZERO).unwrap();
    *before.lock().unwrap() = Some(Box::new(collect));
    assert_eq!(one.syncer.push("s").unwrap().outcome, Outcome::Pushed);
    assert_eq!(
        *removed.lock().unwrap(),
        1,
        "the object of the push that slept"
    );
    let two = device(bucket);
    assert_eq!(
        two.syncer.clone_session("s").unwrap().local,
        one.store.read("s").unwrap().version()
    );
}

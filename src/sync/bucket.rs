//! A remote in memory: for tests, and for trying things out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::environment::{Environment, SystemEnvironment};

use super::{Condition, Listed, Remote, RemoteError, Tag};

/// A [`Remote`] that keeps its objects in memory and honours every condition. A clone is the same remote.
#[derive(Clone, Debug)]
pub struct MemoryRemote {
    objects: Arc<Mutex<Objects>>,
    clock: Arc<dyn Environment>,
}

#[derive(Clone, Debug, Default)]
struct Objects {
    by_key: BTreeMap<String, Object>,
    puts: u64,
    requests: u64,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Arc<[u8]>,
    tag: Tag,
    modified_us: u64,
}

impl MemoryRemote {
    /// An empty remote with the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemEnvironment))
    }

    /// An empty remote with another clock, which says when objects were written.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Environment>) -> Self {
        let objects = Arc::default();
        Self { objects, clock }
    }

    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.objects().requests
    }

    /// The keys of all objects, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.objects().by_key.keys().cloned().collect()
    }

    /// Changes the bytes of an object, as damage does: its tag stays. `None` removes it.
    pub fn damage(&self, key: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
        let mut objects = self.objects();
        let Some(object) = objects.by_key.get_mut(key) else {
            return;
        };
        match change(object.bytes.to_vec()) {
            Some(bytes) => object.bytes = bytes.into(),
            None => drop(objects.by_key.remove(key)),
        }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        // Every change is one step, so a thread that panicked left a whole state.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self) -> MutexGuard<'_, Objects> {
        let mut objects = self.objects();
        objects.requests += 1;
        objects
    }
}

impl Default for MemoryRemote {
    fn default() -> Self {
        Self::new()
    }
}

impl Remote for MemoryRemote {
    fn name(&self) -> String {
        "memory:".to_owned()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError> {
        let objects = self.request();
        match objects.by_key.get(key) {
            None => Ok(None),
            Some(object) if object.bytes.len() as u64 > limit => Err(RemoteError::TooLarge(limit)),
            Some(object) => Ok(Some((object.bytes.to_vec(), object.tag.clone()))),
        }
    }

    fn put(&self, key: &str, bytes: &[u8], condition: &Condition) -> Result<Tag, RemoteError> {
        let modified_us = self.clock.now_us();
        let mut objects = self.request();
        let holds = match (condition, objects.by_key.get(key)) {
            (Condition::Absent, there) => there.is_none(),
            (Condition::Unchanged(tag), there) => there.is_some_and(|object| object.tag == *tag),
        };
        if !holds {
            return Err(RemoteError::Precondition);
        }
        objects.puts += 1;
        let tag = Tag(objects.puts.to_string());
        let object = Object {
            bytes: bytes.into(),
            tag: tag.clone(),
            modified_us,
        };
        objects.by_key.insert(key.to_owned(), object);
        Ok(tag)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, RemoteError> {
        let objects = self.request();
        let from = objects.by_key.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        let listed = found.map(|(key, object)| Listed {
            key: key.clone(),
            len: object.bytes.len() as u64,
            modified_us: object.modified_us,
        });
        Ok(listed.collect())
    }

    fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.request().by_key.remove(key);
        Ok(())
    }

    fn probe(&self) -> Result<(), RemoteError> {
        Ok(())
    }

    fn parallel(&self) -> usize {
        1
    }
}

//! A remote that must be noticed.

use sessionlog::sync::{Condition, Listed, MemoryRemote, Remote, RemoteError, Tag};

/// A store that takes every put, whatever the condition says.
#[derive(Debug)]
pub(crate) struct Careless(pub(crate) MemoryRemote);

impl Remote for Careless {
    fn name(&self) -> String {
        self.0.name()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError> {
        self.0.get(key, limit)
    }

    fn put(&self, key: &str, bytes: &[u8], _condition: &Condition) -> Result<Tag, RemoteError> {
        let condition = match self.0.get(key, u64::MAX)? {
            Some((_, tag)) => Condition::Unchanged(tag),
            None => Condition::Absent,
        };
        self.0.put(key, bytes, &condition)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, RemoteError> {
        self.0.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.0.delete(key)
    }

    fn probe(&self) -> Result<(), RemoteError> {
        Ok(())
    }

    fn parallel(&self) -> usize {
        1
    }
}

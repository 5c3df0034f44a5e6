//! The seam between sync and a bucket.

use std::fmt;
use std::time::Duration;

/// The tag of one state of an object: changes whenever the object does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(pub String);

/// When a conditional put takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no object of this key.
    Absent,
    /// The object is still in the state with this tag.
    Unchanged(Tag),
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key, below the remote's prefix.
    pub key: String,
    /// The length in bytes.
    pub len: u64,
    /// When it was written, by the remote's clock, in microseconds since 1970.
    pub modified_us: u64,
}

/// What a request to a remote came to, if not to its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The condition did not hold, and nothing was written: read the object again.
    #[error("the object was changed by somebody else")]
    Precondition,
    /// The request may or may not have taken effect: read the object to know.
    #[error("no clear answer: {0}")]
    Ambiguous(String),
    /// The remote cannot be reached, and nothing was sent. Work goes on locally; try again later.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// The remote refuses: wrong credentials or missing permissions.
    #[error("refused: {0}")]
    Denied(String),
    /// The bucket does not exist.
    #[error("the bucket does not exist: {0}")]
    NoBucket(String),
    /// The object is larger than anything that we write there.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// The remote ignores conditions, so two devices could overwrite each other's events.
    #[error(
        "this store ignores conditional writes (If-Match, If-None-Match), so two devices could silently overwrite each other's events; use one that honours them"
    )]
    Unconditional,
    /// The remote cannot be used as it is configured.
    #[error("{0}")]
    Configuration(String),
}

impl RemoteError {
    /// The error where it does not matter whether the request took effect: no history hangs on it.
    pub(crate) fn not_in_doubt(self) -> Self {
        match self {
            Self::Ambiguous(why) => Self::Unreachable(why),
            Self::Precondition => Self::Unreachable("an object's name was taken".to_owned()),
            other => other,
        }
    }
}

/// A bucket, or a part of one.
///
/// Keys are below the remote's own prefix and use `/`. An implementation never repeats a conditional put by
/// itself without telling its own write from another's: in doubt it answers [`RemoteError::Ambiguous`].
pub trait Remote: Send + Sync + fmt::Debug {
    /// The remote's name for people and for telling remotes apart: a URL without credentials.
    fn name(&self) -> String;
    /// The object and its tag, `None` if there is none; [`RemoteError::TooLarge`] above `limit` bytes.
    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError>;
    /// Writes an object if the condition holds, in one step that nobody can come between.
    fn put(&self, key: &str, bytes: &[u8], condition: &Condition) -> Result<Tag, RemoteError>;
    /// Every object whose key starts with `prefix`, in the order of their keys.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, RemoteError>;
    /// Removes an object; one that is not there is removed already.
    fn delete(&self, key: &str) -> Result<(), RemoteError>;
    /// Checks that conditional puts are honoured, before the first push to this remote relies on it.
    fn probe(&self) -> Result<(), RemoteError>;
    /// How many objects are worth fetching at the same time.
    fn parallel(&self) -> usize {
        4
    }
    /// Waits before the `attempt`-th repetition (from 1); `random` spreads devices that collided.
    fn pause(&self, attempt: u32, random: u64) {
        let bound = 20_u64 << attempt.min(7);
        std::thread::sleep(Duration::from_millis(bound / 2 + random % bound));
    }
}

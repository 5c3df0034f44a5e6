//! Many devices, one history: sessions that are pushed to a bucket and pulled from it.
//!
//! Every append is durable in the local log and needs no network. A [`Syncer`] brings a session and a [`Remote`]
//! to the same history when somebody asks for it: it pushes what is new here, pulls what is new there, and where
//! both moved on it says [`Outcome::Diverged`] and writes nothing until somebody chooses a [`Resolution`]. No
//! resolution loses an event: the branch that loses is kept, and every ordinary command can read it.
//!
//! `docs/SYNC.md` has the objects and the protocol.

mod auto;
mod bucket;
mod device;
mod divergence;
mod error;
mod fetch;
mod head;
mod local;
mod manage;
mod memory;
mod pull;
mod push;
mod rebase;
mod remote;
mod replan;
mod resolve;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "sim")]
pub mod sim;
mod unpushed;

#[cfg(feature = "s3")]
pub use crate::bucket::S3Options;
pub use auto::{AutoStatus, AutoSync};
pub use bucket::MemoryRemote;
pub use error::SyncError;
pub use manage::{Claim, RemoteReport};
pub use rebase::{Moved, RebaseReport};
pub use remote::{Condition, Listed, Remote, RemoteError, Tag};
pub use resolve::Resolution;
#[cfg(feature = "s3")]
pub use s3::S3Remote;
pub use unpushed::{Unpushed, unpushed};

use std::path::PathBuf;
use std::sync::Arc;

use crate::format::Commit;
use crate::session::Session;
use crate::store::Store;
use crate::{Error, Version, id};

use head::{Head, HeadFault, MAX_HEAD};
use local::Local;
use memory::{Memory, Remembered};
use push::Step;

/// What became of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The remote has everything of this device now.
    Pushed,
    /// This device has everything of the remote now.
    Pulled,
    /// There was nothing to do.
    Equal,
    /// The remote has events that this device has not: only a push was asked for.
    Behind,
    /// This device has events that the remote has not: only a pull was asked for.
    Ahead,
    /// Both moved on from a common version. Nothing was written anywhere: see [`Resolution`].
    Diverged {
        /// The last version that both have.
        common: Version,
    },
    /// The remote's events are ours now, and our own come after them.
    Rebased(RebaseReport),
    /// Our branch is another session now, and this one has the remote's history.
    Forked {
        /// The new session's id.
        session_id: String,
        /// The store that keeps the branch as it was.
        branch: PathBuf,
    },
    /// This session has the remote's history, and our branch was set aside.
    TookRemote {
        /// Versions of ours that are not in the history any more, first and last.
        set_aside: (Version, Version),
        /// The store that keeps the branch as it was.
        branch: PathBuf,
    },
    /// The session was deleted on another device. The local copy stays.
    Deleted,
}

/// The answer to a push, a pull or a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The session's id.
    pub session_id: String,
    /// What happened.
    pub outcome: Outcome,
    /// The local version now.
    pub local: Version,
    /// The remote's version, as far as this device knows.
    pub remote: Version,
}

/// Brings the sessions of a store and a remote together.
///
/// It holds no lock of a session while it talks to the remote, except in [`Syncer::resolve`].
#[derive(Debug)]
pub struct Syncer {
    store: Store,
    remote: Arc<dyn Remote>,
    device: [u8; 16],
    memory: Memory,
}

/// A head as it was fetched, checked.
#[derive(Clone, Debug)]
struct Fetched {
    head: Head,
    tag: Tag,
    tail: Vec<Commit>,
}

impl Syncer {
    /// A syncer of this store and this remote. Gives the store its device id if it has none.
    pub fn new(store: &Store, remote: Arc<dyn Remote>) -> Result<Self, SyncError> {
        let inner = &store.inner;
        inner.create_session_dir(&inner.root.join("sessions"))?;
        let memory = Memory::of(inner, &remote.name());
        memory.begin(inner)?;
        Ok(Self {
            store: store.clone(),
            device: device::device(inner)?,
            memory,
            remote,
        })
    }

    /// This device's id, in hexadecimal.
    #[must_use]
    pub fn device_id(&self) -> String {
        hex(&self.device)
    }

    /// Pushes what is new here. One request for a few messages, if nobody pushed in between.
    ///
    /// Errors: [`SyncError::OutcomeUnknown`] if no clear answer came; the next push settles it.
    pub fn push(&self, session_id: &str) -> Result<Synced, SyncError> {
        let local = Local::read(&self.store, session_id)?;
        let step = self.push_local(&local)?;
        Ok(step.synced(&local))
    }

    /// Pulls what is new there. Never writes to the remote, and never changes what is here.
    pub fn pull(&self, session_id: &str) -> Result<Synced, SyncError> {
        let local = Local::read(&self.store, session_id)?;
        match self.compare(&local)? {
            Step::Behind(fetched) => self.pull_local(&local, None, &fetched),
            step => Ok(step.synced(&local)),
        }
    }

    /// Pushes or pulls, whichever is needed.
    pub fn sync(&self, session_id: &str) -> Result<Synced, SyncError> {
        let local = Local::read(&self.store, session_id)?;
        match self.push_local(&local)? {
            Step::Behind(fetched) => self.pull_local(&local, None, &fetched),
            step => Ok(step.synced(&local)),
        }
    }

    /// As [`Syncer::sync`], for a session that is open in this process.
    pub fn sync_open(&self, session: &Session) -> Result<Synced, SyncError> {
        let local = Local::of(session)?;
        match self.push_local(&local)? {
            Step::Behind(fetched) => self.pull_local(&local, Some(session), &fetched),
            step => Ok(step.synced(&local)),
        }
    }

    /// Fetches a session that this store does not have.
    ///
    /// Errors: [`Error::AlreadyExists`], [`SyncError::NotFound`], [`SyncError::Deleted`].
    pub fn clone_session(&self, session_id: &str) -> Result<Synced, SyncError> {
        id::check("session id", session_id)?;
        if self.store.contains(session_id)? {
            let what = format!("session {session_id:?} in {}", self.store.path().display());
            return Err(Error::AlreadyExists(what).into());
        }
        self.memory.forget(&self.store.inner, session_id)?;
        let local = Local::read(&self.store, session_id)?;
        match self.compare(&local)? {
            Step::Behind(fetched) => self.pull_local(&local, None, &fetched),
            Step::Deleted => Err(SyncError::Deleted(session_id.to_owned())),
            _ => Err(SyncError::NotFound(session_id.to_owned())),
        }
    }

    /// Forgets what this device knows that the remote had: the next push makes the remote's history what this
    /// device has, if the remote has none. For a remote that lost its data.
    pub fn forget(&self, session_id: &str) -> Result<(), SyncError> {
        Ok(self.memory.forget(&self.store.inner, session_id)?)
    }

    /// The sessions that the remote has, deleted ones included, sorted.
    pub fn remote_sessions(&self) -> Result<Vec<String>, SyncError> {
        let listed = self
            .remote
            .list(ROOT)
            .map_err(|e| self.remote_error(ROOT, e))?;
        let heads = listed.iter().filter_map(|object| {
            let name = object.key.strip_prefix(ROOT)?.strip_suffix("/head")?;
            id::decode(name)
        });
        Ok(heads.collect())
    }

    /// Fetches and checks the head.
    fn head(&self, session_id: &str) -> Result<Option<Fetched>, SyncError> {
        let key = head_key(session_id);
        let got = self
            .remote
            .get(&key, MAX_HEAD)
            .map_err(|e| self.remote_error(&key, e))?;
        let known = self.memory.read(&self.store.inner, session_id)?;
        let known_generation = known.as_ref().map_or(0, |known| known.head.generation);
        let lost = |found| SyncError::RemoteLost {
            session: session_id.to_owned(),
            known: known_generation,
            found,
        };
        let Some((bytes, tag)) = got else {
            return if known_generation > 0 {
                Err(lost(0))
            } else {
                Ok(None)
            };
        };
        let damaged = |reason: &str| SyncError::Damaged {
            key: key.clone(),
            reason: reason.to_owned(),
        };
        let head = Head::decode(&bytes).map_err(|fault| match fault {
            HeadFault::Damaged(reason) => damaged(reason),
            HeadFault::Newer { major, writer } => SyncError::UnsupportedVersion {
                key: key.clone(),
                found: major,
                writer,
            },
        })?;
        let tail = head.commits().map_err(damaged)?;
        if head.generation < known_generation {
            return Err(lost(head.generation));
        }
        let fetched = Fetched { head, tag, tail };
        if known.is_none_or(|known| known.tag != fetched.tag) {
            if let Err(error) = self.remember(session_id, &fetched.head, &fetched.tag) {
                tracing::warn!(session = session_id, %error, "the remote's head is not remembered");
            }
        }
        Ok(Some(fetched))
    }

    fn remember(&self, session_id: &str, head: &Head, tag: &Tag) -> Result<(), SyncError> {
        let seen = Remembered {
            head: head.without_tail(),
            tag: tag.clone(),
        };
        Ok(self.memory.write(&self.store.inner, session_id, &seen)?)
    }

    fn remote_error(&self, key: &str, source: RemoteError) -> SyncError {
        SyncError::Remote {
            remote: format!("{}/{key}", self.remote.name()),
            source,
        }
    }

    fn random(&self) -> u64 {
        let mut random = [0; 8];
        self.store.inner.environment.fill_random(&mut random);
        u64::from_le_bytes(random)
    }
}

/// What every key begins with, below the remote's own prefix.
const ROOT: &str = "sessionlog/v1/";

fn head_key(session_id: &str) -> String {
    object_key(session_id, "head")
}

fn object_key(session_id: &str, name: &str) -> String {
    format!("{ROOT}{}/{name}", id::encode(session_id))
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

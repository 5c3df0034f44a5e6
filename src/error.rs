//! Errors, one variant for each thing that a caller can do about them.

use std::io;
use std::path::{Path, PathBuf};

use crate::Version;
use crate::damage::Damage;
use crate::json::JsonError;
use crate::sync::RemoteError;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, by what the caller must do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id cannot name a session, an agent or a multi-agent. Choose another.
    #[error("{what} {id:?} cannot be used: {reason}")]
    InvalidId {
        /// What the id was meant to name: "session id", "agent id", ...
        what: &'static str,
        /// The id, cut after 64 characters.
        id: String,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// The text is not JSON. Nothing was written.
    #[error("{what} is not JSON: {source}")]
    InvalidJson {
        /// What was read: "message", a file path, ...
        what: String,
        /// Where it is wrong and how.
        source: JsonError,
    },
    /// The input is well formed but not usable. Nothing was written.
    #[error("{what}: {reason}")]
    InvalidInput {
        /// What was given.
        what: String,
        /// Why it cannot be used, and what can.
        reason: String,
    },
    /// A store, session, agent or message that does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// Something that exists already and is not overwritten.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// Another writer holds the session. Wait for it, or read without a lock.
    #[error("{} is locked by another writer: wait until it is closed, or read instead", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The session is not at the version that the caller expected. Nothing was written: read again and decide.
    #[error(
        "{session}: expected version {expected}, but the session is at version {actual}; nothing was written"
    )]
    VersionConflict {
        /// The session's id.
        session: String,
        /// The version that the caller expected.
        expected: Version,
        /// The version that the session is at.
        actual: Version,
    },
    /// The log is damaged. Reading the rest works; writing waits for `repair`.
    #[error("{}", damaged(path, report))]
    Damaged {
        /// The session's directory.
        path: PathBuf,
        /// Every damaged range.
        report: Vec<Damage>,
    },
    /// A write or sync failed: what it carried may or may not be on disk. Open the session again to know.
    #[error("{}: {operation} failed ({source}); whether the last events were written is known after opening the session again", path.display())]
    OutcomeUnknown {
        /// The file or directory.
        path: PathBuf,
        /// What failed: "write", "fdatasync", ...
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// An earlier write or sync of this session failed. Nothing of this call was written: open the session again.
    #[error("{}: an earlier write failed, so nothing more is written; open the session again", path.display())]
    Poisoned {
        /// The session's directory.
        path: PathBuf,
    },
    /// A file of a newer format. Use the newer program.
    #[error("{} was written in format {found} by {writer}; this program reads up to format {supported}: use a newer one", path.display())]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The format version found.
        found: String,
        /// The greatest format version that this program reads.
        supported: u16,
        /// The program that wrote the file.
        writer: String,
    },
    /// Larger than a limit. Nothing was written.
    #[error("{what} is {size} bytes long, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A bucket did not do it. After [`RemoteError::Ambiguous`] it may have: read it to know.
    #[error("{place}: {source}")]
    Remote {
        /// The bucket and the key.
        place: String,
        /// What the bucket said.
        source: RemoteError,
    },
    /// The system refused an operation; nothing is in doubt.
    #[error("{}: {operation} failed: {source}", path.display())]
    Io {
        /// What was tried: "open", "create directory", ...
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// An [`Error::Io`] with its place; made for `map_err`.
    pub fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }
}

fn damaged(path: &Path, report: &[Damage]) -> String {
    let first = report
        .first()
        .map_or_else(String::new, |d| format!(": {d}"));
    let more = if report.len() > 1 {
        format!(" and {} more", report.len() - 1)
    } else {
        String::new()
    };
    format!(
        "{} is damaged{first}{more}; reading the rest works, `repair` makes it writable again",
        path.display()
    )
}

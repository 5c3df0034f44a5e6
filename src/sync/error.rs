//! What can go wrong between devices, by what the caller must do.

use crate::{Error, Version, iso_time};

use super::RemoteError;

/// Everything that can go wrong in a sync. What went wrong on the way never touches what was acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The local session or store: see [`Error`].
    #[error(transparent)]
    Local(#[from] Error),
    /// The remote did not do it, and nothing is in doubt.
    #[error("{remote}: {source}")]
    Remote {
        /// The remote and the key.
        remote: String,
        /// What the remote said.
        source: RemoteError,
    },
    /// Whether the last push took effect is not known. The next sync settles it; nothing is written twice.
    #[error(
        "{session}: whether the push took effect is not known ({source}); the next sync settles it"
    )]
    OutcomeUnknown {
        /// The session's id.
        session: String,
        /// What the remote said last.
        source: RemoteError,
    },
    /// An object of the remote fails its checks. Nothing of it was applied.
    #[error(
        "{key} is damaged: {reason}; `remote verify` reads everything, a device that has the events can `remote repair`"
    )]
    Damaged {
        /// The object's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An object of a newer format. Use the newer program.
    #[error("{key} was written in format {found} by {writer}; use a newer program")]
    UnsupportedVersion {
        /// The object's key.
        key: String,
        /// The format version found.
        found: u16,
        /// The program that wrote it.
        writer: String,
    },
    /// The remote lost what this device knows it had. Nothing is pushed until somebody decides: see
    /// [`super::Syncer::forget`].
    #[error(
        "{session}: the remote is at generation {found}, but this device has seen {known}: it lost data or was restored; nothing is pushed until you decide"
    )]
    RemoteLost {
        /// The session's id.
        session: String,
        /// The generation that this device remembers.
        known: u64,
        /// The generation found; 0 if there is no head.
        found: u64,
    },
    /// The session was deleted on another device. The local copy stays until it is deleted here.
    #[error("{0}: it was deleted on another device; the local copy stays until you delete it")]
    Deleted(String),
    /// Another device has claimed the session.
    #[error("{session}: claimed by device {by} until {}", iso_time(*until_us))]
    Claimed {
        /// The session's id.
        session: String,
        /// The device, in hexadecimal.
        by: String,
        /// When the claim ends, in microseconds since 1970.
        until_us: u64,
    },
    /// The remote has no such session.
    #[error("the remote has no session {0:?}")]
    NotFound(String),
    /// Versions that a repair gave up here and that the remote does not have: what follows cannot be pushed.
    #[error(
        "{session}: versions {first} to {last} were given up by a repair and cannot be pushed; repair from another copy, or fork"
    )]
    GivenUp {
        /// The session's id.
        session: String,
        /// The first missing version.
        first: Version,
        /// The last missing version.
        last: Version,
    },
    /// Other devices pushed first, again and again. Nothing was written; try again.
    #[error("{0}: other devices pushed first every time; try again")]
    Busy(String),
}

//! Event versions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of an event in its session: 1, 2, 3, ... without gaps in the log's numbering.
///
/// A version is given out once. It is never reused and never renumbered, not even by repair.
/// `Version(0)` is the version of a session that has no event yet.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version(pub u64);

impl Version {
    /// The version of a session without events.
    pub const ZERO: Self = Self(0);

    /// The version that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Version {
    fn from(version: u64) -> Self {
        Self(version)
    }
}

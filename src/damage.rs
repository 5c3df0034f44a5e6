//! What is wrong with a log: damaged ranges and their verdicts.

use std::fmt;
use std::path::PathBuf;

use crate::Version;

/// What a damaged range of a log means (`docs/FORMAT.md`, "Classification").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verdict {
    /// The tail of a write that was never acknowledged. Recovery sets it aside and goes on.
    Torn,
    /// Bytes after the last durable commit that are neither whole nor visibly torn.
    Suspect,
    /// Acknowledged data is damaged.
    Corrupt,
    /// Something knows of later versions than the log holds.
    TailLost,
    /// A whole segment file is missing.
    SegmentLost,
}

impl Verdict {
    /// The name used in reports and JSON: `torn`, `suspect`, `corrupt`, `tail_lost`, `segment_lost`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::Suspect => "suspect",
            Self::Corrupt => "corrupt",
            Self::TailLost => "tail_lost",
            Self::SegmentLost => "segment_lost",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A message whose text was lost although its envelope survived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostMessage {
    /// The version of the event that carried it.
    pub version: Version,
    /// The agent whose message it was.
    pub agent_id: String,
    /// The message's id.
    pub message_id: u64,
}

/// One damaged range of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub segment: PathBuf,
    /// Where the range begins, in bytes from the start of the file.
    pub offset: u64,
    /// How long the range is, in bytes; 0 where bytes are missing.
    pub length: u64,
    /// The first version that is lost; `None` if no event is lost.
    pub first_version: Option<Version>,
    /// The last version that is lost; `None` if none is, or if it cannot be known.
    pub last_version: Option<Version>,
    /// What the damage means.
    pub verdict: Verdict,
    /// What failed, in a few words ("header checksum", "payload checksum of version 7", ...).
    pub cause: String,
    /// Which messages are lost, where their envelopes survived.
    pub messages: Vec<LostMessage>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.segment.display();
        write!(
            f,
            "{} at {path} offset {} length {}",
            self.verdict, self.offset, self.length
        )?;
        match (self.first_version, self.last_version) {
            (Some(first), Some(last)) if first == last => write!(f, ", version {first}")?,
            (Some(first), Some(last)) => write!(f, ", versions {first} to {last}")?,
            (Some(first), None) => write!(f, ", from version {first}")?,
            _ => write!(f, ", no event lost")?,
        }
        write!(f, " ({})", self.cause)
    }
}

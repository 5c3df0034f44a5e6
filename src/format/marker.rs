//! The bodies of SEAL and GAP frames: JSON text, so that later versions can add fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a SEAL says about the segment that it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seal {
    /// The number of frames before the SEAL.
    pub(crate) frames: u64,
    /// The number of events in the segment.
    pub(crate) events: u64,
    /// The CRC-32 over the header checksums of all frames before the SEAL, little-endian, in order.
    pub(crate) digest: u32,
    /// The version of the first event of the next segment.
    pub(crate) next_base: u64,
    /// `[first version, offset]` of about every 64 KiB of frames, for reading from the middle.
    pub(crate) index: Vec<(u64, u64)>,
    /// Per agent, where its messages in this segment are.
    pub(crate) agents: BTreeMap<String, AgentSeal>,
}

/// The messages of one agent in a sealed segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentSeal {
    /// How many events of the segment are about this agent.
    pub(crate) events: u64,
    /// The first version among them.
    pub(crate) first: u64,
    /// The last version among them.
    pub(crate) last: u64,
}

/// What repair could not keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The first lost version.
    pub(crate) first: u64,
    /// The last lost version.
    pub(crate) last: u64,
    /// The file in `quarantine/` that has the bytes.
    pub(crate) quarantine: String,
    /// The link that the next commit names as its predecessor.
    pub(crate) link: u32,
}

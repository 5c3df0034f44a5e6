//! What the manager knows of an agent between two calls.

use crate::repository::AgentRecord;

use super::window::HandedOut;

/// An agent that was initialized.
#[derive(Debug)]
pub(super) struct Tracked {
    /// Its record, as it was last read or written.
    pub(super) record: AgentRecord,
    /// The id for its next message.
    pub(super) next_id: u64,
    /// The id of its latest message.
    pub(super) latest: Option<u64>,
    pub(super) handed_out: HandedOut,
}

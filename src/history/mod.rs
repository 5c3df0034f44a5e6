//! Conversation repair: tool uses and tool results put back together. Pure: no I/O, and it does not know the log.
//!
//! Model providers refuse a conversation unless each `toolUse` is answered in the very next message, a user message, by
//! one `toolResult` with its id, and each `toolResult` answers a `toolUse` of the message before it. Crashes,
//! interrupts and pagination break that. [`validate`] says what is broken, [`repair`] computes [`Edit`]s that mend
//! it, and [`apply`] shows the conversation with the edits laid over it. Stored messages are never changed.
//!
//! # What the repair does
//!
//! 1. Each result is matched with a use of its id: one in the very next user message first, then a later one with the
//!    nearest preceding use that is still open, then one that comes before any use of its id with the first open use
//!    after it. Where the first rule would leave a result without a use, nearness decides alone. A result that is
//!    exactly the error result below is a stand-in: it counts only in the very next message, and only where no real
//!    result is left.
//! 2. The results of a message's uses are put into the next message if that is a user message with results, or an
//!    empty one: in the order of the uses, before its other content. Otherwise a user message is inserted. A use
//!    without any result gets the error result
//!    `{"toolResult":{"toolUseId":ID,"status":"error","content":[{"text":"Tool was interrupted."}]}}`.
//! 3. Results that are left answer no tool use (orphans) or one that is answered already (duplicates). They are set aside:
//!    the view leaves them out, and the stored message still has them.
//! 4. A message of which nothing is left is hidden.
//!
//! What is right already stays untouched, also in its order. Unanswered uses in the last message stay: the agent answers
//! them. Malformed messages and blocks stay where they are and are reported as [`Repair::unmendable`].
//!
//! # The JSON form of edits
//!
//! Written by [`edits_to_json`] as the payload of a `history_repaired` event, and readable forever. Unknown members are
//! ignored; an unknown `format`, `edit`, `from` or `why` is an error, because the edit could not be honoured.
//!
//! ```json
//! {"format":1,"edits":[
//!   {"edit":"answer","uses":4,"in":5,"results":[{"id":"a","from":[5,1]},{"id":"b","from":"interrupted"}]},
//!   {"edit":"answer","uses":8,"in":null,"results":[{"id":"c","from":[12,0]}]},
//!   {"edit":"set_aside","message":9,"blocks":[{"block":0,"id":"x","why":"orphan"}]},
//!   {"edit":"hide","message":12}]}
//! ```
//!
//! | member | meaning |
//! |---|---|
//! | `uses` | the id of the message whose tool uses are answered |
//! | `in` | the id of the message after it that holds the answers, or null for a new user message |
//! | `results` | the answers in order: `from` is `[message id, block index]`, or `"interrupted"` for the error result |
//! | `id` | the tool use id |
//! | `why` | `"orphan"`: no tool use has this id; `"duplicate"`: its tool use does not need it |
//!
//! A repair replaces the one before it completely: it is always computed from the stored messages.

mod apply;
mod edit;
mod edit_json;
mod fault;
mod pairing;
mod repair;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::json::Json;

pub use apply::apply;
pub use edit::{Answer, Edit, SetAside, Skipped, Source, Why};
pub use edit_json::{EditError, edits_from_json, edits_to_json};
pub use fault::{Fault, FaultKind};
pub use repair::{repair, validate};

/// One stored message.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The message id.
    pub id: u64,
    /// Its effective text: the redacted one if it was redacted.
    pub message: Json<'a>,
}

impl<'a> Stored<'a> {
    /// Ids and texts as [`repair`] needs them to find its edits: a message that has no tool blocks, and none before it,
    /// counts as `null`, because no edit touches it, and parsing is what takes the time. A text that is not JSON counts as
    /// `null` too, so that it keeps its place.
    pub(crate) fn around_tools(texts: impl Iterator<Item = (u64, &'a str)>) -> Vec<Self> {
        let tools = scan::Tools::new();
        let mut is_after = false;
        let stored = texts.map(|(id, text)| {
            let is_here = tools.may_be_in(text);
            let is_needed = std::mem::replace(&mut is_after, is_here) || is_here;
            let message = is_needed.then(|| Json::parse(text).ok()).flatten();
            Self {
                id,
                message: message.unwrap_or(Json::NULL),
            }
        });
        stored.collect()
    }
}

/// What [`repair`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The edits that mend the conversation, in its order. None if there is nothing to mend.
    pub edits: Vec<Edit>,
    /// What no edit can mend: malformed messages and blocks.
    pub unmendable: Vec<Fault>,
}

/// One message of the repaired conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The id of the stored message, or none for an inserted one.
    pub id: Option<u64>,
    /// The text: the stored one if no edit touches it.
    pub text: Cow<'a, str>,
}

/// The conversation with edits laid over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied<'a> {
    /// The messages in order.
    pub messages: Vec<View<'a>>,
    /// The parts of edits that do not fit the stored messages any more. Empty right after a repair.
    pub skipped: Vec<Skipped>,
}

/// A tool use id, as the JSON string that it is: it may hold lone surrogates, which no Rust string can.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolUseId(Box<str>);

impl ToolUseId {
    /// The id that `value` holds. None if it is not a string.
    #[must_use]
    pub fn from_json(value: Json<'_>) -> Option<Self> {
        use crate::json::Kind;
        (value.kind() == Kind::String).then(|| Self(value.minified().into()))
    }

    /// The id as JSON text, with its quotes, in the spelling of [`Json::minified`].
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ToolUseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

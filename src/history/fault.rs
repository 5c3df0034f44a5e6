//! What is wrong with a conversation.

use std::fmt;

use super::ToolUseId;

/// One thing that is wrong with a conversation. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The id of the message.
    pub message: u64,
    /// The index of the block in the message's content, if it is about one.
    pub block: Option<usize>,
    /// The tool use id, if it is about one.
    pub tool_use_id: Option<ToolUseId>,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with a message or a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// No result answers this tool use.
    MissingResult,
    /// This result is not in the user message right after its tool use.
    MisplacedResult,
    /// A tool use has this result's id, but another result answers it or the agent will.
    DuplicateResult,
    /// No tool use has this result's id.
    OrphanResult,
    /// The message is not a JSON object. Unmendable.
    MessageNotObject,
    /// The message's content is missing, or not an array. Unmendable.
    ContentNotArray,
    /// The message's role is neither "user" nor "assistant". Unmendable.
    UnknownRole,
    /// The block is not a JSON object. Unmendable.
    BlockNotObject,
    /// The tool use has no id that is a string. Unmendable.
    UseWithoutId,
    /// The tool result has no id that is a string. Unmendable.
    ResultWithoutId,
    /// The block is a tool use and a tool result at once. Unmendable.
    UseAndResult,
    /// The tool use is not in an assistant message. Unmendable.
    UseOutsideAssistant,
    /// The message has another tool use with the same id before this one. Unmendable.
    RepeatedUse,
}

impl FaultKind {
    /// The stable name in JSON, for example `missing_result`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingResult => "missing_result",
            Self::MisplacedResult => "misplaced_result",
            Self::DuplicateResult => "duplicate_result",
            Self::OrphanResult => "orphan_result",
            Self::MessageNotObject => "message_not_object",
            Self::ContentNotArray => "content_not_array",
            Self::UnknownRole => "unknown_role",
            Self::BlockNotObject => "block_not_object",
            Self::UseWithoutId => "use_without_id",
            Self::ResultWithoutId => "result_without_id",
            Self::UseAndResult => "use_and_result",
            Self::UseOutsideAssistant => "use_outside_assistant",
            Self::RepeatedUse => "repeated_use",
        }
    }

    /// True if [`repair`](super::repair) mends it.
    #[must_use]
    pub fn is_mendable(self) -> bool {
        matches!(
            self,
            Self::MissingResult
                | Self::MisplacedResult
                | Self::DuplicateResult
                | Self::OrphanResult
        )
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::MissingResult => "no result answers this tool use",
            Self::MisplacedResult => "the result is not in the user message after its tool use",
            Self::DuplicateResult => "the tool use that it names does not need this result",
            Self::OrphanResult => "no tool use has this result's id",
            Self::MessageNotObject => "the message is not an object",
            Self::ContentNotArray => "the content is not a list of blocks",
            Self::UnknownRole => "the role is neither user nor assistant",
            Self::BlockNotObject => "the block is not an object",
            Self::UseWithoutId => "the tool use has no id",
            Self::ResultWithoutId => "the tool result has no id",
            Self::UseAndResult => "the block is a tool use and a tool result at once",
            Self::UseOutsideAssistant => "the tool use is not in an assistant message",
            Self::RepeatedUse => "the message has two tool uses with this id",
        }
    }
}

impl Fault {
    /// This fault as a JSON object: `{"message":4,"block":1,"id":"a","fault":"missing_result"}`. `block` and `id` are
    /// left out where there is none.
    #[must_use]
    pub fn to_json(&self) -> String {
        let block = self
            .block
            .map_or(String::new(), |block| format!(",\"block\":{block}"));
        let id = self
            .tool_use_id
            .as_ref()
            .map_or(String::new(), |id| format!(",\"id\":{id}"));
        format!(
            "{{\"message\":{}{block}{id},\"fault\":\"{}\"}}",
            self.message,
            self.kind.name()
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}", self.message)?;
        if let Some(block) = self.block {
            write!(f, ", block {block}")?;
        }
        if let Some(id) = &self.tool_use_id {
            write!(f, ", id {id}")?;
        }
        write!(f, ": {}", self.kind.sentence())
    }
}

//! Reading messages: which blocks are tool uses and results, and what is malformed.

use memchr::memmem::Finder;

use crate::json::{Json, Kind};

use super::{FaultKind, ToolUseId};

/// The text of the error result that stands for a missing one.
const INTERRUPTED: &str = "Tool was interrupted.";

/// What a block is to the repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A tool use.
    Use(ToolUseId),
    /// A tool result.
    Result {
        /// The tool use that it answers.
        id: ToolUseId,
        /// It is exactly the error result that stands for a missing one.
        stand_in: bool,
    },
    /// Anything else. It stays where it is.
    Other,
    /// Not a block. It stays where it is.
    Malformed(FaultKind),
}

/// What the repair looks at of a message.
pub(super) struct Parts<'a> {
    /// It has the role `assistant`.
    pub(super) assistant: bool,
    /// It has the role `user`.
    pub(super) user: bool,
    /// The list of blocks, or why there is none.
    pub(super) content: Result<Json<'a>, FaultKind>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(message: Json<'a>) -> Self {
        let (mut role, mut content) = (None, None);
        // Of duplicate keys the last one counts.
        for (key, value) in message.members() {
            if key.is("role") {
                role = value.as_str();
            } else if key.is("content") {
                content = Some(value);
            }
        }
        let content = match content.filter(|content| content.kind() == Kind::Array) {
            _ if message.kind() != Kind::Object => Err(FaultKind::MessageNotObject),
            content => content.ok_or(FaultKind::ContentNotArray),
        };
        Self {
            assistant: role.as_deref() == Some("assistant"),
            user: role.as_deref() == Some("user"),
            content,
        }
    }
}

/// Finds the messages that may have tool uses or results, without parsing them.
pub(super) struct Tools {
    names: Finder<'static>,
    escapes: Finder<'static>,
}

impl Tools {
    pub(super) fn new() -> Self {
        Self {
            names: Finder::new("\"tool"),
            escapes: Finder::new("\\u"),
        }
    }

    /// False only if no key of the message is `toolUse` or `toolResult`: a letter is written as itself, or as `\u` and
    /// its number.
    pub(super) fn may_be_in(&self, text: &str) -> bool {
        let has = |finder: &Finder<'_>| finder.find(text.as_bytes()).is_some();
        has(&self.names) || has(&self.escapes)
    }
}

/// What `block` is.
pub(super) fn block(block: Json<'_>) -> Block {
    if block.kind() != Kind::Object {
        return Block::Malformed(FaultKind::BlockNotObject);
    }
    let (mut tool_use, mut tool_result, mut members) = (None, None, 0);
    for (key, value) in block.members() {
        members += 1;
        // Some writers spell an absent member as null.
        let value = (!value.is_null()).then_some(value);
        if key.is("toolUse") {
            tool_use = value;
        } else if key.is("toolResult") {
            tool_result = value;
        }
    }
    match (tool_use, tool_result) {
        (None, None) => Block::Other,
        (Some(_), Some(_)) => Block::Malformed(FaultKind::UseAndResult),
        (Some(value), None) => match value.get("toolUseId").and_then(ToolUseId::from_json) {
            Some(id) => Block::Use(id),
            None => Block::Malformed(FaultKind::UseWithoutId),
        },
        (None, Some(value)) => result(value, members == 1),
    }
}

/// What a block with the tool result `value` is. It is a stand-in if it says nothing but that the tool was interrupted,
/// and nothing else is in the block.
fn result(value: Json<'_>, is_alone: bool) -> Block {
    let (mut id, mut status, mut content, mut members) = (None, None, None, 0);
    for (key, value) in value.members() {
        members += 1;
        if key.is("toolUseId") {
            id = Some(value);
        } else if key.is("status") {
            status = Some(value);
        } else if key.is("content") {
            content = Some(value);
        }
    }
    let Some(id) = id.and_then(ToolUseId::from_json) else {
        return Block::Malformed(FaultKind::ResultWithoutId);
    };
    let only_text = |content: Json<'_>| {
        let mut blocks = content.elements();
        blocks.next().is_some_and(|block| {
            block.members().count() == 1 && is_text(block.get("text"), INTERRUPTED)
        }) && blocks.next().is_none()
    };
    let stand_in =
        is_alone && members == 3 && is_text(status, "error") && content.is_some_and(only_text);
    Block::Result { id, stand_in }
}

fn is_text(value: Option<Json<'_>>, text: &str) -> bool {
    value
        .and_then(Json::as_str)
        .is_some_and(|found| found == text)
}

/// Appends the error result that stands for a missing one.
pub(super) fn write_stand_in(id: &ToolUseId, out: &mut String) {
    out.push_str("{\"toolResult\":{\"toolUseId\":");
    out.push_str(id.as_json());
    out.push_str(",\"status\":\"error\",\"content\":[{\"text\":\"");
    out.push_str(INTERRUPTED);
    out.push_str("\"}]}}");
}

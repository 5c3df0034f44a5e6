//! Reading messages: which blocks are tool uses and results, and what is malformed.

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

/// The blocks of a message, or why it has none.
pub(super) fn content(message: Json<'_>) -> Result<Json<'_>, FaultKind> {
    if message.kind() != Kind::Object {
        return Err(FaultKind::MessageNotObject);
    }
    message
        .get("content")
        .filter(|content| content.kind() == Kind::Array)
        .ok_or(FaultKind::ContentNotArray)
}

/// True if the message has the role `role`.
pub(super) fn has_role(message: Json<'_>, role: &str) -> bool {
    message
        .get("role")
        .and_then(Json::as_str)
        .is_some_and(|found| found == role)
}

/// What `block` is.
pub(super) fn block(block: Json<'_>) -> Block {
    if block.kind() != Kind::Object {
        return Block::Malformed(FaultKind::BlockNotObject);
    }
    let (mut tool_use, mut tool_result) = (None, None);
    for (key, value) in block.members() {
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
        (Some(value), None) => match tool_use_id(value) {
            Some(id) => Block::Use(id),
            None => Block::Malformed(FaultKind::UseWithoutId),
        },
        (None, Some(value)) => match tool_use_id(value) {
            Some(id) => Block::Result {
                id,
                stand_in: block.members().count() == 1 && is_stand_in(value),
            },
            None => Block::Malformed(FaultKind::ResultWithoutId),
        },
    }
}

/// Appends the error result that stands for a missing one.
pub(super) fn write_stand_in(id: &ToolUseId, out: &mut String) {
    out.push_str("{\"toolResult\":{\"toolUseId\":");
    out.push_str(id.as_json());
    out.push_str(",\"status\":\"error\",\"content\":[{\"text\":\"");
    out.push_str(INTERRUPTED);
    out.push_str("\"}]}}");
}

fn tool_use_id(value: Json<'_>) -> Option<ToolUseId> {
    value.get("toolUseId").and_then(ToolUseId::from_json)
}

/// True if a tool result, whose id is known to be there, says nothing but that the tool was interrupted.
fn is_stand_in(result: Json<'_>) -> bool {
    let is = |value: Option<Json<'_>>, text: &str| {
        value
            .and_then(Json::as_str)
            .is_some_and(|found| found == text)
    };
    let only_text = |content: Json<'_>| {
        let mut blocks = content.elements();
        blocks
            .next()
            .is_some_and(|block| block.members().count() == 1 && is(block.get("text"), INTERRUPTED))
            && blocks.next().is_none()
    };
    is(result.get("status"), "error")
        && result.members().count() == 3
        && result.get("content").is_some_and(only_text)
}

//! Edits: what is laid over the stored messages. They hold ids and places, never content.

use std::fmt;

use super::ToolUseId;

/// One edit. Its `Display` is one line that says what was wrong, what is done, and where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The tool uses of a message are answered in the message right after it.
    Answer {
        /// The id of the message with the tool uses.
        uses: u64,
        /// The id of the stored message that holds the answers: before its other content, in this order. None inserts a
        /// user message.
        place: Option<u64>,
        /// The answers, in the order of the uses.
        results: Vec<Answer>,
    },
    /// Results that answer nothing are left out. The stored message still has them.
    SetAside {
        /// The id of the message.
        message: u64,
        /// The blocks, by index.
        blocks: Vec<SetAside>,
    },
    /// A message of which nothing is left is not shown.
    Hide {
        /// The id of the message.
        message: u64,
    },
}

/// The answer to one tool use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The tool use.
    pub tool_use_id: ToolUseId,
    /// Where its result is.
    pub source: Source,
}

/// Where a result comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a block of a stored message, which loses it.
    Block {
        /// The id of the message.
        message: u64,
        /// The index of the block in its content.
        block: usize,
    },
    /// There was none: an error result says that the tool was interrupted.
    Interrupted,
}

/// A result that answers nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The index of the block in the message's content.
    pub block: usize,
    /// The tool use that it names.
    pub tool_use_id: ToolUseId,
    /// Why it answers nothing.
    pub why: Why,
}

/// Why a result answers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No tool use has its id.
    Orphan,
    /// Another result answers the tool use, or the agent will.
    Duplicate,
}

/// A part of an edit that does not fit the stored messages any more, for example after a redaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The index of the edit.
    pub edit: usize,
    /// The id of the message that does not fit.
    pub message: u64,
    /// What does not fit and what was done instead.
    pub reason: &'static str,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer {
                uses,
                place,
                results,
            } => {
                match place {
                    Some(place) => write!(f, "message {place} answers message {uses}")?,
                    None => write!(f, "a new message answers message {uses}")?,
                }
                for (index, answer) in results.iter().enumerate() {
                    let id = &answer.tool_use_id;
                    f.write_str(if index == 0 { ": " } else { ", " })?;
                    match answer.source {
                        Source::Block { message, block } if Some(message) == *place => {
                            write!(f, "{id} by its block {block}")?;
                        }
                        Source::Block { message, block } => {
                            write!(f, "{id} by block {block} moved from message {message}")?;
                        }
                        Source::Interrupted => {
                            write!(f, "{id} by an error result because it had none")?;
                        }
                    }
                }
                Ok(())
            }
            Self::SetAside { message, blocks } => {
                write!(f, "message {message} keeps in store only")?;
                for (index, aside) in blocks.iter().enumerate() {
                    f.write_str(if index == 0 { " " } else { ", " })?;
                    let why = match aside.why {
                        Why::Orphan => "no tool use has this id",
                        Why::Duplicate => "its tool use does not need it",
                    };
                    write!(f, "block {} ({}: {why})", aside.block, aside.tool_use_id)?;
                }
                Ok(())
            }
            Self::Hide { message } => {
                write!(
                    f,
                    "message {message} is hidden because nothing is left of it"
                )
            }
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "edit {}, message {}: {}",
            self.edit, self.message, self.reason
        )
    }
}

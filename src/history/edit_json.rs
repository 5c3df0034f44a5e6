//! The JSON form of edits. The module documentation of `history` tells it.

use crate::json::{Json, Kind};

use super::{Answer, Edit, SetAside, Source, ToolUseId, Why};

const FORMAT: u64 = 1;

/// Why a text does not hold edits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("history edit {edit}: {reason}")]
pub struct EditError {
    /// The index of the edit.
    pub edit: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Writes `edits` as JSON, without white space.
#[must_use]
pub fn edits_to_json(edits: &[Edit]) -> String {
    let edits: Vec<String> = edits.iter().map(edit_to_json).collect();
    format!("{{\"format\":{FORMAT},\"edits\":[{}]}}", edits.join(","))
}

/// Reads what [`edits_to_json`] wrote.
pub fn edits_from_json(json: Json<'_>) -> Result<Vec<Edit>, EditError> {
    let fail = |reason| Err(EditError { edit: 0, reason });
    match json.get("format").map(Json::as_u64) {
        Some(Some(FORMAT)) => {}
        Some(_) => return fail("the format is not known to this program: use a newer one"),
        None => return fail("`format` is missing"),
    }
    let Some(edits) = json.get("edits").filter(|e| e.kind() == Kind::Array) else {
        return fail("`edits` is not an array");
    };
    edits
        .elements()
        .enumerate()
        .map(|(edit, json)| edit_from_json(json).map_err(|reason| EditError { edit, reason }))
        .collect()
}

fn edit_to_json(edit: &Edit) -> String {
    match edit {
        Edit::Answer {
            uses,
            place,
            results,
        } => {
            let place = place.map_or("null".to_owned(), |id| id.to_string());
            let results: Vec<_> = results
                .iter()
                .map(|answer| {
                    let from = match answer.source {
                        Source::Block { message, block } => format!("[{message},{block}]"),
                        Source::Interrupted => "\"interrupted\"".to_owned(),
                    };
                    format!("{{\"id\":{},\"from\":{from}}}", answer.tool_use_id)
                })
                .collect();
            format!(
                "{{\"edit\":\"answer\",\"uses\":{uses},\"in\":{place},\"results\":[{}]}}",
                results.join(",")
            )
        }
        Edit::SetAside { message, blocks } => {
            let blocks: Vec<_> = blocks
                .iter()
                .map(|aside| {
                    let why = match aside.why {
                        Why::Orphan => "orphan",
                        Why::Duplicate => "duplicate",
                    };
                    format!(
                        "{{\"block\":{},\"id\":{},\"why\":\"{why}\"}}",
                        aside.block, aside.tool_use_id
                    )
                })
                .collect();
            format!(
                "{{\"edit\":\"set_aside\",\"message\":{message},\"blocks\":[{}]}}",
                blocks.join(",")
            )
        }
        Edit::Hide { message } => format!("{{\"edit\":\"hide\",\"message\":{message}}}"),
    }
}

fn edit_from_json(json: Json<'_>) -> Result<Edit, &'static str> {
    let message = || {
        json.get("message")
            .and_then(Json::as_u64)
            .ok_or("`message` is not an id")
    };
    match text(json, "edit").as_deref() {
        Some("answer") => Ok(Edit::Answer {
            uses: json
                .get("uses")
                .and_then(Json::as_u64)
                .ok_or("`uses` is not an id")?,
            place: match json.get("in") {
                Some(place) if place.is_null() => None,
                Some(place) => Some(place.as_u64().ok_or("`in` is not an id")?),
                None => return Err("`in` is missing"),
            },
            results: list(json, "results", answer_from_json)?,
        }),
        Some("set_aside") => Ok(Edit::SetAside {
            message: message()?,
            blocks: list(json, "blocks", set_aside_from_json)?,
        }),
        Some("hide") => Ok(Edit::Hide {
            message: message()?,
        }),
        _ => Err("the kind of edit is not known to this program"),
    }
}

fn answer_from_json(json: Json<'_>) -> Result<Answer, &'static str> {
    let from = json.get("from").ok_or("`from` is missing")?;
    let mut place = from.elements();
    let source = match (place.next(), place.next(), place.next()) {
        (Some(message), Some(block), None) => Source::Block {
            message: message.as_u64().ok_or("`from` does not name a message")?,
            block: index(block).ok_or("`from` does not name a block")?,
        },
        _ if from.as_str().as_deref() == Some("interrupted") => Source::Interrupted,
        _ => return Err("`from` is not known to this program"),
    };
    Ok(Answer {
        tool_use_id: tool_use_id(json)?,
        source,
    })
}

fn set_aside_from_json(json: Json<'_>) -> Result<SetAside, &'static str> {
    Ok(SetAside {
        block: json
            .get("block")
            .and_then(index)
            .ok_or("`block` is not an index")?,
        tool_use_id: tool_use_id(json)?,
        why: match text(json, "why").as_deref() {
            Some("orphan") => Why::Orphan,
            Some("duplicate") => Why::Duplicate,
            _ => return Err("`why` is not known to this program"),
        },
    })
}

fn list<T>(
    json: Json<'_>,
    key: &str,
    item: fn(Json<'_>) -> Result<T, &'static str>,
) -> Result<Vec<T>, &'static str> {
    json.get(key)
        .filter(|list| list.kind() == Kind::Array)
        .ok_or("a list is missing")?
        .elements()
        .map(item)
        .collect()
}

fn tool_use_id(json: Json<'_>) -> Result<ToolUseId, &'static str> {
    json.get("id")
        .and_then(ToolUseId::from_json)
        .ok_or("`id` is not a string")
}

fn index(json: Json<'_>) -> Option<usize> {
    json.as_u64()?.try_into().ok()
}

fn text<'a>(json: Json<'a>, key: &str) -> Option<std::borrow::Cow<'a, str>> {
    json.get(key)?.as_str()
}

//! Generated conversations, and plain slow judges of them that share no code with the library.
#![allow(dead_code, reason = "each test binary uses its part")]

use proptest::prelude::*;
use serde_json::{Value, json};
use sessionlog::history::{Applied, Stored};
use sessionlog::json::Json;

/// Message texts as stored. Each real result has a text of its own.
pub(crate) type Texts = Vec<String>;

/// Any conversation: whole turns in which blocks were lost, doubled, moved and malformed, and pure noise.
pub(crate) fn conversation() -> impl Strategy<Value = Texts> {
    let damage = prop::collection::vec((0..8_u8, any::<usize>(), any::<usize>()), 0..8);
    let turns = (prop::collection::vec(turn(), 0..6), damage)
        .prop_map(|(turns, damage)| damaged(turns.concat(), &damage));
    let noise = prop::collection::vec(noisy_message(), 0..8);
    prop_oneof![3 => turns, 2 => noise].prop_map(|messages| texts(&messages))
}

/// A conversation that a provider accepts.
pub(crate) fn valid_conversation() -> impl Strategy<Value = Texts> {
    prop::collection::vec(turn(), 0..6).prop_map(|turns| texts(&turns.concat()))
}

/// The messages as the repair takes them, with ids that have gaps.
pub(crate) fn stored(texts: &[String]) -> Vec<Stored<'_>> {
    (0..)
        .zip(texts)
        .map(|(at, text)| Stored {
            id: 3 * at + 1,
            message: Json::parse(text).unwrap(),
        })
        .collect()
}

/// The texts of a repaired conversation.
pub(crate) fn view_texts(applied: &Applied<'_>) -> Texts {
    let texts = applied.messages.iter().map(|view| view.text.to_string());
    texts.collect()
}

pub(crate) fn values(texts: &[String]) -> Vec<Value> {
    texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

/// The blocks of a message; none if it has no list of them.
pub(crate) fn blocks(message: &Value) -> Vec<Value> {
    message["content"].as_array().cloned().unwrap_or_default()
}

/// The id of a block that is a proper tool use or result, as `kind` says.
pub(crate) fn id_of(block: &Value, kind: &str) -> Option<String> {
    let other = if kind == "toolUse" {
        "toolResult"
    } else {
        "toolUse"
    };
    if !block[other].is_null() {
        return None;
    }
    block[kind]["toolUseId"].as_str().map(String::from)
}

/// The sorted ids of a message's tool uses or results.
pub(crate) fn ids(message: &Value, kind: &str) -> Vec<String> {
    let mut ids: Vec<_> = blocks(message)
        .iter()
        .filter_map(|block| id_of(block, kind))
        .collect();
    ids.sort();
    ids
}

pub(crate) fn stand_in(id: &str) -> Value {
    json!({"toolResult": {"toolUseId": id, "status": "error", "content": [{"text": "Tool was interrupted."}]}})
}

/// True for a result that is not the error result which stands for a missing one.
pub(crate) fn is_real(block: &Value) -> bool {
    id_of(block, "toolResult").is_some_and(|id| *block != stand_in(&id))
}

/// True if each message's tool uses are answered in the next one, a user message, and no other results are there. The
/// last message's tool uses are still open.
pub(crate) fn is_valid(messages: &[Value]) -> bool {
    let mut open = Vec::new();
    messages.iter().all(|message| {
        let results = ids(message, "toolResult");
        let answered = results == open && (results.is_empty() || message["role"] == "user");
        open = ids(message, "toolUse");
        answered
    })
}

/// strands-agents 1.62.0, `_fix_broken_tool_use`, for conversations without malformed messages and blocks.
pub(crate) fn package(mut messages: Vec<Value>) -> Vec<Value> {
    let has = |message: &Value, kind: &str| blocks(message).iter().any(|b| b.get(kind).is_some());
    for index in (0..messages.len()).rev() {
        let follows_use = index > 0 && has(&messages[index - 1], "toolUse");
        if messages[index]["role"] != "user" || !has(&messages[index], "toolResult") || follows_use
        {
            continue;
        }
        let mut rest = blocks(&messages[index]);
        rest.retain(|block| block.get("toolResult").is_none());
        if rest.is_empty() {
            messages.remove(index);
        } else {
            messages[index]["content"] = rest.into();
        }
    }
    for index in (0..messages.len().saturating_sub(1)).rev() {
        let wanted: Vec<_> = blocks(&messages[index])
            .iter()
            .filter_map(|block| id_of(block, "toolUse"))
            .collect();
        let (results, mut rest): (Vec<_>, Vec<_>) = blocks(&messages[index + 1])
            .into_iter()
            .partition(|block| block.get("toolResult").is_some());
        let found: std::collections::BTreeMap<_, _> = results
            .into_iter()
            .map(|block| (id_of(&block, "toolResult").unwrap(), block))
            .collect();
        if wanted.is_empty()
            || found.keys().all(|id| wanted.contains(id))
                && wanted.iter().all(|id| found.contains_key(id))
        {
            continue;
        }
        if found.is_empty() && !rest.is_empty() {
            messages.insert(index + 1, json!({"role": "user", "content": []}));
            rest = Vec::new();
        }
        let answers = wanted
            .iter()
            .map(|id| found.get(id).cloned().unwrap_or_else(|| stand_in(id)));
        messages[index + 1]["content"] = answers.chain(rest).collect();
    }
    messages
}

#[derive(Clone, Debug)]
struct Message {
    role: &'static str,
    content: Vec<Block>,
    /// The message's text instead, with `CONTENT` for its blocks.
    form: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Block {
    Text,
    Use(&'static str),
    Result(&'static str),
    StandIn(&'static str),
    Raw(&'static str),
}

fn id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "\\ud800"])
}

fn message(role: &'static str, content: Vec<Block>) -> Message {
    Message {
        role,
        content,
        form: None,
    }
}

/// A prompt and its answer, with a tool call between them or not.
fn turn() -> impl Strategy<Value = Vec<Message>> {
    let ids = prop::sample::subsequence(vec!["a", "b", "c", "\\ud800"], 0..4).prop_shuffle();
    (ids, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(ids, reversed, text, interrupted)| {
            let mut messages = vec![message("user", vec![Block::Text])];
            if !ids.is_empty() {
                let uses = ids.iter().map(|id| Block::Use(id));
                let uses = text
                    .then_some(Block::Text)
                    .into_iter()
                    .chain(uses)
                    .collect();
                let result = if interrupted {
                    Block::StandIn
                } else {
                    Block::Result
                };
                let mut results: Vec<_> = ids.iter().map(|id| result(id)).collect();
                if reversed {
                    results.reverse();
                }
                messages.extend([message("assistant", uses), message("user", results)]);
            }
            messages.push(message("assistant", vec![Block::Text]));
            messages
        },
    )
}

fn noisy_message() -> impl Strategy<Value = Message> {
    let raw = vec![
        "3",
        "null",
        r#"{"toolUse":{"name":"t"}}"#,
        r#"{"toolUse":7}"#,
        r#"{"toolResult":{"toolUseId":5}}"#,
        r#"{"toolUse":{"toolUseId":"a"},"toolResult":{"toolUseId":"a"}}"#,
        r#"{"toolUse":null,"toolResult":{"toolUseId":"a","content":[{"text":"null use"}]}}"#,
        r#"{"text":"x","toolResult":null}"#,
    ];
    let block = prop_oneof![
        2 => Just(Block::Text),
        4 => id().prop_map(Block::Use),
        4 => id().prop_map(Block::Result),
        1 => id().prop_map(Block::StandIn),
        1 => prop::sample::select(raw).prop_map(Block::Raw),
    ];
    let role = prop_oneof![8 => Just("user"), 8 => Just("assistant"), 1 => Just("system")];
    let forms = vec![
        "7",
        r#"{"role":"user"}"#,
        r#"{"content":CONTENT}"#,
        r#"{"role":"user","content":"text"}"#,
        r#"{"role":"assistant","content":null}"#,
        r#"{"content":[{"text":"old"}],"role":"user","x":[1.50],"cont\u0065nt":CONTENT,"metadata":{}}"#,
    ];
    let form = prop::option::weighted(0.1, prop::sample::select(forms));
    (role, prop::collection::vec(block, 0..4), form).prop_map(|(role, content, form)| Message {
        role,
        content,
        form,
    })
}

/// Breaks a conversation as crashes, races and pagination do.
fn damaged(mut messages: Vec<Message>, damage: &[(u8, usize, usize)]) -> Vec<Message> {
    for &(what, at, to) in damage {
        if messages.is_empty() {
            break;
        }
        let at = at % messages.len();
        let to = to % messages.len();
        match what {
            0 => drop(messages.remove(at)),
            1 => messages.insert(to, messages[at].clone()),
            2 => messages.swap(at, to),
            3 => drop(messages[at].content.pop()),
            4 => messages[at].content.reverse(),
            5 => messages[at].role = if to % 2 == 0 { "user" } else { "assistant" },
            _ => {
                if let Some(block) = messages[at].content.pop() {
                    messages[to].content.push(block);
                }
            }
        }
    }
    messages
}

fn texts(messages: &[Message]) -> Texts {
    let mut count = 0;
    messages
        .iter()
        .map(|message| {
            let mut block = |block: &Block| {
                count += 1;
                match block {
                    Block::Text => format!(r#"{{"text": "t{count}"}}"#),
                    Block::Use(id) => format!(
                        r#"{{"toolUse":{{"toolUseId":"{id}","name":"t","input":{{"n":{count}}}}}}}"#
                    ),
                    Block::Result(id) => format!(
                        r#"{{"toolResult":{{"toolUseId":"{id}","status":"success","content":[{{"text":"r{count}"}}]}}}}"#
                    ),
                    Block::StandIn(id) => format!(
                        r#"{{"toolResult":{{"toolUseId":"{id}","status":"error","content":[{{"text":"Tool was interrupted."}}]}}}}"#
                    ),
                    Block::Raw(text) => (*text).to_string(),
                }
            };
            let content: Vec<_> = message.content.iter().map(&mut block).collect();
            let content = format!("[{}]", content.join(", "));
            match message.form {
                Some(form) => form.replace("CONTENT", &content),
                None => format!(r#"{{"role":"{}","content":{content},"tracking_id":"k"}}"#, message.role),
            }
        })
        // The plain judges read with serde_json, which has no lone surrogates.
        .map(|text| text.replace("\\ud800", "\\ud83d\\ude00"))
        .collect()
}

//! Any conversation: its repair is complete, final, and survives its JSON form and other messages.
//!
//! The input is a JSON array of messages, or else each byte is a block of a conversation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sessionlog::history::{Fault, Stored, apply, edits_from_json, edits_to_json, repair, validate};
use sessionlog::json::{Json, Kind};

fuzz_target!(|bytes: &[u8]| {
    let texts = match Json::from_bytes(bytes) {
        Ok(json) if json.kind() == Kind::Array => json
            .elements()
            .map(|message| message.text().to_owned())
            .collect(),
        _ => conversation(bytes),
    };
    if let Ok(json) = Json::from_bytes(bytes) {
        if let Ok(edits) = edits_from_json(json) {
            // Edits of unknown origin over any messages.
            let written = edits_to_json(&edits);
            let again = Json::parse(&written).expect("edits are JSON");
            assert_eq!(edits_from_json(again).as_ref(), Ok(&edits));
            let _ = apply(&stored(&conversation(&bytes[bytes.len() / 2..])), &edits);
        }
    }
    check(&texts);
});

fn check(texts: &[String]) {
    let messages = stored(texts);
    let repair_of = repair(&messages);
    let applied = apply(&messages, &repair_of.edits);
    assert!(applied.skipped.is_empty());
    assert_eq!(
        validate(&messages).iter().any(is_mendable),
        !repair_of.edits.is_empty()
    );

    let view: Vec<String> = applied
        .messages
        .iter()
        .map(|view| view.text.to_string())
        .collect();
    assert!(!validate(&stored(&view)).iter().any(is_mendable));
    assert!(repair(&stored(&view)).edits.is_empty());

    let json = edits_to_json(&repair_of.edits);
    let edits = edits_from_json(Json::parse(&json).expect("edits are JSON"));
    assert_eq!(edits.as_ref(), Ok(&repair_of.edits));

    // Messages that are gone, and messages that were replaced by others.
    let _ = apply(&messages[texts.len() / 2..], &repair_of.edits);
    let reversed: Vec<String> = texts.iter().rev().cloned().collect();
    let _ = apply(&stored(&reversed), &repair_of.edits);
}

fn is_mendable(fault: &Fault) -> bool {
    fault.kind.is_mendable()
}

fn stored(texts: &[String]) -> Vec<Stored<'_>> {
    (0..)
        .zip(texts)
        .map(|(id, text)| Stored {
            id,
            message: Json::parse(text).expect("a view is JSON"),
        })
        .collect()
}

/// Each byte is a block, whose high bits may also begin a message.
fn conversation(bytes: &[u8]) -> Vec<String> {
    let mut messages: Vec<(&str, Vec<String>)> = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        if byte & 0xc0 != 0 || messages.is_empty() {
            let role = ["user", "assistant", "user", "robot"][usize::from(byte >> 6)];
            messages.push((role, Vec::new()));
        }
        let id = ["a", "b", "\\ud800"][usize::from(byte >> 3 & 7) % 3];
        let block = match byte & 7 {
            0 => continue,
            1 | 2 => format!(r#"{{"toolUse":{{"toolUseId":"{id}"}}}}"#),
            3 | 4 => format!(r#"{{"toolResult":{{"toolUseId":"{id}","content":{at}}}}}"#),
            5 => format!(
                r#"{{"toolResult":{{"toolUseId":"{id}","status":"error","content":[{{"text":"Tool was interrupted."}}]}}}}"#
            ),
            6 => r#"{"toolUse":{}}"#.to_owned(),
            _ => format!(r#"{{"text":"{at}"}}"#),
        };
        if let Some((_, blocks)) = messages.last_mut() {
            blocks.push(block);
        }
    }
    messages
        .iter()
        .map(|(role, blocks)| format!(r#"{{"role":"{role}","content":[{}]}}"#, blocks.join(",")))
        .collect()
}

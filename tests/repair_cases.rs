//! The 25 broken histories of `fixtures/repair-cases.json` with the answers of strands-agents 1.62.0.

mod conversation;

use conversation::{is_valid, stored, values, view_texts};
use serde_json::{Value, json};
use sessionlog::history::{FaultKind, apply, repair};

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("fixtures/repair-cases.json")).unwrap()
}

fn named(name: &str) -> Value {
    let mut cases = cases().into_iter();
    cases
        .find(|case| case["name"] == name)
        .unwrap_or_else(|| panic!("no case {name:?}"))
}

fn texts(messages: &Value) -> Vec<String> {
    messages
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect()
}

/// Our answer to a case.
fn ours(case: &Value) -> Vec<Value> {
    let texts = texts(&case["input"]);
    let messages = stored(&texts);
    let applied = apply(&messages, &repair(&messages).edits);
    assert_eq!(applied.skipped, []);
    values(&view_texts(&applied))
}

/// The package's answer. The tracking ids of the messages that it inserts are random, so they are left out.
fn theirs(case: &Value) -> Option<Vec<Value>> {
    let mut messages = case["output"].as_array()?.clone();
    for message in &mut messages {
        message.as_object_mut()?.remove("tracking_id");
    }
    Some(messages)
}

fn real(id: &str) -> Value {
    json!({"toolResult": {"toolUseId": id, "status": "success", "content": [{"text": format!("r-{id}")}]}})
}

fn interrupted(id: &str) -> Value {
    conversation::stand_in(id)
}

fn user(content: &Value) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: &Value) -> Value {
    json!({"role": "assistant", "content": content})
}

fn uses(ids: &[&str]) -> Value {
    let block = |id: &&str| json!({"toolUse": {"toolUseId": id, "name": "t", "input": {}}});
    assistant(&ids.iter().map(block).collect())
}

/// The cases where our answer is another one, why, and what it is.
fn differences() -> Vec<(&'static str, &'static str, Vec<Value>)> {
    vec![
        (
            "25 duplicate result ids, set matches -> untouched (dups remain)",
            "the package leaves an invalid conversation; duplicates are reduced to the first",
            vec![
                uses(&["a"]),
                user(&json!([real("a")])),
                assistant(&json!([{"text": "f"}])),
            ],
        ),
        (
            "29 toolResult in assistant role message at start: not removed",
            "the package leaves an orphan result; it is set aside, and nothing is left of its message",
            vec![user(&json!([{"text": "q"}]))],
        ),
        (
            "31 toolUse followed by assistant-role partial results: rebuilt in place, role kept",
            "the package leaves results in an assistant message; they are moved to a user message",
            vec![
                uses(&["a", "b"]),
                user(&json!([real("a"), interrupted("b")])),
                user(&json!([{"text": "q"}])),
            ],
        ),
        (
            "35 next message ASSISTANT with empty content: filled in place, role kept (invalid)",
            "the package puts the error result into an assistant message; a user message is inserted",
            vec![
                uses(&["a"]),
                user(&json!([interrupted("a")])),
                assistant(&json!([])),
                user(&json!([{"text": "q"}])),
            ],
        ),
        (
            "37 result for older toolUse (not adjacent)",
            "the package drops the late result; it is moved to its use",
            vec![
                uses(&["a"]),
                user(&json!([real("a")])),
                user(&json!([{"text": "q"}])),
                assistant(&json!([{"text": "ok"}])),
            ],
        ),
        (
            "39 result before its toolUse",
            "the package drops the early result; it is moved to its use",
            vec![
                uses(&["a"]),
                user(&json!([real("a")])),
                user(&json!([{"text": "q"}])),
            ],
        ),
        (
            "48 removal exposes new adjacency: U a, (orphan) ... ",
            "the package drops the late result; it is moved to its use",
            vec![
                uses(&["a"]),
                user(&json!([real("a")])),
                assistant(&json!([{"text": "t"}])),
                user(&json!([{"text": "q"}])),
            ],
        ),
    ]
}

#[test]
fn the_answer_is_the_packages_except_where_it_is_invalid_or_loses_data() {
    let differences = differences();
    let mut same = 0;
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let Some(theirs) = theirs(&case) else {
            continue;
        };
        let difference = differences.iter().find(|(differs, _, _)| *differs == name);
        if let Some((_, why, expected)) = difference {
            assert_eq!(&ours(&case), expected, "{name}: {why}");
            assert_ne!(expected, &theirs, "{name} is not a difference any more");
        } else {
            assert_eq!(ours(&case), theirs, "{name}");
            same += 1;
        }
    }
    assert_eq!(same, 15);
}

#[test]
fn the_answer_is_valid_in_every_case() {
    for case in cases() {
        assert!(is_valid(&ours(&case)), "{}", case["name"]);
    }
}

#[test]
fn where_the_package_raises_the_conversation_is_shown_and_the_fault_is_told() {
    let raising = [
        ("41 toolUse without toolUseId", FaultKind::UseWithoutId),
        ("43 message without content", FaultKind::ContentNotArray),
        ("46 content None", FaultKind::ContentNotArray),
    ];
    for (name, kind) in raising {
        let case = named(name);
        assert!(case["error"].is_string());
        assert_eq!(ours(&case), *case["input"].as_array().unwrap(), "{name}");
        let texts = texts(&case["input"]);
        let found = repair(&stored(&texts)).unmendable;
        assert_eq!(
            found.iter().map(|fault| fault.kind).collect::<Vec<_>>(),
            [kind],
            "{name}"
        );
    }
    let raised = cases()
        .iter()
        .filter(|case| case["error"].is_string())
        .count();
    assert_eq!(raised, raising.len());
}

//! Examples. The laws that hold for any conversation are in `tests/history_laws.rs`.

use super::*;

/// The messages 0, 1, 2, ... with these roles and blocks.
fn texts(messages: &[(&str, &[&str])]) -> Vec<String> {
    let text = |(role, blocks): &(&str, &[&str])| {
        format!(r#"{{"role":"{role}","content":[{}]}}"#, blocks.join(","))
    };
    messages.iter().map(text).collect()
}

fn stored(texts: &[String]) -> Vec<Stored<'_>> {
    (0..)
        .zip(texts)
        .map(|(id, text)| Stored {
            id,
            message: Json::parse(text).unwrap(),
        })
        .collect()
}

fn view(applied: &Applied<'_>) -> Vec<(Option<u64>, String)> {
    let views = applied.messages.iter();
    views.map(|view| (view.id, view.text.to_string())).collect()
}

/// The view of a repaired conversation.
fn repaired(texts: &[String]) -> Vec<(Option<u64>, String)> {
    let messages = stored(texts);
    view(&apply(&messages, &repair(&messages).edits))
}

const USE_A: &str = r#"{"toolUse":{"toolUseId":"a"}}"#;
const TEXT: &str = r#"{"text":"t"}"#;

#[test]
fn an_inserted_error_result_has_the_key_order_of_the_package() {
    let texts = texts(&[("assistant", &[USE_A]), ("user", &[TEXT])]);
    let inserted = r#"{"role":"user","content":[{"toolResult":{"toolUseId":"a","status":"error","content":[{"text":"Tool was interrupted."}]}}]}"#;
    assert_eq!(repaired(&texts)[1], (None, inserted.to_owned()));
}

#[test]
fn ids_are_compared_decoded_and_may_hold_lone_surrogates() {
    let texts = texts(&[
        (
            "assistant",
            &[r#"{"toolUse":{"toolUseId":"\uD800\u0061"}}"#, USE_A],
        ),
        ("user", &[r#"{"toolResult":{"toolUseId":"\ud800a"}}"#]),
    ]);
    let repair = repair(&stored(&texts));
    let json = edits_to_json(&repair.edits);
    let expected = r#"{"format":1,"edits":[{"edit":"answer","uses":0,"in":1,"results":[{"id":"\ud800a","from":[1,0]},{"id":"a","from":"interrupted"}]}]}"#;
    assert_eq!(json, expected);
    assert_eq!(
        edits_from_json(Json::parse(&json).unwrap()),
        Ok(repair.edits)
    );
}

#[test]
fn a_changed_message_keeps_its_other_members_as_they_are_written() {
    let first = format!(r#"{{"role":"assistant","content":[{USE_A}]}}"#);
    let second = r#"{ "content": [1], "n": 1.50, "role":"user", "content" : [ {"text":"t"},
        {"toolResult":{"toolUseId":"a"}}, {"toolResult":{"toolUseId":"x"}} ], "\u006d": [ ] }"#;
    let view = repaired(&[first, second.to_owned()]);
    let expected = r#"{"content":[1],"n":1.50,"role":"user","content":[{"toolResult":{"toolUseId":"a"}},{"text":"t"}],"\u006d":[ ]}"#;
    assert_eq!(view[1], (Some(1), expected.to_owned()));
}

#[test]
fn a_real_result_that_came_late_replaces_the_error_result() {
    let real = r#"{"toolResult":{"toolUseId":"a","status":"error","content":[{"text":"real"}]}}"#;
    let stand_in = r#"{"toolResult":{"toolUseId":"a","content":[{"text":"Tool was interrupted."}],"status":"error"}}"#;
    let texts = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[stand_in]),
        ("assistant", &[TEXT]),
        ("user", &[real]),
    ]);
    let view = repaired(&texts);
    assert_eq!(
        view[1],
        (Some(1), format!(r#"{{"role":"user","content":[{real}]}}"#))
    );
    assert_eq!(view.len(), 3);
}

#[test]
fn a_result_goes_to_the_nearest_open_use_before_it() {
    let result = |text: &str| format!(r#"{{"toolResult":{{"toolUseId":"a","content":"{text}"}}}}"#);
    let (one, two) = (result("one"), result("two"));
    let texts = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[TEXT]),
        ("assistant", &[USE_A]),
        ("user", &[TEXT]),
        ("user", &[&one]),
        ("user", &[&two]),
    ]);
    let view = repaired(&texts);
    assert!(
        view[1].1.contains("two") && view[4].1.contains("one"),
        "{view:#?}"
    );
    assert_eq!(view.len(), 6);
}

#[test]
fn a_duplicate_never_answers_a_later_call_that_reuses_the_id() {
    let result = r#"{"toolResult":{"toolUseId":"a","content":"r"}}"#;
    let texts = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[result]),
        ("user", &[result]),
        ("assistant", &[USE_A]),
    ]);
    let repair = repair(&stored(&texts));
    let json = r#"{"format":1,"edits":[{"edit":"set_aside","message":2,"blocks":[{"block":0,"id":"a","why":"duplicate"}]},{"edit":"hide","message":2}]}"#;
    assert_eq!(edits_to_json(&repair.edits), json);
}

#[test]
fn messages_that_call_and_answer_at_once_lose_no_result() {
    let result = |text: &str| format!(r#"{{"toolResult":{{"toolUseId":"a","content":"{text}"}}}}"#);
    let (one, two) = (result("one"), result("two"));
    let texts = texts(&[("user", &[USE_A, &one]), ("user", &[USE_A, &two])]);
    let view = repaired(&texts);
    assert!(
        view[1].1.contains("one") && view[2].1.contains("two"),
        "{view:#?}"
    );
}

#[test]
fn edits_and_faults_say_in_one_line_what_is_wrong_and_where_the_data_is() {
    let result = |id: &str| format!(r#"{{"toolResult":{{"toolUseId":"{id}"}}}}"#);
    let (a, x) = (result("a"), result("x"));
    let texts = texts(&[
        ("assistant", &[USE_A, r#"{"toolUse":{"toolUseId":"b"}}"#]),
        ("assistant", &[TEXT]),
        ("user", &[&x, &a]),
        ("user", &["7"]),
    ]);
    let lines = |items: Vec<String>| items.join("\n");
    let edits = repair(&stored(&texts)).edits;
    assert_eq!(
        lines(edits.iter().map(ToString::to_string).collect()),
        r#"a new message answers message 0: "a" by block 1 moved from message 2, "b" by an error result because it had none
message 2 keeps in store only block 0 ("x": no tool use has this id)
message 2 is hidden because nothing is left of it"#
    );
    let faults = validate(&stored(&texts));
    assert_eq!(
        lines(faults.iter().map(ToString::to_string).collect()),
        r#"message 0, block 1, id "b": no result answers this tool use
message 2, block 0, id "x": no tool use has this result's id
message 2, block 1, id "a": the result is not in the user message after its tool use
message 3, block 0: the block is not an object"#
    );
    assert_eq!(
        faults[0].to_json(),
        r#"{"message":0,"block":1,"id":"b","fault":"missing_result"}"#
    );
}

#[test]
fn a_result_that_was_redacted_after_the_repair_does_not_come_back() {
    let before = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[TEXT]),
        (
            "user",
            &[r#"{"toolResult":{"toolUseId":"a","content":"secret"}}"#],
        ),
    ]);
    let edits = repair(&stored(&before)).edits;
    let redacted = r#"{"role":"user","content":[{"text":"[redacted]"}]}"#;
    let mut now = before.clone();
    now[2] = redacted.to_owned();
    let applied = apply(&stored(&now), &edits);
    let view = view(&applied);
    assert!(view[1].1.contains("Tool was interrupted."));
    assert_eq!(view[3], (Some(2), redacted.to_owned()));
    let skipped: Vec<_> = applied.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "edit 0, message 2: the result is gone: the error result stands for it",
            "edit 1, message 2: the message to hide is not empty: it is shown",
        ]
    );
}

#[test]
fn edits_of_an_unknown_form_are_refused_and_unknown_members_are_not() {
    let read = |text: &str| edits_from_json(Json::parse(text).unwrap());
    let edit = |text: &str| read(&format!(r#"{{"format":1,"edits":[{text}]}}"#));
    assert_eq!(
        read(r#"{"edits":[{"later":1,"edit":"hide","message":7}],"format":1,"new":{}}"#),
        Ok(vec![Edit::Hide { message: 7 }])
    );
    for wrong in [r"{}", r#"{"format":2,"edits":[]}"#, r#"{"format":1}"#, "[]"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for wrong in [
        r#"{"edit":"rewrite","message":7}"#,
        r#"{"edit":"hide","message":"7"}"#,
        r#"{"edit":"hide","message":-7}"#,
        r#"{"edit":"answer","uses":1,"results":[]}"#,
        r#"{"edit":"answer","uses":1,"in":null,"results":[{"id":"a","from":[1]}]}"#,
        r#"{"edit":"answer","uses":1,"in":null,"results":[{"id":"a","from":"memory"}]}"#,
        r#"{"edit":"answer","uses":1,"in":null,"results":[{"id":5,"from":"interrupted"}]}"#,
        r#"{"edit":"set_aside","message":1,"blocks":[{"block":0,"id":"a","why":"bored"}]}"#,
        "7",
    ] {
        assert!(edit(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn edits_that_claim_the_same_block_or_message_twice_are_honoured_once() {
    let texts = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[r#"{"toolResult":{"toolUseId":"a"}}"#]),
    ]);
    let id = || ToolUseId::from_json(Json::parse("\"a\"").unwrap()).unwrap();
    let answer = Edit::Answer {
        uses: 0,
        place: None,
        results: vec![Answer {
            tool_use_id: id(),
            source: Source::Block {
                message: 1,
                block: 0,
            },
        }],
    };
    let set_aside = Edit::SetAside {
        message: 1,
        blocks: vec![SetAside {
            block: 0,
            tool_use_id: id(),
            why: Why::Orphan,
        }],
    };
    let applied = apply(&stored(&texts), &[answer.clone(), answer, set_aside]);
    let skipped: Vec<_> = applied.skipped.iter().map(|skipped| skipped.edit).collect();
    assert_eq!(skipped, [1, 2]);
    assert_eq!(view(&applied)[1].1, texts[1]);
    assert_eq!(view(&applied)[2].1, r#"{"role":"user","content":[]}"#);
}

#[test]
fn mending_one_use_of_an_id_leaves_a_right_pair_with_that_id_alone() {
    let result = |text: &str| format!(r#"{{"toolResult":{{"toolUseId":"a","content":"{text}"}}}}"#);
    let texts = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[USE_A, &result("one")]),
        ("assistant", &[TEXT]),
        ("user", &[&result("late")]),
    ]);
    let view = repaired(&texts);
    assert_eq!(view[1], (Some(1), texts[1].clone()));
    assert!(view[2].1.contains("late"), "{view:#?}");
}

#[test]
fn a_result_with_more_to_say_than_the_error_result_is_real() {
    let more = r#"{"toolResult":{"toolUseId":"a","status":"error","content":[{"text":"Tool was interrupted."}],"more":1}}"#;
    let texts = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[TEXT]),
        ("user", &[more]),
    ]);
    assert!(repaired(&texts)[1].1.contains(more));
}

#[test]
fn malformed_tool_uses_are_told_with_their_place() {
    let texts = texts(&[
        ("user", &[TEXT, USE_A]),
        (
            "assistant",
            &[USE_A, r#"{"toolUse":{"toolUseId":"b"}}"#, USE_A],
        ),
        ("robot", &[]),
    ]);
    let unmendable = repair(&stored(&texts)).unmendable;
    let found: Vec<_> = unmendable
        .iter()
        .map(|f| (f.message, f.block, f.kind))
        .collect();
    assert_eq!(
        found,
        [
            (0, Some(1), FaultKind::UseOutsideAssistant),
            (1, Some(2), FaultKind::RepeatedUse),
            (2, None, FaultKind::UnknownRole),
        ]
    );
}

/// The view of `now` under edits in their JSON form, and what was skipped.
fn edited(now: &[String], edits: &str) -> (Vec<(Option<u64>, String)>, Vec<String>) {
    let json = format!(r#"{{"format":1,"edits":[{edits}]}}"#);
    let edits = edits_from_json(Json::parse(&json).unwrap()).unwrap();
    let applied = apply(&stored(now), &edits);
    let skipped = applied.skipped.iter().map(ToString::to_string).collect();
    (view(&applied), skipped)
}

#[test]
fn a_block_that_became_the_result_of_another_use_is_not_taken() {
    let other = r#"{"toolResult":{"toolUseId":"b","content":"other"}}"#;
    let now = texts(&[
        ("assistant", &[USE_A]),
        ("user", &[TEXT]),
        ("user", &[other]),
    ]);
    let edit = r#"{"edit":"answer","uses":0,"in":null,"results":[{"id":"a","from":[2,0]}]}"#;
    let (view, skipped) = edited(&now, edit);
    assert!(view[1].1.contains("Tool was interrupted."));
    assert_eq!(view[3].1, now[2]);
    assert_eq!(skipped.len(), 1);
}

#[test]
fn a_message_that_cannot_hold_the_answers_any_more_gets_a_new_one_before_it() {
    let edit = |place: u64| {
        format!(
            r#"{{"edit":"answer","uses":0,"in":{place},"results":[{{"id":"a","from":"interrupted"}}]}}"#
        )
    };
    let mut now = texts(&[
        ("assistant", &[USE_A]),
        ("assistant", &[TEXT]),
        ("user", &[TEXT]),
    ]);
    for _ in 0..2 {
        for place in [1, 2, 9] {
            let (view, skipped) = edited(&now, &edit(place));
            assert_eq!((view[0].0, view[1].0, view[2].0), (Some(0), None, Some(1)));
            let told = "it cannot hold the answers any more: a new message does";
            assert_eq!(skipped, [format!("edit 0, message {place}: {told}")]);
        }
        now[1] = r#"{"role":"user","content":"redacted"}"#.to_owned();
    }
}

#[test]
fn one_tool_use_gets_one_answer_however_many_an_edit_holds() {
    let now = texts(&[("assistant", &[USE_A]), ("user", &[TEXT])]);
    let twice = r#"{"id":"a","from":"interrupted"},{"id":"a","from":"interrupted"}"#;
    let edit = format!(r#"{{"edit":"answer","uses":0,"in":null,"results":[{twice}]}}"#);
    let (view, skipped) = edited(&now, &edit);
    assert_eq!(view[1].1.matches("toolResult").count(), 1);
    let told = "edit 0, message 0: the tool use is gone: its result stays where it is";
    assert_eq!(skipped, [told]);
}

#[test]
fn only_a_message_that_became_empty_is_hidden() {
    let result = r#"{"toolResult":{"toolUseId":"a"}}"#;
    let now = texts(&[("assistant", &[USE_A]), ("user", &[result]), ("user", &[])]);
    let edits = r#"{"edit":"hide","message":1},{"edit":"hide","message":2},
        {"edit":"answer","uses":0,"in":1,"results":[{"id":"a","from":[1,0]}]}"#;
    let (view, skipped) = edited(&now, edits);
    assert_eq!(view.len(), 3);
    assert_eq!(skipped.len(), 2);
}

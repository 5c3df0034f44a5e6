//! What holds for the repair of any conversation of any blocks.

mod conversation;

use std::collections::BTreeMap;

use conversation::{
    Texts, blocks, conversation, id_of, ids, is_real, is_valid, package, stand_in, stored,
    valid_conversation, values, view_texts,
};
use proptest::prelude::*;
use serde_json::Value;
use sessionlog::history::{
    Edit, FaultKind, Repair, apply, edits_from_json, edits_to_json, repair, validate,
};
use sessionlog::json::Json;
use sessionlog::{Window, effective};

/// The repair of a conversation, and its view.
fn repaired(texts: &[String]) -> (Repair, Texts) {
    let messages = stored(texts);
    let repair = repair(&messages);
    let applied = apply(&messages, &repair.edits);
    assert_eq!(applied.skipped, [], "a repair fits what it was made for");
    let view = view_texts(&applied);
    (repair, view)
}

/// The texts with every `from` written as `to`.
fn spelled(texts: &[String], from: &str, to: &str) -> Texts {
    texts.iter().map(|text| text.replace(from, to)).collect()
}

/// How many tool uses of each id a real result could answer, looking only at their order.
fn answerable(messages: &[Value]) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for block in messages.iter().flat_map(blocks) {
        if let Some(id) = id_of(&block, "toolUse") {
            counts.entry(id).or_default().0 += 1;
        } else if is_real(&block) {
            let id = id_of(&block, "toolResult").unwrap();
            let (open, answered) = counts.entry(id).or_default();
            if *open > 0 {
                *open -= 1;
                *answered += 1;
            }
        }
    }
    counts
        .into_iter()
        .map(|(id, (_, answered))| (id, answered))
        .collect()
}

fn real_results(messages: &[Value]) -> Vec<Value> {
    messages.iter().flat_map(blocks).filter(is_real).collect()
}

/// The blocks that no repair may touch.
fn other_blocks(message: &Value) -> Vec<Value> {
    let mut blocks = blocks(message);
    blocks.retain(|block| id_of(block, "toolResult").is_none());
    blocks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_tool_use_but_a_trailing_one_is_answered_once_in_the_next_message(texts in conversation()) {
        let (_, view) = repaired(&texts);
        prop_assert!(is_valid(&values(&view)), "{view:#?}");
    }

    #[test]
    fn no_real_result_is_lost_while_its_tool_use_exists(texts in conversation()) {
        let (_, view) = repaired(&texts);
        let (before, after) = (values(&texts), values(&view));
        let shown = real_results(&after);
        for (id, count) in answerable(&before) {
            let found = shown.iter().filter(|b| id_of(b, "toolResult").as_ref() == Some(&id));
            prop_assert!(found.count() >= count, "{id}: {view:#?}");
        }
        for id in before.iter().flat_map(|message| ids(message, "toolUse")) {
            let of_id = |results: &[Value]| results.iter().any(|b| id_of(b, "toolResult").as_ref() == Some(&id));
            prop_assert_eq!(of_id(&real_results(&before)), of_id(&shown), "{}: {:#?}", id, view);
        }
    }

    #[test]
    fn no_result_is_invented_or_shown_twice(texts in conversation()) {
        let (_, view) = repaired(&texts);
        let mut stored = real_results(&values(&texts));
        for result in real_results(&values(&view)) {
            let found = stored.iter().position(|block| *block == result);
            prop_assert!(found.is_some(), "{result}");
            stored.swap_remove(found.unwrap());
        }
    }

    #[test]
    fn everything_but_results_keeps_its_message_and_its_order(texts in conversation()) {
        let messages = stored(&texts);
        let applied = apply(&messages, &repair(&messages).edits);
        let mut views = applied.messages.iter();
        for message in &messages {
            let before: Value = serde_json::from_str(message.message.text()).unwrap();
            let Some(view) = views.find(|view| view.id.is_some()).filter(|view| view.id == Some(message.id)) else {
                prop_assert!(other_blocks(&before).is_empty() && !blocks(&before).is_empty());
                // Look at the same view again for the next message.
                let from = applied.messages.iter().position(|view| view.id > Some(message.id));
                views = applied.messages[from.unwrap_or(applied.messages.len())..].iter();
                continue;
            };
            let mut after: Value = serde_json::from_str(&view.text).unwrap();
            prop_assert_eq!(other_blocks(&before), other_blocks(&after));
            if before.get("content").is_some() {
                after["content"] = before["content"].clone();
            }
            prop_assert_eq!(before, after);
        }
        for view in applied.messages.iter().filter(|view| view.id.is_none()) {
            let value: Value = serde_json::from_str(&view.text).unwrap();
            prop_assert!(other_blocks(&value).is_empty() && value["role"] == "user");
        }
    }

    #[test]
    fn a_valid_conversation_stays_as_it_is(texts in valid_conversation()) {
        prop_assert!(is_valid(&values(&texts)));
        let (repair, view) = repaired(&texts);
        prop_assert_eq!(repair.edits, []);
        prop_assert_eq!(validate(&stored(&texts)), []);
        prop_assert_eq!(view, texts);
    }

    #[test]
    fn edits_are_made_exactly_for_an_invalid_conversation(texts in conversation()) {
        prop_assert_eq!(repaired(&texts).0.edits.is_empty(), is_valid(&values(&texts)));
    }

    #[test]
    fn a_second_repair_has_nothing_to_do(texts in conversation()) {
        let (first, view) = repaired(&texts);
        let (second, same) = repaired(&view);
        prop_assert_eq!(&second.edits, &[]);
        // A hidden message takes its wrong role with it.
        let lasting = |repair: &Repair| {
            let kinds = repair.unmendable.iter().map(|fault| fault.kind);
            kinds.filter(|kind| *kind != FaultKind::UnknownRole).collect::<Vec<_>>()
        };
        prop_assert_eq!(lasting(&second), lasting(&first));
        prop_assert_eq!(same, view);
    }

    #[test]
    fn faults_tell_what_is_mended_and_what_is_not(texts in conversation()) {
        let messages = stored(&texts);
        let repair = repair(&messages);
        let (mendable, unmendable): (Vec<_>, Vec<_>) =
            validate(&messages).into_iter().partition(|fault| fault.kind.is_mendable());
        prop_assert_eq!(mendable.is_empty(), repair.edits.is_empty());
        prop_assert_eq!(&unmendable, &repair.unmendable);
        for fault in mendable.iter().chain(&unmendable) {
            let json = fault.to_json();
            prop_assert_eq!(Json::parse(&json).unwrap().minified(), json.clone());
            prop_assert!(!fault.to_string().contains('\n'));
        }
        let set_aside = repair.edits.iter().map(|edit| match edit {
            Edit::SetAside { blocks, .. } => blocks.len(),
            _ => 0,
        });
        let left = |kind| matches!(kind, FaultKind::OrphanResult | FaultKind::DuplicateResult);
        let faults = mendable.iter().filter(|fault| left(fault.kind)).count();
        prop_assert_eq!(set_aside.sum::<usize>(), faults);
    }

    #[test]
    fn edits_come_back_from_their_json_form(texts in conversation()) {
        let edits = repaired(&texts).0.edits;
        let json = edits_to_json(&edits);
        prop_assert_eq!(edits_from_json(Json::parse(&json).unwrap()).unwrap(), edits);
    }

    #[test]
    fn where_the_package_is_right_and_loses_nothing_the_answer_is_the_same(texts in conversation()) {
        let before = values(&texts);
        let malformed = repair(&stored(&texts)).unmendable;
        // The package raises for malformed blocks, and takes a member that is null for one that is there.
        if malformed.iter().any(|fault| fault.kind != FaultKind::UseOutsideAssistant)
            || texts.iter().any(|text| text.contains("null"))
        {
            return Ok(());
        }
        let package = package(before.clone());
        let shown = real_results(&package);
        let lost = real_results(&before).into_iter().any(|result| {
            let id = id_of(&result, "toolResult").unwrap();
            !shown.contains(&result) && before.iter().any(|message| ids(message, "toolUse").contains(&id))
        });
        if is_valid(&package) && !lost {
            prop_assert_eq!(values(&repaired(&texts).1), package);
        }
    }

    #[test]
    fn what_the_model_sees_is_the_repair_of_every_message_though_most_are_not_parsed(texts in conversation()) {
        // A key may be spelled with escapes, and white space is allowed.
        for texts in [texts.clone(), spelled(&texts, "\"tool", "\"\\u0074ool"), spelled(&texts, ":", " : ")] {
            let messages = (0..).zip(texts.iter().cloned()).collect();
            let shown: Texts = effective(messages, &Window::default(), &[])
                .into_iter()
                .map(|shown| shown.text)
                .collect();
            prop_assert_eq!(shown, repaired(&texts).1);
        }
    }

    #[test]
    fn messages_appended_after_a_repair_are_shown_as_they_are(texts in conversation(), later in conversation()) {
        let (repair, mut expected) = repaired(&texts);
        let all = [texts, later.clone()].concat();
        let applied = apply(&stored(&all), &repair.edits);
        prop_assert_eq!(&applied.skipped, &[]);
        expected.extend(later);
        prop_assert_eq!(view_texts(&applied), expected);
    }

    #[test]
    fn edits_for_other_text_hide_nothing_new_and_bring_nothing_back(texts in conversation(), now in conversation()) {
        let edits = repaired(&texts).0.edits;
        let messages = stored(&now);
        let applied = apply(&messages, &edits);
        let (before, after) = (values(&now), values(&view_texts(&applied)));
        let others = |messages: &[Value]| messages.iter().flat_map(other_blocks).collect::<Vec<_>>();
        prop_assert_eq!(others(&before), others(&after));
        let mut blocks_now: Vec<_> = before.iter().flat_map(blocks).collect();
        for block in after.iter().flat_map(blocks) {
            if let Some(found) = blocks_now.iter().position(|known| *known == block) {
                blocks_now.swap_remove(found);
            } else {
                prop_assert_eq!(stand_in(&id_of(&block, "toolResult").unwrap()), block);
            }
        }
        // A new repair of what is stored now is as good as if there had been none before.
        prop_assert!(is_valid(&values(&repaired(&now).1)));
    }

    #[test]
    fn edits_for_messages_that_are_gone_change_nothing(texts in conversation(), later in conversation()) {
        let edits = repaired(&texts).0.edits;
        let mut messages = stored(&later);
        for message in &mut messages {
            message.id += 1_000_000;
        }
        let applied = apply(&messages, &edits);
        prop_assert_eq!(applied.skipped.is_empty(), edits.is_empty());
        prop_assert_eq!(view_texts(&applied), later);
    }
}

//! From the pairing to edits and faults.

use super::pairing::{Message, Pairing};
use super::{Answer, Edit, Fault, FaultKind, Repair, SetAside, Source, Stored, Why};

/// Computes the edits that mend a conversation. `messages` are all stored messages of one agent in order, without the
/// edits of earlier repairs. Takes time linear in their text.
#[must_use]
pub fn repair(messages: &[Stored<'_>]) -> Repair {
    let pairing = Pairing::of(messages);
    let used = pairing.used_ids();
    let mut edits = Vec::new();
    for (position, message) in pairing.messages.iter().enumerate() {
        let blocks: Vec<_> = pairing.results[message.results.clone()]
            .iter()
            .filter(|result| result.answers.is_none())
            .map(|result| SetAside {
                block: result.block,
                tool_use_id: pairing.ids[result.id].clone(),
                why: if used[result.id] {
                    Why::Duplicate
                } else {
                    Why::Orphan
                },
            })
            .collect();
        let message = message.id;
        if !blocks.is_empty() {
            edits.push(Edit::SetAside { message, blocks });
        }
        if becomes_empty(&pairing, position) {
            edits.push(Edit::Hide { message });
        }
        edits.extend(answers(&pairing, position));
    }
    Repair {
        edits,
        unmendable: in_order(pairing.malformed),
    }
}

/// What is wrong with a conversation, in its order: first of all what [`repair`] mends, but also what it cannot mend.
#[must_use]
pub fn validate(messages: &[Stored<'_>]) -> Vec<Fault> {
    let pairing = Pairing::of(messages);
    let used = pairing.used_ids();
    let fault = |position: usize, block: usize, id: usize, kind| {
        let fault = Fault {
            message: pairing.messages[position].id,
            block: Some(block),
            tool_use_id: Some(pairing.ids[id].clone()),
            kind,
        };
        (position, fault)
    };
    let missing = pairing
        .uses
        .iter()
        .filter(|u| u.answer.is_none() && must_be_answered(&pairing, u.message))
        .map(|u| fault(u.message, u.block, u.id, FaultKind::MissingResult));
    let wrong = pairing.results.iter().filter_map(|result| {
        let kind = match result.answers {
            Some(tool_use) if in_place(&pairing, tool_use, result.message) => return None,
            Some(_) => FaultKind::MisplacedResult,
            None if used[result.id] => FaultKind::DuplicateResult,
            None => FaultKind::OrphanResult,
        };
        Some(fault(result.message, result.block, result.id, kind))
    });
    let mut faults: Vec<_> = missing.chain(wrong).collect();
    faults.extend(pairing.malformed.iter().cloned());
    in_order(faults)
}

/// The faults in the order of messages and blocks.
fn in_order(mut faults: Vec<(usize, Fault)>) -> Vec<Fault> {
    faults.sort_by_key(|(position, fault)| (*position, fault.block));
    faults.into_iter().map(|(_, fault)| fault).collect()
}

/// The edit that answers the uses of a message, if they are not answered well.
fn answers(pairing: &Pairing, position: usize) -> Option<Edit> {
    if !must_be_answered(pairing, position) || is_answered_well(pairing, position) {
        return None;
    }
    let message = &pairing.messages[position];
    let results = pairing.uses[message.uses.clone()].iter().map(|tool_use| {
        let source = tool_use.answer.map_or(Source::Interrupted, |result| {
            let result = &pairing.results[result];
            Source::Block {
                message: pairing.messages[result.message].id,
                block: result.block,
            }
        });
        Answer {
            tool_use_id: pairing.ids[tool_use.id].clone(),
            source,
        }
    });
    Some(Edit::Answer {
        uses: message.id,
        place: answering_message(pairing, position).map(|message| message.id),
        results: results.collect(),
    })
}

/// True unless the message has no uses, or it is the last one and nothing answers it: then the agent will.
fn must_be_answered(pairing: &Pairing, position: usize) -> bool {
    let uses = &pairing.uses[pairing.messages[position].uses.clone()];
    let last = position + 1 == pairing.messages.len();
    let answered = uses.iter().any(|tool_use| tool_use.answer.is_some());
    answered || !last && !uses.is_empty()
}

/// True if the next message has one result for each use and no others.
fn is_answered_well(pairing: &Pairing, position: usize) -> bool {
    let uses = pairing.messages[position].uses.clone();
    answering_message(pairing, position).is_some_and(|next| next.results.len() == uses.len())
        && uses.into_iter().all(|tool_use| {
            pairing.uses[tool_use]
                .answer
                .is_some_and(|result| in_place(pairing, tool_use, pairing.results[result].message))
        })
}

/// True if a result in the message at `position` is where an answer of `tool_use` belongs.
fn in_place(pairing: &Pairing, tool_use: usize, position: usize) -> bool {
    pairing.uses[tool_use].message + 1 == position && pairing.messages[position].may_answer
}

/// The stored message that holds the answers of a message's uses. None if one must be inserted.
fn answering_message(pairing: &Pairing, position: usize) -> Option<&Message> {
    pairing
        .messages
        .get(position + 1)
        .filter(|next| next.may_answer && (!next.results.is_empty() || next.blocks == 0))
}

/// True if all blocks of a message are results that go elsewhere, and none comes in.
fn becomes_empty(pairing: &Pairing, position: usize) -> bool {
    let message = &pairing.messages[position];
    let answers_previous = position > 0
        && must_be_answered(pairing, position - 1)
        && answering_message(pairing, position - 1).is_some();
    message.blocks > 0 && message.blocks == message.results.len() && !answers_previous
}

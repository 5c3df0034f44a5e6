//! Laying edits over stored messages.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::json::Json;

use super::scan::{self, Block, Parts};
use super::{Answer, Applied, Edit, Skipped, Source, Stored, ToolUseId, View};

/// The conversation with `edits` laid over it.
///
/// `messages` are all stored messages of the agent in order; those that were appended after the repair are shown as they
/// are. Each part of an edit is checked against the message as it is now: a result is taken away only from where
/// it still is. What does not fit any more is left as it is stored and told in [`Applied::skipped`], so an
/// edit never hides new text and never brings back a redacted one. A result that is gone is replaced by the error
/// result.
#[must_use]
pub fn apply<'a>(messages: &[Stored<'a>], edits: &[Edit]) -> Applied<'a> {
    let mut overlay = Overlay {
        stored: messages,
        by_id: Vec::new(),
        touched: HashMap::new(),
        inserted: HashMap::new(),
        skipped: Vec::new(),
        edit: 0,
    };
    if !edits.is_empty() {
        overlay.by_id = messages.iter().map(|m| m.id).zip(0..).collect();
        overlay.by_id.sort_by_key(|(id, _)| *id);
    }
    // A message is known to be empty only when all results are taken.
    let (hides, others): (Vec<_>, Vec<_>) = (0..)
        .zip(edits)
        .partition(|(_, edit)| matches!(edit, Edit::Hide { .. }));
    for (index, edit) in others.into_iter().chain(hides) {
        overlay.edit = index;
        match edit {
            Edit::Answer {
                uses,
                place,
                results,
            } => overlay.answer(*uses, *place, results),
            Edit::SetAside { message, blocks } => {
                for aside in blocks {
                    if overlay
                        .take(*message, aside.block, &aside.tool_use_id)
                        .is_none()
                    {
                        overlay.skip(*message, "the result to set aside is not there any more");
                    }
                }
            }
            Edit::Hide { message } => overlay.hide(*message),
        }
    }
    overlay.view()
}

struct Overlay<'a, 's> {
    stored: &'s [Stored<'a>],
    /// Id and position of each message, in the order of the ids.
    by_id: Vec<(u64, usize)>,
    /// The messages that some edit names, by position.
    touched: HashMap<usize, Touched<'a>>,
    /// The content of inserted messages, by the position of the message before.
    inserted: HashMap<usize, Vec<Cow<'a, str>>>,
    skipped: Vec<Skipped>,
    /// The index of the edit at work.
    edit: usize,
}

struct Touched<'a> {
    blocks: Vec<(Json<'a>, Block)>,
    /// The blocks that are not here any more.
    taken: Vec<bool>,
    /// New content before the blocks.
    answers: Vec<Cow<'a, str>>,
    may_answer: bool,
    hidden: bool,
}

impl<'a> Overlay<'a, '_> {
    fn skip(&mut self, message: u64, reason: &'static str) {
        let edit = self.edit;
        self.skipped.push(Skipped {
            edit,
            message,
            reason,
        });
    }

    /// Where the message is; of several with the same id, the last.
    fn position(&self, id: u64) -> Option<usize> {
        let behind = self.by_id.partition_point(|(other, _)| *other <= id);
        let (found, position) = *self.by_id.get(behind.checked_sub(1)?)?;
        (found == id).then_some(position)
    }

    fn touched(&mut self, position: usize) -> &mut Touched<'a> {
        let message = self.stored[position].message;
        self.touched.entry(position).or_insert_with(|| {
            let Parts { user, content, .. } = Parts::of(message);
            let blocks: Vec<_> = content
                .iter()
                .flat_map(|content| content.elements())
                .map(|json| (json, scan::block(json)))
                .collect();
            Touched {
                taken: vec![false; blocks.len()],
                blocks,
                answers: Vec::new(),
                may_answer: content.is_ok() && user,
                hidden: false,
            }
        })
    }

    /// Takes the result for `id` away from a block, if it is still there.
    fn take(&mut self, message: u64, block: usize, id: &ToolUseId) -> Option<&'a str> {
        let position = self.position(message)?;
        let touched = self.touched(position);
        let (json, Block::Result { id: found, .. }) = touched.blocks.get(block)? else {
            return None;
        };
        let taken = touched.taken.get_mut(block)?;
        if found != id || std::mem::replace(taken, true) {
            return None;
        }
        Some(json.text())
    }

    fn answer(&mut self, uses: u64, place: Option<u64>, results: &[Answer]) {
        let Some(position) = self.position(uses) else {
            return self.skip(uses, "the message with the tool uses is gone");
        };
        if self.inserted.contains_key(&position) || self.is_answered_in_place(position) {
            return self.skip(uses, "another edit answers this message");
        }
        let mut open: HashMap<ToolUseId, usize> = HashMap::new();
        for (_, block) in &self.touched(position).blocks {
            if let Block::Use(id) = block {
                *open.entry(id.clone()).or_default() += 1;
            }
        }
        let mut answers = Vec::new();
        for answer in results {
            let id = &answer.tool_use_id;
            match open.get_mut(id) {
                Some(count) if *count > 0 => *count -= 1,
                _ => {
                    self.skip(uses, "the tool use is gone: its result stays where it is");
                    continue;
                }
            }
            answers.push(self.text_of(id, answer.source));
        }
        if answers.is_empty() {
            return;
        }
        let target = place.and_then(|id| self.position(id));
        match (place, target) {
            (Some(_), Some(target))
                if target == position + 1 && self.touched(target).may_answer =>
            {
                self.touched(target).answers = answers;
                return;
            }
            (Some(place), _) => {
                self.skip(
                    place,
                    "it cannot hold the answers any more: a new message does",
                );
            }
            (None, _) => {}
        }
        self.inserted.insert(position, answers);
    }

    fn is_answered_in_place(&self, position: usize) -> bool {
        self.touched
            .get(&(position + 1))
            .is_some_and(|next| !next.answers.is_empty())
    }

    fn text_of(&mut self, id: &ToolUseId, source: Source) -> Cow<'a, str> {
        if let Source::Block { message, block } = source {
            if let Some(text) = self.take(message, block, id) {
                return Cow::Borrowed(text);
            }
            self.skip(
                message,
                "the result is gone: the error result stands for it",
            );
        }
        let mut out = String::new();
        scan::write_stand_in(id, &mut out);
        Cow::Owned(out)
    }

    fn hide(&mut self, message: u64) {
        let Some(position) = self.position(message) else {
            return self.skip(message, "the message to hide is gone");
        };
        let touched = self.touched(position);
        let empty = touched.answers.is_empty() && !touched.taken.is_empty();
        if empty && touched.taken.iter().all(|taken| *taken) {
            touched.hidden = true;
        } else {
            self.skip(message, "the message to hide is not empty: it is shown");
        }
    }

    fn view(mut self) -> Applied<'a> {
        let mut messages = Vec::with_capacity(self.stored.len() + self.inserted.len());
        for (position, stored) in self.stored.iter().enumerate() {
            let touched = self.touched.get(&position);
            if !touched.is_some_and(|touched| touched.hidden) {
                messages.push(View {
                    id: Some(stored.id),
                    text: touched
                        .and_then(|touched| touched.text(stored.message))
                        .map_or(Cow::Borrowed(stored.message.text()), Cow::Owned),
                });
            }
            if let Some(answers) = self.inserted.remove(&position) {
                let text = format!(r#"{{"role":"user","content":[{}]}}"#, answers.join(","));
                messages.push(View {
                    id: None,
                    text: Cow::Owned(text),
                });
            }
        }
        self.skipped.sort_by_key(|skipped| skipped.edit);
        Applied {
            messages,
            skipped: self.skipped,
        }
    }
}

impl Touched<'_> {
    /// The message with its new content. None if it is unchanged.
    fn text(&self, message: Json<'_>) -> Option<String> {
        if self.answers.is_empty() && !self.taken.contains(&true) {
            return None;
        }
        let kept = self.blocks.iter().zip(&self.taken);
        let kept = kept
            .filter(|(_, taken)| !**taken)
            .map(|((json, _), _)| json.text());
        let content: Vec<_> = self.answers.iter().map(AsRef::as_ref).chain(kept).collect();
        let content = format!("[{}]", content.join(","));
        // Of duplicate keys the last one counts.
        let replaced = message
            .members()
            .enumerate()
            .filter(|(_, (key, _))| key.is("content"))
            .last()?
            .0;
        let members: Vec<_> = message
            .members()
            .enumerate()
            .map(|(index, (key, value))| {
                let value = if index == replaced {
                    content.as_str()
                } else {
                    value.text()
                };
                format!("{}:{value}", key.text())
            })
            .collect();
        Some(format!("{{{}}}", members.join(",")))
    }
}

//! What the model sees of a conversation: redactions, window, summary and repair applied.

use std::collections::HashSet;

use crate::history::{self, Edit, Fault, Repair, Stored};
use crate::json::Json;
use crate::session::{Committed, Session};
use crate::state::{Agent, Document, Message};
use crate::view::View;
use crate::{Error, Result};

/// The id that the summary of a window has in a repair; no stored message has it.
const SUMMARY: u64 = u64::MAX;

/// What an agent's conversation manager keeps back: how many messages its window left behind, and what stands in
/// front of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// How many messages, counted from the first stored one, are not shown any more.
    pub removed: usize,
    /// A message that sums them up.
    pub summary: Option<String>,
}

impl Window {
    /// Reads the window from an agent's record: `removed_message_count` and `summary_message` of its
    /// `conversation_manager_state`. What is missing or strange counts as no window.
    #[must_use]
    pub fn of_record(record: &str) -> Self {
        let state = Json::parse(record)
            .ok()
            .and_then(|r| r.get("conversation_manager_state"));
        let field = |name: &str| state.and_then(|state| state.get(name));
        let removed = field("removed_message_count")
            .and_then(Json::as_u64)
            .unwrap_or(0);
        let summary = field("summary_message").filter(|summary| !summary.is_null());
        Self {
            removed: usize::try_from(removed).unwrap_or(usize::MAX),
            summary: summary.map(Json::minified),
        }
    }
}

/// What the model sees: the messages behind the window, the summary in front, redacted ones replaced, broken tool
/// histories mended. `edits` is the last repair that was stored; where it does not mend what is there now, a fresh
/// one does.
///
/// Pure. `messages` are the effective texts of all stored messages with their ids, in order.
#[must_use]
pub fn effective(messages: &[(u64, String)], window: &Window, edits: &[Edit]) -> Vec<String> {
    let all = stored(messages);
    let shown = all.get(window.removed..).unwrap_or_default();
    let summary = window
        .summary
        .as_deref()
        .and_then(|text| Json::parse(text).ok());
    if !edits.is_empty() {
        // An edit may take a result from before the window, so edits come first and the window second.
        let texts = summary.iter().map(|summary| summary.text().to_owned());
        let texts: Vec<_> = texts.chain(behind(&all, shown, edits)).collect();
        if is_sound(&texts) {
            return texts;
        }
    }
    let summary = summary.map(|message| Stored {
        id: SUMMARY,
        message,
    });
    let seen: Vec<_> = summary.into_iter().chain(shown.iter().copied()).collect();
    let fresh = history::repair(&seen);
    let applied = history::apply(&seen, &fresh.edits).messages;
    applied
        .into_iter()
        .map(|view| view.text.into_owned())
        .collect()
}

/// The edited conversation from the first of the `shown` messages on.
fn behind(all: &[Stored<'_>], shown: &[Stored<'_>], edits: &[Edit]) -> Vec<String> {
    let ids: HashSet<u64> = shown.iter().map(|message| message.id).collect();
    let applied = history::apply(all, edits).messages;
    let is_hidden = |view: &history::View<'_>| !view.id.is_some_and(|id| ids.contains(&id));
    applied
        .into_iter()
        .skip_while(is_hidden)
        .map(|view| view.text.into_owned())
        .collect()
}

/// Whether nothing in a conversation could be mended.
fn is_sound(texts: &[String]) -> bool {
    let stored: Vec<Stored<'_>> = (0..)
        .zip(texts)
        .filter_map(|(id, text)| {
            Some(Stored {
                id,
                message: Json::parse(text).ok()?,
            })
        })
        .collect();
    history::repair(&stored).edits.is_empty()
}

impl View {
    /// What the model would see of an agent's conversation: see [`effective`].
    pub fn effective(&self, agent: &str) -> Result<Vec<String>> {
        let messages = self.texts(agent)?;
        let agent = self.state()?.agent(agent);
        let record = agent.and_then(Agent::record).map(Document::text);
        let window = record
            .map(|record| Window::of_record(&record))
            .unwrap_or_default();
        let edits = agent
            .and_then(|agent| agent.repair())
            .map(|(_, edits)| edits_of(edits));
        Ok(effective(&messages, &window, &edits.unwrap_or_default()))
    }

    /// The faults of an agent's conversation as it is stored: tool uses and results that do not fit.
    pub fn history_faults(&self, agent: &str) -> Result<Vec<Fault>> {
        let messages = self.texts(agent)?;
        Ok(history::validate(&stored(&messages)))
    }

    /// The edits that would mend an agent's conversation.
    pub fn history_repair(&self, agent: &str) -> Result<Repair> {
        let messages = self.texts(agent)?;
        Ok(history::repair(&stored(&messages)))
    }

    /// Id and effective text of every message.
    fn texts(&self, agent: &str) -> Result<Vec<(u64, String)>> {
        let text = |message: Result<Message>| message.map(|m| (m.id(), m.text().into_owned()));
        self.messages(agent)?.map(text).collect()
    }
}

impl Session {
    /// Mends an agent's broken tool history: the edits are written as an event that overlays the stored messages,
    /// which stay as they are. Writes nothing if the edits that are stored already are the same.
    ///
    /// Errors: [`Error::NotFound`] if there is no such agent.
    pub fn repair_history(&self, agent: &str) -> Result<(Committed, Repair)> {
        let view = self.read()?;
        let repair = view.history_repair(agent)?;
        let edits = history::edits_to_json(&repair.edits);
        let stored = view
            .state()?
            .agent(agent)
            .and_then(|a| a.repair())
            .map(|(_, edits)| edits);
        let is_new = match stored {
            Some(stored) => edits_of(stored) != repair.edits,
            None => !repair.edits.is_empty(),
        };
        if !is_new {
            let version = view.version();
            return Ok((
                Committed {
                    version,
                    message_id: 0,
                    changed: false,
                },
                repair,
            ));
        }
        let batch = self.batch().repair_history(agent, &edits)?;
        match batch.expect_version(view.version()).commit() {
            Err(Error::VersionConflict { .. }) => self.repair_history(agent),
            done => Ok((done?, repair)),
        }
    }
}

fn stored(messages: &[(u64, String)]) -> Vec<Stored<'_>> {
    messages
        .iter()
        .filter_map(|(id, text)| {
            Some(Stored {
                id: *id,
                message: Json::parse(text).ok()?,
            })
        })
        .collect()
}

/// Stored edits; none where they cannot be read, so that a fresh repair decides.
fn edits_of(text: &str) -> Vec<Edit> {
    Json::parse(text)
        .ok()
        .and_then(|json| history::edits_from_json(json).ok())
        .unwrap_or_default()
}

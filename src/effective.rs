//! What the model sees of a conversation: redactions, window, summary and repair applied.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::history::{self, Edit, Fault, Repair, Stored};
use crate::json::{Json, Kind};
use crate::messages::Messages;
use crate::session::{Committed, Session};
use crate::state::{Agent, Document, Message};
use crate::view::View;
use crate::{Error, Result};

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
        state.map_or_else(Self::default, Self::of_state)
    }

    /// Reads the window from a `conversation_manager_state`.
    pub(crate) fn of_state(state: Json<'_>) -> Self {
        let removed = state.get("removed_message_count").and_then(Json::as_u64);
        // Python takes an empty object for no summary.
        let summary = state
            .get("summary_message")
            .filter(|summary| summary.kind() == Kind::Object && summary.members().next().is_some());
        Self {
            removed: usize::try_from(removed.unwrap_or(0)).unwrap_or(usize::MAX),
            summary: summary.map(Json::minified),
        }
    }
}

/// One message that the model sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where it comes from.
    pub origin: Origin,
    /// The message as JSON text.
    pub text: String,
}

/// Where a message that the model sees comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The stored message with this id; a repair may have changed its content.
    Stored(u64),
    /// The summary of the messages before the window.
    Summary,
    /// A repair inserted it.
    Inserted,
}

/// What the model sees: the messages behind the window, the summary in front, redacted ones replaced, broken tool
/// histories mended. `edits` is the last repair that was stored; where it does not mend what is there now, a fresh
/// one does.
///
/// Pure. `messages` are the stored messages with their ids, in order: JSON texts, redacted ones replaced already. They
/// are all of the agent's, from the first on, or those behind the window if `window.removed` is 0.
#[must_use]
pub fn effective(messages: Vec<(u64, String)>, window: &Window, edits: &[Edit]) -> Vec<Shown> {
    if !edits.is_empty() {
        // An edit may take a result from before the window, so edits come first and the window second.
        let all = stored(&messages);
        let shown = laid_over(&all, window, edits);
        if is_sound(&shown) {
            return shown;
        }
        let shown = laid_over(&all, window, &history::repair(&all).edits);
        if is_sound(&shown) {
            return shown;
        }
    }
    let summary = window.summary.iter().cloned();
    let summary = summary.map(|text| Shown {
        origin: Origin::Summary,
        text,
    });
    let behind = messages.into_iter().skip(window.removed);
    let behind = behind.map(|(id, text)| Shown {
        origin: Origin::Stored(id),
        text,
    });
    mended(summary.chain(behind).collect())
}

/// The messages with a fresh repair of just these.
fn mended(mut messages: Vec<Shown>) -> Vec<Shown> {
    // Positions stand for ids: a summary has none.
    let by_position = by_position(&messages);
    let edits = history::repair(&by_position).edits;
    if edits.is_empty() {
        return messages;
    }
    let views = history::apply(&by_position, &edits).messages;
    let views: Vec<(Option<u64>, Option<String>)> = views
        .into_iter()
        .map(|view| match view.text {
            Cow::Borrowed(_) => (view.id, None),
            Cow::Owned(text) => (view.id, Some(text)),
        })
        .collect();
    let mut shown = Vec::with_capacity(views.len());
    for (position, changed) in views {
        let original = position.and_then(|at| messages.get_mut(at as usize));
        let (origin, text) = original.map_or((Origin::Inserted, String::new()), |original| {
            (original.origin, std::mem::take(&mut original.text))
        });
        let text = changed.unwrap_or(text);
        shown.push(Shown { origin, text });
    }
    shown
}

/// The summary, and the edited conversation from the first message behind the window on.
fn laid_over(all: &[Stored<'_>], window: &Window, edits: &[Edit]) -> Vec<Shown> {
    let behind = all.get(window.removed..).unwrap_or_default();
    let ids: HashSet<u64> = behind.iter().map(|message| message.id).collect();
    let applied = history::apply(all, edits).messages;
    let is_hidden = |view: &history::View<'_>| !view.id.is_some_and(|id| ids.contains(&id));
    let edited = applied.into_iter().skip_while(is_hidden).map(|view| Shown {
        origin: view.id.map_or(Origin::Inserted, Origin::Stored),
        text: view.text.into_owned(),
    });
    let summary = window.summary.iter().cloned();
    let summary = summary.map(|text| Shown {
        origin: Origin::Summary,
        text,
    });
    summary.chain(edited).collect()
}

/// Whether nothing in a conversation could be mended.
fn is_sound(shown: &[Shown]) -> bool {
    history::repair(&by_position(shown)).edits.is_empty()
}

fn by_position(shown: &[Shown]) -> Vec<Stored<'_>> {
    let texts = shown.iter().map(|shown| shown.text.as_str());
    Stored::around_tools((0..).zip(texts))
}

impl View {
    /// What the model would see of an agent's conversation: see [`effective`].
    pub fn effective(&self, agent: &str) -> Result<Vec<String>> {
        let shown = self.effective_messages(agent)?;
        Ok(shown.into_iter().map(|shown| shown.text).collect())
    }

    /// As [`View::effective`], and where each message comes from.
    pub fn effective_messages(&self, id: &str) -> Result<Vec<Shown>> {
        // The replay for the state finds the messages too.
        let agent = self.state()?.agent(id);
        let messages = self.messages(id)?;
        let record = agent.and_then(Agent::record).map(Document::text);
        let mut window = record
            .map(|record| Window::of_record(&record))
            .unwrap_or_default();
        let edits = agent.map(Agent::edits).unwrap_or_default();
        if edits.is_empty() {
            // Nothing needs what is before the window.
            let behind = texts(messages.window(window.removed, None))?;
            window.removed = 0;
            return Ok(effective(behind, &window, &[]));
        }
        let all = texts(messages)?;
        // Positions count lost messages too, which `all` does not have.
        let first = self.content()?.index.agent(id).get(window.removed);
        window.removed = first.map_or(all.len(), |first| {
            all.partition_point(|(id, _)| *id < first.id)
        });
        Ok(effective(all, &window, &edits))
    }

    /// The faults of an agent's conversation as it is stored: tool uses and results that do not fit.
    pub fn history_faults(&self, agent: &str) -> Result<Vec<Fault>> {
        let messages = texts(self.messages(agent)?)?;
        Ok(history::validate(&stored(&messages)))
    }

    /// The edits that would mend an agent's conversation.
    pub fn history_repair(&self, agent: &str) -> Result<Repair> {
        let messages = texts(self.messages(agent)?)?;
        Ok(history::repair(&stored(&messages)))
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
        let stored = view.state()?.agent(agent).map(Agent::edits);
        if stored.unwrap_or_default() == repair.edits {
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

impl Agent {
    /// The edits of the last history repair; none where they cannot be read, so that a fresh repair decides.
    pub(crate) fn edits(&self) -> Vec<Edit> {
        let edits = self.repair().and_then(|(_, edits)| {
            let json = Json::parse(edits).ok()?;
            history::edits_from_json(json).ok()
        });
        edits.unwrap_or_default()
    }
}

/// Id and effective text of each message.
fn texts(messages: Messages) -> Result<Vec<(u64, String)>> {
    let text = |message: Result<Message>| message.map(|m| (m.id(), m.into_text()));
    messages.map(text).collect()
}

fn stored(messages: &[(u64, String)]) -> Vec<Stored<'_>> {
    let stored = messages.iter().map(|(id, text)| Stored {
        id: *id,
        message: parsed(text),
    });
    stored.collect()
}

/// A message that is not JSON counts as one without content, so that it keeps its place.
fn parsed(text: &str) -> Json<'_> {
    Json::parse(text).unwrap_or(Json::NULL)
}

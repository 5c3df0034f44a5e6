//! Replay: folding events into state. Pure: no I/O.

mod document;
mod ids;
mod index;
mod message;
pub(crate) mod patch;
mod recent;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Version;
use crate::event::{Event, EventKind, Form, REDACTED};
use crate::log::Replayed;

pub use document::Document;
pub(crate) use document::keep_updated_at;
pub(crate) use ids::IdSet;
pub(crate) use index::{Entry, Index};
pub use message::Message;
pub(crate) use message::is_message_file;
pub(crate) use recent::{Recent, Seen};

/// What a session is at one version: everything but its messages, so that it is small however long the
/// conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: Version,
    time_us: u64,
    session_id: Option<Arc<str>>,
    session: Option<Document>,
    agents: BTreeMap<Arc<str>, Arc<Agent>>,
    multi_agents: BTreeMap<Arc<str>, Arc<Document>>,
    unknown_events: u64,
    lost: Vec<(Version, Version)>,
}

/// An agent at one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    record: Option<Arc<Document>>,
    ids: IdSet,
    redacted: IdSet,
    /// How many of this agent's messages may be among lost events that came after its last known one.
    maybe_lost: u64,
    repair: Option<(Version, Arc<str>)>,
}

impl Agent {
    /// The agent's record; `None` if the event that created it was lost to damage.
    #[must_use]
    pub fn record(&self) -> Option<&Document> {
        self.record.as_deref()
    }

    /// How many messages the agent has.
    #[must_use]
    pub fn message_count(&self) -> u64 {
        self.ids.len()
    }

    /// The id that the next message gets: above every id that was ever given out, whatever a window removed.
    #[must_use]
    pub fn next_message_id(&self) -> u64 {
        self.ids
            .last()
            .map_or(0, |last| last.saturating_add(1))
            .saturating_add(self.maybe_lost)
    }

    /// Whether the agent has a message with this id.
    #[must_use]
    pub fn has_message(&self, id: u64) -> bool {
        self.ids.contains(id)
    }

    /// Whether that message is redacted.
    #[must_use]
    pub fn is_redacted(&self, id: u64) -> bool {
        self.redacted.contains(id)
    }

    /// The last history repair: its version, and its edits as JSON text.
    #[must_use]
    pub fn repair(&self) -> Option<(Version, &str)> {
        self.repair
            .as_ref()
            .map(|(version, edits)| (*version, edits.as_ref()))
    }

    fn added(&mut self, id: u64, redacted: bool) {
        if self.ids.last().is_none_or(|last| id > last) {
            self.maybe_lost = 0;
        }
        self.ids.insert(id);
        if redacted {
            self.redacted.insert(id);
        }
    }
}

impl State {
    /// The version of the last event, lost ones included.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// When the last commit was written, in microseconds since 1970.
    #[must_use]
    pub fn time_us(&self) -> u64 {
        self.time_us
    }

    /// The session's id, as its first event has it; `None` if that event was lost.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// The session's record.
    #[must_use]
    pub fn session(&self) -> Option<&Document> {
        self.session.as_ref()
    }

    /// The agents by id.
    pub fn agents(&self) -> impl Iterator<Item = (&str, &Agent)> {
        self.agents
            .iter()
            .map(|(id, agent)| (id.as_ref(), agent.as_ref()))
    }

    /// One agent.
    #[must_use]
    pub fn agent(&self, id: &str) -> Option<&Agent> {
        self.agents.get(id).map(Arc::as_ref)
    }

    /// The multi-agents by id.
    pub fn multi_agents(&self) -> impl Iterator<Item = (&str, &Document)> {
        self.multi_agents
            .iter()
            .map(|(id, object)| (id.as_ref(), object.as_ref()))
    }

    /// One multi-agent's object.
    #[must_use]
    pub fn multi_agent(&self, id: &str) -> Option<&Document> {
        self.multi_agents.get(id).map(Arc::as_ref)
    }

    /// How many events are of a kind that this program does not know.
    #[must_use]
    pub fn unknown_events(&self) -> u64 {
        self.unknown_events
    }

    /// The lost ranges of versions, first and last.
    #[must_use]
    pub fn lost(&self) -> &[(Version, Version)] {
        &self.lost
    }

    pub(crate) fn apply(&mut self, item: &Replayed<'_>) {
        match item {
            Replayed::Event(event) => self.event(event),
            Replayed::PayloadLost(event) => self.payload_lost(event),
            Replayed::Lost { first, last } => self.lose(*first, *last),
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        self.version = event.version;
        self.time_us = event.time_us;
        let document =
            || Document::new(event.payload, event.form, event.time_us).with_extra(event.extra);
        match event.kind {
            EventKind::SessionCreated => {
                self.session_id = Some(event.subject.into());
                self.session = Some(document());
            }
            EventKind::SessionUpdated => self.session = Some(document()),
            EventKind::AgentCreated => {
                self.agent_mut(event.subject).record = Some(Arc::new(document()));
            }
            EventKind::AgentSynced => {
                let record = &mut self.agent_mut(event.subject).record;
                sync(record, event);
            }
            EventKind::MultiAgentCreated => {
                self.multi_agents
                    .insert(event.subject.into(), Arc::new(document()));
            }
            EventKind::MultiAgentSynced => {
                let mut object = self.multi_agents.remove(event.subject);
                sync(&mut object, event);
                if let Some(object) = object {
                    self.multi_agents.insert(event.subject.into(), object);
                }
            }
            EventKind::MessageAdded | EventKind::MessageUpdated => {
                let redacted = event.flags & REDACTED != 0;
                self.agent_mut(event.subject)
                    .added(event.message_id, redacted);
            }
            EventKind::MessageRedacted => {
                self.agent_mut(event.subject).added(event.message_id, true);
            }
            EventKind::HistoryRepaired => {
                let repair = Some((event.version, event.payload.into()));
                self.agent_mut(event.subject).repair = repair;
            }
            EventKind::Unknown(_) => self.unknown_events += 1,
        }
    }

    /// The envelope says what was lost: ids stay given out, a redaction stays a redaction.
    fn payload_lost(&mut self, event: &Event<'_>) {
        self.version = event.version;
        self.lost.push((event.version, event.version));
        match event.kind {
            EventKind::SessionCreated => self.session_id = Some(event.subject.into()),
            EventKind::AgentCreated | EventKind::AgentSynced => {
                if let Some(record) = &mut self.agent_mut(event.subject).record {
                    Arc::make_mut(record).lose();
                }
            }
            EventKind::MultiAgentSynced => {
                if let Some(object) = self.multi_agents.get_mut(event.subject) {
                    Arc::make_mut(object).lose();
                }
            }
            EventKind::MessageAdded | EventKind::MessageUpdated => {
                let redacted = event.flags & REDACTED != 0;
                self.agent_mut(event.subject)
                    .added(event.message_id, redacted);
            }
            EventKind::MessageRedacted => {
                self.agent_mut(event.subject).added(event.message_id, true);
            }
            _ => {}
        }
    }

    fn lose(&mut self, first: Version, last: Version) {
        self.version = self.version.max(last);
        self.lost.push((first, last));
        let count = last.0.saturating_sub(first.0).saturating_add(1);
        for agent in self.agents.values_mut() {
            let agent = Arc::make_mut(agent);
            agent.maybe_lost = agent.maybe_lost.saturating_add(count);
            if let Some(record) = &mut agent.record {
                Arc::make_mut(record).lose();
            }
        }
        for object in self.multi_agents.values_mut() {
            Arc::make_mut(object).lose();
        }
    }

    fn agent_mut(&mut self, id: &str) -> &mut Agent {
        let key = self
            .agents
            .get_key_value(id)
            .map_or_else(|| id.into(), |(key, _)| Arc::clone(key));
        Arc::make_mut(self.agents.entry(key).or_default())
    }
}

/// Applies a synced event to a record that may have been lost.
fn sync(record: &mut Option<Arc<Document>>, event: &Event<'_>) {
    match record {
        Some(record) => {
            Arc::make_mut(record).sync(event.payload, event.form, event.time_us);
        }
        None if event.form == Form::Plain => {}
        None => {
            *record = Some(Arc::new(Document::new(
                event.payload,
                event.form,
                event.time_us,
            )));
        }
    }
}

//! The fold in reverse: an agent's last messages, exact about redactions and updates, because on the way back
//! each of them is met before the message that it is about.

use std::collections::HashMap;

use crate::Version;
use crate::event::{Event, EventKind, Form, OUT_OF_ORDER, REDACTED};
use crate::log::Replayed;

use super::Message;

/// Collects the last messages of one agent from events in reverse order.
#[derive(Debug)]
pub(crate) struct Recent<'q> {
    agent: &'q str,
    wanted: usize,
    /// The newest first.
    found: Vec<Message>,
    redactions: HashMap<u64, (u64, String)>,
    updates: HashMap<u64, Update>,
    /// The first version of the last lost range.
    lost_from: Option<Version>,
    /// Whether the agent was met at all.
    is_known: bool,
}

#[derive(Debug)]
struct Update {
    version: Version,
    form: Form,
    /// Whether it brings a redaction of its own, which stands above the older ones.
    redacted: bool,
    /// `None` if it was lost.
    payload: Option<String>,
}

/// What one more event on the way back means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// More is wanted.
    More,
    /// All that was wanted is found.
    Enough,
    /// The messages are not in the order of the log, so the last of them cannot be found this way.
    OutOfOrder,
}

impl<'q> Recent<'q> {
    /// Looks for the last `wanted` messages of `agent`.
    pub(crate) fn new(agent: &'q str, wanted: usize) -> Self {
        Self {
            agent,
            wanted,
            found: Vec::new(),
            redactions: HashMap::new(),
            updates: HashMap::new(),
            lost_from: None,
            is_known: false,
        }
    }

    /// Takes the event before the last one that was taken.
    pub(crate) fn take(&mut self, item: &Replayed<'_>) -> Seen {
        match item {
            Replayed::Event(event) => self.event(event, Some(event.payload)),
            Replayed::PayloadLost(event) => self.event(event, None),
            Replayed::Lost { first, .. } => {
                self.lost_from.get_or_insert(*first);
                Seen::More
            }
        }
    }

    /// The messages, the oldest first; `None` if there is no such agent.
    pub(crate) fn finish(mut self) -> Option<Vec<Message>> {
        self.found.reverse();
        self.is_known.then_some(self.found)
    }

    fn event(&mut self, event: &Event<'_>, payload: Option<&str>) -> Seen {
        if event.subject != self.agent {
            return Seen::More;
        }
        let id = event.message_id;
        match event.kind {
            EventKind::MessageRedacted if self.updates.get(&id).is_some_and(|u| u.redacted) => {}
            EventKind::MessageRedacted => {
                let text = payload.unwrap_or_default().to_owned();
                self.redactions.entry(id).or_insert((event.time_us, text));
            }
            EventKind::MessageUpdated => {
                let payload = payload.map(str::to_owned);
                let update = Update {
                    version: event.version,
                    form: event.form,
                    redacted: event.flags & REDACTED != 0,
                    payload,
                };
                self.updates.entry(id).or_insert(update);
            }
            EventKind::MessageAdded if event.flags & OUT_OF_ORDER != 0 => return Seen::OutOfOrder,
            EventKind::MessageAdded => self.message(event, payload),
            EventKind::AgentCreated | EventKind::AgentSynced | EventKind::HistoryRepaired => {}
            _ => return Seen::More,
        }
        self.is_known = true;
        if self.found.len() >= self.wanted {
            Seen::Enough
        } else {
            Seen::More
        }
    }

    fn message(&mut self, event: &Event<'_>, payload: Option<&str>) {
        let redaction = self.redactions.remove(&event.message_id);
        let (version, form, payload) = match self.updates.remove(&event.message_id) {
            Some(update) => (update.version, update.form, update.payload),
            None => (event.version, event.form, payload.map(str::to_owned)),
        };
        let (form, payload) = match payload {
            Some(payload) => (form, payload),
            None if redaction.is_some() => (Form::Plain, "null".to_owned()),
            None => return,
        };
        let lost = self.lost_from.is_some_and(|lost| version < lost);
        self.found.push(Message {
            id: event.message_id,
            version,
            created_us: event.time_us,
            form,
            payload,
            redaction_unknown: redaction.is_none() && lost,
            redaction,
            name: (!event.extra.is_empty()).then(|| event.extra.into()),
        });
    }
}

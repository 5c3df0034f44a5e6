//! Where an agent's messages are: the fold that a conversation is read through.

use std::collections::BTreeMap;

use crate::event::{Event, EventKind, Form, Place, REDACTED};
use crate::log::Replayed;
use crate::{Result, Version};

/// The messages of every agent, in the order of their ids. `P` is what is kept of a payload: where it is, or its text.
#[derive(Clone, Debug)]
pub(crate) struct Index<P = Place> {
    agents: BTreeMap<String, Vec<Entry<P>>>,
    /// The first version of the last lost range: a redaction of any earlier message may be in it.
    lost_from: Version,
    /// How many messages an agent is given room for at first.
    room: usize,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<P = Place> {
    pub(crate) id: u64,
    /// The version of the event that added it, or last replaced it.
    pub(crate) version: Version,
    /// When it was added.
    pub(crate) created_us: u64,
    pub(crate) form: Form,
    /// Its text; `None` if it was lost.
    pub(crate) payload: Option<P>,
    pub(crate) redaction: Option<Box<Redaction<P>>>,
    /// The name of its file, if that is not the usual one.
    pub(crate) name: Option<Box<str>>,
}

/// A redaction of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redaction<P = Place> {
    pub(crate) time_us: u64,
    /// The replacement; `None` if it was lost.
    pub(crate) payload: Option<P>,
}

impl<P> Entry<P> {
    /// The entry with its payloads read.
    pub(crate) fn read(&self, mut read: impl FnMut(&P) -> Result<String>) -> Result<Entry<String>> {
        let redaction = match self.redaction.as_deref() {
            Some(redaction) => Some(Box::new(Redaction {
                time_us: redaction.time_us,
                payload: redaction.payload.as_ref().map(&mut read).transpose()?,
            })),
            None => None,
        };
        Ok(Entry {
            id: self.id,
            version: self.version,
            created_us: self.created_us,
            form: self.form,
            payload: self.payload.as_ref().map(&mut read).transpose()?,
            redaction,
            name: self.name.clone(),
        })
    }
}

impl<P> Default for Index<P> {
    fn default() -> Self {
        Self {
            agents: BTreeMap::new(),
            lost_from: Version::ZERO,
            room: 0,
        }
    }
}

impl<P> Index<P> {
    /// An empty index with room for so many messages of each agent: one that grows holds some of it twice meanwhile.
    pub(crate) fn with_room(room: usize) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    /// The messages of an agent, in the order of their ids.
    pub(crate) fn agent(&self, id: &str) -> &[Entry<P>] {
        self.agents.get(id).map_or(&[], Vec::as_slice)
    }

    /// Whether a redaction of this message may have been lost.
    pub(crate) fn redaction_unknown(&self, entry: &Entry<P>) -> bool {
        entry.redaction.is_none() && entry.version < self.lost_from
    }

    /// Takes the next event; `keep` says what is kept of a payload.
    pub(crate) fn apply(&mut self, item: &Replayed<'_>, keep: impl FnOnce(&Event<'_>) -> P) {
        match item {
            Replayed::Event(event) => self.event(event, || Some(keep(event))),
            Replayed::PayloadLost(event) => self.event(event, || None),
            Replayed::Lost { first, .. } => self.lost_from = *first,
        }
    }

    fn event(&mut self, event: &Event<'_>, payload: impl FnOnce() -> Option<P>) {
        if !matches!(
            event.kind,
            EventKind::MessageAdded | EventKind::MessageUpdated | EventKind::MessageRedacted
        ) {
            return;
        }
        if !self.agents.contains_key(event.subject) {
            let entries = Vec::with_capacity(self.room);
            self.agents.insert(event.subject.to_owned(), entries);
        }
        let Some(entries) = self.agents.get_mut(event.subject) else {
            return;
        };
        let entry = entry_mut(entries, event);
        if event.kind == EventKind::MessageRedacted {
            entry.redaction = Some(Box::new(Redaction {
                time_us: event.time_us,
                payload: payload(),
            }));
        } else {
            (entry.version, entry.form, entry.payload) = (event.version, event.form, payload());
            if event.flags & REDACTED != 0 {
                // The new record brings a redaction of its own, which is the newer one.
                entry.redaction = None;
            }
        }
    }
}

/// The entry of the event's message, made if it is new.
fn entry_mut<'e, P>(entries: &'e mut Vec<Entry<P>>, event: &Event<'_>) -> &'e mut Entry<P> {
    let id = event.message_id;
    let at = match entries.last() {
        Some(last) if last.id >= id => entries.partition_point(|e| e.id < id),
        _ => entries.len(),
    };
    if entries.get(at).is_none_or(|e| e.id != id) {
        let entry = Entry {
            id,
            version: event.version,
            created_us: event.time_us,
            form: event.form,
            payload: None,
            redaction: None,
            name: (!event.extra.is_empty()).then(|| event.extra.into()),
        };
        entries.insert(at, entry);
    }
    &mut entries[at]
}

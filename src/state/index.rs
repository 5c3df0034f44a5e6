//! Where an agent's messages are: the fold that a conversation is read through.

use std::collections::BTreeMap;

use crate::Version;
use crate::event::{Event, EventKind, Form, Place, REDACTED};
use crate::log::Replayed;

/// The messages of every agent, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    agents: BTreeMap<String, Vec<Entry>>,
    /// The first version of the last lost range: a redaction of any earlier message may be in it.
    lost_from: Version,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// The version of the event that added it, or last replaced it.
    pub(crate) version: Version,
    /// When it was added.
    pub(crate) created_us: u64,
    pub(crate) form: Form,
    /// Where its text is; `None` if it was lost.
    pub(crate) place: Option<Place>,
    pub(crate) redaction: Option<Box<Redaction>>,
    /// The name of its file, if that is not the usual one.
    pub(crate) name: Option<Box<str>>,
}

/// A redaction of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redaction {
    pub(crate) time_us: u64,
    /// Where the replacement is; `None` if it was lost.
    pub(crate) place: Option<Place>,
}

impl Index {
    /// The messages of an agent, in the order of their ids.
    pub(crate) fn agent(&self, id: &str) -> &[Entry] {
        self.agents.get(id).map_or(&[], Vec::as_slice)
    }

    /// Whether a redaction of this message may have been lost.
    pub(crate) fn redaction_unknown(&self, entry: &Entry) -> bool {
        entry.redaction.is_none() && entry.version < self.lost_from
    }

    pub(crate) fn apply(&mut self, item: &Replayed<'_>) {
        match item {
            Replayed::Event(event) => self.event(event, Some(event.place)),
            Replayed::PayloadLost(event) => self.event(event, None),
            Replayed::Lost { first, .. } => self.lost_from = *first,
        }
    }

    fn event(&mut self, event: &Event<'_>, place: Option<Place>) {
        if !matches!(
            event.kind,
            EventKind::MessageAdded | EventKind::MessageUpdated | EventKind::MessageRedacted
        ) {
            return;
        }
        if !self.agents.contains_key(event.subject) {
            self.agents.insert(event.subject.to_owned(), Vec::new());
        }
        let Some(entries) = self.agents.get_mut(event.subject) else {
            return;
        };
        let entry = entry_mut(entries, event);
        if event.kind == EventKind::MessageRedacted {
            entry.redaction = Some(Box::new(Redaction {
                time_us: event.time_us,
                place,
            }));
        } else {
            (entry.version, entry.form, entry.place) = (event.version, event.form, place);
            if event.flags & REDACTED != 0 {
                // The new record brings a redaction of its own, which is the newer one.
                entry.redaction = None;
            }
        }
    }
}

/// The entry of the event's message, made if it is new.
fn entry_mut<'e>(entries: &'e mut Vec<Entry>, event: &Event<'_>) -> &'e mut Entry {
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
            place: None,
            redaction: None,
            name: (!event.extra.is_empty()).then(|| event.extra.into()),
        };
        entries.insert(at, entry);
    }
    &mut entries[at]
}

//! Restoring an agent.

use std::sync::{Arc, Mutex};

use crate::effective::{Shown, Window, effective};
use crate::json::Json;
use crate::repository::{AgentRecord, MessageList, MessageRecord, Unreadable};
use crate::session::AgentSync;
use crate::{Error, Result};

use super::agent::Tracked;
use super::window::{HandedOut, with_removed};
use super::{SessionManager, guard};

/// An agent as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Whether the agent is new: it was created just now, and there are no messages of it.
    pub is_new: bool,
    /// What the model sees: the messages behind the window, the summary in front, redacted ones replaced, broken tool
    /// histories mended. See [`effective`].
    pub messages: Vec<Shown>,
    /// The agent's record: its state, its conversation manager's state, interrupts and model state.
    pub record: AgentRecord,
    /// The id that the next message gets.
    pub next_message_id: u64,
    /// Stored messages that cannot be read. They are not among `messages`; nothing overwrites them.
    pub unreadable: Vec<Unreadable>,
}

impl SessionManager {
    /// Restores an agent as it was left, or creates it with these parts. It comes before everything else that is done to
    /// the agent, and may come again: to go on after another writer was at it.
    ///
    /// Messages whose agent record was lost are still the agent's. A `removed_message_count` above the number of stored
    /// messages is set right, or it would hide those that come next: the reference counts messages too that its repair
    /// made up.
    pub fn initialize(&self, agent_id: &str, parts: AgentSync<'_>) -> Result<Restored> {
        let (session, repository) = (&*self.session_id, &*self.repository);
        let (mut record, is_created) = self.read_or_create(agent_id, parts)?;
        let mut window = window_of(&record);
        let edits = repository.history_edits(session, agent_id)?;
        // Edits may name messages before the window; without edits nothing does.
        let first = if edits.is_empty() { window.removed } else { 0 };
        let offset = i64::try_from(first).unwrap_or(i64::MAX);
        let list = repository.list_messages(session, agent_id, None, offset)?;
        let mut end = (first as u64).saturating_add(positions_in(&list));
        if end <= window.removed as u64 {
            record = self.with_possible_window(record)?;
            window = window_of(&record);
            end = window.removed as u64;
        }
        let (positions, removed) = (positions(&list, first as u64), window.removed as u64);
        let behind = Window {
            removed: positions.partition_point(|at| *at < removed),
            summary: window.summary,
        };
        let latest = self.latest(agent_id, &list)?;
        let ids = list.messages.iter().map(MessageRecord::id);
        let stored: Vec<_> = ids.zip(positions).collect();
        let texts = list
            .messages
            .into_iter()
            .map(|m| (m.id(), m.message().to_owned()));
        let messages = effective(texts.collect(), &behind, &edits);
        let next_message_id = repository.next_message_id(session, agent_id)?;
        let tracked = Tracked {
            record: record.clone(),
            next_id: next_message_id,
            latest,
            handed_out: HandedOut::new(removed, &messages, &stored, end),
        };
        let tracked = Arc::new(Mutex::new(tracked));
        guard(&self.agents).insert(agent_id.to_owned(), tracked);
        Ok(Restored {
            is_new: is_created && next_message_id == 0,
            messages,
            record,
            next_message_id,
            unreadable: list.unreadable,
        })
    }

    /// The agent's record, and whether it was created just now.
    fn read_or_create(&self, agent_id: &str, parts: AgentSync<'_>) -> Result<(AgentRecord, bool)> {
        let (session, repository) = (&*self.session_id, &self.repository);
        if let Some(record) = repository.read_agent(session, agent_id)? {
            return Ok((record, false));
        }
        let record = AgentRecord::new(agent_id, parts, self.environment.now_us())?;
        match repository.create_agent(session, &record) {
            Ok(()) => Ok((record, true)),
            // Another one was quicker.
            Err(e @ Error::AlreadyExists(_)) => {
                let record = repository.read_agent(session, agent_id)?;
                record.map(|record| (record, false)).ok_or(e)
            }
            Err(e) => Err(e),
        }
    }

    /// The record with a window that leaves behind no more messages than there are.
    fn with_possible_window(&self, record: AgentRecord) -> Result<AgentRecord> {
        let Some(position) = window_of(&record).removed.checked_sub(1) else {
            return Ok(record);
        };
        let list = |limit, offset: usize| {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            self.repository
                .list_messages(&self.session_id, record.id(), limit, offset)
        };
        if positions_in(&list(Some(1), position)?) > 0 {
            return Ok(record);
        }
        let stored = positions_in(&list(None, 0)?);
        let state = with_removed(record.conversation_manager_state(), stored)?;
        let parts = AgentSync {
            conversation_manager_state: Some(&state),
            ..AgentSync::default()
        };
        let Some(update) = record.update(parts, self.environment.now_us())? else {
            return Ok(record);
        };
        self.repository.update_agent(&self.session_id, &update)?;
        Ok(record.updated_by(&update))
    }

    /// The id of the agent's latest message, also if a window has removed it.
    fn latest(&self, agent_id: &str, shown: &MessageList) -> Result<Option<u64>> {
        let last_of = |list: &MessageList| {
            let read = list.messages.last().map(MessageRecord::id);
            let unread = list.unreadable.iter().filter_map(|message| message.id);
            unread.chain(read).max()
        };
        if let Some(last) = last_of(shown) {
            return Ok(Some(last));
        }
        let (session, repository) = (&*self.session_id, &self.repository);
        let last = repository.list_messages(session, agent_id, None, -1)?;
        Ok(last_of(&last))
    }
}

fn window_of(record: &AgentRecord) -> Window {
    let state = Json::parse(record.conversation_manager_state());
    Window::of_state(state.unwrap_or(Json::NULL))
}

/// How many positions of all messages a list covers.
fn positions_in(list: &MessageList) -> u64 {
    let unread = list.unreadable.iter().filter(|m| m.position.is_some());
    (list.messages.len() + unread.count()) as u64
}

/// The positions of the listed messages among all; `first` is the position that the list begins at.
fn positions(list: &MessageList, first: u64) -> Vec<u64> {
    let unread = list.unreadable.iter().filter_map(|m| m.position);
    let mut unread = unread.peekable();
    let mut position = first;
    let mut positions = Vec::with_capacity(list.messages.len());
    for _ in &list.messages {
        while unread.next_if_eq(&position).is_some() {
            position += 1;
        }
        positions.push(position);
        position += 1;
    }
    positions
}

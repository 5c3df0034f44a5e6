//! A branch's events, planned anew on top of another history. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Event, EventKind, Form, OUT_OF_ORDER, REDACTED};
use crate::json::write_string;
use crate::log::{Draft, Replayed};
use crate::session::{Op, Plan, Sync, with_members};
use crate::state::{Agent, State, patch};
use crate::{Result, Version};

use super::Moved;

/// What is known while a branch is planned anew.
#[derive(Debug)]
pub(super) struct Replan {
    /// The branch's own state, as of the event before.
    ours: State,
    ids: BTreeMap<(Arc<str>, u64), u64>,
    pub(super) moved: Vec<Moved>,
    /// Events that cannot follow the other history: they are kept in the branch.
    pub(super) held_back: Vec<Version>,
}

impl Replan {
    /// `common` is the state where the branches parted.
    pub(super) fn new(common: State) -> Self {
        Self {
            ours: common,
            ids: BTreeMap::new(),
            moved: Vec::new(),
            held_back: Vec::new(),
        }
    }

    /// Plans one event of the branch.
    pub(super) fn event(&mut self, event: &Event<'_>, plan: &mut Plan<'_>) -> Result<()> {
        let before = plan.drafts.len();
        self.plan(event, plan)?;
        self.ours.apply(&Replayed::Event(*event));
        if plan.drafts.len() == before && !self.is_settled(event, plan) {
            self.held_back.push(event.version);
        }
        Ok(())
    }

    /// Whether an event that planned nothing is in the other history all the same.
    fn is_settled(&self, event: &Event<'_>, plan: &Plan<'_>) -> bool {
        let text = |agent: Option<&Agent>| agent.and_then(Agent::record).map(crate::Document::text);
        match event.kind {
            EventKind::AgentSynced => {
                text(self.ours.agent(event.subject)) == text(plan.state.agent(event.subject))
            }
            EventKind::MultiAgentSynced | EventKind::MultiAgentCreated => {
                let ours = self.ours.multi_agent(event.subject);
                let theirs = plan.state.multi_agent(event.subject);
                ours.map(crate::Document::text) == theirs.map(crate::Document::text)
            }
            _ => false,
        }
    }

    fn plan(&mut self, event: &Event<'_>, plan: &mut Plan<'_>) -> Result<()> {
        let subject: Arc<str> = event.subject.into();
        match event.kind {
            EventKind::SessionCreated if plan.state.session_id().is_some() => Ok(()),
            EventKind::AgentCreated
                if plan
                    .state
                    .agent(&subject)
                    .is_some_and(|a| a.record().is_some()) =>
            {
                Ok(())
            }
            EventKind::SessionCreated
            | EventKind::SessionUpdated
            | EventKind::AgentCreated
            | EventKind::Unknown(_) => {
                plan.emit(raw(event));
                Ok(())
            }
            EventKind::MessageAdded => self.add(event, &subject, plan),
            EventKind::MessageUpdated | EventKind::MessageRedacted => {
                self.change(event, &subject, plan)
            }
            EventKind::AgentSynced => {
                let theirs = plan.state.agent(&subject).and_then(Agent::record);
                let theirs = theirs.map(crate::Document::text);
                let merged = self.merged(event, theirs, |ours| {
                    ours.agent(&subject)
                        .and_then(Agent::record)
                        .map(crate::Document::text)
                });
                merged.map_or(Ok(()), |text| {
                    let sync = Sync::Whole(text, Form::Plain);
                    plan.op(&Op::SyncAgent {
                        agent: subject,
                        sync,
                    })
                })
            }
            EventKind::MultiAgentCreated | EventKind::MultiAgentSynced => {
                let theirs = plan.state.multi_agent(&subject).map(crate::Document::text);
                let merged = self.merged(event, theirs, |ours| {
                    ours.multi_agent(&subject).map(crate::Document::text)
                });
                merged.map_or(Ok(()), |text| {
                    let sync = Sync::Whole(text, Form::Plain);
                    plan.op(&Op::SyncMultiAgent { id: subject, sync })
                })
            }
            EventKind::HistoryRepaired => {
                // Its edits are about positions and ids of a conversation that has not moved.
                let count = plan.state.agent(&subject).map_or(0, Agent::message_count);
                let ours = self.ours.agent(&subject).map_or(0, Agent::message_count);
                let moved = self.ids.keys().any(|(agent, _)| *agent == subject);
                if moved || count != ours {
                    return Ok(());
                }
                let edits = event.payload.to_owned();
                plan.op(&Op::RepairHistory {
                    agent: subject,
                    edits,
                })
            }
        }
    }

    /// The record that a change makes: the change on top of theirs where it applies, else ours as a whole.
    fn merged(
        &self,
        event: &Event<'_>,
        theirs: Option<String>,
        record: impl Fn(&State) -> Option<String>,
    ) -> Option<String> {
        let mut after = self.ours.clone();
        after.apply(&Replayed::Event(*event));
        let ours = record(&after);
        match theirs {
            Some(theirs) if event.form == Form::Plain => {
                patch::apply(&theirs, &[event.payload]).ok().or(ours)
            }
            _ => ours,
        }
    }

    fn add(&mut self, event: &Event<'_>, agent: &Arc<str>, plan: &mut Plan<'_>) -> Result<()> {
        let known = plan.state.agent(agent);
        let next = known.map_or(0, Agent::next_message_id);
        let taken = known.is_some_and(|known| known.has_message(event.message_id));
        let in_place = event.message_id >= next || event.flags & OUT_OF_ORDER != 0;
        let id = if in_place && !taken {
            event.message_id
        } else {
            next
        };
        let mut form = event.form;
        let (mut payload, mut extra) = (event.payload.to_owned(), Arc::from(event.extra));
        if id != event.message_id {
            self.ids.insert((Arc::clone(agent), event.message_id), id);
            self.moved.push(Moved {
                agent_id: agent.to_string(),
                from: event.message_id,
                to: id,
            });
            (payload, form) = with_id(event, id)?;
            extra = Arc::default();
        }
        let agent = Arc::clone(agent);
        plan.op(&Op::AddMessage {
            agent,
            id: Some(id),
            payload,
            form,
            extra,
        })
    }

    fn change(&mut self, event: &Event<'_>, agent: &Arc<str>, plan: &mut Plan<'_>) -> Result<()> {
        let moved = self.ids.get(&(Arc::clone(agent), event.message_id));
        let id = moved.copied().unwrap_or(event.message_id);
        let Some(theirs) = plan
            .state
            .agent(agent)
            .filter(|theirs| theirs.has_message(id))
        else {
            return Ok(());
        };
        let agent = Arc::clone(agent);
        if event.kind == EventKind::MessageRedacted {
            let payload = event.payload.to_owned();
            return plan.op(&Op::RedactMessage { agent, id, payload });
        }
        let ours = self.ours.agent(&agent);
        let redacted_there =
            theirs.is_redacted(id) && !ours.is_some_and(|ours| ours.is_redacted(event.message_id));
        if redacted_there && event.flags & REDACTED == 0 {
            // A redaction on another device must not be undone by an update that did not know of it.
            return Ok(());
        }
        let (payload, form) = with_id(event, id)?;
        plan.op(&Op::UpdateMessage {
            agent,
            id,
            payload,
            form,
        })
    }
}

/// A record with another message id; a bare message has none.
fn with_id(event: &Event<'_>, id: u64) -> Result<(String, Form)> {
    if event.form == Form::Plain || event.message_id == id {
        return Ok((event.payload.to_owned(), event.form));
    }
    let record = with_members(event.payload, &[("message_id", id.to_string())])?;
    Ok((record, Form::Record))
}

/// The event as it is.
fn raw(event: &Event<'_>) -> Draft {
    Draft {
        kind: event.kind,
        flags: event.flags,
        subject: event.subject.into(),
        message_id: event.message_id,
        extra: event.extra.into(),
        payload: event.payload.to_owned(),
    }
}

/// The event as one of the session `id`.
pub(super) fn renamed(event: &Event<'_>, id: &str) -> Result<Draft> {
    let draft = raw(event);
    if !matches!(
        event.kind,
        EventKind::SessionCreated | EventKind::SessionUpdated
    ) {
        return Ok(draft);
    }
    let mut quoted = String::new();
    write_string(id, &mut quoted);
    Ok(Draft {
        subject: id.into(),
        flags: (event.flags & !Form::MASK) | Form::Record.bits(),
        payload: with_members(event.payload, &[("session_id", quoted)])?,
        ..draft
    })
}

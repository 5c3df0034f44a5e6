//! From operations to events: what each operation means at the session's present state. Pure.

use std::sync::Arc;

use crate::event::{Event, EventKind, Form, OUT_OF_ORDER, Place, REDACTED};
use crate::json::Json;
use crate::log::{Draft, Replayed};
use crate::state::{Agent, Document, State, keep_updated_at, patch};
use crate::{Error, Result, Version};

use super::op::{Op, Sync};
use super::record::{agent_record, session_record, touched, with_members};

/// The events of one commit, planned against a copy of the state that follows along.
pub(crate) struct Plan<'a> {
    session_id: &'a Arc<str>,
    pub(crate) state: State,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) message_id: u64,
    time_us: u64,
}

impl<'a> Plan<'a> {
    /// Plans `ops` for a session at `state`.
    pub(crate) fn new(
        session_id: &'a Arc<str>,
        state: State,
        ops: &[Op],
        time_us: u64,
    ) -> Result<Self> {
        let mut plan = Self {
            session_id,
            state,
            drafts: Vec::new(),
            message_id: 0,
            time_us,
        };
        for op in ops {
            plan.op(op)?;
        }
        Ok(plan)
    }

    /// Plans one more operation.
    pub(crate) fn op(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::EnsureSession => self.ensure_session(),
            Op::EnsureAgent { agent } => self.ensure_agent(agent),
            Op::CreateSession {
                payload,
                form,
                extra,
            } => {
                let record = draft(EventKind::SessionCreated, *form, self.session_id, payload);
                self.create_session(Draft {
                    extra: Arc::clone(extra),
                    ..record
                })?;
            }
            Op::UpdateSession { payload, form } => {
                self.ensure_session();
                self.emit(draft(
                    EventKind::SessionUpdated,
                    *form,
                    self.session_id,
                    payload,
                ));
            }
            Op::CreateAgent {
                agent,
                payload,
                form,
                extra,
            } => {
                let record = draft(EventKind::AgentCreated, *form, agent, payload);
                self.create_agent(Draft {
                    extra: Arc::clone(extra),
                    ..record
                })?;
            }
            Op::AddMessage {
                agent,
                id,
                payload,
                form,
                extra,
            } => {
                self.ensure_agent(agent);
                let record = draft(EventKind::MessageAdded, *form, agent, payload);
                self.add_message(
                    *id,
                    Draft {
                        extra: Arc::clone(extra),
                        ..record
                    },
                )?;
            }
            Op::UpdateMessage {
                agent,
                id,
                payload,
                form,
            } => {
                self.require_message(agent, *id)?;
                let record = draft(EventKind::MessageUpdated, *form, agent, payload);
                let flags = record.flags | redacted_flag(payload);
                self.emit(Draft {
                    message_id: *id,
                    flags,
                    ..record
                });
            }
            Op::RedactMessage { agent, id, payload } => {
                self.require_message(agent, *id)?;
                let record = draft(EventKind::MessageRedacted, Form::Plain, agent, payload);
                self.emit(Draft {
                    message_id: *id,
                    ..record
                });
            }
            Op::SyncAgent { agent, sync } => {
                self.ensure_agent(agent);
                let record = self.state.agent(agent).and_then(Agent::record).cloned();
                self.sync(EventKind::AgentSynced, agent, record, sync)?;
            }
            Op::SyncMultiAgent { id, sync } => {
                self.ensure_session();
                match self.state.multi_agent(id).cloned() {
                    None => self.create_multi_agent(id, sync),
                    known => self.sync(EventKind::MultiAgentSynced, id, known, sync)?,
                }
            }
            Op::RepairHistory { agent, edits } => {
                self.require_agent(agent)?;
                self.emit(draft(EventKind::HistoryRepaired, Form::Plain, agent, edits));
            }
        }
        Ok(())
    }

    fn create_session(&mut self, record: Draft) -> Result<()> {
        if self.state.version() > Version::ZERO {
            return Err(Error::AlreadyExists(format!(
                "session {:?}",
                self.session_id
            )));
        }
        self.emit(record);
        Ok(())
    }

    fn create_agent(&mut self, record: Draft) -> Result<()> {
        self.ensure_session();
        let known = self.state.agent(&record.subject);
        if known.is_some_and(|agent| agent.record().is_some()) {
            return Err(Error::AlreadyExists(format!("agent {:?}", record.subject)));
        }
        self.emit(record);
        Ok(())
    }

    fn add_message(&mut self, id: Option<u64>, record: Draft) -> Result<()> {
        let agent = &record.subject;
        let known = self.state.agent(agent);
        let next = known.map_or(0, Agent::next_message_id);
        let id = id.unwrap_or(next);
        if known.is_some_and(|a| a.has_message(id)) {
            return Err(Error::AlreadyExists(format!(
                "message {id} of agent {agent:?}"
            )));
        }
        let mut flags = record.flags;
        if id < next {
            flags |= OUT_OF_ORDER;
        }
        if flags & Form::MASK != Form::Plain.bits() {
            flags |= redacted_flag(&record.payload);
        }
        self.message_id = id;
        self.emit(Draft {
            message_id: id,
            flags,
            ..record
        });
        Ok(())
    }

    fn create_multi_agent(&mut self, id: &Arc<str>, sync: &Sync) {
        if let Sync::Whole(object, form) = sync {
            let form = if *form == Form::Plain {
                Form::Record
            } else {
                *form
            };
            self.emit(draft(EventKind::MultiAgentCreated, form, id, object));
        }
    }

    /// Stores a change of a record as a patch, or whole where that is shorter or the patches outgrew it.
    fn sync(
        &mut self,
        kind: EventKind,
        subject: &Arc<str>,
        record: Option<Document>,
        sync: &Sync,
    ) -> Result<()> {
        let Some(record) = record else {
            return Err(Error::NotFound(format!(
                "the record of {subject:?} (it was lost)"
            )));
        };
        let old = record.text();
        let (new, form) = match sync {
            Sync::Parts(parts) => (with_members(&old, parts)?, Form::Plain),
            Sync::Whole(text, form) => (text.clone(), *form),
        };
        let what = || format!("the record of {subject:?}");
        let parse = |text| {
            Json::parse(text).map_err(|source| Error::InvalidJson {
                what: what(),
                source,
            })
        };
        if form != Form::Plain {
            if new != old || record.is_incomplete() {
                self.emit(draft(kind, form, subject, &new));
            }
            return Ok(());
        }
        let Some(mut change) = patch::diff(parse(&old)?, parse(&new)?) else {
            return Ok(());
        };
        let is_whole = matches!(sync, Sync::Whole(..));
        if is_whole {
            keep_updated_at(&mut change, parse(&new)?);
        }
        let applies = patch::apply(&old, &[&change]).is_ok_and(|text| text == new);
        if applies && !record.is_outgrown_by(change.len()) && !record.is_incomplete() {
            self.emit(draft(kind, Form::Plain, subject, &change));
        } else {
            let new = match kind {
                EventKind::AgentSynced if !is_whole => touched(&new, self.time_us)?,
                _ => new,
            };
            self.emit(draft(kind, Form::Record, subject, &new));
        }
        Ok(())
    }

    fn ensure_session(&mut self) {
        if self.state.session_id().is_none() && self.state.lost().is_empty() {
            let payload = session_record(self.session_id, self.time_us);
            self.emit(draft(
                EventKind::SessionCreated,
                Form::Record,
                self.session_id,
                &payload,
            ));
        }
    }

    fn ensure_agent(&mut self, agent: &Arc<str>) {
        self.ensure_session();
        if self.state.agent(agent).is_none_or(|a| a.record().is_none()) {
            let payload = agent_record(agent, self.time_us);
            self.emit(draft(
                EventKind::AgentCreated,
                Form::Record,
                agent,
                &payload,
            ));
        }
    }

    fn require_agent(&self, agent: &str) -> Result<&Agent> {
        let missing =
            || Error::NotFound(format!("agent {agent:?} of session {:?}", self.session_id));
        self.state.agent(agent).ok_or_else(missing)
    }

    fn require_message(&self, agent: &str, id: u64) -> Result<()> {
        if self.require_agent(agent)?.has_message(id) {
            return Ok(());
        }
        let session = self.session_id;
        Err(Error::NotFound(format!(
            "message {id} of agent {agent:?} of session {session:?}"
        )))
    }

    /// Adds the event, and applies it to the state that follows along.
    pub(crate) fn emit(&mut self, draft: Draft) {
        let place = Place {
            segment: 0,
            offset: 0,
            len: 0,
            crc: 0,
        };
        self.state.apply(&Replayed::Event(Event {
            version: self.state.version().next(),
            time_us: self.time_us,
            kind: draft.kind,
            subject: &draft.subject,
            message_id: draft.message_id,
            form: Form::from_bits(draft.flags),
            payload: &draft.payload,
            extra: &draft.extra,
            flags: draft.flags,
            place,
        }));
        self.drafts.push(draft);
    }
}

fn draft(kind: EventKind, form: Form, subject: &Arc<str>, payload: &str) -> Draft {
    Draft {
        kind,
        flags: form.bits(),
        subject: Arc::clone(subject),
        message_id: 0,
        extra: Arc::default(),
        payload: payload.to_owned(),
    }
}

/// The flag of a record whose `redact_message` is not null.
fn redacted_flag(record: &str) -> u8 {
    let record = Json::parse(record).ok();
    let redaction = record.and_then(|record| record.get("redact_message"));
    if redaction.is_some_and(|r| !r.is_null()) {
        REDACTED
    } else {
        0
    }
}

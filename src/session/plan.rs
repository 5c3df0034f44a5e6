//! From operations to events: what each operation means at the session's present state. Pure.

use std::sync::Arc;

use crate::event::{Event, EventKind, Form, OUT_OF_ORDER, Place, REDACTED};
use crate::json::{Json, write_string};
use crate::log::{Draft, Replayed};
use crate::state::{Document, State, patch};
use crate::time::iso;
use crate::{Error, Result, Version};

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Creates the session with this record; otherwise it is created with a record of our own when needed.
    CreateSession {
        payload: String,
        form: Form,
        extra: Arc<str>,
    },
    /// Creates the session with a record of our own, unless it exists.
    EnsureSession,
    /// Creates the agent with a record of our own, unless it exists.
    EnsureAgent {
        agent: Arc<str>,
    },
    /// Replaces the session's record.
    UpdateSession {
        payload: String,
        form: Form,
    },
    CreateAgent {
        agent: Arc<str>,
        payload: String,
        form: Form,
        extra: Arc<str>,
    },
    /// With [`Form::Plain`] the payload is a message, else a record. `extra` is the record's file name if that is
    /// not the usual one.
    AddMessage {
        agent: Arc<str>,
        id: Option<u64>,
        payload: String,
        form: Form,
        extra: Arc<str>,
    },
    /// The payload is a record.
    UpdateMessage {
        agent: Arc<str>,
        id: u64,
        payload: String,
        form: Form,
    },
    RedactMessage {
        agent: Arc<str>,
        id: u64,
        payload: String,
    },
    SyncAgent {
        agent: Arc<str>,
        sync: Sync,
    },
    SyncMultiAgent {
        id: Arc<str>,
        sync: Sync,
    },
    RepairHistory {
        agent: Arc<str>,
        edits: String,
    },
}

impl Op {
    /// The length of what it writes, nearly, in bytes.
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::EnsureSession | Self::EnsureAgent { .. } => 0,
            Self::CreateSession { payload, .. }
            | Self::UpdateSession { payload, .. }
            | Self::CreateAgent { payload, .. }
            | Self::AddMessage { payload, .. }
            | Self::UpdateMessage { payload, .. }
            | Self::RedactMessage { payload, .. } => payload.len(),
            Self::SyncAgent { sync, .. } | Self::SyncMultiAgent { sync, .. } => match sync {
                Sync::Whole(text, _) => text.len(),
                Sync::Parts(parts) => parts.iter().map(|(_, text)| text.len()).sum(),
            },
            Self::RepairHistory { edits, .. } => edits.len(),
        }
    }
}

/// What a record becomes.
#[derive(Clone, Debug)]
pub(crate) enum Sync {
    /// These members are set.
    Parts(Vec<(&'static str, String)>),
    /// The whole record; with [`Form::Plain`], stored as a change where that is shorter.
    Whole(String, Form),
}

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

    fn op(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::CreateSession {
                payload,
                form,
                extra,
            } => {
                if self.state.version() > Version::ZERO {
                    return Err(Error::AlreadyExists(format!(
                        "session {:?}",
                        self.session_id
                    )));
                }
                let draft = draft(EventKind::SessionCreated, *form, self.session_id, payload);
                self.emit(Draft {
                    extra: Arc::clone(extra),
                    ..draft
                });
            }
            Op::EnsureSession => self.ensure_session(),
            Op::EnsureAgent { agent } => self.ensure_agent(agent),
            Op::UpdateSession { payload, form } => {
                self.ensure_session();
                self.push(
                    EventKind::SessionUpdated,
                    *form,
                    self.session_id,
                    0,
                    payload.clone(),
                );
            }
            Op::CreateAgent {
                agent,
                payload,
                form,
                extra,
            } => {
                self.ensure_session();
                if self
                    .state
                    .agent(agent)
                    .is_some_and(|a| a.record().is_some())
                {
                    return Err(Error::AlreadyExists(format!("agent {agent:?}")));
                }
                let draft = draft(EventKind::AgentCreated, *form, agent, payload);
                self.emit(Draft {
                    extra: Arc::clone(extra),
                    ..draft
                });
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
                let extra = Arc::clone(extra);
                self.add_message(*id, Draft { extra, ..record })?;
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
                self.push(
                    EventKind::MessageRedacted,
                    Form::Plain,
                    agent,
                    *id,
                    payload.clone(),
                );
            }
            Op::SyncAgent { agent, sync } => {
                self.ensure_agent(agent);
                let record = self.state.agent(agent).and_then(|a| a.record()).cloned();
                self.sync(EventKind::AgentSynced, agent, record, sync)?;
            }
            Op::SyncMultiAgent { id, sync } => {
                self.ensure_session();
                match self.state.multi_agent(id).cloned() {
                    Some(record) => {
                        self.sync(EventKind::MultiAgentSynced, id, Some(record), sync)?
                    }
                    None => self.create_multi_agent(id, sync),
                }
            }
            Op::RepairHistory { agent, edits } => {
                self.require_agent(agent)?;
                self.push(
                    EventKind::HistoryRepaired,
                    Form::Plain,
                    agent,
                    0,
                    edits.clone(),
                );
            }
        }
        Ok(())
    }

    fn add_message(&mut self, id: Option<u64>, record: Draft) -> Result<()> {
        let agent = &record.subject;
        let known = self.state.agent(agent);
        let next = known.map_or(0, crate::state::Agent::next_message_id);
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
            self.push(EventKind::MultiAgentCreated, form, id, 0, object.clone());
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
                self.push(kind, form, subject, 0, new);
            }
            return Ok(());
        }
        let Some(change) = patch::diff(parse(&old)?, parse(&new)?) else {
            return Ok(());
        };
        let applies = patch::apply(&old, &[&change]).is_ok_and(|text| text == new);
        if applies && !record.is_outgrown_by(change.len()) && !record.is_incomplete() {
            self.push(kind, Form::Plain, subject, 0, change);
        } else {
            let new = match kind {
                EventKind::AgentSynced => touched(&new, self.time_us)?,
                _ => new,
            };
            self.push(kind, Form::Record, subject, 0, new);
        }
        Ok(())
    }

    fn ensure_session(&mut self) {
        if self.state.session_id().is_none() && self.state.lost().is_empty() {
            let payload = session_record(self.session_id, self.time_us);
            self.push(
                EventKind::SessionCreated,
                Form::Record,
                self.session_id,
                0,
                payload,
            );
        }
    }

    fn ensure_agent(&mut self, agent: &Arc<str>) {
        self.ensure_session();
        if self.state.agent(agent).is_none_or(|a| a.record().is_none()) {
            let payload = agent_record(agent, self.time_us);
            self.push(EventKind::AgentCreated, Form::Record, agent, 0, payload);
        }
    }

    fn require_agent(&self, agent: &str) -> Result<&crate::state::Agent> {
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

    fn push(&mut self, kind: EventKind, form: Form, subject: &Arc<str>, id: u64, payload: String) {
        let draft = draft(kind, form, subject, "");
        self.emit(Draft {
            message_id: id,
            payload,
            ..draft
        });
    }

    /// Adds the event, and applies it to the state that follows along.
    fn emit(&mut self, draft: Draft) {
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

/// The record of a session that begins now.
pub(crate) fn session_record(id: &str, time_us: u64) -> String {
    let mut record = String::from("{\"session_id\":");
    write_string(id, &mut record);
    record.push_str(",\"session_type\":\"AGENT\"");
    push_timestamps(&mut record, time_us);
    record
}

/// The record of an agent that begins now.
pub(crate) fn agent_record(id: &str, time_us: u64) -> String {
    let mut record = String::from("{\"agent_id\":");
    write_string(id, &mut record);
    record.push_str(",\"state\":{},\"conversation_manager_state\":{},\"_internal_state\":{}");
    push_timestamps(&mut record, time_us);
    record
}

fn push_timestamps(record: &mut String, time_us: u64) {
    let now = iso(time_us);
    record.push_str(&format!(
        ",\"created_at\":\"{now}\",\"updated_at\":\"{now}\"}}"
    ));
}

/// The record with these members set, each in its place; new ones stand before the timestamps.
fn with_members(record: &str, parts: &[(&'static str, String)]) -> Result<String> {
    let json = Json::parse(record).map_err(|source| Error::InvalidJson {
        what: "the record".to_owned(),
        source,
    })?;
    let mut missing: Vec<_> = parts
        .iter()
        .filter(|(name, _)| json.get(name).is_none())
        .collect();
    let mut out = String::from("{");
    let mut put = |key: &str, value: &str| {
        out.push_str(if out.len() > 1 { "," } else { "" });
        out.push_str(key);
        out.push(':');
        out.push_str(value);
    };
    for (key, value) in json.members() {
        if key.is("created_at") {
            for (name, value) in missing.drain(..) {
                put(&format!("\"{name}\""), value);
            }
        }
        let part = parts.iter().find(|(name, _)| key.is(name));
        put(key.text(), part.map_or(value.text(), |(_, text)| text));
    }
    for (name, value) in missing {
        put(&format!("\"{name}\""), value);
    }
    out.push('}');
    minified(&out)
}

/// The record with `updated_at` set to now, as a change of it would have it.
fn touched(record: &str, time_us: u64) -> Result<String> {
    let mut now = String::new();
    write_string(&iso(time_us), &mut now);
    let has = Json::parse(record).is_ok_and(|json| json.get("updated_at").is_some());
    if has {
        with_members(record, &[("updated_at", now)])
    } else {
        Ok(record.to_owned())
    }
}

fn minified(text: &str) -> Result<String> {
    Json::parse(text)
        .map(Json::minified)
        .map_err(|source| Error::InvalidJson {
            what: "the record".to_owned(),
            source,
        })
}

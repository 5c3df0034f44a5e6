//! Import: a directory of the standard layout becomes a session.

use std::path::PathBuf;
use std::sync::Arc;

use crate::json::Json;
use crate::session::{Batch, Durability, Op, Session, Sync};
use crate::state::IdSet;
use crate::store::Store;
use crate::{Result, Version};

use super::directory::{AgentDir, Contents};
use super::{
    AGENT_FILE, MESSAGES, MULTI_AGENT_FILE, Progress, SESSION_FILE, SessionDir, Skipped, read_text,
    stored, update,
};
use crate::event::Form;

/// The most events in one commit of an import, and the most bytes of their payloads.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

/// How [`import`] goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Bring an existing session up to date instead of refusing it.
    pub update: bool,
}

/// What [`import`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// The session's id.
    pub session_id: String,
    /// The session's version now.
    pub version: Version,
    /// How many messages were imported; for an update, how many are new or changed.
    pub messages: u64,
    /// Files that could not be imported.
    pub skipped: Vec<Skipped>,
    /// Files that are not the layout's, left alone.
    pub strays: Vec<PathBuf>,
}

/// Imports one session.
///
/// A new session is built beside the others and appears whole or not at all. With [`ImportOptions::update`] an
/// existing one gets what is new or changed, in commits that each are a consistent prefix: doing it again after a
/// crash completes it, and doing it once more writes nothing.
///
/// Errors: [`crate::Error::AlreadyExists`] without `update`; [`crate::Error::InvalidInput`] with `update` if the
/// session has what the directory lacks, naming the first difference; [`crate::Error::InvalidId`].
pub fn import(
    store: &Store,
    dir: &SessionDir,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport> {
    crate::id::check("session id", &dir.session_id)?;
    if options.update && store.contains(&dir.session_id)? {
        return update::update(store, dir, progress);
    }
    let contents = Contents::read(&dir.path)?;
    store.build_beside(&dir.session_id, |session| {
        let mut writer = Writer::new(session, contents.files(), progress);
        let mut report = write_session(&mut writer, dir, &contents)?;
        writer.flush()?;
        report.version = session.version();
        Ok(report)
    })
}

fn write_session(
    writer: &mut Writer<'_>,
    dir: &SessionDir,
    contents: &Contents,
) -> Result<ImportReport> {
    let mut report = report_of(dir, contents);
    match record(&dir.path.join(SESSION_FILE), contents.has_session) {
        Ok((form, payload)) => {
            let extra = contents.missing.join(",").into();
            writer.push(Op::CreateSession {
                payload,
                form,
                extra,
            })?;
        }
        Err(skipped) => {
            report.skipped.push(skipped);
            writer.push(Op::EnsureSession)?;
        }
    }
    for agent in &contents.agents {
        let (messages, skipped) = write_agent(writer, agent)?;
        report.messages += messages;
        report.skipped.extend(skipped);
    }
    for (id, path) in &contents.multi_agents {
        match record(&path.join(MULTI_AGENT_FILE), true) {
            Ok((form, payload)) => {
                let (id, sync) = (id.as_str().into(), Sync::Whole(payload, form));
                writer.push(Op::SyncMultiAgent { id, sync })?;
            }
            Err(skipped) => report.skipped.push(skipped),
        }
    }
    Ok(report)
}

/// A report with everything that is known from the names alone.
pub(super) fn report_of(dir: &SessionDir, contents: &Contents) -> ImportReport {
    let skipped = contents.unusable.iter().map(|(path, error)| Skipped {
        path: path.clone(),
        error: error.clone(),
    });
    ImportReport {
        session_id: dir.session_id.clone(),
        skipped: skipped.collect(),
        strays: contents.strays.clone(),
        ..ImportReport::default()
    }
}

/// Writes an agent and its messages; returns how many, and what was skipped.
fn write_agent(writer: &mut Writer<'_>, agent: &AgentDir) -> Result<(u64, Vec<Skipped>)> {
    let (id, mut skipped): (Arc<str>, _) = (agent.id.as_str().into(), Vec::new());
    match record(&agent.path.join(AGENT_FILE), agent.has_record) {
        Ok((form, payload)) => {
            let extra = if agent.has_messages_dir { "" } else { MESSAGES }.into();
            writer.push(Op::CreateAgent {
                agent: Arc::clone(&id),
                payload,
                form,
                extra,
            })?;
        }
        Err(reason) => {
            skipped.push(reason);
            writer.push(Op::EnsureAgent {
                agent: Arc::clone(&id),
            })?;
        }
    }
    let (mut seen, mut count) = (IdSet::default(), 0);
    for (number, name) in &agent.messages {
        match message(agent, *number, name) {
            Ok(message) if !seen.insert(message.id) => skipped.push(message.repeated()),
            Ok(message) => {
                count += 1;
                writer.push(message.op(&id))?;
            }
            Err(reason) => skipped.push(reason),
        }
    }
    Ok((count, skipped))
}

/// A message's file, ready to be stored.
#[derive(Debug)]
pub(super) struct MessageFile {
    pub(super) id: u64,
    pub(super) form: Form,
    pub(super) payload: String,
    name: Option<String>,
    path: PathBuf,
}

impl MessageFile {
    /// What is said of it if another file had its id.
    pub(super) fn repeated(self) -> Skipped {
        Skipped {
            error: format!("a message with id {} came before it", self.id),
            path: self.path,
        }
    }

    pub(super) fn op(self, agent: &Arc<str>) -> Op {
        Op::AddMessage {
            agent: Arc::clone(agent),
            id: Some(self.id),
            payload: self.payload,
            form: self.form,
            extra: self.name.unwrap_or_default().into(),
        }
    }
}

/// Reads one message. Its id is the one in the record; the number in the name counts only without it.
pub(super) fn message(agent: &AgentDir, number: u64, name: &str) -> Result<MessageFile, Skipped> {
    let path = agent.path.join(MESSAGES).join(name);
    let (form, payload) = record(&path, true)?;
    let id = Json::parse(&payload)
        .ok()
        .and_then(|record| record.get("message_id")?.as_u64());
    let id = id.unwrap_or(number);
    let usual = name == format!("message_{id}.json");
    let name = (!usual).then(|| name.to_owned());
    Ok(MessageFile {
        id,
        form,
        payload,
        name,
        path,
    })
}

/// Reads one record.
pub(super) fn record(path: &std::path::Path, exists: bool) -> Result<(Form, String), Skipped> {
    let skip = |error: String| Skipped {
        path: path.to_path_buf(),
        error,
    };
    if !exists {
        return Err(skip(
            "the file is missing; a record is made for it".to_owned(),
        ));
    }
    let text = read_text(path).map_err(skip)?;
    stored(&text).map_err(skip)
}

/// Gathers operations into bounded commits.
pub(super) struct Writer<'a> {
    session: &'a Session,
    ops: Vec<Op>,
    bytes: usize,
    progress: &'a mut dyn FnMut(Progress),
    state: Progress,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        session: &'a Session,
        total: u64,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        let state = Progress { done: 0, total };
        Self {
            session,
            ops: Vec::new(),
            bytes: 0,
            progress,
            state,
        }
    }

    pub(super) fn push(&mut self, op: Op) -> Result<()> {
        let len = op.payload_len();
        if !self.ops.is_empty()
            && (self.bytes + len > BATCH_BYTES || self.ops.len() >= BATCH_EVENTS)
        {
            self.commit()?;
        }
        self.bytes += len;
        self.ops.push(op);
        self.step();
        Ok(())
    }

    /// Counts a file that needs no operation.
    pub(super) fn step(&mut self) {
        self.state.done += 1;
        (self.progress)(self.state);
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.commit()?;
        self.session.flush()
    }

    fn commit(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.ops);
        self.bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let batch = batch.into_iter().fold(self.session.batch(), Batch::push);
        batch.durability(Durability::Buffered).commit().map(|_| ())
    }
}

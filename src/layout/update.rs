//! Update: an existing session gets what is new or changed in a directory.

use std::path::Path;
use std::sync::Arc;

use crate::event::Form;
use crate::json::Json;
use crate::session::{Op, Sync};
use crate::state::{Document, IdSet, Message};
use crate::store::Store;
use crate::view::View;
use crate::{Error, Result};

use super::beside::Stored;
use super::directory::{AgentDir, Contents};
use super::import::{ImportReport, Writer, message, record, report_of};
use super::{AGENT_FILE, MESSAGES, MULTI_AGENT_FILE, Progress, SESSION_FILE, SessionDir, diverged};

/// Brings an existing session up to date. Everything is compared before anything is written.
pub(super) fn update(
    store: &Store,
    dir: &SessionDir,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport> {
    let contents = Contents::read(&dir.path)?;
    let session = store.session(&dir.session_id)?;
    let view = session.read()?;
    let mut report = report_of(dir, &contents);
    let mut job = Job {
        dir,
        view: &view,
        contents: &contents,
    };
    job.run(&mut |_| Ok(()), &mut report)?;
    let mut report = report_of(dir, &contents);
    let mut writer = Writer::new(&session, contents.files(), progress);
    job.run(
        &mut |change| {
            if let Some(op) = change {
                return writer.push(op);
            }
            writer.step();
            Ok(())
        },
        &mut report,
    )?;
    writer.flush()?;
    report.version = session.version();
    session.close()?;
    Ok(report)
}

struct Job<'a> {
    dir: &'a SessionDir,
    view: &'a View,
    contents: &'a Contents,
}

/// Takes what one file changes, or `None` if it changes nothing.
type Take<'t> = &'t mut dyn FnMut(Option<Op>) -> Result<()>;

impl Job<'_> {
    fn run(&mut self, take: Take<'_>, report: &mut ImportReport) -> Result<()> {
        let state = self.view.state()?;
        match record(&self.dir.path.join(SESSION_FILE), self.contents.has_session) {
            Ok((form, payload)) => {
                let same = state.session().is_some_and(|s| is_same(s, form, &payload));
                take((!same).then_some(Op::UpdateSession { payload, form }))?;
            }
            Err(skipped) => report.skipped.push(skipped),
        }
        for (id, _) in state.agents() {
            if !self.contents.agents.iter().any(|agent| agent.id == id) {
                let what = format!("the session has agent {id:?} and the directory does not");
                return Err(self.diverged(&self.dir.path, &what));
            }
        }
        for agent in &self.contents.agents {
            self.agent(agent, take, report)?;
        }
        for (id, path) in &self.contents.multi_agents {
            match record(&path.join(MULTI_AGENT_FILE), true) {
                Ok((form, payload)) => {
                    let same = state
                        .multi_agent(id)
                        .is_some_and(|m| is_same(m, form, &payload));
                    let (id, sync) = (id.as_str().into(), Sync::Whole(payload, form));
                    take((!same).then_some(Op::SyncMultiAgent { id, sync }))?;
                }
                Err(skipped) => report.skipped.push(skipped),
            }
        }
        Ok(())
    }

    fn agent(&self, agent: &AgentDir, take: Take<'_>, report: &mut ImportReport) -> Result<()> {
        let id: Arc<str> = agent.id.as_str().into();
        let known = self.view.state()?.agent(&id);
        match record(&agent.path.join(AGENT_FILE), agent.has_record) {
            Ok((form, payload)) => match known.and_then(crate::Agent::record) {
                Some(record) if is_same(record, form, &payload) => take(None)?,
                Some(_) => {
                    let sync = Sync::Whole(payload, form);
                    take(Some(Op::SyncAgent {
                        agent: Arc::clone(&id),
                        sync,
                    }))?;
                }
                None => {
                    let extra = if agent.has_messages_dir { "" } else { MESSAGES }.into();
                    take(Some(Op::CreateAgent {
                        agent: Arc::clone(&id),
                        payload,
                        form,
                        extra,
                    }))?;
                }
            },
            Err(skipped) => report.skipped.push(skipped),
        }
        let mut stored = Stored::new(self.view, known.map(|_| Arc::clone(&id)))?;
        let (mut seen, mut unreadable) = (IdSet::default(), IdSet::default());
        for (number, name) in &agent.messages {
            let file = match message(agent, *number, name) {
                Ok(file) => file,
                Err(skipped) => {
                    // A file that cannot be read may be any stored message: it is not missing.
                    unreadable.insert(*number);
                    report.skipped.push(skipped);
                    continue;
                }
            };
            if !seen.insert(file.id) {
                report.skipped.push(file.repeated());
                continue;
            }
            let path = agent.path.join(MESSAGES).join(name);
            let change = match stored.find(file.id)? {
                Some(old) => self.changed(&path, &id, &old, file.form, &file.payload)?,
                None => Some(file.op(&id)),
            };
            report.messages += u64::from(change.is_some());
            take(change)?;
        }
        match stored.left_out(|id| seen.contains(id) || unreadable.contains(id))? {
            Some(id) => Err(self.missing(agent, id)),
            None => Ok(()),
        }
    }

    /// What a stored message becomes; `None` if it stays. Only a redaction may change its text.
    fn changed(
        &self,
        path: &Path,
        agent: &Arc<str>,
        old: &Message,
        form: Form,
        payload: &str,
    ) -> Result<Option<Op>> {
        let file = match form {
            Form::File => payload.to_owned(),
            _ => Json::parse(payload)
                .map(Json::to_python)
                .unwrap_or_default(),
        };
        let stored_as = old.file_name();
        if path.file_name().is_none_or(|name| *name != *stored_as) {
            let what = format!("message {} of agent {agent:?} was in {stored_as}", old.id());
            return Err(self.diverged(path, &what));
        }
        if old.file() == file {
            return Ok(None);
        }
        let (before, parsed) = (old.original(), Json::parse(payload));
        let after = parsed
            .as_ref()
            .ok()
            .and_then(|record| record.get("message"));
        let redaction = parsed
            .as_ref()
            .ok()
            .and_then(|record| record.get("redact_message"));
        let same_text = match (Json::parse(&before), after) {
            (Ok(before), Some(after)) => before.same(after),
            _ => false,
        };
        let redacted = redaction.is_some_and(|redaction| !redaction.is_null());
        if same_text && !redacted && old.is_redacted() {
            // The directory does not know of the redaction yet. It stays.
            return Ok(None);
        }
        if !same_text && !redacted {
            let what = format!("message {} of agent {agent:?} has another text", old.id());
            return Err(self.diverged(path, &what));
        }
        let (agent, id) = (Arc::clone(agent), old.id());
        Ok(Some(Op::UpdateMessage {
            agent,
            id,
            payload: payload.to_owned(),
            form,
        }))
    }

    fn missing(&self, agent: &AgentDir, id: u64) -> Error {
        let what = format!(
            "the session has message {id} of agent {:?} and the directory does not",
            agent.id
        );
        self.diverged(&agent.path, &what)
    }

    fn diverged(&self, path: &Path, difference: &str) -> Error {
        diverged(&self.dir.session_id, self.view.version(), path, difference)
    }
}

/// Whether a record is stored with just this text.
fn is_same(document: &Document, form: Form, payload: &str) -> bool {
    let file = match form {
        Form::File => payload.to_owned(),
        _ => Json::parse(payload)
            .map(Json::to_python)
            .unwrap_or_default(),
    };
    document.file() == file
}

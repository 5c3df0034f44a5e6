//! Export: a session becomes a directory of the standard layout.

use std::path::{Path, PathBuf};

use crate::json::Json;
use crate::session::{agent_record, session_record};
use crate::state::{Document, Message};
use crate::store::Store;
use crate::view::View;
use crate::{Error, Result, Version};

use super::publish::Staging;
use super::{AGENT_FILE, AGENTS, MESSAGES, MULTI_AGENT_FILE, MULTI_AGENTS, Progress, SESSION_FILE};

/// How [`export`] goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// The version to export; `None` for the last.
    pub at: Option<Version>,
    /// Withhold the originals of redacted messages: the replacement stands in both fields.
    pub redacted: bool,
    /// Replace an export that is there.
    pub force: bool,
    /// Export messages too whose redaction may be among lost events.
    pub include_unknown: bool,
}

/// What [`export`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// The session's id.
    pub session_id: String,
    /// The version that was exported.
    pub version: Version,
    /// How many files were written.
    pub files: u64,
    /// The directory: `<to>/session_<session_id>`.
    pub path: PathBuf,
    /// How many originals of redacted messages left the store.
    pub originals: u64,
    /// Agent and id of the messages that were withheld because their redaction may be lost.
    pub withheld: Vec<(String, u64)>,
}

/// Exports one session to `<to>/session_<session_id>`, creating `to` if need be.
///
/// The directory appears whole: it is built beside, synced and renamed. With [`ExportOptions::force`] it is
/// exchanged with the one that is there in one step where the system can (Linux); elsewhere the old one is moved
/// aside first, and a crash in between leaves it under its temporary name beside the new one.
///
/// The layout defines that a redacted message's file has the original in `message` and the replacement in
/// `redact_message`, so originals leave the store unless [`ExportOptions::redacted`] withholds them.
///
/// Errors: [`Error::NotFound`], [`Error::AlreadyExists`] without `force`.
pub fn export(
    store: &Store,
    session_id: &str,
    to: &Path,
    options: &ExportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<ExportReport> {
    let mut view = store.read(session_id)?;
    if let Some(version) = options.at {
        view = view.at(version)?;
    }
    let path = to.join(format!("session_{session_id}"));
    if !options.force && path.symlink_metadata().is_ok() {
        let hint = format!("{} (replace it with --force): it", path.display());
        return Err(Error::AlreadyExists(hint));
    }
    let staging = Staging::create(to)?;
    let state = view.state()?;
    let messages: u64 = state.agents().map(|(_, agent)| agent.message_count()).sum();
    let others = 1 + state.agents().count() + state.multi_agents().count();
    let mut job = Job {
        view: &view,
        staging,
        options,
        progress,
        state: Progress {
            done: 0,
            total: messages + others as u64,
        },
        report: ExportReport {
            session_id: session_id.to_owned(),
            version: view.version(),
            path: path.clone(),
            ..ExportReport::default()
        },
    };
    job.session()?;
    let (staging, mut report) = (job.staging, job.report);
    report.files = staging.files();
    staging.publish(&path, options.force)?;
    Ok(report)
}

struct Job<'a> {
    view: &'a View,
    staging: Staging,
    options: &'a ExportOptions,
    progress: &'a mut dyn FnMut(Progress),
    state: Progress,
    report: ExportReport,
}

impl Job<'_> {
    fn session(&mut self) -> Result<()> {
        let state = self.view.state()?;
        let id = self.view.session_id();
        let record = state.session().map(Document::file);
        let record = record.unwrap_or_else(|| file(&session_record(id, state.time_us())));
        self.write(&[], SESSION_FILE, record)?;
        let missing: Vec<_> = state
            .session()
            .map_or("", Document::extra)
            .split(',')
            .collect();
        if !missing.contains(&AGENTS) || state.agents().next().is_some() {
            self.staging.create_dir(&[AGENTS])?;
        }
        if !missing.contains(&MULTI_AGENTS) || state.multi_agents().next().is_some() {
            self.staging.create_dir(&[MULTI_AGENTS])?;
        }
        for (id, agent) in state.agents() {
            let dir = format!("agent_{id}");
            self.staging.create_dir(&[AGENTS, &dir])?;
            let record = agent.record().map(Document::file);
            let record = record.unwrap_or_else(|| file(&agent_record(id, state.time_us())));
            self.write(&[AGENTS, &dir], AGENT_FILE, record)?;
            let has_dir = agent
                .record()
                .is_none_or(|record| record.extra() != MESSAGES);
            if has_dir || agent.message_count() > 0 {
                self.staging.create_dir(&[AGENTS, &dir, MESSAGES])?;
            }
            for message in self.view.messages(id)? {
                self.message(id, &dir, &message?)?;
            }
        }
        for (id, object) in state.multi_agents() {
            let dir = format!("multi_agent_{id}");
            self.staging.create_dir(&[MULTI_AGENTS, &dir])?;
            self.write(&[MULTI_AGENTS, &dir], MULTI_AGENT_FILE, object.file())?;
        }
        Ok(())
    }

    fn message(&mut self, agent: &str, dir: &str, message: &Message) -> Result<()> {
        if message.is_redaction_unknown() && !self.options.include_unknown {
            self.report.withheld.push((agent.to_owned(), message.id()));
            return Ok(());
        }
        let mut file = message.file();
        if message.is_redacted() {
            if self.options.redacted {
                file = without_original(message);
            } else {
                self.report.originals += 1;
            }
        }
        self.write(&[AGENTS, dir, MESSAGES], &message.file_name(), file)
    }

    fn write(&mut self, dir: &[&str], name: &str, text: String) -> Result<()> {
        self.staging.write(dir, name, text)?;
        self.state.done += 1;
        (self.progress)(self.state);
        Ok(())
    }
}

/// A redacted message's record with the replacement in place of the original.
fn without_original(message: &Message) -> String {
    let (record, shown) = (message.record(), message.text());
    let Ok(json) = Json::parse(&record) else {
        return record;
    };
    let mut out = String::from("{");
    for (key, value) in json.members() {
        out.push_str(if out.len() > 1 { "," } else { "" });
        out.push_str(key.text());
        out.push(':');
        let is_text = key.is("message") || key.is("redact_message");
        out.push_str(if is_text { &shown } else { value.text() });
    }
    out.push('}');
    Json::parse(&out).map(Json::to_python).unwrap_or(record)
}

/// The file of a record that was made in place of one that was lost to damage.
fn file(record: &str) -> String {
    Json::parse(record).map(Json::to_python).unwrap_or_default()
}

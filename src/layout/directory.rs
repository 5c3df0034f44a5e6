//! What is in a session's directory, by name: no file is read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::state::is_message_file;
use crate::{Error, Result};

use super::{AGENT_FILE, AGENTS, MESSAGES, MULTI_AGENT_FILE, MULTI_AGENTS, SESSION_FILE};

/// The names in one `session_*` directory.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) has_session: bool,
    /// The names of the directories that are usual and missing.
    pub(super) missing: Vec<&'static str>,
    pub(super) agents: Vec<AgentDir>,
    /// Id and directory.
    pub(super) multi_agents: Vec<(String, PathBuf)>,
    /// Files that are not the layout's.
    pub(super) strays: Vec<PathBuf>,
    /// Names of the layout that we cannot use.
    pub(super) unusable: Vec<(PathBuf, String)>,
}

/// The names in one `agent_*` directory.
#[derive(Debug)]
pub(super) struct AgentDir {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) has_record: bool,
    pub(super) has_messages_dir: bool,
    /// Number in the name and name, in the order of the numbers.
    pub(super) messages: Vec<(u64, String)>,
}

impl Contents {
    /// Lists a session's directory.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let mut contents = Self {
            missing: vec![AGENTS, MULTI_AGENTS],
            ..Self::default()
        };
        for (name, path, is_dir) in entries(dir)? {
            match (name.as_deref(), is_dir) {
                (Some(SESSION_FILE), false) => contents.has_session = true,
                (Some(AGENTS), true) => {
                    contents.missing.retain(|name| *name != AGENTS);
                    contents.read_agents(&path)?;
                }
                (Some(MULTI_AGENTS), true) => {
                    contents.missing.retain(|name| *name != MULTI_AGENTS);
                    contents.read_multi_agents(&path)?;
                }
                _ => contents.strays.push(path),
            }
        }
        contents.agents.sort_by(|a, b| a.id.cmp(&b.id));
        contents.multi_agents.sort();
        contents.strays.sort();
        Ok(contents)
    }

    /// How many files of the layout there are.
    pub(super) fn files(&self) -> u64 {
        let of_agent = |a: &AgentDir| a.messages.len() + usize::from(a.has_record);
        let agents: usize = self.agents.iter().map(of_agent).sum();
        (agents + self.multi_agents.len() + usize::from(self.has_session)) as u64
    }

    fn read_agents(&mut self, dir: &Path) -> Result<()> {
        for (name, path, is_dir) in entries(dir)? {
            match (id_in(name.as_deref(), "agent_"), is_dir) {
                (Some(id), true) => match crate::id::check("agent id", id) {
                    Ok(()) => {
                        let agent = self.read_agent(id, path)?;
                        self.agents.push(agent);
                    }
                    Err(e) => self.unusable.push((path, e.to_string())),
                },
                _ => self.strays.push(path),
            }
        }
        Ok(())
    }

    fn read_agent(&mut self, id: &str, dir: PathBuf) -> Result<AgentDir> {
        let (mut has_record, mut has_messages_dir, mut messages) = (false, false, Vec::new());
        for (name, path, is_dir) in entries(&dir)? {
            match (name.as_deref(), is_dir) {
                (Some(AGENT_FILE), false) => has_record = true,
                (Some(MESSAGES), true) => {
                    has_messages_dir = true;
                    for (name, path, is_dir) in entries(&path)? {
                        match name.as_deref().and_then(number).filter(|_| !is_dir) {
                            Some(number) => messages.push((number, name.unwrap_or_default())),
                            None if is_dir || !looks_like_message(name.as_deref()) => {
                                self.strays.push(path);
                            }
                            None => {
                                let reason = "its name has no number that can be a message id";
                                self.unusable.push((path, reason.to_owned()));
                            }
                        }
                    }
                }
                _ => self.strays.push(path),
            }
        }
        messages.sort();
        Ok(AgentDir {
            id: id.to_owned(),
            path: dir,
            has_record,
            has_messages_dir,
            messages,
        })
    }

    fn read_multi_agents(&mut self, dir: &Path) -> Result<()> {
        for (name, path, is_dir) in entries(dir)? {
            match (id_in(name.as_deref(), "multi_agent_"), is_dir) {
                (Some(id), true) => {
                    for (name, path, _) in entries(&path)? {
                        if name.as_deref() != Some(MULTI_AGENT_FILE) {
                            self.strays.push(path);
                        }
                    }
                    match crate::id::check("multi-agent id", id) {
                        Ok(()) => self.multi_agents.push((id.to_owned(), path)),
                        Err(e) => self.unusable.push((path, e.to_string())),
                    }
                }
                _ => self.strays.push(path),
            }
        }
        Ok(())
    }
}

/// Name (if it is UTF-8), path, and whether it is a directory.
type Entry = (Option<String>, PathBuf, bool);

fn entries(dir: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        let name = entry.file_name().into_string().ok();
        entries.push((name, entry.path(), entry.path().is_dir()));
    }
    Ok(entries)
}

fn id_in<'n>(name: Option<&'n str>, prefix: &str) -> Option<&'n str> {
    name?.strip_prefix(prefix).filter(|id| !id.is_empty())
}

/// The number in a message file's name; `message_007.json` is 7.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("message_")?.strip_suffix(".json")?;
    is_message_file(name).then(|| digits.parse().ok()).flatten()
}

fn looks_like_message(name: Option<&str>) -> bool {
    name.and_then(|name| name.strip_suffix(".json"))
        .is_some_and(|name| name.starts_with("message_"))
}

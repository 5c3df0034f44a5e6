//! The standard layout of Strands Agents: import and export without changing a byte.
//!
//! ```text
//! <storage_dir>/session_<session_id>/session.json
//!                                   /agents/agent_<agent_id>/agent.json
//!                                   /agents/agent_<agent_id>/messages/message_<n>.json
//!                                   /multi_agents/multi_agent_<id>/multi_agent.json
//! ```
//!
//! Each file becomes one event. A file that is formatted as Python's `json.dumps(.., indent=2,
//! ensure_ascii=False)` formats it is stored without its white space and written out again the same; any other is
//! stored as it is. Unknown fields, the spelling of numbers, missing timestamps, unusual file names
//! (`message_007.json`) and missing directories are kept, so that exporting an import gives the same tree.
//!
//! What cannot be read (not JSON, cut off, not UTF-8) is skipped and reported, and the rest is imported. Temporary
//! and foreign files are left alone and listed.

mod beside;
#[cfg(feature = "s3")]
mod bucket;
mod directory;
mod export;
mod files;
mod import;
mod publish;
mod update;

use std::path::{Path, PathBuf};

use crate::event::Form;
use crate::json::{Json, Kind};
use crate::{Error, Result, Version};

#[cfg(feature = "s3")]
pub use bucket::{export_to, import_from, sessions_in};
pub use export::{ExportOptions, ExportReport, export};
pub use import::{ImportOptions, ImportReport, import};

const SESSION_FILE: &str = "session.json";
const AGENT_FILE: &str = "agent.json";
const MULTI_AGENT_FILE: &str = "multi_agent.json";
const AGENTS: &str = "agents";
const MULTI_AGENTS: &str = "multi_agents";
const MESSAGES: &str = "messages";

/// One session's directory in the standard layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDir {
    /// The directory: `<storage_dir>/session_<session_id>`.
    pub path: PathBuf,
    /// The session's id, from the directory's name.
    pub session_id: String,
}

/// How far a long import or export is, in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many files are done.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// A file that could not be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why, in one line.
    pub error: String,
}

/// The sessions in `dir`, sorted by id: a storage directory with `session_*` inside, or one `session_*` directory.
///
/// Errors: [`Error::NotFound`] if there is no such directory, [`Error::InvalidInput`] if it is neither.
pub fn find_sessions(dir: &Path) -> Result<Vec<SessionDir>> {
    if !dir.is_dir() {
        return Err(if dir.exists() {
            let reason = "it is not a directory; give a storage directory or a session_* directory";
            Error::InvalidInput {
                what: dir.display().to_string(),
                reason: reason.to_owned(),
            }
        } else {
            Error::NotFound(dir.display().to_string())
        });
    }
    if let Some(session_id) = session_id_of(dir) {
        return Ok(vec![SessionDir {
            path: dir.to_path_buf(),
            session_id,
        }]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if let Some(session_id) = session_id_of(&path).filter(|_| path.is_dir()) {
            found.push(SessionDir { path, session_id });
        }
    }
    if found.is_empty() {
        let reason = "there is no session_* directory in it; give a storage directory of the standard layout";
        return Err(Error::InvalidInput {
            what: dir.display().to_string(),
            reason: reason.to_owned(),
        });
    }
    found.sort_by(|a, b| a.session_id.cmp(&b.session_id));
    Ok(found)
}

/// The session's id in a directory's name.
fn session_id_of(dir: &Path) -> Option<String> {
    let id = dir.file_name()?.to_str()?.strip_prefix("session_")?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// The text of one file as it is stored: its form, and the payload.
fn stored(text: &str) -> Result<(Form, String), String> {
    let json = Json::parse(text).map_err(|e| format!("not JSON: {e}"))?;
    if json.kind() != Kind::Object {
        return Err("not a JSON object".to_owned());
    }
    let minified = json.minified();
    let usual = Json::parse(&minified).is_ok_and(|json| json.to_python() == text);
    Ok(if usual {
        (Form::Record, minified)
    } else {
        (Form::File, text.to_owned())
    })
}

/// Reads a file as text.
fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    match Json::from_bytes(&bytes) {
        Ok(_) => String::from_utf8(bytes).map_err(|e| e.to_string()),
        Err(e) => Err(format!("not JSON: {e}")),
    }
}

/// The error of a session that is at neither end of the other's history.
fn diverged(session_id: &str, version: Version, path: &Path, difference: &str) -> Error {
    Error::InvalidInput {
        what: format!(
            "{} and session {session_id:?} at version {version}",
            path.display()
        ),
        reason: format!(
            "{difference}; nothing was written: import it under another id, or export the session"
        ),
    }
}

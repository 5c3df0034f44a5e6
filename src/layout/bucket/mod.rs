//! The standard layout in a bucket: the same names as keys, and no objects for directories.
//!
//! An import downloads a session into the store's own directory first, and an export is put together there, so both
//! do what [`super::import`] and [`super::export`] do, with every check. At most 16 objects are in memory.

mod export;
mod import;

use crate::bucket::Bucket;
use crate::{Error, Result, id};

pub use export::export_to;
pub use import::import_from;

use super::{AGENT_FILE, AGENTS, MESSAGES, MULTI_AGENT_FILE, MULTI_AGENTS, SESSION_FILE};

/// The ids of the sessions in a bucket, sorted.
///
/// Errors: [`Error::NotFound`] if there is none; [`Error::Remote`].
pub fn sessions_in(bucket: &Bucket) -> Result<Vec<String>> {
    let names = bucket.directories()?;
    let ids = names
        .iter()
        .filter_map(|name| name.strip_prefix("session_").filter(|id| !id.is_empty()));
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    if ids.is_empty() {
        let what = format!("a session of the standard layout below {}", bucket.url(""));
        return Err(Error::NotFound(what));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// What every key of a session begins with, without the last slash.
fn session_key(session_id: &str) -> Result<String> {
    id::check("session id", session_id)?;
    Ok(format!("session_{session_id}"))
}

/// Whether a key, split at its slashes below the session's, is a file of the layout.
fn is_of_the_layout(parts: &[&str]) -> bool {
    let is = |part: &str, prefix: &str| part.len() > prefix.len() && part.starts_with(prefix);
    match parts {
        [SESSION_FILE] => true,
        [AGENTS, agent, AGENT_FILE] => is(agent, "agent_"),
        [AGENTS, agent, MESSAGES, name] => {
            is(agent, "agent_") && is(name, "message_") && name.strip_suffix(".json").is_some()
        }
        [MULTI_AGENTS, multi_agent, MULTI_AGENT_FILE] => is(multi_agent, "multi_agent_"),
        _ => false,
    }
}

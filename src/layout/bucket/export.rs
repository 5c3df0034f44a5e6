//! Export to a bucket.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::bucket::{Bucket, each};
use crate::layout::directory::Contents;
use crate::layout::{ExportOptions, ExportReport, Progress, export};
use crate::store::Store;
use crate::{Error, Result};

use super::session_key;
use super::{AGENT_FILE, AGENTS, MESSAGES, MULTI_AGENT_FILE, MULTI_AGENTS, SESSION_FILE};

/// Exports one session to a bucket, as [`export()`] does to a directory.
///
/// A bucket cannot change several objects in one step. A new session's `session.json` is written last, so that nobody
/// sees the session before it is whole, and no object that is there is overwritten. With [`ExportOptions::force`],
/// what differs is written one object after the other: messages by their ids, then agents, then `session.json`; then
/// what is too much is removed, the last message first. Who reads meanwhile finds whole objects, but maybe some of
/// the new messages beside old ones. An export that was interrupted is completed by another one with `force`.
///
/// Progress counts each file twice: put together, and uploaded.
///
/// Errors: [`Error::NotFound`]; [`Error::AlreadyExists`] without `force` if there is any object of this session;
/// [`Error::Remote`].
pub fn export_to(
    store: &Store,
    session_id: &str,
    bucket: &Bucket,
    options: &ExportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<ExportReport> {
    let root = session_key(session_id)?;
    let old: BTreeMap<String, u64> = bucket
        .list(&root)?
        .into_iter()
        .map(|object| (object.key, object.len))
        .collect();
    if !options.force && !old.is_empty() {
        return Err(exists(bucket, &root));
    }
    if !store.contains(session_id)? {
        let what = format!("session {session_id:?} in {}", store.path().display());
        return Err(Error::NotFound(what));
    }
    let scratch = store.scratch()?;
    let mut report = export(store, session_id, scratch.path(), options, &mut |inner| {
        progress(Progress {
            total: 2 * inner.total,
            ..inner
        });
    })?;
    let parts = Parts::of(&report.path, &root)?;
    let mut upload = Upload {
        bucket,
        root: &root,
        state: Progress {
            done: report.files,
            total: 2 * report.files,
        },
        progress,
    };
    if old.is_empty() {
        upload.fresh(&parts)?;
    } else {
        upload.over(&parts, &old)?;
    }
    report.path = bucket.url(&root).into();
    Ok(report)
}

fn exists(bucket: &Bucket, root: &str) -> Error {
    let hint = format!("{} (replace it with --force): it", bucket.url(root));
    Error::AlreadyExists(hint)
}

/// A key, and the file that becomes its object.
type File = (String, PathBuf);

/// The files in the order in which they are written.
struct Parts {
    messages: Vec<File>,
    records: Vec<File>,
    session: Vec<File>,
}

impl Parts {
    fn of(dir: &Path, root: &str) -> Result<Self> {
        let contents = Contents::read(dir)?;
        let (mut messages, mut records) = (Vec::new(), Vec::new());
        for agent in &contents.agents {
            let key = format!("{root}/{AGENTS}/agent_{}", agent.id);
            for (_, name) in &agent.messages {
                let path = agent.path.join(MESSAGES).join(name);
                messages.push((format!("{key}/{MESSAGES}/{name}"), path));
            }
            records.push((format!("{key}/{AGENT_FILE}"), agent.path.join(AGENT_FILE)));
        }
        for (id, path) in &contents.multi_agents {
            let key = format!("{root}/{MULTI_AGENTS}/multi_agent_{id}/{MULTI_AGENT_FILE}");
            records.push((key, path.join(MULTI_AGENT_FILE)));
        }
        let session = (format!("{root}/{SESSION_FILE}"), dir.join(SESSION_FILE));
        Ok(Self {
            messages,
            records,
            session: vec![session],
        })
    }

    fn in_order(&self) -> [&[File]; 3] {
        [&self.messages, &self.records, &self.session]
    }
}

struct Upload<'a> {
    bucket: &'a Bucket,
    root: &'a str,
    state: Progress,
    progress: &'a mut dyn FnMut(Progress),
}

impl Upload<'_> {
    /// Writes a session of which nothing is there: each group at once, the last makes it visible.
    fn fresh(&mut self, parts: &Parts) -> Result<()> {
        let (bucket, root) = (self.bucket, self.root);
        for group in parts.in_order() {
            let write = |(key, path): &File| {
                let is_new = bucket.create(key, &read(path)?)?;
                // If not, somebody else writes this session now.
                is_new.then_some(()).ok_or_else(|| exists(bucket, root))
            };
            each(group, write, &mut |_, ()| {
                self.step();
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Writes over a session that is there.
    fn over(&mut self, parts: &Parts, old: &BTreeMap<String, u64>) -> Result<()> {
        let (bucket, mut same) = (self.bucket, HashSet::new());
        for group in parts.in_order() {
            let is_same = |(key, path): &File| {
                let Some(len) = old.get(key) else {
                    return Ok(false);
                };
                let bytes = read(path)?;
                Ok(*len == bytes.len() as u64 && bucket.get(key, *len)?.as_ref() == Some(&bytes))
            };
            each(group, is_same, &mut |(key, _), is_same| {
                if is_same {
                    same.insert(key.clone());
                }
                Ok(())
            })?;
        }
        let files = parts.in_order().into_iter().flatten();
        let mut new = HashSet::new();
        for (key, path) in files {
            if !same.contains(key) {
                bucket.put(key, &read(path)?)?;
            }
            new.insert(key.as_str());
            self.step();
        }
        let mut gone: Vec<&String> = old
            .keys()
            .filter(|key| !new.contains(key.as_str()))
            .collect();
        // Longer numbers are greater ones.
        gone.sort_by_key(|key| (key.len(), *key));
        gone.into_iter()
            .rev()
            .try_for_each(|key| bucket.delete(key))
    }

    fn step(&mut self) {
        self.state.done += 1;
        (self.progress)(self.state);
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io("read", path))
}

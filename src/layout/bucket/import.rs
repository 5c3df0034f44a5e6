//! Import from a bucket.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::path::{Component, Path, PathBuf};

use crate::bucket::{Bucket, Object, each};
use crate::format::MAX_FRAME_LEN;
use crate::layout::{ImportOptions, ImportReport, Progress, SessionDir, import};
use crate::store::Store;
use crate::{Error, Result};

use super::{AGENTS, MESSAGES, MULTI_AGENTS, is_of_the_layout, session_key};

/// Imports one session of the standard layout from a bucket: as [`import()`], after a download.
///
/// A bucket has no empty directories, so the usual ones are taken to be there. Paths in the report and in errors are
/// URLs. Progress counts each object twice: downloaded, and imported.
///
/// Errors: those of [`import()`]; [`Error::NotFound`] if there is no object of this session, or if one vanishes
/// meanwhile; [`Error::Remote`].
pub fn import_from(
    store: &Store,
    bucket: &Bucket,
    session_id: &str,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport> {
    let root = session_key(session_id)?;
    if !options.update && store.contains(session_id)? {
        let what = format!("session {session_id:?} in {}", store.path().display());
        return Err(Error::AlreadyExists(what));
    }
    let objects = bucket.list(&root)?;
    if objects.is_empty() {
        return Err(Error::NotFound(bucket.url(&root)));
    }
    let scratch = store.scratch()?;
    let mut download = Download {
        bucket,
        root: &root,
        dir: scratch.path().join(&root),
        strays: Vec::new(),
        refused: HashMap::new(),
    };
    let files = download.prepare(&objects)?;
    let mut state = Progress {
        done: 0,
        total: 2 * files.len() as u64,
    };
    each(
        &files,
        |(key, path)| download.fetch(key, path),
        &mut |_, ()| {
            state.done += 1;
            progress(state);
            Ok(())
        },
    )?;
    let from = SessionDir {
        path: download.dir.clone(),
        session_id: session_id.to_owned(),
    };
    let imported = import(store, &from, options, &mut |inner| {
        let done = state.done + inner.done;
        let total = state.done + inner.total;
        progress(Progress { done, total });
    });
    download.in_urls(imported)
}

struct Download<'a> {
    bucket: &'a Bucket,
    root: &'a str,
    dir: PathBuf,
    /// Objects that are not the layout's.
    strays: Vec<PathBuf>,
    /// Objects that are left where they are, and why. An empty file stands for each.
    refused: HashMap<PathBuf, String>,
}

impl Download<'_> {
    /// Makes the directories, and says which keys become which files.
    fn prepare(&mut self, objects: &[Object]) -> Result<Vec<(String, PathBuf)>> {
        for dir in ["", AGENTS, MULTI_AGENTS] {
            make_dir(&self.dir.join(dir))?;
        }
        let mut files = Vec::new();
        for object in objects {
            let below = object.key.strip_prefix(self.root).unwrap_or_default();
            let parts: Vec<&str> = below.split('/').skip(1).collect();
            if !is_of_the_layout(&parts) || !parts.iter().all(|part| is_a_name(part)) {
                // What stands for a directory, as some tools make it, is nothing to tell about.
                if object.len > 0 || parts.last().is_some_and(|name| name.contains('.')) {
                    self.strays.push(self.bucket.url(&object.key).into());
                }
                continue;
            }
            let mut path = self.dir.clone();
            for part in &parts[..parts.len() - 1] {
                path.push(part);
                make_dir(&path)?;
            }
            if parts[0] == AGENTS {
                make_dir(&self.dir.join(AGENTS).join(parts[1]).join(MESSAGES))?;
            }
            path.push(parts[parts.len() - 1]);
            if object.len > MAX_FRAME_LEN {
                let why = format!("{} bytes, the limit is {MAX_FRAME_LEN}", object.len);
                write(&path, b"")?;
                self.refused.insert(path, why);
            } else {
                files.push((object.key.clone(), path));
            }
        }
        Ok(files)
    }

    fn fetch(&self, key: &str, path: &Path) -> Result<()> {
        match self.bucket.get(key, MAX_FRAME_LEN)? {
            Some(bytes) => write(path, &bytes),
            None => Err(Error::NotFound(format!(
                "{} was there and",
                self.bucket.url(key)
            ))),
        }
    }

    /// The answer with URLs in place of the paths of the download.
    fn in_urls(self, imported: Result<ImportReport>) -> Result<ImportReport> {
        match imported {
            Ok(mut report) => {
                for skipped in &mut report.skipped {
                    if let Some(why) = self.refused.get(&skipped.path) {
                        skipped.error.clone_from(why);
                    }
                    skipped.path = self.url_of(&skipped.path);
                }
                report.strays.extend(self.strays);
                Ok(report)
            }
            Err(Error::InvalidInput { what, reason }) => {
                let (dir, url) = (self.dir.display().to_string(), self.bucket.url(self.root));
                Err(Error::InvalidInput {
                    what: what.replace(&dir, &url),
                    reason: reason.replace(&dir, &url),
                })
            }
            Err(e) => Err(e),
        }
    }

    fn url_of(&self, path: &Path) -> PathBuf {
        let Ok(below) = path.strip_prefix(&self.dir) else {
            return path.to_path_buf();
        };
        let mut key = self.root.to_owned();
        for part in below {
            key.push('/');
            key.push_str(&part.to_string_lossy());
        }
        self.bucket.url(&key).into()
    }
}

/// Whether a part of a key names one file or directory here, and nothing above or beside.
fn is_a_name(part: &str) -> bool {
    let mut components = Path::new(part).components();
    matches!(components.next(), Some(Component::Normal(name)) if name == part)
        && components.next().is_none()
}

fn make_dir(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(_) if path.is_dir() => Ok(()),
        made => made.map_err(Error::io("create directory", path)),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(Error::io("write", path))
}

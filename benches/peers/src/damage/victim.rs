//! A store that is damaged.

use std::path::{Path, PathBuf};

use crate::fault::Result;

/// What a store gives back, and what it says.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) events: Vec<String>,
    /// What it says is wrong, if it says anything.
    pub(crate) complaint: Option<String>,
}

impl Reading {
    /// Takes note of the first complaint.
    pub(crate) fn complain(&mut self, complaint: &impl ToString) {
        self.complaint.get_or_insert_with(|| complaint.to_string());
    }
}

/// Held while a store is open.
pub(crate) type Open = Box<dyn std::any::Any>;

/// A store, as one who embeds it uses it.
pub(crate) trait Victim {
    fn name(&self) -> &'static str;

    /// Writes the events, each durable before the next, and leaves the store open.
    fn write(&self, dir: &Path, texts: &[String]) -> Result<Open>;

    /// Its data files, the oldest first.
    fn files(&self, dir: &Path) -> Result<Vec<PathBuf>>;

    /// Whether each data file holds a part of the events in their order, so that one can be lost.
    fn has_segments(&self) -> bool {
        true
    }

    /// Reads all that it gives back, and asks it to check itself the way it offers.
    fn read(&self, dir: &Path) -> Reading;

    /// Opens it for writing and appends.
    fn append(&self, dir: &Path, texts: &[String]) -> Result<()>;

    /// Its own repair, if it has one.
    fn repair(&self, dir: &Path, spare: &Path) -> Result<Option<()>>;
}

/// The files below a directory whose names end so, in the order of their names.
pub(crate) fn files_ending(dir: &Path, ends: &[&str]) -> Result<Vec<PathBuf>> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.to_string_lossy();
            if path.is_dir() {
                dirs.push(path);
            } else if ends.iter().any(|end| name.ends_with(end)) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

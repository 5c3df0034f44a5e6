//! The sides: our log, what one would pick instead, and the bare loop that is the limit.

mod bare;
mod jsonl;
mod ours;
pub(crate) mod package;
mod redb;
mod sqlite;
mod tephra;

use std::path::Path;

use crate::fault::Result;

pub(crate) use bare::{Extent, bare};
pub(crate) use jsonl::{Jsonl, path as jsonl_path};
pub(crate) use ours::{AGENT, Ours, SESSION, buffered};
pub(crate) use redb::Redb;
pub(crate) use sqlite::{Sqlite, Synchronous, connect, path as sqlite_path};
pub(crate) use tephra::Tephra;

/// The name of our side in every table.
pub(crate) const OURS: &str = "sessionlog";

/// Texts to put into a store, one by one.
pub(crate) type Texts<'t> = dyn Iterator<Item = String> + 't;

/// A store of texts in a directory of its own.
pub(crate) trait Side: Sync {
    fn name(&self) -> String;

    /// Opens it for durable appends, which may come from many threads at once.
    fn open(&self, dir: &Path) -> Result<Box<dyn Appends>>;

    /// Puts many texts into it the quickest way, durable at the end.
    fn fill(&self, dir: &Path, texts: &mut Texts<'_>) -> Result<()>;

    /// Opens it, reads the last `n` texts, and closes it; returns their bytes.
    fn read_last(&self, dir: &Path, n: usize) -> Result<usize>;
}

/// A store that is open for appends. An append is durable when it returns, as far as the side promises that.
pub(crate) trait Appends: Sync {
    fn append(&self, text: &str) -> Result<()>;
}

/// The sides that keep a conversation: ours first.
pub(crate) fn stores() -> Vec<Box<dyn Side>> {
    vec![
        Box::new(Ours),
        Box::new(Jsonl),
        Box::new(Sqlite(Synchronous::Full)),
        Box::new(Sqlite(Synchronous::Normal)),
        Box::new(Redb),
        Box::new(Tephra),
    ]
}

/// Whether the side acknowledges only what is on disk, so that it can be compared with one that does.
pub(crate) fn is_durable(side: &str) -> bool {
    side != Sqlite(Synchronous::Normal).name()
}

//! `SQLite` with a write-ahead log: a table of messages.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::Connection;

use super::{Appends, Side, Texts};
use crate::fault::Result;

/// When `SQLite` syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synchronous {
    /// At each commit.
    Full,
    /// At checkpoints: a power cut may take the last commits.
    Normal,
}

pub(crate) struct Sqlite(pub(crate) Synchronous);

/// The file in a directory.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("messages.sqlite")
}

/// Opens the database in a directory, creating both.
pub(crate) fn connect(dir: &Path, synchronous: Synchronous) -> Result<Connection> {
    std::fs::create_dir_all(dir)?;
    let connection = Connection::open(path(dir))?;
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    )?;
    Ok(connection)
}

impl Side for Sqlite {
    fn name(&self) -> String {
        match self.0 {
            Synchronous::Full => "SQLite WAL FULL".to_owned(),
            Synchronous::Normal => "SQLite WAL NORMAL".to_owned(),
        }
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Appends>> {
        Ok(Box::new(Mutex::new(connect(dir, self.0)?)))
    }

    fn fill(&self, dir: &Path, texts: &mut Texts<'_>) -> Result<()> {
        let mut connection = connect(dir, self.0)?;
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare("INSERT INTO messages (body) VALUES (?1)")?;
        for text in texts {
            insert.execute([text])?;
        }
        drop(insert);
        transaction.commit()?;
        // So that a reader does not search the write-ahead log.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    fn read_last(&self, dir: &Path, n: usize) -> Result<usize> {
        let connection = Connection::open(path(dir))?;
        let mut select =
            connection.prepare("SELECT body FROM messages ORDER BY id DESC LIMIT ?1")?;
        let mut rows = select.query([i64::try_from(n).unwrap_or(i64::MAX)])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            bytes += row.get::<_, String>(0)?.len();
        }
        Ok(bytes)
    }
}

impl Appends for Mutex<Connection> {
    fn append(&self, text: &str) -> Result<()> {
        let connection = self.lock().map_err(|_| "another thread failed")?;
        let mut insert = connection.prepare_cached("INSERT INTO messages (body) VALUES (?1)")?;
        insert.execute([text])?;
        Ok(())
    }
}

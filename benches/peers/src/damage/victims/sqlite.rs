//! `SQLite` with a write-ahead log, `FULL`.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::damage::victim::{Open, Reading, Victim, files_ending};
use crate::damage::{EVENTS, LATER};
use crate::fault::Result;
use crate::side::{Synchronous, connect, sqlite_path};

pub(super) struct Sqlite;

impl Victim for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite (WAL, FULL)"
    }

    fn write(&self, dir: &Path, texts: &[String]) -> Result<Open> {
        let connection = connect(dir, Synchronous::Full)?;
        for text in texts {
            connection.execute("INSERT INTO messages (body) VALUES (?1)", [text])?;
        }
        Ok(Box::new(connection))
    }

    fn files(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        files_ending(dir, &[".sqlite", "-wal"])
    }

    fn has_segments(&self) -> bool {
        false
    }

    fn read(&self, dir: &Path) -> Reading {
        let mut reading = Reading::default();
        let done = (|| {
            let connection = Connection::open(sqlite_path(dir))?;
            if let Err(fault) = in_order(&connection, &mut reading) {
                reading.complain(&fault);
            }
            let check: String =
                connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if check != "ok" {
                reading.complain(&check);
            }
            Result::Ok(())
        })();
        if let Err(fault) = done {
            reading.complain(&fault);
        }
        reading
    }

    fn append(&self, dir: &Path, texts: &[String]) -> Result<()> {
        drop(self.write(dir, texts)?);
        Ok(())
    }

    /// What `.recover` of its shell does, as far as rows can still be reached by their number: each is asked for by
    /// itself, and put into a new database.
    fn repair(&self, dir: &Path, spare: &Path) -> Result<Option<()>> {
        let mut rows = Vec::new();
        if let Ok(connection) = Connection::open(sqlite_path(dir)) {
            for id in 1..=(EVENTS + LATER) {
                let row = connection.query_row(
                    "SELECT body FROM messages WHERE id = ?1",
                    [i64::try_from(id)?],
                    |row| row.get::<_, String>(0),
                );
                rows.extend(row.ok());
            }
        }
        let mut connection = connect(spare, Synchronous::Full)?;
        let transaction = connection.transaction()?;
        for row in &rows {
            transaction.execute("INSERT INTO messages (body) VALUES (?1)", [row])?;
        }
        transaction.commit()?;
        drop(connection);
        std::fs::remove_dir_all(dir)?;
        std::fs::rename(spare, dir)?;
        Ok(Some(()))
    }
}

/// Reads the rows in order, until one fails.
fn in_order(connection: &Connection, reading: &mut Reading) -> Result<()> {
    let mut select = connection.prepare("SELECT body FROM messages ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        match row.get::<_, String>(0) {
            Ok(text) => reading.events.push(text),
            Err(fault) => reading.complain(&fault),
        }
    }
    Ok(())
}

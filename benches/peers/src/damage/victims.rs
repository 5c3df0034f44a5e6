//! Every store, as its documentation has it used.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use batpak::prelude::{Coordinate, EventKind};
use rusqlite::Connection;
use serde_json::Value;
use sessionlog::{RepairOptions, Store};
use tephra::{
    Event, EventType, Position, Query, QueryItem, SegmentConfig, SegmentSet, Tag, Tags,
    WriteCoordinator, WriteHandle, WriterConfig,
};

use super::victim::{Open, Reading, Victim, files_ending};
use crate::fault::Result;
use crate::side::{AGENT, SESSION, Synchronous, connect, jsonl_path, sqlite_path};

/// Small, so that there are several.
const SMALL: usize = 64 << 10;
/// Large enough for all events, as the defaults are.
const LARGE: usize = 4 << 20;

pub(crate) fn all() -> Vec<Box<dyn Victim>> {
    vec![
        Box::new(Ours(SMALL)),
        Box::new(Ours(LARGE)),
        Box::new(Sqlite),
        Box::new(Jsonl),
        Box::new(Tephra(SMALL)),
        Box::new(Tephra(LARGE)),
        Box::new(Batpak(SMALL)),
        Box::new(Batpak(LARGE)),
    ]
}

/// With segments of a length.
struct Ours(usize);

impl Ours {
    fn store(&self, dir: &Path) -> Result<Store> {
        Ok(Store::options().segment_len(self.0 as u64).open(dir)?)
    }
}

impl Victim for Ours {
    fn name(&self) -> &'static str {
        if self.0 == SMALL {
            "sessionlog"
        } else {
            "sessionlog, one segment"
        }
    }

    fn write(&self, dir: &Path, texts: &[String]) -> Result<Open> {
        let session = self.store(dir)?.session(SESSION)?;
        for text in texts {
            session.append_json(AGENT, text)?;
        }
        Ok(Box::new(session))
    }

    fn files(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        files_ending(dir, &[".seg"])
    }

    fn read(&self, dir: &Path) -> Reading {
        let mut reading = Reading::default();
        let done = (|| {
            let store = self.store(dir)?;
            for message in store.read(SESSION)?.messages(AGENT)? {
                reading.events.push(message?.text().into_owned());
            }
            let report = store.verify(SESSION)?;
            for damage in &report.damage {
                reading.complain(damage);
            }
            for (first, last) in &report.given_up {
                reading.complain(&format!("versions {first} to {last} were given up"));
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

    fn repair(&self, dir: &Path, _spare: &Path) -> Result<Option<()>> {
        self.store(dir)?
            .repair(SESSION, &RepairOptions::default())?;
        Ok(Some(()))
    }
}

struct Sqlite;

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
            for id in 1..=(super::EVENTS + super::LATER) {
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

struct Jsonl;

impl Victim for Jsonl {
    fn name(&self) -> &'static str {
        "JSONL"
    }

    fn write(&self, dir: &Path, texts: &[String]) -> Result<Open> {
        std::fs::create_dir_all(dir)?;
        let mut options = OpenOptions::new();
        let mut file: File = options.append(true).create(true).open(jsonl_path(dir))?;
        for text in texts {
            file.write_all(format!("{text}\n").as_bytes())?;
            file.sync_all()?;
        }
        Ok(Box::new(file))
    }

    fn files(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        files_ending(dir, &[".jsonl"])
    }

    fn has_segments(&self) -> bool {
        false
    }

    /// A careful reader: a line that is not JSON is reported and passed over.
    fn read(&self, dir: &Path) -> Reading {
        let mut reading = Reading::default();
        let bytes = match std::fs::read(jsonl_path(dir)) {
            Ok(bytes) => bytes,
            Err(fault) => {
                reading.complain(&fault);
                return reading;
            }
        };
        for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Value>(line) {
                Ok(_) => reading
                    .events
                    .push(String::from_utf8_lossy(line).into_owned()),
                Err(fault) => reading.complain(&format!("line {}: {fault}", number + 1)),
            }
        }
        reading
    }

    fn append(&self, dir: &Path, texts: &[String]) -> Result<()> {
        drop(self.write(dir, texts)?);
        Ok(())
    }

    fn repair(&self, _dir: &Path, _spare: &Path) -> Result<Option<()>> {
        Ok(None)
    }
}

/// With segments of a length.
struct Tephra(usize);

struct OpenTephra {
    handle: WriteHandle,
    coordinator: Option<WriteCoordinator>,
}

impl Drop for OpenTephra {
    fn drop(&mut self) {
        if let Some(coordinator) = self.coordinator.take() {
            coordinator.shutdown();
        }
    }
}

impl Tephra {
    fn open(&self, dir: &Path) -> Result<OpenTephra> {
        let set = SegmentSet::open(dir, SegmentConfig::new(self.0))?;
        let config = WriterConfig {
            // It must fit a segment.
            max_batch_bytes: SMALL / 2,
            ..WriterConfig::default()
        };
        let (coordinator, handle) = WriteCoordinator::start(set, config)?;
        Ok(OpenTephra {
            handle,
            coordinator: Some(coordinator),
        })
    }
}

fn tags() -> Result<Tags> {
    Ok(Tags::new([Tag::new("agent:a")?])?)
}

impl Victim for Tephra {
    fn name(&self) -> &'static str {
        if self.0 == SMALL {
            "tephra"
        } else {
            "tephra, one segment"
        }
    }

    fn write(&self, dir: &Path, texts: &[String]) -> Result<Open> {
        let open = self.open(dir)?;
        let kind = EventType::new("MessageAdded")?;
        for text in texts {
            let event = Event::new(&kind, &tags()?, text.as_bytes())?;
            open.handle.append(vec![event], None)?;
        }
        Ok(Box::new(open))
    }

    fn files(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        let files = files_ending(dir, &[""])?;
        // Its log; what is beside it is an index that it makes again.
        let is_log = |path: &PathBuf| {
            let text = super::text(0);
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(16).any(|w| w == &text.as_bytes()[..16])
        };
        Ok(files.into_iter().filter(is_log).collect())
    }

    fn read(&self, dir: &Path) -> Reading {
        let mut reading = Reading::default();
        let done = (|| {
            let open = self.open(dir)?;
            let query = Query::item(QueryItem::with_tags(tags()?));
            let mut reads = open.handle.read(&query, Position::ZERO, None);
            while let Some(found) = reads.next() {
                let found = found?;
                let text = String::from_utf8_lossy(found.event.data());
                reading.events.push(text.into_owned());
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

    fn repair(&self, _dir: &Path, _spare: &Path) -> Result<Option<()>> {
        Ok(None)
    }
}

/// With segments of a length.
struct Batpak(usize);

type BatpakStore = batpak::prelude::Store<batpak::prelude::Open>;

const KIND: (u8, u16) = (0xF, 1);

impl Batpak {
    fn open(&self, dir: &Path) -> Result<BatpakStore> {
        std::fs::create_dir_all(dir)?;
        let config = batpak::prelude::StoreConfig::new(dir)
            .with_segment_max_bytes(self.0 as u64)
            .with_sync_every_n_events(1);
        Ok(BatpakStore::open(config)?)
    }
}

impl Victim for Batpak {
    fn name(&self) -> &'static str {
        if self.0 == SMALL {
            "batpak"
        } else {
            "batpak, one segment"
        }
    }

    fn write(&self, dir: &Path, texts: &[String]) -> Result<Open> {
        let store = self.open(dir)?;
        let coordinate = Coordinate::new("session:s", "agent:a")?;
        for text in texts {
            let kind = EventKind::custom(KIND.0, KIND.1);
            let _receipt = store.append(&coordinate, kind, text)?;
        }
        Ok(Box::new(store))
    }

    fn files(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        files_ending(dir, &[".fbat"])
    }

    fn read(&self, dir: &Path) -> Reading {
        let mut reading = Reading::default();
        let done = (|| {
            let store = self.open(dir)?;
            let mut entries = store.by_fact(EventKind::custom(KIND.0, KIND.1));
            entries.sort_by_key(batpak::store::index::IndexEntry::global_sequence);
            for entry in entries {
                match store.get(entry.event_id()) {
                    Ok(found) => {
                        let text = found.event.payload.as_str();
                        reading.events.push(text.unwrap_or_default().to_owned());
                    }
                    Err(fault) => reading.complain(&fault),
                }
            }
            let report = store.verify_chain()?;
            if !report.is_intact() {
                let (bad, dangling) = (
                    report.content_hash_mismatches.len(),
                    report.dangling_links.len(),
                );
                reading.complain(&format!(
                    "chain: {bad} mismatches, {dangling} dangling links"
                ));
            }
            store.close()?;
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

    fn repair(&self, _dir: &Path, _spare: &Path) -> Result<Option<()>> {
        Ok(None)
    }
}

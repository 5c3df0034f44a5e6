//! redb: a table from a number to a text.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::{Appends, Side, Texts};
use crate::fault::Result;

const MESSAGES: TableDefinition<'_, u64, &str> = TableDefinition::new("messages");

pub(crate) struct Redb;

struct Open {
    database: Database,
    next: AtomicU64,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("messages.redb")
}

fn open(dir: &Path) -> Result<Open> {
    std::fs::create_dir_all(dir)?;
    let database = Database::create(path(dir))?;
    let write = database.begin_write()?;
    let next = write.open_table(MESSAGES)?.len()?;
    write.commit()?;
    Ok(Open {
        database,
        next: AtomicU64::new(next),
    })
}

impl Side for Redb {
    fn name(&self) -> String {
        "redb".to_owned()
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Appends>> {
        Ok(Box::new(open(dir)?))
    }

    fn fill(&self, dir: &Path, texts: &mut Texts<'_>) -> Result<()> {
        let open = open(dir)?;
        let write = open.database.begin_write()?;
        {
            let mut table = write.open_table(MESSAGES)?;
            for text in texts {
                table.insert(open.next.fetch_add(1, Ordering::Relaxed), text.as_str())?;
            }
        }
        Ok(write.commit()?)
    }

    fn read_last(&self, dir: &Path, n: usize) -> Result<usize> {
        let database = redb::ReadOnlyDatabase::open(path(dir))?;
        let table = database.begin_read()?.open_table(MESSAGES)?;
        let mut bytes = 0;
        for entry in table.iter()?.rev().take(n) {
            bytes += entry?.1.value().to_owned().len();
        }
        Ok(bytes)
    }
}

impl Appends for Open {
    fn append(&self, text: &str) -> Result<()> {
        // The default durability: on disk when it returns.
        let write = self.database.begin_write()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        write.open_table(MESSAGES)?.insert(number, text)?;
        Ok(write.commit()?)
    }
}

//! One JSON text per line, and an `fsync` after each: what most programs do by hand.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{Appends, Side, Texts};
use crate::fault::Result;

/// How much is read at a time on the way back from the end.
const BLOCK: u64 = 64 << 10;

pub(crate) struct Jsonl;

/// The file in a directory.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("messages.jsonl")
}

fn open(dir: &Path) -> Result<File> {
    std::fs::create_dir_all(dir)?;
    Ok(OpenOptions::new()
        .append(true)
        .create(true)
        .open(path(dir))?)
}

impl Side for Jsonl {
    fn name(&self) -> String {
        "JSONL + fsync".to_owned()
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Appends>> {
        Ok(Box::new(Mutex::new(open(dir)?)))
    }

    fn fill(&self, dir: &Path, texts: &mut Texts<'_>) -> Result<()> {
        let mut out = BufWriter::new(open(dir)?);
        for text in texts {
            writeln!(out, "{text}")?;
        }
        Ok(out.into_inner()?.sync_all()?)
    }

    /// From the end backwards, as `tail` does it.
    fn read_last(&self, dir: &Path, n: usize) -> Result<usize> {
        let mut file = File::open(path(dir))?;
        let mut start = file.metadata()?.len();
        let mut tail = Vec::new();
        while start > 0 && lines(&tail) <= n {
            let block = start.min(BLOCK);
            start -= block;
            file.seek(SeekFrom::Start(start))?;
            let mut read = vec![0; block as usize];
            file.read_exact(&mut read)?;
            read.extend_from_slice(&tail);
            tail = read;
        }
        let text = String::from_utf8_lossy(&tail);
        Ok(text.lines().rev().take(n).map(str::len).sum())
    }
}

fn lines(bytes: &[u8]) -> usize {
    bytes.split(|b| *b == b'\n').count() - 1
}

impl Appends for Mutex<File> {
    fn append(&self, text: &str) -> Result<()> {
        let mut file = self.lock().map_err(|_| "another thread failed")?;
        // One write, so that a crash tears one line at most.
        file.write_all(format!("{text}\n").as_bytes())?;
        Ok(file.sync_all()?)
    }
}

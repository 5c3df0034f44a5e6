//! One JSON text per line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::damage::victim::{Open, Reading, Victim, files_ending};
use crate::fault::Result;
use crate::side::jsonl_path;

pub(super) struct Jsonl;

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

//! Our log.

use std::path::{Path, PathBuf};

use sessionlog::{RepairOptions, Store};

use super::SMALL;
use crate::damage::victim::{Open, Reading, Victim, files_ending};
use crate::fault::Result;
use crate::side::{AGENT, SESSION};

/// With segments of a length.
pub(super) struct Ours(pub(super) usize);

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

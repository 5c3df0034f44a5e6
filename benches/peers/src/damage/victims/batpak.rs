//! batpak.

use std::path::{Path, PathBuf};

use batpak::prelude::{Coordinate, EventKind};

use super::SMALL;
use crate::damage::victim::{Open, Reading, Victim, files_ending};
use crate::fault::Result;

/// With segments of a length.
pub(super) struct Batpak(pub(super) usize);

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

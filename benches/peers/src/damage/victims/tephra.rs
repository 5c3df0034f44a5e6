//! tephra.

use std::path::{Path, PathBuf};

use tephra::{
    Event, EventType, Position, Query, QueryItem, SegmentConfig, SegmentSet, Tag, Tags,
    WriteCoordinator, WriteHandle, WriterConfig,
};

use super::SMALL;
use crate::damage::text;
use crate::damage::victim::{Open, Reading, Victim, files_ending};
use crate::fault::Result;

/// With segments of a length.
pub(super) struct Tephra(pub(super) usize);

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
            let text = text(0);
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

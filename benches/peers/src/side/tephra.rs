//! tephra: one event per message, with the agent as its tag.

use std::path::Path;

use tephra::{
    Event, EventType, Position, Query, QueryItem, SegmentConfig, SegmentSet, Tag, Tags,
    WriteCoordinator, WriteHandle, WriterConfig,
};

use super::{Appends, Side, Texts};
use crate::fault::Result;

/// The segment size of its documentation.
const SEGMENT: usize = 256 << 20;
/// Events in one append where many are put in at once.
const BATCH: usize = 2_000;

pub(crate) struct Tephra;

/// An open log. Its drop joins the writer's thread.
pub(crate) struct Open {
    handle: Option<WriteHandle>,
    coordinator: Option<WriteCoordinator>,
}

impl Open {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let set = SegmentSet::open(dir, SegmentConfig::new(SEGMENT))?;
        let (coordinator, handle) = WriteCoordinator::start(set, WriterConfig::default())?;
        Ok(Self {
            handle: Some(handle),
            coordinator: Some(coordinator),
        })
    }

    fn handle(&self) -> Result<&WriteHandle> {
        Ok(self.handle.as_ref().ok_or("the log is closed")?)
    }

    pub(crate) fn append_all(&self, texts: &[String]) -> Result<()> {
        let events = texts
            .iter()
            .map(|text| event(text))
            .collect::<Result<_>>()?;
        self.handle()?.append(events, None)?;
        Ok(())
    }

    /// The last `n` texts, the newest first.
    pub(crate) fn last(&self, n: usize) -> Result<Vec<String>> {
        let query = Query::item(QueryItem::with_tags(tags()?));
        let limit = Some(n as u64);
        let mut reads = self.handle()?.read_back(&query, Position::MAX, limit);
        let mut texts = Vec::new();
        while let Some(found) = reads.next() {
            texts.push(String::from_utf8_lossy(found?.event.data()).into_owned());
        }
        Ok(texts)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.handle = None;
        if let Some(coordinator) = self.coordinator.take() {
            coordinator.shutdown();
        }
    }
}

fn tags() -> Result<Tags> {
    Ok(Tags::new([Tag::new("agent:a")?])?)
}

fn event(text: &str) -> Result<Event> {
    let kind = EventType::new("MessageAdded")?;
    Ok(Event::new(&kind, &tags()?, text.as_bytes())?)
}

impl Side for Tephra {
    fn name(&self) -> String {
        "tephra".to_owned()
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Appends>> {
        Ok(Box::new(Open::new(dir)?))
    }

    fn fill(&self, dir: &Path, texts: &mut Texts<'_>) -> Result<()> {
        let open = Open::new(dir)?;
        loop {
            let batch: Vec<_> = texts.take(BATCH).collect();
            if batch.is_empty() {
                return Ok(());
            }
            open.append_all(&batch)?;
        }
    }

    fn read_last(&self, dir: &Path, n: usize) -> Result<usize> {
        Ok(Open::new(dir)?.last(n)?.iter().map(String::len).sum())
    }
}

impl Appends for Open {
    fn append(&self, text: &str) -> Result<()> {
        self.handle()?.append(vec![event(text)?], None)?;
        Ok(())
    }
}

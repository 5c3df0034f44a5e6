//! Reading single payloads again, at the places that replay noted.

use crate::event::Place;
use crate::format::crc;
use crate::storage::OpenMode;
use crate::{Error, Result};

use super::reader::LogReader;
use super::scan::Window;
use super::segment::SegmentFile;

/// Reads payloads; quick for places that follow each other, with one file open at a time.
#[derive(Debug)]
pub(crate) struct PayloadReader {
    reader: LogReader,
    open: Option<(u64, Window)>,
}

impl PayloadReader {
    pub(crate) fn new(reader: LogReader) -> Self {
        Self { reader, open: None }
    }

    /// The text at `place`, checked.
    pub(crate) fn read(&mut self, place: Place) -> Result<String> {
        if self
            .open
            .as_ref()
            .is_none_or(|(base, _)| *base != place.segment)
        {
            let storage = &*self.reader.storage;
            let dir = &self.reader.dir;
            let segment = SegmentFile::open(storage, dir, place.segment, OpenMode::Read)?;
            self.open = Some((place.segment, Window::new(segment.file, segment.len)));
        }
        let path = || super::directory::segment_path(&self.reader.dir, place.segment);
        let Some((_, window)) = &mut self.open else {
            return Ok(String::new());
        };
        let bytes = window
            .get(place.offset, place.len as usize)
            .map_err(|e| Error::io("read", &path())(e))?;
        let text = std::str::from_utf8(bytes)
            .ok()
            .filter(|_| bytes.len() == place.len as usize && crc(bytes) == place.crc);
        text.map(str::to_owned).ok_or_else(|| Error::InvalidInput {
            what: path().display().to_string(),
            reason: format!(
                "the payload at offset {} changed after it was found: read the session again",
                place.offset
            ),
        })
    }
}

//! Another copy of the same log, to take lost commits from.

use std::sync::Arc;

use crate::format::{Frame, FrameHeader, Kind};
use crate::storage::OpenMode;
use crate::{Error, Result};

use super::directory::Listing;
use super::reader::LogReader;
use super::salvage::salvage;
use super::scan::{Expect, Window};
use super::segment::SegmentFile;

/// Where the commits that are needed are in the copy.
#[derive(Debug)]
pub(crate) struct Copy {
    reader: LogReader,
    /// By first version.
    spots: Vec<CopySpot>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct CopySpot {
    pub(crate) header: FrameHeader,
    pub(crate) next_version: u64,
    segment: u64,
    offset: u64,
}

impl Copy {
    /// Looks through a copy for the commits that hold any version of `needed` (first and last of each range).
    /// Segments of another log are refused.
    pub(crate) fn find(reader: LogReader, log_id: [u8; 16], needed: &[(u64, u64)]) -> Result<Self> {
        let path = reader.dir.clone();
        let listing = Listing::read(&*reader.storage, &path)?
            .filter(|listing| !listing.segments.is_empty())
            .ok_or_else(|| {
                Error::NotFound(format!("a copy of the session in {}", path.display()))
            })?;
        let mut copy = Self {
            reader,
            spots: Vec::new(),
        };
        for (i, base) in listing.segments.iter().enumerate() {
            let next_base = listing.segments.get(i + 1).copied();
            let is_needed = |(first, last): &(u64, u64)| {
                *last >= *base && next_base.is_none_or(|next| *first < next)
            };
            if needed.iter().any(is_needed) {
                copy.segment(*base, next_base, log_id, needed)?;
            }
        }
        copy.spots.sort_by_key(|spot| spot.header.first_version);
        Ok(copy)
    }

    /// The commits that lie within the versions from `first` to before `until`.
    pub(crate) fn within(&self, first: u64, until: u64) -> impl Iterator<Item = &CopySpot> {
        self.spots
            .iter()
            .filter(move |s| s.header.first_version >= first && s.next_version <= until)
    }

    /// The payload of one event, if the copy has it with this length and checksum.
    pub(crate) fn payload(&self, version: u64, len: usize, crc: u32) -> Option<Vec<u8>> {
        let at = self.spots.partition_point(|s| s.next_version <= version);
        let spot = self
            .spots
            .get(at)
            .filter(|s| s.header.first_version <= version)?;
        let bytes = self.read(spot).ok()?;
        let frame = Frame::decode(spot.header, &bytes).ok()?;
        let index = usize::try_from(version - spot.header.first_version).ok()?;
        let entry = frame.entries().nth(index)?;
        let fits = entry.payload.len() == len && entry.payload_crc == crc && entry.is_whole();
        fits.then(|| entry.payload.to_vec())
    }

    /// The bytes of a commit's frame.
    pub(crate) fn read(&self, spot: &CopySpot) -> Result<Vec<u8>> {
        let segment = self.open(spot.segment)?;
        let len = spot.header.frame_len() as usize;
        let mut window = Window::new(segment.file, segment.len);
        let bytes = window
            .get(spot.offset, len)
            .map_err(Error::io("read", &segment.path))?;
        Ok(bytes.to_vec())
    }

    fn open(&self, base: u64) -> Result<SegmentFile> {
        SegmentFile::open(
            &*self.reader.storage,
            &self.reader.dir,
            base,
            OpenMode::Read,
        )
    }

    fn segment(
        &mut self,
        base: u64,
        next_base: Option<u64>,
        log_id: [u8; 16],
        needed: &[(u64, u64)],
    ) -> Result<()> {
        let segment = self.open(base)?;
        let salt = match &segment.header {
            Ok(header) if header.log_id != log_id => {
                return Err(Error::InvalidInput {
                    what: segment.path.display().to_string(),
                    reason: "it is a copy of another log: nothing of it is used".to_owned(),
                });
            }
            header => header.as_ref().ok().map(|header| header.salt),
        };
        let expect = Expect {
            salt,
            version: base,
            link: None,
            epoch: 0,
        };
        let mut window = Window::new(Arc::clone(&segment.file), segment.len);
        let from = crate::format::SEGMENT_HEADER_LEN as u64;
        let found = salvage(&mut window, from, expect, next_base, None);
        let found = found.map_err(Error::io("read", &segment.path))?;
        for spot in found.spots.iter().filter(|s| s.header.kind == Kind::Events) {
            let (first, next_version) = (spot.header.first_version, spot.after.version);
            if needed
                .iter()
                .any(|(from, to)| first <= *to && next_version > *from)
            {
                let (header, offset) = (spot.header, spot.offset);
                self.spots.push(CopySpot {
                    header,
                    next_version,
                    segment: base,
                    offset,
                });
            }
        }
        Ok(())
    }
}

//! Reading the commits of a log, to share them.

use crate::format::{Frame, Point};
use crate::storage::OpenMode;
use crate::{Error, Result};

use super::directory::Listing;
use super::reader::LogReader;
use super::scan::{Expect, Scan, Step};
use super::segment::SegmentFile;

/// Takes a commit's frame and where it ends; `false` to stop.
pub(crate) type VisitCommit<'v> = &'v mut dyn FnMut(&Frame<'_>, Point) -> Result<bool>;

impl LogReader {
    /// Hands out the commits that end after version `after`, up to version `until`. What repair gave up is left
    /// out, so a caller that needs all of them checks that each follows the one before.
    ///
    /// Errors: [`Error::Damaged`] if the log cannot be read up to `until`.
    pub(crate) fn commits(&self, after: u64, until: u64, visit: VisitCommit<'_>) -> Result<()> {
        if after >= until {
            return Ok(());
        }
        let listing = Listing::read(&*self.storage, &self.dir)?.unwrap_or_default();
        let bases = &listing.segments;
        let first = bases
            .partition_point(|base| *base <= after + 1)
            .saturating_sub(1);
        let mut expect: Option<Expect> = None;
        for base in bases.iter().skip(first) {
            let segment = SegmentFile::open(&*self.storage, &self.dir, *base, OpenMode::Read)?;
            let Ok(header) = &segment.header else { break };
            let start = *expect.get_or_insert(Expect {
                salt: Some(header.salt),
                version: *base,
                link: Some(header.prev_link),
                epoch: 0,
            });
            if start.version != *base {
                break;
            }
            let mut scan = Scan::new(segment.file, segment.len, start);
            while let Step::Frame { frame, .. } =
                scan.next().map_err(Error::io("read", &segment.path))?
            {
                let point = Point::of(&frame.header).filter(|point| point.version > after);
                let Some(point) = point else { continue };
                if point.version > until {
                    return Ok(());
                }
                if !visit(&frame, point)? || point.version == until {
                    return Ok(());
                }
            }
            if scan.expect.version > until {
                return Ok(());
            }
            expect = Some(scan.expect);
        }
        Err(self.unreadable(until))
    }

    /// Where the last commit up to version `until` ends; `None` if there is none.
    pub(crate) fn point(&self, until: u64) -> Result<Option<Point>> {
        let mut last = None;
        self.commits(until.saturating_sub(1), until, &mut |_, point| {
            last = Some(point);
            Ok(true)
        })?;
        Ok(last)
    }

    fn unreadable(&self, until: u64) -> Error {
        match self.scan(&mut |_| Ok(())) {
            Err(error) => error,
            Ok(Some(scanned)) if !scanned.damage.is_empty() => Error::Damaged {
                path: self.dir.clone(),
                report: scanned.damage,
            },
            Ok(_) => Error::NotFound(format!("version {until} in {}", self.dir.display())),
        }
    }
}

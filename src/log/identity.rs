//! Which log a damaged one is.

use crate::Result;
use crate::storage::OpenMode;

use super::pieces::corrected_header;
use super::reader::{LogReader, Scanned};
use super::segment::SegmentFile;

/// What tells this log's segments and frames from those of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) log_id: [u8; 16],
    pub(super) salt: u32,
}

impl Identity {
    /// Where nothing has it any more, it is made up, the same for the same content.
    pub(super) fn of(log: &LogReader, scanned: &Scanned) -> Result<Self> {
        let (mut log_id, mut salt) = (scanned.log_id, scanned.salt);
        for segment in &scanned.segments {
            if log_id != [0; 16] {
                break;
            }
            let old = SegmentFile::open(&*log.storage, &log.dir, segment.base, OpenMode::Read)?;
            if let Some(header) = corrected_header(&old) {
                log_id = header.log_id;
                if salt == 0 {
                    salt = header.salt;
                }
            }
        }
        if log_id == [0; 16] {
            let link = scanned.segments.iter().find_map(|segment| segment.link);
            let parts = [salt, link.unwrap_or(1), salt, link.unwrap_or(1)];
            for (to, part) in log_id.chunks_exact_mut(4).zip(parts) {
                to.copy_from_slice(&part.to_le_bytes());
            }
        }
        Ok(Self { log_id, salt })
    }
}

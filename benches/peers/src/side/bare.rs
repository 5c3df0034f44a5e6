//! The limit: `pwrite` and `fdatasync` in a loop, nothing else.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use super::Appends;
use crate::fault::Result;

/// How far ahead a file is allocated: what the engine's design allows.
const STEP: u64 = 64 << 10;
/// How much is written beforehand where the loop only overwrites.
const WRITTEN: u64 = 64 << 20;

/// Where the loop's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The file grows with each write.
    Extended,
    /// The file is allocated in steps of 64 KiB.
    Preallocated,
    /// Every byte was written and synced before: no file system does less for a sync.
    Overwritten,
}

impl Extent {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Extended => "bare loop, file extended",
            Self::Preallocated => "bare loop, file preallocated",
            Self::Overwritten => "bare loop, file written before",
        }
    }
}

/// A file and where it ends.
pub(crate) struct Bare {
    file: File,
    extent: Extent,
    ends: Mutex<(u64, u64)>,
}

/// Opens a new file for the bare loop.
pub(crate) fn bare(path: &Path, extent: Extent) -> Result<Bare> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let mut allocated = 0;
    if extent == Extent::Overwritten {
        let zeros = vec![0; 1 << 20];
        while allocated < WRITTEN {
            file.write_all_at(&zeros, allocated)?;
            allocated += zeros.len() as u64;
        }
    }
    file.sync_all()?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(Bare {
        file,
        extent,
        ends: Mutex::new((0, allocated)),
    })
}

impl Appends for Bare {
    fn append(&self, text: &str) -> Result<()> {
        let mut ends = self.ends.lock().map_err(|_| "another thread failed")?;
        let (mut at, mut allocated) = *ends;
        let after = at + text.len() as u64;
        if self.extent == Extent::Preallocated && after > allocated {
            allocated = after.next_multiple_of(STEP);
            fs2::FileExt::allocate(&self.file, allocated)?;
        }
        if self.extent == Extent::Overwritten && after > allocated {
            at = 0;
        }
        *ends = (at + text.len() as u64, allocated);
        drop(ends);
        self.file.write_all_at(text.as_bytes(), at)?;
        Ok(self.file.sync_data()?)
    }
}

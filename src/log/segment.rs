//! One segment file, opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::{Fault, MAJOR, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::storage::{OpenMode, Storage, StorageFile, read_full_at};
use crate::{Error, Result};

use super::directory::segment_path;

/// A segment file and what its header says.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    /// The base version, from the file's name.
    pub(crate) base: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn StorageFile>,
    /// The file's length when it was opened, in bytes.
    pub(crate) len: u64,
    pub(crate) header: Result<SegmentHeader, Fault>,
}

impl SegmentFile {
    /// Opens the segment and reads its header. A truly newer format is an error, a damaged header is not.
    pub(crate) fn open(
        storage: &dyn Storage,
        dir: &Path,
        base: u64,
        mode: OpenMode,
    ) -> Result<Self> {
        let path = segment_path(dir, base);
        let file = storage
            .open(&path, mode)
            .map_err(Error::io("open", &path))?;
        let len = file.len().map_err(Error::io("read the length", &path))?;
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        let got = read_full_at(&*file, &mut bytes, 0).map_err(Error::io("read", &path))?;
        let header = SegmentHeader::decode(&bytes[..got]).and_then(|header| {
            let agrees = header.base_version == base;
            agrees
                .then_some(header)
                .ok_or(Fault::HeaderValue("base version is not the file name's"))
        });
        if let Err(Fault::Newer {
            major,
            incompat,
            writer,
        }) = &header
        {
            let found = if *major == MAJOR {
                format!("{major} with features {incompat:#x}")
            } else {
                major.to_string()
            };
            let writer = writer.trim().to_owned();
            return Err(Error::UnsupportedVersion {
                path,
                found,
                supported: MAJOR,
                writer,
            });
        }
        Ok(Self {
            base,
            path,
            file: Arc::from(file),
            len,
            header,
        })
    }
}

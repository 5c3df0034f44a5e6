//! What was asked of a simulated disk, in order.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// [`Storage::open`](crate::storage::Storage::open) of an existing file.
    Open,
    /// `open` of a new file.
    Create,
    /// `rename` or `rename_new`; [`Op::to`] is the new name.
    Rename,
    /// `link`; [`Op::to`] is the second name.
    Link,
    /// `remove_file`.
    RemoveFile,
    /// `remove_dir`.
    RemoveDir,
    /// `create_dir`.
    CreateDir,
    /// `list`.
    List,
    /// `sync_dir`.
    SyncDir,
    /// `try_lock`.
    Lock,
    /// [`StorageFile::len`](crate::storage::StorageFile::len).
    Len,
    /// `read_at`.
    Read,
    /// `write_at`.
    Write,
    /// `set_len`; [`Op::len`] is the new length.
    SetLen,
    /// `allocate`; [`Op::len`] is the length.
    Allocate,
    /// `sync_data`.
    SyncData,
    /// Not an operation and not counted as one: [`SimDisk::note`](super::SimDisk::note).
    Note(&'static str),
}

impl OpKind {
    /// Whether it may change bytes or names.
    pub(super) fn changes(self) -> bool {
        match self {
            Self::Open
            | Self::List
            | Self::Len
            | Self::Read
            | Self::SyncDir
            | Self::SyncData
            | Self::Note(_) => false,
            Self::Create
            | Self::Rename
            | Self::Link
            | Self::RemoveFile
            | Self::RemoveDir
            | Self::CreateDir
            | Self::Lock
            | Self::Write
            | Self::SetLen
            | Self::Allocate => true,
        }
    }

    /// Whether a full disk may refuse it.
    pub(super) fn takes_space(self) -> bool {
        self.changes() && !matches!(self, Self::RemoveFile | Self::RemoveDir)
    }
}

/// One operation. A file goes by the path by which it was opened, also after a rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Which operation it was, from 1; of a note, the last operation before it.
    pub number: u64,
    /// What it does.
    pub kind: OpKind,
    /// Its path; empty for a note.
    pub path: PathBuf,
    /// The new name, for a rename or a link.
    pub to: Option<PathBuf>,
    /// The offset of a read or a write, in bytes.
    pub offset: u64,
    /// The bytes asked for, or a length; of a note, its value.
    pub len: u64,
    /// The bytes that were read or written.
    pub moved: u64,
    /// How it failed, if it did.
    pub error: Option<io::ErrorKind>,
}

impl Op {
    pub(super) fn new(kind: OpKind, path: &Path) -> Self {
        let path = path.to_owned();
        Self {
            number: 0,
            kind,
            path,
            to: None,
            offset: 0,
            len: 0,
            moved: 0,
            error: None,
        }
    }

    pub(super) fn at(self, offset: u64, len: u64) -> Self {
        Self {
            offset,
            len,
            ..self
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5} {:?} {}",
            self.number,
            self.kind,
            self.path.display()
        )?;
        if let Some(to) = &self.to {
            write!(f, " -> {}", to.display())?;
        }
        if self.len > 0 || self.offset > 0 {
            write!(f, " [{}, +{}]", self.offset, self.len)?;
        }
        match self.error {
            Some(kind) => write!(f, " failed: {kind:?}"),
            None => Ok(()),
        }
    }
}

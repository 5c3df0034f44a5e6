//! Open files and locks of a simulated disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::SimDisk;
use super::fault::How;
use super::inode::{Edit, Inode};
use super::trace::{Op, OpKind};
use crate::storage::pages::end_of;
use crate::storage::{StorageFile, StorageLock};

/// An open file. Closing it does nothing: least of all does it make anything durable.
#[derive(Debug)]
pub(super) struct SimFile {
    disk: SimDisk,
    node: u64,
    path: PathBuf,
    writable: bool,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, node: u64, path: &Path, writable: bool) -> Self {
        Self {
            disk,
            node,
            path: path.to_owned(),
            writable,
        }
    }

    fn op(&self, kind: OpKind) -> Op {
        Op::new(kind, &self.path)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the file is open to read",
        ))
    }

    /// Changes the length, if the file is open to write and `op.len` is a length at all.
    fn change_len(&self, op: Op, run: impl FnOnce(&mut Inode)) -> io::Result<()> {
        let len = op.len;
        self.disk.operate(op, |disk, _| {
            end_of(len, 0)?;
            self.check_writable()?;
            run(disk.tree.file_mut(self.node)?);
            Ok(())
        })
    }
}

/// How much of a transfer is done: of one byte or none, all.
fn part(len: usize, how: How) -> usize {
    if how == How::Half && len > 1 {
        len / 2
    } else {
        len
    }
}

impl StorageFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.operate(self.op(OpKind::Len), |disk, _| {
            Ok(disk.tree.file_mut(self.node)?.cached.len())
        })
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let op = self.op(OpKind::Read).at(offset, buf.len() as u64);
        self.disk.operate(op, |disk, how| {
            let count = part(buf.len(), how);
            disk.read(self.node, &mut buf[..count], offset)
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let op = self.op(OpKind::Write).at(offset, buf.len() as u64);
        self.disk.operate(op, |disk, how| {
            end_of(offset, buf.len())?;
            self.check_writable()?;
            let count = part(buf.len(), how);
            if count > 0 {
                let bytes = Arc::from(&buf[..count]);
                disk.tree
                    .file_mut(self.node)?
                    .edit(Edit::Write { offset, bytes });
            }
            disk.wrote(count);
            Ok(count)
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change_len(self.op(OpKind::SetLen).at(0, len), |inode| {
            inode.edit(Edit::SetLen { len });
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.change_len(self.op(OpKind::Allocate).at(0, len), |inode| {
            if len > inode.cached.len() {
                inode.edit(Edit::SetLen { len });
            }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.operate(self.op(OpKind::SyncData), |disk, how| {
            let inode = disk.tree.file_mut(self.node)?;
            match how {
                How::Fully | How::Half => inode.sync(),
                How::GivingUp => inode.give_up(),
                How::Reverting => inode.revert(),
            }
            Ok(())
        })
    }
}

/// A lock on a node, given up when it is dropped.
#[derive(Debug)]
pub(super) struct SimLock {
    disk: SimDisk,
    node: u64,
}

impl SimLock {
    pub(super) fn new(disk: SimDisk, node: u64) -> Self {
        Self { disk, node }
    }
}

impl StorageLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Ok(inode) = self.disk.disk().tree.file_mut(self.node) {
            inode.locked = false;
        }
    }
}

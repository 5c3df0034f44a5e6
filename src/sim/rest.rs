//! Faults at rest: damage to the bytes of a disk that nobody is writing to.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::choice::mix;
use super::crash::SECTOR;
use super::disk::{Disk, SimDisk};
use super::inode::Inode;
use crate::storage::pages::Pages;
use crate::storage::tree::ROOT;

/// Damage is done to a file as a whole: what the file holds becomes durable first. A file longer than this
/// would not fit in memory.
const LIMIT: u64 = 1 << 30;

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn bytes_of(disk: &Disk, path: &Path) -> io::Result<Vec<u8>> {
    let node = disk.tree.find_file(path)?;
    let inode = disk.tree.file(node).ok_or(io::ErrorKind::NotFound)?;
    if inode.cached.len() > LIMIT {
        return Err(invalid("the file is too long to be taken as a whole"));
    }
    let mut bytes = vec![0; inode.cached.len() as usize];
    inode.cached.read_at(&mut bytes, 0);
    Ok(bytes)
}

fn put_bytes(disk: &mut Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let node = disk.tree.find_file(path)?;
    let mut pages = Pages::default();
    pages.write_at(bytes, 0);
    let inode = disk.tree.file_mut(node)?;
    *inode = Inode {
        locked: inode.locked,
        ..Inode::settled(pages)
    };
    Ok(())
}

fn part(bytes: &mut [u8], range: Range<u64>) -> io::Result<&mut [u8]> {
    let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
    let range = start.ok().zip(end.ok()).map(|(start, end)| start..end);
    range
        .and_then(|range| bytes.get_mut(range))
        .ok_or_else(|| invalid("the range is not inside the file"))
}

/// Damage, and a look at the bytes beside all counters. None of these is an operation: no fault strikes it, and
/// the trace does not have it. Offsets and ranges are in bytes; outside the file they are `InvalidInput`.
impl SimDisk {
    /// The bytes of a file, as a reader would see them.
    pub fn peek(&self, path: &Path) -> io::Result<Vec<u8>> {
        bytes_of(&self.disk(), path)
    }

    /// The paths of all files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let disk = self.disk();
        let mut files = Vec::new();
        let mut directories = vec![(ROOT, PathBuf::from("/"))];
        while let Some((node, path)) = directories.pop() {
            for (name, node) in disk.tree.names(node).into_iter().flatten() {
                let path = path.join(name);
                if disk.tree.is_directory(*node) {
                    directories.push((*node, path));
                } else {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }

    /// Changes the bytes of a file in any way; they are durable then.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.try_damage(path, |bytes| {
            change(bytes);
            Ok(())
        })
    }

    // The lock is not held over `change`, which may look at the disk.
    fn try_damage(
        &self,
        path: &Path,
        change: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = self.peek(path)?;
        change(&mut bytes)?;
        put_bytes(&mut self.disk(), path, &bytes)
    }

    /// Flips one bit, counted from the lowest bit of the first byte.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        self.try_damage(path, |bytes| {
            part(bytes, bit / 8..bit / 8 + 1)?[0] ^= 1 << (bit % 8);
            Ok(())
        })
    }

    /// Turns a range into zeros.
    pub fn zero(&self, path: &Path, range: Range<u64>) -> io::Result<()> {
        self.try_damage(path, |bytes| {
            part(bytes, range)?.fill(0);
            Ok(())
        })
    }

    /// Turns a range into noise; every byte of it changes.
    pub fn garbage(&self, path: &Path, range: Range<u64>, seed: u64) -> io::Result<()> {
        self.try_damage(path, |bytes| {
            for (at, byte) in part(bytes, range)?.iter_mut().enumerate() {
                *byte ^= (mix(seed ^ (at as u64) << 32) as u8).max(1);
            }
            Ok(())
        })
    }

    /// Cuts a file.
    pub fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.try_damage(path, |bytes| {
            part(bytes, 0..len)?;
            bytes.truncate(len as usize);
            Ok(())
        })
    }

    /// Takes a range out of a file; what follows moves forward.
    pub fn remove_range(&self, path: &Path, range: Range<u64>) -> io::Result<()> {
        self.try_damage(path, |bytes| {
            part(bytes, range.clone())?;
            bytes.drain(range.start as usize..range.end as usize);
            Ok(())
        })
    }

    /// Exchanges two sectors of 512 bytes, given by their numbers; both must be whole.
    pub fn swap_sectors(&self, path: &Path, first: u64, second: u64) -> io::Result<()> {
        let sector = |number: u64| {
            let start = number.checked_mul(SECTOR).filter(|start| *start < LIMIT);
            start
                .map(|start| start..start + SECTOR)
                .ok_or_else(|| invalid("there is no such sector"))
        };
        let (first, second) = (sector(first)?, sector(second)?);
        self.try_damage(path, |bytes| {
            let kept = part(bytes, first.clone())?.to_vec();
            let other = part(bytes, second.clone())?.to_vec();
            part(bytes, first)?.copy_from_slice(&other);
            part(bytes, second)?.copy_from_slice(&kept);
            Ok(())
        })
    }

    /// A misdirected write: the bytes of a range are found at `to`, and zeros where they belong.
    pub fn misdirect(&self, path: &Path, range: Range<u64>, to: u64) -> io::Result<()> {
        self.try_damage(path, |bytes| {
            let moved = part(bytes, range.clone())?.to_vec();
            let end = to
                .checked_add(moved.len() as u64)
                .ok_or_else(|| invalid("the offset is too large"))?;
            part(bytes, to..end)?;
            part(bytes, range)?.fill(0);
            part(bytes, to..end)?.copy_from_slice(&moved);
            Ok(())
        })
    }

    /// Takes a file away, for good: the names in its directory become durable.
    pub fn delete(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.remove(path, false)?;
        disk.sync_dir(path.parent().unwrap_or(Path::new("")))
    }

    /// Puts the bytes of another file in place of those of `path`.
    pub fn replace(&self, path: &Path, other: &Path) -> io::Result<()> {
        let other = self.peek(other)?;
        self.damage(path, |bytes| *bytes = other)
    }
}

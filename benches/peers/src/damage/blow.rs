//! The damages.

use std::path::{Path, PathBuf};

use super::victim::Victim;
use super::{EVENTS, text};
use crate::fault::Result;

/// One kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// One bit of a data file is flipped.
    Flip,
    /// The same, and the store is written to afterwards.
    FlipThenAppend,
    /// 4 KiB of a data file are zero.
    NulBlock,
    /// The last event's write is half there, and the store is written to afterwards.
    TornTail,
    /// The bytes of one record are gone, and what follows moved up.
    DeletedRecord,
    /// One of the files is gone.
    LostSegment,
}

pub(crate) const ALL: [Blow; 6] = [
    Blow::Flip,
    Blow::FlipThenAppend,
    Blow::NulBlock,
    Blow::TornTail,
    Blow::DeletedRecord,
    Blow::LostSegment,
];

const BLOCK: usize = 4096;

impl Blow {
    /// What stands over its table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Flip => "A flipped bit in the middle",
            Self::FlipThenAppend => "A flipped bit in the middle, then five appends",
            Self::NulBlock => "A block of 4 KiB is zero",
            Self::TornTail => "A torn tail, then five appends",
            Self::DeletedRecord => "A deleted record",
            Self::LostSegment => "A lost segment",
        }
    }

    /// How it is done.
    pub(crate) fn how(self) -> &'static str {
        match self {
            Self::Flip => {
                "The store is closed; one bit of its data is inverted, at places spread over the middle half of all \
                 bytes that it holds events in."
            }
            Self::FlipThenAppend => {
                "The same; then the store is opened for writing and gets five more events. A store that refuses them \
                 says so, and loses nothing by it."
            }
            Self::NulBlock => {
                "The store is closed; an aligned block of its data is overwritten with zeros, as a disk or a file \
                 system that lost it gives it back. Some ten events are in it, which nobody can give back."
            }
            Self::TornTail => {
                "The store's files are copied while it is open, as a killed process leaves them; the last event's \
                 bytes end in the middle, with the end of the file or, in a preallocated file, with zeros. The event \
                 counts as never acknowledged. Then the store is opened for writing and gets five more events."
            }
            Self::DeletedRecord => {
                "The store is closed; as many bytes as one event takes in the file are cut out, from the text of one \
                 event to the same place in the next, and the rest moves up."
            }
            Self::LostSegment => {
                "The file in the middle is gone, of those that hold events. SQLite has one file; of it the \
                 write-ahead log of a killed process is lost, which holds acknowledged commits. JSONL has one file, \
                 and is left out."
            }
        }
    }

    pub(crate) fn is_after_a_kill(self) -> bool {
        matches!(self, Self::TornTail | Self::LostSegment)
    }

    pub(crate) fn has_later_events(self) -> bool {
        matches!(self, Self::TornTail | Self::FlipThenAppend)
    }

    pub(crate) fn has_one_place(self) -> bool {
        self.is_after_a_kill()
    }

    /// Does it at a place from 0 to 1; `false` if this store cannot be hit so.
    pub(crate) fn strike(self, victim: &dyn Victim, dir: &Path, place: f64) -> Result<bool> {
        let files = victim.files(dir)?;
        let middle = 0.25 + place / 2.0;
        match self {
            Self::Flip | Self::FlipThenAppend => {
                let (path, at) = byte_at(&files, middle)?;
                edit(&path, |bytes| bytes[at] ^= 1 << (at % 8))?;
            }
            Self::NulBlock => {
                let (path, at) = byte_at(&files, middle)?;
                edit(&path, |bytes| {
                    let start = at / BLOCK * BLOCK;
                    let end = (start + BLOCK).min(bytes.len());
                    bytes[start..end].fill(0);
                })?;
            }
            Self::TornTail => tear(&files)?,
            Self::DeletedRecord => delete(&files, (middle * EVENTS as f64) as usize)?,
            Self::LostSegment => {
                let lost = if victim.has_segments() {
                    files.get(files.len() / 2).filter(|_| files.len() > 2)
                } else {
                    files
                        .iter()
                        .find(|path| path.to_string_lossy().ends_with("-wal"))
                };
                let Some(lost) = lost else { return Ok(false) };
                std::fs::remove_file(lost)?;
            }
        }
        Ok(true)
    }
}

/// The file and the offset of the byte at a place from 0 to 1 of all bytes that are not the zeros at a file's end.
fn byte_at(files: &[PathBuf], place: f64) -> Result<(PathBuf, usize)> {
    let lens = files.iter().map(|path| Ok(used(&std::fs::read(path)?)));
    let lens = lens.collect::<Result<Vec<_>>>()?;
    let mut at = (place * lens.iter().sum::<usize>() as f64) as usize;
    for (path, len) in files.iter().zip(&lens) {
        if at < *len {
            return Ok((path.clone(), at));
        }
        at -= len;
    }
    Err("there is no byte at this place".into())
}

/// The length without the zeros at the end.
fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |last| last + 1)
}

/// Cuts the last event in half: where the file ends, or in zeros if it was preallocated.
fn tear(files: &[PathBuf]) -> Result<()> {
    let last = text(EVENTS - 1);
    for path in files.iter().rev() {
        let bytes = std::fs::read(path)?;
        // The last time it was written: a write-ahead log holds a page again and again.
        let Some(at) = find(&bytes, last.as_bytes()).last() else {
            continue;
        };
        let cut = at + last.len() / 2;
        let is_preallocated = bytes.len() - used(&bytes) > BLOCK;
        return edit(path, |bytes| {
            if is_preallocated {
                bytes[cut..].fill(0);
            } else {
                bytes.truncate(cut);
            }
        });
    }
    Err("the last event was not found".into())
}

/// Cuts out the bytes from one event's text to the same place in the event after it in the file.
fn delete(files: &[PathBuf], number: usize) -> Result<()> {
    let (this, next) = (text(number), text(number + 1));
    for path in files {
        let bytes = std::fs::read(path)?;
        let place = |text: &str| find(&bytes, text.as_bytes()).last();
        if let (Some(a), Some(b)) = (place(&this), place(&next)) {
            // In a b-tree's page the next event comes before this one.
            return edit(path, |bytes| drop(bytes.drain(a.min(b)..a.max(b))));
        }
    }
    // The next event is in another file.
    delete_before(files, number)
}

fn delete_before(files: &[PathBuf], number: usize) -> Result<()> {
    if number == 0 {
        return Err("no event was found".into());
    }
    delete(files, number - 1)
}

fn find<'b>(bytes: &'b [u8], part: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    let head = &part[..part.len().min(64)];
    (0..bytes.len().saturating_sub(head.len()))
        .filter(move |at| bytes[*at] == head[0] && bytes[*at..].starts_with(head))
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let mut bytes = std::fs::read(path)?;
    change(&mut bytes);
    Ok(std::fs::write(path, bytes)?)
}

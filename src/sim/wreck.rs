//! One damage of any kind to the files of a log, as chosen: what a broken disk, a careless copy or a mixed-up backup
//! leaves behind.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::choice::mix;
use super::{Choice, SimDisk};
use crate::format::{FRAME_MAGIC, SEGMENT_HEADER_LEN, mended};
use crate::storage::{OpenMode, Storage};

/// Where the epoch is in a frame's header.
const EPOCH: Range<usize> = 36..40;

/// How many kinds of damage there are, and which of them forge, ascending.
const KINDS: u64 = 20;
const FORGERIES: [u64; 3] = [10, 11, 19];

impl SimDisk {
    /// Damages one of the files in `dir`, a session's directory, in a way that `choice` chooses. Files that it puts there
    /// come from the same directory or are among `strangers`, which are paths of files elsewhere on this disk.
    ///
    /// Returns whether frames with good checksums may now say what nobody has written in this log; never if not `forges`.
    pub fn wreck(
        &self,
        dir: &Path,
        strangers: &[PathBuf],
        forges: bool,
        choice: &mut dyn Choice,
    ) -> bool {
        let mut files = self.files();
        files.retain(|path| path.starts_with(dir));
        let Some(path) = pick(&files, choice) else {
            return false;
        };
        let len = self.peek(&path).map_or(0, |bytes| bytes.len() as u64);
        let (first, second) = (
            choice.choose("place", len.max(1)),
            choice.choose("another place", len.max(1)),
        );
        let near = first..len.min(first + 1 + second % 700);
        let far = first.min(second)..first.max(second);
        let kind = if forges {
            choice.choose("damage", KINDS)
        } else {
            let honest = KINDS - FORGERIES.len() as u64;
            let kind = choice.choose("damage", honest);
            // The number of the kind among all of them.
            FORGERIES
                .iter()
                .fold(kind, |kind, forgery| kind + u64::from(*forgery <= kind))
        };
        // What does not fit the file is refused, and does nothing.
        let _ = match kind {
            0 => self.flip_bit(&path, first * 8 + second % 8),
            1 => self.zero(&path, near),
            2 => self.garbage(&path, near, second),
            3 => self.zero(&path, far),
            4 => self.truncate(&path, first),
            5 => self.remove_range(&path, near),
            6 => self.swap_sectors(&path, first / 512, second / 512),
            7 => self.misdirect(&path, near, second),
            8 => self.delete(&path),
            9 => self.garbage(&path, 0..SEGMENT_HEADER_LEN as u64, second),
            10 => self.damage(&path, |bytes| change_frame(bytes, first, second)),
            11 => self.damage(&path, |bytes| change_header_and_mend(bytes, second)),
            12..14 => pick(&files, choice).map_or(Ok(()), |other| self.replace(&path, &other)),
            14..16 => pick(&files, choice).map_or(Ok(()), |other| {
                let other = self.peek(&other)?;
                self.damage(&path, |bytes| splice(bytes, first, &other, choice))
            }),
            16 => self.put(&stray(&path, choice), Vec::new()),
            17 => self
                .peek(&path)
                .and_then(|bytes| self.put(&stray(&path, choice), bytes)),
            18 => self.peek(&path).and_then(|bytes| {
                self.delete(&path)?;
                self.put(&stray(&path, choice), bytes)
            }),
            _ => pick(strangers, choice).map_or(Ok(()), |other| {
                let to = match choice.choose("where", 2) {
                    0 => path.clone(),
                    _ => stray(&path, choice),
                };
                self.put(&to, self.peek(&other)?)
            }),
        };
        FORGERIES.contains(&kind)
    }

    /// Makes a file, or puts other bytes into it; its bytes and its name are durable then.
    fn put(&self, path: &Path, bytes: Vec<u8>) -> std::io::Result<()> {
        if self.peek(path).is_err() {
            self.open(path, OpenMode::CreateNew)?;
        }
        self.damage(path, |was| *was = bytes)?;
        self.sync_dir(path.parent().unwrap_or(Path::new("")))
    }
}

fn pick(files: &[PathBuf], choice: &mut dyn Choice) -> Option<PathBuf> {
    files
        .get(choice.choose("file", files.len() as u64) as usize)
        .cloned()
}

/// A name like that of `path`: a number near its own, and the same ending or another.
fn stray(path: &Path, choice: &mut dyn Choice) -> PathBuf {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let (number, ending) = name.split_once('.').unwrap_or((name, "seg"));
    let number = number.parse().unwrap_or(1_u64);
    let near = match choice.choose("how far", 4) {
        0 => choice.choose("number", 200),
        1 => number.saturating_sub(choice.choose("number", 4)),
        _ => number.saturating_add(choice.choose("number", 4)),
    };
    let ending = match choice.choose("ending", 8) {
        0 => "snap",
        1 => "seg.tmp",
        2 => "snap.tmp",
        _ => ending,
    };
    path.with_file_name(format!("{near:020}.{ending}"))
}

/// Changes a byte of a frame, and gives the frame checksums that fit.
fn change_frame(bytes: &mut [u8], first: u64, second: u64) {
    let starts: Vec<usize> = (0..bytes.len() / 8)
        .map(|at| at * 8)
        .filter(|at| bytes[*at..].starts_with(&FRAME_MAGIC))
        .collect();
    let Some(at) = starts.get(first as usize % starts.len().max(1)) else {
        return;
    };
    let frame = &mut bytes[*at..];
    // Most bytes of interest are in the header.
    let range = if second % 4 == 0 { frame.len() } else { 64 };
    let place = (second as usize / 4 % range).min(frame.len() - 1);
    // A forged epoch makes everything behind it look old: that is what epochs are for.
    if !EPOCH.contains(&place) {
        frame[place] ^= mix(second) as u8;
    }
    let good = mended(frame);
    frame.copy_from_slice(&good);
}

/// Changes a byte of a segment's header, and gives it a checksum that fits.
fn change_header_and_mend(bytes: &mut [u8], second: u64) {
    let Some(header) = bytes.get_mut(..SEGMENT_HEADER_LEN) else {
        return;
    };
    header[second as usize % (SEGMENT_HEADER_LEN - 4)] ^= mix(second) as u8;
    let crc = crate::format::crc(&header[..SEGMENT_HEADER_LEN - 4]);
    header[SEGMENT_HEADER_LEN - 4..].copy_from_slice(&crc.to_le_bytes());
}

/// Puts a piece of another file in between, where a frame can begin.
fn splice(bytes: &mut Vec<u8>, at: u64, other: &[u8], choice: &mut dyn Choice) {
    let at = (at as usize / 8 * 8).min(bytes.len());
    let from = choice.choose("from", other.len() as u64 / 8 + 1) as usize * 8;
    let len = choice.choose("length", 200) as usize * 8;
    let piece = &other[from.min(other.len())..(from + len).min(other.len())];
    bytes.splice(at..at, piece.iter().copied());
}

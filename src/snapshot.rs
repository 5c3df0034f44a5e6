//! Snapshots: a session's state at a version, so that opening need not replay what is before.
//!
//! A snapshot is derived and disposable. It is used only if every byte of it is as it was written and the log
//! still has the commit that it names; otherwise the log is replayed from its beginning.

use std::io;
use std::path::Path;

use crate::Version;
use crate::damage::{Damage, Verdict};
use crate::format::crc;
use crate::log::{Listing, Scanned, Since, snapshot_path};
use crate::state::State;
use crate::storage::{OpenMode, Storage, read_full_at, write_all_at};

const MAGIC: [u8; 8] = *b"\x89SLSNAP\n";
/// Raised whenever replay changes, so that older snapshots are built anew.
const REDUCER: u32 = 1;
const HEADER_LEN: usize = 56;
/// How many are kept.
const KEPT: usize = 2;

/// What is in a snapshot's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Good(Box<Snapshot>),
    /// A good one of another reducer: nothing is known of what it should be.
    Foreign,
    Damaged,
}

impl Stored {
    fn good(self) -> Option<Snapshot> {
        match self {
            Self::Good(snapshot) => Some(*snapshot),
            Self::Foreign | Self::Damaged => None,
        }
    }
}

/// A state, and the commit that it is the state after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) log_id: [u8; 16],
    pub(crate) since: Since,
    pub(crate) state: State,
}

impl Snapshot {
    /// The newest good snapshot of a version up to `to`.
    pub(crate) fn newest(storage: &dyn Storage, dir: &Path, to: Version) -> Option<Self> {
        let listing = Listing::read(storage, dir).ok()??;
        let mut versions = listing
            .snapshots
            .iter()
            .rev()
            .filter(|version| **version <= to.0);
        versions.find_map(|version| Self::read(storage, dir, *version).ok()?.good())
    }

    /// Writes the snapshot and removes the oldest ones.
    pub(crate) fn write(&self, storage: &dyn Storage, dir: &Path) -> io::Result<()> {
        let path = snapshot_path(dir, self.since.version);
        let temporary = path.with_extension("snap.tmp");
        match storage.remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = storage.open(&temporary, OpenMode::CreateNew)?;
        write_all_at(&*file, &self.encode()?, 0)?;
        file.sync_data()?;
        storage.rename(&temporary, &path)?;
        storage.sync_dir(dir)?;
        let listing = Listing::read(storage, dir)
            .ok()
            .flatten()
            .unwrap_or_default();
        let surplus = listing.snapshots.len().saturating_sub(KEPT);
        for version in &listing.snapshots[..surplus] {
            storage.remove_file(&snapshot_path(dir, *version))?;
        }
        Ok(())
    }

    /// The snapshot in the file of this version.
    pub(crate) fn read(storage: &dyn Storage, dir: &Path, version: u64) -> io::Result<Stored> {
        let file = storage.open(&snapshot_path(dir, version), OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or_default()];
        let got = read_full_at(&*file, &mut bytes, 0)?;
        Ok(match Self::decode(&bytes[..got]) {
            Stored::Good(snapshot) if snapshot.since.version != version => Stored::Damaged,
            stored => stored,
        })
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let body = serde_json::to_vec(&self.state)?;
        let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&REDUCER.to_le_bytes());
        bytes.extend_from_slice(&self.since.link.to_le_bytes());
        bytes.extend_from_slice(&self.log_id);
        bytes.extend_from_slice(&self.since.version.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&crc(&body).to_le_bytes());
        let header_crc = crc(&bytes);
        bytes.extend_from_slice(&header_crc.to_le_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Stored {
        Self::decode_checked(bytes).unwrap_or(Stored::Damaged)
    }

    /// `None` if anything is not as it was written.
    fn decode_checked(bytes: &[u8]) -> Option<Stored> {
        let (header, body) = bytes.split_at_checked(HEADER_LEN)?;
        let u32_at = |at: usize| Some(u32::from_le_bytes(header[at..at + 4].try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(header[at..at + 8].try_into().ok()?));
        let whole = header[..8] == MAGIC
            && u32_at(52)? == crc(&header[..52])
            && u64_at(40)? == body.len() as u64
            && u32_at(48)? == crc(body);
        if whole && u32_at(8)? != REDUCER {
            return Some(Stored::Foreign);
        }
        let since = Since {
            version: u64_at(32)?,
            link: u32_at(12)?,
        };
        let state: State = whole.then(|| serde_json::from_slice(body).ok()).flatten()?;
        let log_id = header[16..32].try_into().ok()?;
        (state.version().0 == since.version).then_some(Stored::Good(Box::new(Self {
            log_id,
            since,
            state,
        })))
    }
}

/// The report of a log that ends before a version that a good snapshot of it knows.
pub(crate) fn tail_lost(storage: &dyn Storage, dir: &Path, scanned: &Scanned) -> Option<Damage> {
    let last = scanned.expect.version - 1;
    let known = Snapshot::newest(storage, dir, Version(u64::MAX))?;
    let ahead = known.since.version > last && known.log_id == scanned.log_id;
    let end = scanned.segments.last();
    ahead.then(|| Damage {
        segment: end.map_or_else(
            || snapshot_path(dir, known.since.version),
            |s| s.path.clone(),
        ),
        offset: end.map_or(0, |s| s.end),
        length: 0,
        first_version: Some(Version(last + 1)),
        last_version: Some(Version(known.since.version)),
        verdict: Verdict::TailLost,
        cause: "a snapshot knows of later versions".to_owned(),
        messages: Vec::new(),
    })
}

/// Removes every snapshot: the log that they were taken of changes.
pub(crate) fn remove_all(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    let listing = Listing::read(storage, dir)
        .ok()
        .flatten()
        .unwrap_or_default();
    for version in listing.snapshots {
        storage.remove_file(&snapshot_path(dir, version))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::storage::MemoryStorage;

    fn snapshot() -> Snapshot {
        let mut state = State::default();
        let lost = crate::log::Replayed::Lost {
            first: Version(1),
            last: Version(9),
        };
        state.apply(&lost);
        Snapshot {
            log_id: [7; 16],
            since: Since {
                version: 9,
                link: 42,
            },
            state,
        }
    }

    #[test]
    fn a_snapshot_with_any_flipped_bit_is_not_used() {
        let good = snapshot().encode().unwrap();
        assert_eq!(Snapshot::decode(&good), Stored::Good(Box::new(snapshot())));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Snapshot::decode(&bad), Stored::Damaged, "bit {bit}");
        }
        for len in 0..good.len() {
            assert_eq!(
                Snapshot::decode(&good[..len]),
                Stored::Damaged,
                "cut to {len}"
            );
        }
    }

    #[test]
    fn two_snapshots_are_kept_and_the_newest_that_fits_is_found() {
        let (storage, dir) = (MemoryStorage::new(), Path::new("/x"));
        storage.create_dir(dir).unwrap();
        for version in [9, 19, 29] {
            let mut snapshot = snapshot();
            let lost = crate::log::Replayed::Lost {
                first: Version(10),
                last: Version(version),
            };
            snapshot.state.apply(&lost);
            snapshot.since.version = version;
            snapshot.write(&storage, dir).unwrap();
        }
        let newest = |to| Snapshot::newest(&storage, dir, Version(to)).map(|s| s.since.version);
        assert_eq!(
            (newest(100), newest(28), newest(18)),
            (Some(29), Some(19), None)
        );
        remove_all(&storage, dir).unwrap();
        assert_eq!(newest(100), None);
    }
}

//! What a power cut leaves of a file.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{Choice, mix};
use super::inode::{Edit, Inode};
use crate::storage::pages::Pages;

/// The unit that a disk writes whole or not at all.
pub const SECTOR: u64 = 512;

/// Above this many sector boundaries between two lengths, only those that some edit made are enumerated.
const BOUNDARIES: u64 = 1024;

/// What becomes of bytes that were written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All is lost; only what is durable survives, names too.
    Nothing,
    /// All survives, names too: a power cut right after everything reached the disk.
    Everything,
    /// Each sector is as it was at some moment since the last sync: a prefix of the writes to it survives.
    PageCache,
    /// Each sector keeps any subset of the writes to it.
    AnySubset,
    /// As `AnySubset`; besides, the bytes of a sector that unsynced writes change may be garbage. The other
    /// bytes of that sector stay: overwriting is assumed to be power-safe.
    Trashed,
}

/// What becomes of names that were changed and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameLoss {
    /// All changes are undone.
    All,
    /// All changes survive.
    None,
    /// In each directory the last few changes are undone, in the order of their making.
    Suffix,
    /// Any changes are undone that no surviving change needs.
    Any,
}

/// Which lengths an unsynced file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Those that it had at some moment since the last sync.
    Moments,
    /// Those, and every multiple of 512 between the least and the greatest.
    Sectors,
    /// Any length from the least to the greatest: too many for an exhaustive enumeration of large files.
    AnyByte,
}

/// How a power cut treats what was not synced: a [`Policy`] for bytes, refined by names and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    policy: Policy,
    names: NameLoss,
    lengths: Lengths,
}

impl Crash {
    /// Treats changed names as given, whatever the policy.
    #[must_use]
    pub fn names(self, names: NameLoss) -> Self {
        Self { names, ..self }
    }

    /// Chooses from these lengths; `Nothing` and `Everything` leave no choice.
    #[must_use]
    pub fn lengths(self, lengths: Lengths) -> Self {
        Self { lengths, ..self }
    }

    pub(super) fn policy(self) -> Policy {
        self.policy
    }

    pub(super) fn name_loss(self) -> NameLoss {
        self.names
    }
}

/// Any byte length; names are lost from the end under `PageCache`, in any consistent way under `AnySubset` and
/// `Trashed`.
impl From<Policy> for Crash {
    fn from(policy: Policy) -> Self {
        let names = match policy {
            Policy::Nothing => NameLoss::All,
            Policy::Everything => NameLoss::None,
            Policy::PageCache => NameLoss::Suffix,
            Policy::AnySubset | Policy::Trashed => NameLoss::Any,
        };
        Self {
            policy,
            names,
            lengths: Lengths::AnyByte,
        }
    }
}

/// The bytes of a file after the power cut.
pub(super) fn survivor(inode: &Inode, crash: Crash, choice: &mut dyn Choice) -> Pages {
    match crash.policy {
        Policy::Nothing => return inode.durable.clone(),
        Policy::Everything => return inode.cached.clone(),
        Policy::PageCache | Policy::AnySubset | Policy::Trashed => {}
    }
    let len = choose_len(inode, crash.lengths, choice);
    let mut pages = inode.durable.clone();
    for (sector, edits) in touched_sectors(inode) {
        let bytes = survivor_of_sector(inode, sector, &edits, crash.policy, choice);
        pages.write_at(&bytes, sector * SECTOR);
    }
    // Also takes away the part of a last sector that no length includes.
    pages.set_len(len);
    pages
}

fn choose_len(inode: &Inode, lengths: Lengths, choice: &mut dyn Choice) -> u64 {
    let mut len = inode.durable.len();
    let mut moments = vec![len];
    for pending in &inode.pending {
        len = match &pending.edit {
            Edit::Write { offset, bytes } => len.max(offset + bytes.len() as u64),
            Edit::SetLen { len } => *len,
        };
        moments.push(len);
    }
    let (least, greatest) = moments
        .iter()
        .fold((len, len), |(l, g), m| (l.min(*m), g.max(*m)));
    if lengths != Lengths::Moments && (greatest - least) / SECTOR <= BOUNDARIES {
        moments
            .extend((least / SECTOR + 1..greatest.div_ceil(SECTOR)).map(|sector| sector * SECTOR));
    }
    let mut seen = BTreeSet::new();
    moments.retain(|moment| seen.insert(*moment));
    let any_byte = lengths == Lengths::AnyByte && greatest > least;
    let chosen = choice.choose("length", moments.len() as u64 + u64::from(any_byte));
    match moments.get(chosen as usize) {
        Some(moment) => *moment,
        None => least + choice.choose("any length", greatest - least + 1),
    }
}

/// The sectors that pending edits touch, each with those edits in order.
fn touched_sectors(inode: &Inode) -> BTreeMap<u64, Vec<&Edit>> {
    let mut sectors: BTreeMap<u64, Vec<&Edit>> = BTreeMap::new();
    for pending in &inode.pending {
        match &pending.edit {
            Edit::Write { offset, bytes } => {
                let end = offset + bytes.len() as u64;
                for sector in offset / SECTOR..end.div_ceil(SECTOR) {
                    sectors.entry(sector).or_default().push(&pending.edit);
                }
            }
            // A cut turns bytes into zeros, which matters where there were others.
            Edit::SetLen { len } => {
                let per_page = |page: u64| (page..page + 4096).step_by(SECTOR as usize);
                let durable = inode
                    .durable
                    .resident_from(*len)
                    .into_iter()
                    .flat_map(per_page);
                let durable = durable
                    .map(|offset| offset / SECTOR)
                    .filter(|sector| has_bytes_from(&inode.durable, *sector, *len));
                let written = sectors.range(len / SECTOR..).map(|(sector, _)| *sector);
                let cut: BTreeSet<u64> = durable.chain(written).collect();
                for sector in cut {
                    sectors.entry(sector).or_default().push(&pending.edit);
                }
            }
        }
    }
    sectors
}

fn has_bytes_from(pages: &Pages, sector: u64, from: u64) -> bool {
    let start = sector * SECTOR;
    let skip = from.saturating_sub(start).min(SECTOR) as usize;
    read_sector(pages, sector)[skip..]
        .iter()
        .any(|byte| *byte != 0)
}

fn read_sector(pages: &Pages, sector: u64) -> [u8; SECTOR as usize] {
    let mut bytes = [0; SECTOR as usize];
    pages.read_at(&mut bytes, sector * SECTOR);
    bytes
}

fn survivor_of_sector(
    inode: &Inode,
    sector: u64,
    edits: &[&Edit],
    policy: Policy,
    choice: &mut dyn Choice,
) -> [u8; SECTOR as usize] {
    let mut bytes = read_sector(&inode.durable, sector);
    if policy == Policy::PageCache {
        let prefix = choice.choose("sector moment", edits.len() as u64 + 1) as usize;
        for edit in &edits[..prefix] {
            apply_to_sector(edit, sector, &mut bytes);
        }
        return bytes;
    }
    for edit in edits {
        if choice.choose("edit survives", 2) == 1 {
            apply_to_sector(edit, sector, &mut bytes);
        }
    }
    let mut covered = edits
        .iter()
        .filter_map(|edit| written_part(edit, sector))
        .peekable();
    if policy == Policy::Trashed && covered.peek().is_some() {
        let garbage = choice.choose("garbage", 4);
        let durable = read_sector(&inode.durable, sector);
        for (range, written) in covered {
            // A write of the bytes that are there damages nothing: power-safe overwrite.
            let changed = range
                .zip(written)
                .filter(|(at, byte)| durable[*at] != **byte);
            for (at, _) in changed {
                bytes[at] = match garbage {
                    0 => bytes[at],
                    1 => mix(sector * SECTOR + at as u64) as u8,
                    2 => 0xFF,
                    _ => 0,
                };
            }
        }
    }
    bytes
}

/// The part of a sector that a write covers, and its bytes.
fn written_part(edit: &Edit, sector: u64) -> Option<(std::ops::Range<usize>, &[u8])> {
    let Edit::Write { offset, bytes } = edit else {
        return None;
    };
    let start = sector * SECTOR;
    let from = start.max(*offset);
    let to = (start + SECTOR).min(offset + bytes.len() as u64);
    let part = bytes.get((from - offset) as usize..to.checked_sub(*offset)? as usize)?;
    Some(((from - start) as usize..(to - start) as usize, part))
}

fn apply_to_sector(edit: &Edit, sector: u64, bytes: &mut [u8; SECTOR as usize]) {
    match edit {
        Edit::Write { .. } => {
            if let Some((range, part)) = written_part(edit, sector) {
                bytes[range].copy_from_slice(part);
            }
        }
        Edit::SetLen { len } => {
            bytes[len.saturating_sub(sector * SECTOR).min(SECTOR) as usize..].fill(0);
        }
    }
}

//! One simulated file: what is durable, what the page cache shows, and the edits between the two.

use std::ops::Range;
use std::sync::Arc;

use crate::storage::pages::Pages;

/// A change of a file that no sync has made durable.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Write {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    /// A cut or an extension; an allocation is an extension.
    SetLen {
        len: u64,
    },
}

impl Edit {
    fn apply(&self, pages: &mut Pages) {
        match self {
            Self::Write { offset, bytes } => pages.write_at(bytes, *offset),
            Self::SetLen { len } => pages.set_len(*len),
        }
    }

    /// The bytes that it decides: of a new length, all that follow.
    fn range(&self) -> Range<u64> {
        match self {
            Self::Write { offset, bytes } => *offset..offset + bytes.len() as u64,
            Self::SetLen { len } => *len..u64::MAX,
        }
    }
}

/// An edit, and whether a sync marked it clean without making it durable.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) edit: Edit,
    given_up: bool,
}

impl Pending {
    /// What is left of a write outside a range that a later edit has made durable.
    fn outside(self, durable: &Range<u64>) -> Vec<Self> {
        let Edit::Write { offset, bytes } = &self.edit else {
            return vec![self];
        };
        let end = offset + bytes.len() as u64;
        let pieces = [
            *offset..end.min(durable.start),
            durable.end.max(*offset)..end,
        ];
        let piece = |range: Range<u64>| {
            let part = &bytes[(range.start - offset) as usize..(range.end - offset) as usize];
            let edit = Edit::Write {
                offset: range.start,
                bytes: Arc::from(part),
            };
            Self {
                edit,
                given_up: self.given_up,
            }
        };
        pieces
            .into_iter()
            .filter(|range| range.start < range.end)
            .map(piece)
            .collect()
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) durable: Pages,
    pub(super) cached: Pages,
    pub(super) pending: Vec<Pending>,
    pub(super) locked: bool,
}

impl Inode {
    /// A file that is durable as it is.
    pub(super) fn settled(pages: Pages) -> Self {
        Self {
            durable: pages.clone(),
            cached: pages,
            ..Self::default()
        }
    }

    pub(super) fn edit(&mut self, edit: Edit) {
        edit.apply(&mut self.cached);
        self.pending.push(Pending {
            edit,
            given_up: false,
        });
    }

    /// Makes bytes and length durable, save the bytes that an earlier sync gave up.
    pub(super) fn sync(&mut self) {
        let mut given_up: Vec<Pending> = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            if pending.given_up {
                given_up.push(pending);
                continue;
            }
            pending.edit.apply(&mut self.durable);
            let range = pending.edit.range();
            given_up = given_up
                .into_iter()
                .flat_map(|old| old.outside(&range))
                .collect();
        }
        self.durable.set_len(self.cached.len());
        self.pending = given_up;
    }

    /// Marks every pending write clean, durable or not: no later sync will write it.
    pub(super) fn give_up(&mut self) {
        for pending in &mut self.pending {
            pending.given_up |= matches!(pending.edit, Edit::Write { .. });
        }
    }

    /// Drops every pending edit: reads show what is durable.
    pub(super) fn revert(&mut self) {
        self.cached = self.durable.clone();
        self.pending.clear();
    }
}

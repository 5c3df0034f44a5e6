//! The names on a simulated disk: which are durable, and the changes that may be lost.

use std::collections::BTreeMap;

use super::choice::Choice;
use super::crash::NameLoss;
use crate::storage::tree::{Names, Place};

/// A change of names that no directory sync has made durable. Atomic, also over two directories.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) node: u64,
    pub(super) is_directory: bool,
    /// The name that goes away; none if the node is new.
    pub(super) from: Option<Place>,
    /// The name that appears; none if the node is removed.
    pub(super) to: Option<Place>,
    /// The directories above the new name of a rename.
    pub(super) above: Vec<u64>,
}

impl Change {
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.from.iter().chain(&self.to)
    }

    fn involves(&self, directory: u64) -> bool {
        self.places().any(|place| place.directory == directory)
    }

    fn is_rename(&self) -> bool {
        self.from.is_some() && self.to.is_some()
    }

    /// Whether this change can only be durable if an earlier one is.
    fn needs(&self, earlier: &Self) -> bool {
        let same_name = self
            .places()
            .any(|place| earlier.places().any(|other| other == place));
        // A removed directory takes along whatever is still in it: what was moved out must be out.
        let empties = self.to.is_none() && self.is_directory && earlier.involves(self.node);
        // Two directories moved into each other would drop out of the tree.
        let both_move =
            self.is_rename() && self.is_directory && earlier.is_rename() && earlier.is_directory;
        // A file moved into a directory that never was would be lost under both names.
        let moves_into =
            self.is_rename() && earlier.from.is_none() && self.above.contains(&earlier.node);
        same_name || empties || both_move || moves_into
    }

    fn shares_directory(&self, other: &Self) -> bool {
        self.places().any(|place| other.involves(place.directory))
    }

    fn apply(&self, durable: &mut BTreeMap<u64, Names>) {
        if let Some(from) = &self.from {
            durable
                .entry(from.directory)
                .or_default()
                .remove(&from.name);
        }
        if let Some(to) = &self.to {
            durable
                .entry(to.directory)
                .or_default()
                .insert(to.name.clone(), self.node);
        }
    }
}

/// The names of all directories: durable ones, and changes in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct NameLog {
    durable: BTreeMap<u64, Names>,
    pending: Vec<Change>,
}

impl NameLog {
    pub(super) fn settled(durable: BTreeMap<u64, Names>) -> Self {
        Self {
            durable,
            pending: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, change: Change) {
        self.pending.push(change);
    }

    /// Makes the names in one directory durable, with whatever they need.
    pub(super) fn sync(&mut self, directory: u64) {
        let mut goes = vec![false; self.pending.len()];
        // Backwards, so that what a change needs is met after it, and carries on to what that needs.
        for later in (0..self.pending.len()).rev() {
            goes[later] |= self.pending[later].involves(directory);
            if goes[later] {
                for (go, earlier) in goes.iter_mut().zip(&self.pending[..later]) {
                    *go |= self.pending[later].needs(earlier);
                }
            }
        }
        let mut goes = goes.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let go = goes.next().unwrap_or_default();
            if go {
                change.apply(durable);
            }
            !go
        });
    }

    /// The names after a power cut.
    pub(super) fn survivors(
        &self,
        mode: NameLoss,
        choice: &mut dyn Choice,
    ) -> BTreeMap<u64, Names> {
        let mut durable = self.durable.clone();
        let mut lost: Vec<&Change> = Vec::new();
        for change in &self.pending {
            let survives = match mode {
                NameLoss::All => false,
                NameLoss::None => true,
                NameLoss::Suffix => {
                    !lost
                        .iter()
                        .any(|earlier| change.needs(earlier) || change.shares_directory(earlier))
                        && choice.choose("name survives", 2) == 1
                }
                NameLoss::Any => {
                    !lost.iter().any(|earlier| change.needs(earlier))
                        && choice.choose("name survives", 2) == 1
                }
            };
            if survives {
                change.apply(&mut durable);
            } else {
                lost.push(change);
            }
        }
        durable
    }
}

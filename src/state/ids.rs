//! A set of message ids, as ranges: a conversation without gaps is one range however long it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most ranges in a block: what a change of a shared set copies.
const BLOCK: usize = 256;

type Range = (u64, u64);

/// A set of ids. A copy shares its blocks with the original until one of them changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub(crate) struct IdSet {
    /// Disjoint, not touching, ascending; both ends inclusive. No block is empty.
    blocks: Arc<Vec<Arc<Vec<Range>>>>,
    /// The last block, apart from the others: nearly every change is here, and need not copy the list of them. Only an empty
    /// set has an empty one.
    tail: Arc<Vec<Range>>,
    len: u64,
}

/// As a snapshot has it.
#[derive(Serialize, Deserialize)]
struct Flat {
    ranges: Vec<Range>,
    len: u64,
}

impl From<IdSet> for Flat {
    fn from(set: IdSet) -> Self {
        Self {
            ranges: set.ranges().collect(),
            len: set.len,
        }
    }
}

impl From<Flat> for IdSet {
    fn from(flat: Flat) -> Self {
        let blocks = flat.ranges.chunks(BLOCK);
        let mut blocks: Vec<_> = blocks.map(|block| Arc::new(block.to_vec())).collect();
        Self {
            tail: blocks.pop().unwrap_or_default(),
            blocks: Arc::new(blocks),
            len: flat.len,
        }
    }
}

impl PartialEq for IdSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.ranges().eq(other.ranges())
    }
}

impl Eq for IdSet {}

impl IdSet {
    /// How many ids there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The greatest id.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(self.tail.last()?.1)
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.get(self.find(id))
            .is_some_and(|(first, _)| first <= id)
    }

    /// Adds an id; `false` if it was there.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        if id > 0 && self.last() == Some(id - 1) {
            // The next id of a conversation, nearly always.
            self.len += 1;
            if let Some((_, last)) = Arc::make_mut(&mut self.tail).last_mut() {
                *last = id;
            }
            return true;
        }
        let at = self.find(id);
        let after = self.get(at);
        if after.is_some_and(|(first, _)| first <= id) {
            return false;
        }
        self.len += 1;
        let before = self.before(at);
        let ends_before = before.and_then(|before| self.get(before)?.1.checked_add(1));
        let joins_after = after.filter(|(first, _)| id.checked_add(1) == Some(*first));
        match (before.filter(|_| ends_before == Some(id)), joins_after) {
            (Some(before), Some((_, last))) => {
                self.remove(at);
                self.block(before.0)[before.1].1 = last;
            }
            (Some(before), None) => self.block(before.0)[before.1].1 = id,
            (None, Some(_)) => self.block(at.0)[at.1].0 = id,
            (None, None) => self.add(at, id),
        }
        true
    }

    fn ranges(&self) -> impl Iterator<Item = Range> + '_ {
        let blocks = self.blocks.iter().flat_map(|block| block.iter());
        blocks.chain(self.tail.iter()).copied()
    }

    /// How many blocks there are, the last one included.
    fn count(&self) -> usize {
        self.blocks.len() + usize::from(!self.tail.is_empty())
    }

    /// The ranges of a block; empty past the last one.
    fn ranges_of(&self, block: usize) -> &[Range] {
        match self.blocks.get(block) {
            Some(ranges) => ranges,
            None if block == self.blocks.len() => &self.tail,
            None => &[],
        }
    }

    /// Block and index of the first range that ends at `id` or later; one past the last block if there is none.
    fn find(&self, id: u64) -> (usize, usize) {
        let ends_before = |ranges: &[Range]| ranges.last().is_some_and(|(_, last)| *last < id);
        let mut block = self.blocks.partition_point(|ranges| ends_before(ranges));
        if block == self.blocks.len() && ends_before(&self.tail) {
            block += 1;
        }
        let ranges = self.ranges_of(block);
        (block, ranges.partition_point(|(_, last)| *last < id))
    }

    fn get(&self, (block, index): (usize, usize)) -> Option<Range> {
        self.ranges_of(block).get(index).copied()
    }

    fn before(&self, (block, index): (usize, usize)) -> Option<(usize, usize)> {
        if let Some(index) = index.checked_sub(1) {
            return Some((block, index));
        }
        let block = block.checked_sub(1)?;
        Some((block, self.ranges_of(block).len().checked_sub(1)?))
    }

    fn block(&mut self, block: usize) -> &mut Vec<Range> {
        let ranges = if block < self.blocks.len() {
            &mut Arc::make_mut(&mut self.blocks)[block]
        } else {
            &mut self.tail
        };
        Arc::make_mut(ranges)
    }

    fn remove(&mut self, (block, index): (usize, usize)) {
        self.block(block).remove(index);
        if !self.ranges_of(block).is_empty() {
            return;
        }
        let blocks = Arc::make_mut(&mut self.blocks);
        if block < blocks.len() {
            blocks.remove(block);
        } else {
            self.tail = blocks.pop().unwrap_or_default();
        }
    }

    /// Adds a range of one id before the range at `at`.
    fn add(&mut self, (block, index): (usize, usize), id: u64) {
        let last = self.count().saturating_sub(1);
        let (block, index) = if block > last {
            (last, self.ranges_of(last).len())
        } else {
            (block, index)
        };
        let ranges = self.block(block);
        ranges.insert(index, (id, id));
        if ranges.len() > BLOCK {
            // Most sets grow at their end: it begins a block, so that those before stay full.
            let at = if index == BLOCK { BLOCK } else { BLOCK / 2 };
            let mut rest = Arc::new(ranges.split_off(at));
            let blocks = Arc::make_mut(&mut self.blocks);
            if block == blocks.len() {
                std::mem::swap(&mut self.tail, &mut rest);
                blocks.push(rest);
            } else {
                blocks.insert(block + 1, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::IdSet;

    proptest! {
        #[test]
        fn a_set_of_ranges_equals_a_set_of_ids(ids in prop::collection::vec(0..60_u64, 0..80)) {
            let (mut ranges, mut plain) = (IdSet::default(), BTreeSet::new());
            for id in ids {
                prop_assert_eq!(ranges.insert(id), plain.insert(id));
                prop_assert_eq!(ranges.len(), plain.len() as u64);
                prop_assert_eq!(ranges.last(), plain.last().copied());
            }
            for id in 0..62 {
                prop_assert_eq!(ranges.contains(id), plain.contains(&id));
            }
            let flat: Vec<_> = ranges.ranges().collect();
            let touching = flat.windows(2).any(|w| w[0].1 + 1 >= w[1].0);
            prop_assert!(!touching, "ranges that touch are one range");
        }
    }

    #[test]
    fn many_ranges_in_any_order_equal_a_set_of_ids() {
        let (mut ranges, mut plain) = (IdSet::default(), BTreeSet::new());
        for i in 0..6_000_u64 {
            // Odd ids first, in a scattered order; then the even ones join them.
            let id = if i < 3_000 {
                i * 7919 % 3_000 * 2 + 1
            } else {
                i * 7919 % 3_000 * 2
            };
            let copy = ranges.clone();
            assert_eq!(ranges.insert(id), plain.insert(id));
            assert!(
                !copy.contains(id) && ranges.contains(id),
                "a copy stays as it was"
            );
            if i == 2_999 {
                assert_eq!(ranges.ranges().count(), 3_000);
                let text = serde_json::to_string(&ranges).unwrap();
                let again: IdSet = serde_json::from_str(&text).unwrap();
                assert_eq!(again, ranges);
            }
        }
        assert_eq!(ranges.ranges().collect::<Vec<_>>(), [(0, 5_999)]);
    }

    #[test]
    fn the_greatest_id_fits() {
        let mut ids = IdSet::default();
        assert!(ids.insert(u64::MAX) && ids.insert(u64::MAX - 1) && !ids.insert(u64::MAX));
        assert_eq!((ids.len(), ids.last()), (2, Some(u64::MAX)));
    }
}

//! A set of message ids, as ranges: a conversation without gaps is one range however long it is.

use serde::{Deserialize, Serialize};

/// A set of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdSet {
    /// Disjoint, not touching, ascending; both ends inclusive.
    ranges: Vec<(u64, u64)>,
    len: u64,
}

impl IdSet {
    /// How many ids there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The greatest id.
    pub(crate) fn last(&self) -> Option<u64> {
        self.ranges.last().map(|(_, last)| *last)
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < id);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= id)
    }

    /// Adds an id; `false` if it was there.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < id);
        if self.ranges.get(at).is_some_and(|(first, _)| *first <= id) {
            return false;
        }
        self.len += 1;
        let joins_before = at > 0 && self.ranges[at - 1].1.checked_add(1) == Some(id);
        let joins_after = self
            .ranges
            .get(at)
            .is_some_and(|(first, _)| id.checked_add(1) == Some(*first));
        match (joins_before, joins_after) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = id,
            (false, true) => self.ranges[at].0 = id,
            (false, false) => self.ranges.insert(at, (id, id)),
        }
        true
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
            let touching = ranges.ranges.windows(2).any(|w| w[0].1 + 1 >= w[1].0);
            prop_assert!(!touching, "ranges that touch are one range");
        }
    }

    #[test]
    fn the_greatest_id_fits() {
        let mut ids = IdSet::default();
        assert!(ids.insert(u64::MAX) && ids.insert(u64::MAX - 1) && !ids.insert(u64::MAX));
        assert_eq!((ids.len(), ids.last()), (2, Some(u64::MAX)));
    }
}

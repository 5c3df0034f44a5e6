//! Which of the frames that were found are in order: as many as can be. Pure.

use crate::format::Kind;

use super::salvage::Spot;
use super::scan::{Expect, is_by_repair};

/// The frames at their own offsets, as many as there can be with versions and epochs that never go back.
pub(super) fn in_place(found: &[Spot], expect: Expect, below: u64) -> Vec<Spot> {
    let by_repair = |spot: &Spot| is_by_repair(spot.header.kind);
    let fits = |spot: &&Spot| {
        !spot.displaced
            && spot.header.first_version >= expect.version
            && spot.after.version <= below
            && (spot.header.epoch >= expect.epoch || by_repair(spot))
    };
    let fitting: Vec<Spot> = found.iter().filter(fits).copied().collect();
    let mut spots = longest(&fitting, |s| (s.header.first_version, s.after.version));
    let epoch = |spot: &Spot| u64::from(spot.header.epoch);
    let dated: Vec<Spot> = spots.iter().filter(|s| !by_repair(s)).copied().collect();
    let mut kept = longest(&dated, |s| (epoch(s), epoch(s)))
        .into_iter()
        .peekable();
    spots.retain(|spot| by_repair(spot) || kept.next_if(|s| s.offset == spot.offset).is_some());
    spots
}

/// Adds displaced commits whose versions are missing, if their neighbours link to them.
pub(super) fn fill_with_displaced(
    spots: &mut Vec<Spot>,
    found: &[Spot],
    expect: Expect,
    below: u64,
) {
    let mut displaced: Vec<_> = found
        .iter()
        .filter(|spot| spot.displaced && matches!(spot.header.kind, Kind::Events | Kind::Gap))
        .collect();
    displaced.sort_by_key(|spot| (spot.header.first_version, spot.offset));
    for spot in displaced {
        let (first, next) = (spot.header.first_version, spot.after.version);
        // A frame without events has the version that comes next.
        let at = spots.partition_point(|s| s.after.version <= first);
        let before = at.checked_sub(1).map(|i| spots[i]);
        let follows = before.map_or(expect.version, |s| s.after.version);
        let link = before.map_or(expect.link, |s| Some(s.after.link));
        let behind = spots.get(at);
        let until = behind.map_or(below, |s| s.header.first_version);
        let links_back = follows != first || link.is_none_or(|link| link == spot.header.prev_link);
        let links_on =
            behind.is_none_or(|s| next != until || s.header.prev_link == spot.after.link);
        if first >= follows && next <= until && next > first && links_back && links_on {
            spots.insert(at, *spot);
        }
    }
}

/// The longest chain of `items` in which each starts where the one before it ends, or behind that. `span` gives where
/// an item starts and ends; of chains with the same length, the one that ends first.
///
/// A greedy choice would lose everything behind a single item that is too far ahead.
fn longest<T: Copy>(items: &[T], span: impl Fn(&T) -> (u64, u64)) -> Vec<T> {
    // For each length, the item that ends a chain of it soonest, and for each item, the one before it.
    let (mut last, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    for (i, item) in items.iter().enumerate() {
        let (start, end) = span(item);
        let len = last.partition_point(|other| span(&items[*other]).1 <= start);
        before.push(len.checked_sub(1).map(|shorter| last[shorter]));
        match last.get_mut(len) {
            None => last.push(i),
            Some(other) if end < span(&items[*other]).1 => *other = i,
            Some(_) => {}
        }
    }
    let mut chain = Vec::with_capacity(last.len());
    let mut at = last.last().copied();
    while let Some(i) = at {
        chain.push(items[i]);
        at = before[i];
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(items: &[u64]) -> Vec<u64> {
        longest(items, |n| (*n, *n))
    }

    #[test]
    fn what_is_in_order_stays() {
        assert!(numbers(&[]).is_empty());
        assert_eq!(numbers(&[1, 2, 2, 3]), [1, 2, 2, 3]);
        let spans = [(1, 3), (3, 3), (3, 4), (9, 12)];
        assert_eq!(longest(&spans, |span| *span), spans);
    }

    #[test]
    fn a_single_item_out_of_order_takes_nothing_with_it() {
        assert_eq!(numbers(&[1, 9, 2, 3]), [1, 2, 3]);
        assert_eq!(numbers(&[4, 5, 1, 6]), [4, 5, 6]);
        assert_eq!(
            longest(&[(1, 3), (2, 3), (3, 4)], |s| *s),
            [(1, 3), (3, 4)],
            "overlap"
        );
    }

    #[test]
    fn nothing_longer_is_found_by_trying_all() {
        for seed in 0..500_u64 {
            let mut state = seed;
            let spans: Vec<(u64, u64)> = (0..9)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let start = state >> 60;
                    (start, start + (state >> 57) % 4)
                })
                .collect();
            let all = (0..1_u32 << 9).filter_map(|set| {
                let chosen = (0..9).filter(|i| set & (1 << i) != 0).map(|i| spans[i]);
                let chosen: Vec<_> = chosen.collect();
                let fits = chosen.windows(2).all(|pair| pair[0].1 <= pair[1].0);
                fits.then_some(chosen.len())
            });
            assert_eq!(
                longest(&spans, |s| *s).len(),
                all.max().unwrap(),
                "{spans:?}"
            );
        }
    }
}

//! Counting in stored messages. Pure.
//!
//! A conversation manager counts the messages that it removed from the list that it was given. Where a repair inserted
//! messages into that list or hid some, its count is not a count of stored messages, by which a restore goes.

use crate::Result;
use crate::effective::{Origin, Shown};
use crate::json::Json;
use crate::session::with_members;

const REMOVED: &str = "removed_message_count";

/// The messages that a restore handed out.
#[derive(Debug)]
pub(super) struct HandedOut {
    /// How many stored messages the window had left behind already.
    removed: u64,
    /// For each message that was handed out, the position in storage of the first stored one from there on. `None` if a
    /// count of these is a count of stored messages.
    positions: Option<Vec<u64>>,
    /// How many stored messages there were.
    end: u64,
}

impl HandedOut {
    /// The messages `shown` behind a window, of the ones with the ids and positions `stored`; `end` is one more than the
    /// last position, readable or not.
    pub(super) fn new(removed: u64, shown: &[Shown], stored: &[(u64, u64)], end: u64) -> Self {
        let end = end.max(removed);
        let mut next = end;
        let shown = shown.iter().filter(|shown| shown.origin != Origin::Summary);
        let positions = shown.rev().map(|shown| {
            if let Origin::Stored(id) = shown.origin {
                let found = stored.binary_search_by_key(&id, |(id, _)| *id);
                next = found.map_or(next, |at| stored[at].1);
            }
            next
        });
        let mut positions: Vec<u64> = positions.collect();
        positions.reverse();
        let is_regular = positions.iter().copied().eq(removed..end);
        Self {
            removed,
            positions: (!is_regular).then_some(positions),
            end,
        }
    }

    /// The conversation manager's state `state` with the removed messages counted in stored ones; `None` if it counts
    /// that way already.
    pub(super) fn in_stored_messages(&self, state: &str) -> Option<String> {
        let count = Json::parse(state).ok()?.get(REMOVED)?.as_u64()?;
        let stored = self.stored(count)?;
        with_removed(state, stored).ok()
    }

    /// A count of handed out messages as one of stored messages; `None` if it is the same.
    fn stored(&self, count: u64) -> Option<u64> {
        let positions = self.positions.as_ref()?;
        let taken = count.checked_sub(self.removed).filter(|n| *n > 0)?;
        let position = usize::try_from(taken).ok().and_then(|at| positions.get(at));
        let appended = taken.saturating_sub(positions.len() as u64);
        let stored = position.map_or(self.end.saturating_add(appended), |position| *position);
        (stored != count).then_some(stored)
    }
}

/// A conversation manager's state with another count of removed messages.
pub(super) fn with_removed(state: &str, count: u64) -> Result<String> {
    with_members(state, &[(REMOVED, count.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(origins: &[Origin]) -> Vec<Shown> {
        let shown = origins.iter().map(|origin| Shown {
            origin: *origin,
            text: String::new(),
        });
        shown.collect()
    }

    fn counts(handed_out: &HandedOut, counts: std::ops::Range<u64>) -> Vec<u64> {
        counts.map(|n| handed_out.stored(n).unwrap_or(n)).collect()
    }

    #[test]
    fn without_a_repair_counts_are_the_same() {
        let shown = shown(&[Origin::Summary, Origin::Stored(7), Origin::Stored(9)]);
        let handed_out = HandedOut::new(3, &shown, &[(7, 3), (9, 4)], 5);
        assert_eq!(counts(&handed_out, 0..9), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let nothing = HandedOut::new(3, &[], &[], 0);
        assert_eq!(counts(&nothing, 0..6), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn inserted_messages_are_not_counted_and_hidden_ones_are() {
        // Stored are 10, 11, 12 and 13 at positions 2 to 5; 12 is hidden.
        let shown = shown(&[
            Origin::Summary,
            Origin::Stored(10),
            Origin::Inserted,
            Origin::Stored(11),
            Origin::Stored(13),
        ]);
        let stored = [(10, 2), (11, 3), (12, 4), (13, 5)];
        let handed_out = HandedOut::new(2, &shown, &stored, 6);
        // From 2 on: nothing; 10; the inserted one; 11, and 12 with it; 13; and then what was appended.
        assert_eq!(counts(&handed_out, 0..9), [0, 1, 2, 3, 3, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_not_handed_out_at_the_end_goes_with_the_last_message() {
        let shown = shown(&[Origin::Stored(0)]);
        let handed_out = HandedOut::new(0, &shown, &[(0, 0), (1, 1)], 3);
        assert_eq!(counts(&handed_out, 0..4), [0, 3, 4, 5]);
    }

    #[test]
    fn the_rest_of_the_state_stays() {
        let shown = shown(&[Origin::Stored(0), Origin::Inserted, Origin::Stored(1)]);
        let handed_out = HandedOut::new(0, &shown, &[(0, 0), (1, 1)], 2);
        let state = r#"{"__name__":"X","removed_message_count":2,"model_call_count":1.0}"#;
        let counted = r#"{"__name__":"X","removed_message_count":1,"model_call_count":1.0}"#;
        assert_eq!(
            handed_out.in_stored_messages(state).as_deref(),
            Some(counted)
        );
        assert_eq!(handed_out.in_stored_messages("{}"), None);
        assert_eq!(handed_out.in_stored_messages("[]"), None);
    }
}

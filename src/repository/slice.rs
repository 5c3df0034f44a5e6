//! Python's slices.

use std::ops::Range;

/// The positions that the Python slice `[offset : offset + limit]` selects of `len` items, or `[offset:]` without a
/// limit.
///
/// Negative positions count from the end. The end is `offset + limit` before that: `[-2 : -2 + 2]` is `[-2 : 0]`, which
/// is empty.
///
/// ```
/// use sessionlog::repository::slice;
///
/// assert_eq!(slice(10, Some(3), 2), 2..5);
/// assert_eq!(slice(10, None, -3), 7..10);
/// assert_eq!(slice(10, Some(2), -3), 7..9);
/// assert!(slice(10, Some(2), -2).is_empty());
/// ```
#[must_use]
pub fn slice(len: usize, limit: Option<i64>, offset: i64) -> Range<usize> {
    let size = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |position: i64| {
        let from_start = if position < 0 {
            position.saturating_add(size)
        } else {
            position
        };
        // Between 0 and the length, so it fits.
        usize::try_from(from_start.clamp(0, size)).unwrap_or(len)
    };
    let start = place(offset);
    let end = limit.map_or(len, |limit| place(offset.saturating_add(limit)));
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn it_selects_what_python_selects() {
        // list(range(5))[offset : offset + limit], or [offset:].
        let cases: [(Option<i64>, i64, &[usize]); 16] = [
            (None, 0, &[0, 1, 2, 3, 4]),
            (None, 3, &[3, 4]),
            (None, 5, &[]),
            (None, 99, &[]),
            (None, -2, &[3, 4]),
            (None, -99, &[0, 1, 2, 3, 4]),
            (Some(2), 1, &[1, 2]),
            (Some(0), 1, &[]),
            (Some(99), 3, &[3, 4]),
            (Some(2), -3, &[2, 3]),
            (Some(3), -3, &[]),
            (Some(-1), 3, &[]),
            (Some(-3), 2, &[2, 3]),
            (Some(-1), 0, &[0, 1, 2, 3]),
            (Some(2), -99, &[]),
            (Some(i64::MAX), i64::MAX, &[]),
        ];
        for (limit, offset, expected) in cases {
            let selected: Vec<usize> = slice(5, limit, offset).collect();
            assert_eq!(selected, expected, "limit {limit:?}, offset {offset}");
        }
        assert!(slice(0, Some(i64::MIN), i64::MIN).is_empty());
    }
}

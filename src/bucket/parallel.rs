//! Several requests at a time, and never more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use crate::Result;

/// How many requests there are at a time. It also bounds the objects that are in memory.
const PARALLEL: usize = 16;

/// Does the work for each item, several at a time; `done` takes each result as it comes, in no order. Ends at the
/// first error, of the work or of `done`.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
    done: &mut dyn FnMut(&T, R) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    // Without room: whoever has a result waits until it is taken.
    let (sender, results) = sync_channel(0);
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(items.len()) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Nobody takes results any more after an error.
                    if sender.send((item, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut outcome = Ok(());
        for (item, result) in &results {
            outcome = result.and_then(|result| done(item, result));
            if outcome.is_err() {
                break;
            }
        }
        drop(results);
        outcome
    })
}

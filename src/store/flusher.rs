//! Flushing buffered appends in the background.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::session::Group;

/// The sessions that have buffered something, and the thread that flushes them.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    groups: Vec<Weak<Group>>,
    is_running: bool,
}

impl Flusher {
    /// Flushes the session within about `interval`. The thread ends when there is nothing to flush.
    pub(super) fn later(self: &Arc<Self>, group: &Arc<Group>, interval: Duration) {
        if !group.note_flush() {
            return;
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.groups.push(Arc::downgrade(group));
        if due.is_running {
            return;
        }
        let flusher = Arc::clone(self);
        let thread = std::thread::Builder::new().name("sessionlog-flush".to_owned());
        match thread.spawn(move || flusher.run(interval)) {
            Ok(_) => due.is_running = true,
            Err(error) => tracing::warn!(%error, "no thread to flush buffered appends"),
        }
    }

    fn run(&self, interval: Duration) {
        loop {
            std::thread::sleep(interval);
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let groups = std::mem::take(&mut due.groups);
            if groups.is_empty() {
                due.is_running = false;
                return;
            }
            drop(due);
            for group in groups.iter().filter_map(Weak::upgrade) {
                if let Err(error) = group.flush() {
                    tracing::error!(%error, "flushing buffered appends failed; the session says so at its next append");
                }
            }
        }
    }
}

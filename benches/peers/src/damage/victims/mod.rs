//! Every store, as its documentation has it used.

mod batpak;
mod jsonl;
mod ours;
mod sqlite;
mod tephra;

use super::victim::Victim;

/// Small, so that there are several.
const SMALL: usize = 64 << 10;
/// Large enough for all events, as the defaults are.
const LARGE: usize = 4 << 20;

pub(crate) fn all() -> Vec<Box<dyn Victim>> {
    vec![
        Box::new(ours::Ours(SMALL)),
        Box::new(ours::Ours(LARGE)),
        Box::new(sqlite::Sqlite),
        Box::new(jsonl::Jsonl),
        Box::new(tephra::Tephra(SMALL)),
        Box::new(tephra::Tephra(LARGE)),
        Box::new(batpak::Batpak(SMALL)),
        Box::new(batpak::Batpak(LARGE)),
    ]
}

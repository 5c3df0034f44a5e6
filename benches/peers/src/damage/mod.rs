//! The same damage to every store: what is left, and does anybody say what is not.

mod blow;
mod page;
mod victim;
mod victims;

use std::collections::HashSet;
use std::path::Path;

use crate::fault::Result;
use blow::Blow;
use victim::{Reading, Victim};

pub(crate) use page::page;

/// Events that a store holds before it is damaged.
pub(crate) const EVENTS: usize = 1_000;
/// Events that are appended after some damages.
pub(crate) const LATER: usize = 5;
const LEN: usize = 400;

/// What is left of the events, after one blow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// Read back as they were written.
    pub(crate) kept: usize,
    /// Handed out as events though nobody wrote them so.
    pub(crate) altered: usize,
    /// Handed out more often than written.
    pub(crate) doubled: usize,
    /// How many there would be without damage.
    pub(crate) of: usize,
    /// Whether the store said that something is wrong.
    pub(crate) is_reported: bool,
}

/// The same blow at several places of one store.
pub(crate) struct Row {
    pub(crate) victim: &'static str,
    pub(crate) blow: Blow,
    /// One for each place: read as it is, and after the store's own repair if it has one.
    pub(crate) trials: Vec<(Left, Option<Left>)>,
    /// What the store said, the first time it said anything.
    pub(crate) said: Option<String>,
}

/// Every blow to every store.
pub(crate) fn run(scratch: &Path, places: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for victim in victims::all() {
        let name = victim.name();
        eprintln!("damage: {name}");
        let dir = scratch.join(name);
        let image = scratch.join("image");
        let closed = scratch.join(format!("{name}-closed"));
        let texts: Vec<_> = (0..EVENTS).map(text).collect();
        let open = victim.write(&dir, &texts)?;
        // Copied while it is open, this is what a killed process leaves.
        copy(&dir, &image)?;
        drop(open);
        copy(&dir, &closed)?;
        for sound in [&image, &closed] {
            is_whole(&*victim, sound, scratch)?;
        }
        for blow in blow::ALL {
            let from = if blow.is_after_a_kill() {
                &image
            } else {
                &closed
            };
            rows.push(beaten(&*victim, blow, from, scratch, places)?);
        }
        for dir in [dir, image, closed] {
            std::fs::remove_dir_all(dir)?;
        }
    }
    Ok(rows)
}

fn beaten(
    victim: &dyn Victim,
    blow: Blow,
    from: &Path,
    scratch: &Path,
    places: usize,
) -> Result<Row> {
    let mut row = Row {
        victim: victim.name(),
        blow,
        trials: Vec::new(),
        said: None,
    };
    let places = if blow.has_one_place() { 1 } else { places };
    for place in 0..places {
        let dir = scratch.join("damaged");
        copy(from, &dir)?;
        if !blow.strike(victim, &dir, (place as f64 + 0.5) / places as f64)? {
            std::fs::remove_dir_all(&dir)?;
            return Ok(row);
        }
        let refused = blow
            .has_later_events()
            .then(|| victim.append(&dir, &later()));
        let refused = refused.and_then(std::result::Result::err);
        let read = victim.read(&dir);
        let plain = left(&read, blow, refused.is_some());
        let repaired = victim.repair(&dir, &scratch.join("spare"))?.map(|()| {
            let appended = refused.is_some() && victim.append(&dir, &later()).is_ok();
            left(&victim.read(&dir), blow, refused.is_some() && !appended)
        });
        let said = refused.map(|e| e.to_string()).or(read.complaint);
        row.said = row.said.or(said);
        row.trials.push((plain, repaired));
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(row)
}

/// Without damage, every event must come back, or the damage would be blamed for it.
fn is_whole(victim: &dyn Victim, from: &Path, scratch: &Path) -> Result<()> {
    let dir = scratch.join("sound");
    copy(from, &dir)?;
    let reading = victim.read(&dir);
    std::fs::remove_dir_all(&dir)?;
    if reading.events.len() == EVENTS && reading.complaint.is_none() {
        return Ok(());
    }
    let (name, said, count) = (victim.name(), reading.complaint, reading.events.len());
    Err(format!("{name} gives {count} events back without damage: {said:?}").into())
}

/// Compares what was read with what was written.
fn left(read: &Reading, blow: Blow, is_refused: bool) -> Left {
    let written = EVENTS - usize::from(blow == Blow::TornTail);
    let added = if blow.has_later_events() && !is_refused {
        LATER
    } else {
        0
    };
    let expected: HashSet<String> = (0..EVENTS).map(text).chain(later()).collect();
    let mut seen = HashSet::new();
    let mut left = Left {
        of: written + added,
        is_reported: is_refused || read.complaint.is_some(),
        ..Left::default()
    };
    for event in &read.events {
        if !expected.contains(event) {
            left.altered += 1;
        } else if !seen.insert(event) {
            left.doubled += 1;
        }
    }
    left.kept = seen.len();
    left
}

/// An event, unlike any other.
fn text(number: usize) -> String {
    crate::message::of_len(LEN, number)
}

fn later() -> Vec<String> {
    (0..LATER).map(|number| text(1_000_000 + number)).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

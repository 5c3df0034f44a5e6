//! What the length of a conversation costs: opening, reading its end, appending.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sessionlog::Store;

use super::mebibytes;
use crate::child::{self, Task};
use crate::context::Context;
use crate::counting::Counting;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::{Sides, interleave, seconds, seconds_each};
use crate::series::{Series, of};
use crate::side::{Appends, OURS, Ours, SESSION, Side, buffered, is_durable, stores};

const LEN: usize = 1024;
const LAST: usize = 50;
/// Appends of a writer before it is killed.
const KILLED_AFTER: usize = 100;

/// The directory of a side's conversation of a length. Made once, kept for the measurements that follow.
pub(crate) fn conversation(context: &Context, side: &dyn Side, length: usize) -> Result<PathBuf> {
    let dir = context
        .dir("lengths")?
        .join(format!("{}-{length}", side.name()));
    if !dir.exists() {
        let mut texts = (0..length).map(|number| message::of_len(LEN, number));
        side.fill(&dir, &mut texts)?;
    }
    Ok(dir)
}

/// Opening a conversation and reading its last messages.
pub(crate) fn open_and_read(context: &Context, report: &mut Report) -> Result<()> {
    let mut columns = Vec::new();
    let mut ours = Vec::new();
    for &length in &context.sizes.lengths {
        let mut sides: Sides<'_> = Vec::new();
        for side in stores().into_iter().filter(|side| is_durable(&side.name())) {
            let dir = conversation(context, &*side, length)?;
            let name = side.name();
            let part = move || seconds(|| side.read_last(&dir, LAST));
            sides.push((name, Box::new(part)));
        }
        columns.push(Column {
            label: length.to_string(),
            series: interleave(context.sizes.rounds, sides)?,
        });
        let dir = conversation(context, &Ours, length)?;
        let part = move || seconds_each(20, || Ours.read_last(&dir, LAST).map(drop));
        ours.push((length.to_string(), Box::new(part) as _));
    }
    report.table(Table {
        id: "open-last-50",
        title: format!("Open and read the last {LAST} messages"),
        unit: Unit::Seconds,
        note: "By the length of the conversation in messages of 1 KiB, on a warm cache: open the store, read, close. \
               JSONL is read from its end backwards. tephra rebuilds its offsets when it opens."
            .to_owned(),
        columns,
    });
    let flat = interleave(context.sizes.sync_rounds, ours)?;
    flat_targets(context, report, &flat)
}

fn flat_targets(context: &Context, report: &mut Report, flat: &[Series]) -> Result<()> {
    let (long, short) = (context.sizes.longest(), context.sizes.shortest());
    let series = |length: usize| of(flat, &length.to_string());
    let (Some(at_long), Some(at_short)) = (series(long), series(short)) else {
        return Ok(());
    };
    let what = format!("open for reading and the last {LAST}");
    let ratio = at_long.over(at_short);
    report.target(
        format!("{what}: {long} against {short} events"),
        "at most 1.5",
        format!("{ratio:.2}"),
        ratio <= 1.5,
    );
    let median = at_long.median();
    report.target(
        format!("{what}, at {long}: time"),
        "at most 1 ms",
        Unit::Seconds.show(median),
        median <= 1e-3,
    );
    let dir = conversation(context, &Ours, long)?;
    let found = child::ask(Task::Last, &dir, &dir, LAST)?;
    report.target(
        format!("{what}, at {long}: bytes read"),
        "at most 128 KiB",
        format!("{:.1} KiB", found.read / 1024.0),
        found.read <= f64::from(128 << 10),
    );
    let nothing = child::ask(Task::Nothing, &dir, &dir, 0)?;
    report.target(
        format!("{what}, at {long}: peak memory of the process"),
        "at most 32 MiB",
        format!(
            "{:.1} MiB ({:.1} MiB of them for the program itself)",
            mebibytes(found.peak),
            mebibytes(nothing.peak)
        ),
        mebibytes(found.peak) <= 32.0,
    );
    Ok(())
}

/// Appends to a long log and to a short one.
pub(crate) fn append(context: &Context, report: &mut Report) -> Result<()> {
    let long = context.sizes.longest();
    let grown = Arc::new(Store::open(conversation(context, &Ours, long)?)?.session(SESSION)?);
    let mut columns = Vec::new();
    for is_durable in [true, false] {
        let count = if is_durable {
            context.sizes.appends
        } else {
            2_000
        };
        let rounds = context.sizes.sync_rounds;
        let text = message::of_len(LEN, 0);
        let append = move |session: &sessionlog::Session| {
            seconds_each(count, || {
                if is_durable {
                    session.append(&text)
                } else {
                    buffered(session, &text)
                }
            })
        };
        let (at_long, at_short) = (append.clone(), append);
        let grown = Arc::clone(&grown);
        let fresh = context.dir("short")?;
        let mut number = 0;
        let short = move || {
            number += 1;
            let session = Store::open(&fresh)?.session(&format!("{is_durable}{number}"))?;
            (0..10).try_for_each(|n| buffered(&session, &message::of_len(LEN, n)))?;
            session.flush()?;
            at_short(&session)
        };
        let sides: Sides<'_> = vec![
            ("10".to_owned(), Box::new(short)),
            (long.to_string(), Box::new(move || at_long(&grown))),
        ];
        let series = interleave(rounds, sides)?;
        let ratio = series[1].over(&series[0]);
        let label = if is_durable { "durable" } else { "buffered" };
        report.target(
            format!("{label} append at {long} against at 10 events"),
            "at most 1.1",
            format!("{ratio:.2}"),
            ratio <= 1.1,
        );
        let label = label.to_owned();
        columns.push(Column { label, series });
    }
    context.remove("short")?;
    report.table(Table {
        id: "append-length",
        title: "Append to a short and to a long log".to_owned(),
        unit: Unit::Seconds,
        note: "One append of 1 KiB by ours, by how many events the log has. The buffered appends to the short log \
               are its first 2,000."
            .to_owned(),
        columns,
    });
    Ok(())
}

/// Opening a log for writing after its writer was killed.
pub(crate) fn open_after_a_kill(context: &Context, report: &mut Report) -> Result<()> {
    let mut columns = Vec::new();
    for &length in &context.sizes.lengths {
        let dir = conversation(context, &Ours, length)?;
        let (mut whole, mut bare) = (Series::none(OURS), Series::none("without its syncs"));
        for _ in 0..context.sizes.rounds {
            child::kill_a_writer(&dir, KILLED_AFTER)?;
            let (total, syncs) = opened(&dir)?;
            whole.samples.push(total);
            bare.samples.push(total - syncs);
        }
        if length == context.sizes.longest() {
            report.target(
                format!("open for writing at {length} events of 1 KiB after a kill in sync mode"),
                "at most 10 ms and its measured syncs",
                format!(
                    "{}, and {} of syncs",
                    Unit::Seconds.show(bare.median()),
                    Unit::Seconds.show(whole.median() - bare.median())
                ),
                bare.median() <= 10e-3,
            );
        }
        columns.push(Column {
            label: length.to_string(),
            series: vec![whole, bare],
        });
    }
    report.table(Table {
        id: "open-after-kill",
        title: "Open for writing after a kill".to_owned(),
        unit: Unit::Seconds,
        note: format!(
            "By the length of the log in events of 1 KiB. A process appends {KILLED_AFTER} messages, each durable, \
             and is killed with SIGKILL; the next writer opens the log. Syncs are taken by a storage that counts."
        ),
        columns,
    });
    Ok(())
}

/// Seconds that opening took, and what of them were syncs.
fn opened(dir: &Path) -> Result<(f64, f64)> {
    let storage = Arc::new(Counting::default());
    let counts = storage.counts();
    let store = Store::options().storage(storage).open(dir)?;
    let mut session = None;
    let total = seconds(|| {
        session = Some(store.session(SESSION)?);
        Ok(())
    })?;
    let (_, syncs) = counts.syncs();
    Ok((total, syncs.as_secs_f64()))
}

//! Durable appends from many threads: on one session, and on a session each.

use std::sync::Barrier;
use std::time::Instant;

use crate::context::Context;
use crate::fault::{Fault, Result};
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::{Sides, interleave, seconds_each};
use crate::series::{Series, of};
use crate::side::{Appends, Extent, OURS, Ours, Side, Tephra, bare, is_durable, stores};

const LEN: usize = 1024;
const ONE: &str = "one thread";

/// Many threads append to one session and share its syncs.
pub(crate) fn one_session(context: &Context, report: &mut Report) -> Result<()> {
    let (threads, count) = (context.sizes.threads, 4 * context.sizes.appends);
    let mut sides: Sides<'_> = Vec::new();
    for side in stores() {
        let open = side.open(&context.dir("threads")?.join(side.name()))?;
        let part = move || {
            let open = &*open;
            together(&vec![open; threads], count)
        };
        sides.push((side.name(), Box::new(part)));
    }
    let single = Ours.open(&context.dir("threads")?.join(ONE))?;
    let alone = format!("{OURS}, {ONE}");
    let part = move || Ok(1.0 / seconds_each(count, || single.append(&message::of_len(LEN, 1)))?);
    sides.push((alone.clone(), Box::new(part)));
    let series = interleave(context.sizes.sync_rounds, sides)?;
    context.remove("threads")?;

    let over = |other: &str| {
        let (ours, other) = (of(&series, OURS), of(&series, other));
        ours.zip(other).map_or(f64::NAN, |(a, b)| a.over(b))
    };
    let (alone, tephra) = (over(&alone), over(&Tephra.name()));
    report.target(
        format!("durable append, {threads} threads on one session"),
        "at least 8 times one writer",
        format!("{alone:.1} times"),
        alone >= 8.0,
    );
    report.target(
        format!("durable append, {threads} threads on one session, against tephra with as many"),
        "ahead",
        format!("{tephra:.2} times its rate"),
        tephra > 1.0,
    );
    report.table(table(
        "append-threads",
        format!("Durable append, {threads} threads on one session"),
        "Durable events a second of all threads together, 1 KiB each. SQLite and redb have one writer at a time; \
         SQLite's connection is shared behind a mutex, as is the JSONL file.",
        series,
    ));
    Ok(())
}

/// As many sessions as threads.
pub(crate) fn many_sessions(context: &Context, report: &mut Report) -> Result<()> {
    let (threads, count) = (context.sizes.threads, 4 * context.sizes.appends);
    let mut sides: Sides<'_> = Vec::new();
    for side in stores().into_iter().filter(|side| is_durable(&side.name())) {
        let open = (0..threads)
            .map(|n| {
                side.open(
                    &context
                        .dir("sessions")?
                        .join(format!("{}-{n}", side.name())),
                )
            })
            .collect::<Result<Vec<_>>>()?;
        let part = move || together(&open.iter().map(AsRef::as_ref).collect::<Vec<_>>(), count);
        sides.push((side.name(), Box::new(part)));
    }
    let store = sessionlog::Store::open(context.dir("sessions")?.join("one-store"))?;
    let open = (0..threads)
        .map(|n| store.session(&n.to_string()))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let in_one = format!("{OURS}, all in one store");
    let part = move || {
        together(
            &open.iter().map(|s| s as &dyn Appends).collect::<Vec<_>>(),
            count,
        )
    };
    sides.push((in_one.clone(), Box::new(part)));
    for extent in [Extent::Extended, Extent::Preallocated] {
        let dir = context.dir("sessions")?;
        let open = (0..threads)
            .map(|n| {
                // A directory each, as ours have: inodes side by side wait for each other in the journal.
                let dir = dir.join(format!("{n} {}", extent.name()));
                std::fs::create_dir_all(&dir)?;
                bare(&dir.join("log"), extent)
            })
            .collect::<Result<Vec<_>>>()?;
        let part = move || {
            together(
                &open.iter().map(|s| s as &dyn Appends).collect::<Vec<_>>(),
                count,
            )
        };
        sides.push((extent.name().to_owned(), Box::new(part)));
    }
    let series = interleave(context.sizes.sync_rounds, sides)?;
    context.remove("sessions")?;

    for extent in [Extent::Extended, Extent::Preallocated] {
        let both = of(&series, &in_one).zip(of(&series, extent.name()));
        let ratio = both.map_or(f64::NAN, |(ours, bare)| ours.over(bare));
        report.target(
            format!(
                "durable append over {threads} sessions in parallel, against the {}, {threads} of them",
                extent.name()
            ),
            "at least its rate",
            format!("{ratio:.2} of it"),
            ratio >= 1.0,
        );
    }
    report.table(table(
        "append-sessions",
        format!("Durable append, {threads} threads with a session each"),
        "Durable events a second of all threads together, 1 KiB each. Every peer has a directory, file or database \
         for each thread.",
        series,
    ));
    Ok(())
}

fn table(id: &'static str, title: String, note: &str, series: Vec<Series>) -> Table {
    Table {
        id,
        title,
        unit: Unit::Rate,
        note: note.to_owned(),
        columns: vec![Column {
            label: "1 KiB".to_owned(),
            series,
        }],
    }
}

/// Events a second, when each thread does `count` appends on its own side of the barrier.
fn together(threads: &[&dyn Appends], count: usize) -> Result<f64> {
    let barrier = Barrier::new(threads.len() + 1);
    std::thread::scope(|scope| {
        let works: Vec<_> = threads
            .iter()
            .enumerate()
            .map(|(number, open)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let text = message::of_len(LEN, number);
                    barrier.wait();
                    (0..count).try_for_each(|_| open.append(&text))
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        for work in works {
            work.join()
                .map_err(|_| Fault::from("a thread panicked"))??;
        }
        Ok((threads.len() * count) as f64 / start.elapsed().as_secs_f64())
    })
}

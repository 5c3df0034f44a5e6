//! A store with very many sessions.

use std::sync::Arc;

use sessionlog::Store;

use super::mebibytes;
use crate::child::{self, Task};
use crate::context::Context;
use crate::counting::Counting;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::{interleave, seconds_each};
use crate::series::Series;
use crate::side::{AGENT, buffered};

/// Listing a store's sessions, and opening one of them.
pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let count = context.sizes.sessions;
    let dir = context.dir("list")?;
    // Syncs would take most of the time, and change nothing that is measured.
    let lazy = Store::options()
        .storage(Arc::new(Counting::lazy()))
        .open(&dir)?;
    for number in 0..count {
        let session = lazy.session(&format!("user-{number}"))?;
        buffered(&session, &message::of_len(200, number))?;
    }
    let (mut listed, mut peak) = (Series::none("sessionlog"), 0.0_f64);
    for _ in 0..context.sizes.rounds {
        let found = child::ask(Task::List, &dir, &dir, 0)?;
        listed.samples.push(found.seconds);
        peak = peak.max(found.peak);
    }
    let (what, median) = (format!("list {count} sessions, warm"), listed.median());
    report.target(
        format!("{what}: time"),
        "under 1 s",
        Unit::Seconds.show(median),
        median < 1.0,
    );
    report.target(
        format!("{what}: peak memory of the process"),
        "at most 64 MiB",
        format!("{:.1} MiB", mebibytes(peak)),
        mebibytes(peak) <= 64.0,
    );
    let opened = opening(context, &Store::open(&dir)?)?;
    let ratio = opened[1].over(&opened[0]);
    report.target(
        format!("open a session among {count}, against one in a store of its own"),
        "the same",
        format!("{ratio:.2} times as long"),
        ratio <= 1.1,
    );
    context.remove("list")?;
    context.remove("alone")?;
    report.table(Table {
        id: "list",
        title: format!("A store with {count} sessions"),
        unit: Unit::Seconds,
        note: "Listing every session, sorted, a second time in a new process; opening a session for reading and \
               reading its messages, among the others and in a store of its own."
            .to_owned(),
        columns: vec![
            Column {
                label: "list".to_owned(),
                series: vec![listed],
            },
            Column {
                label: "open one".to_owned(),
                series: opened,
            },
        ],
    });
    Ok(())
}

fn opening(context: &Context, many: &Store) -> Result<Vec<Series>> {
    let alone = Store::open(context.dir("alone")?)?;
    buffered(&alone.session("user-0")?, &message::of_len(200, 0))?;
    let read = |store: &Store| {
        seconds_each(50, || {
            let messages = store.read("user-0")?.messages(AGENT)?.last(50);
            std::hint::black_box(messages.count());
            Ok(())
        })
    };
    let many = many.clone();
    interleave(
        context.sizes.sync_rounds,
        vec![
            (
                "sessionlog, alone".to_owned(),
                Box::new(move || read(&alone)),
            ),
            (
                "sessionlog, among many".to_owned(),
                Box::new(move || read(&many)),
            ),
        ],
    )
}

//! Going on with a conversation: all of its messages, as the model sees them.

use std::fmt::Write;

use serde_json::{Value, json};
use sessionlog::Store;

use super::mebibytes;
use crate::context::Context;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::{Part, Sides, interleave, seconds};
use crate::series::{Series, of};
use crate::side::package::PACKAGE;
use crate::side::{AGENT, OURS, Ours, SESSION, Side, Sqlite, Synchronous, is_durable, stores};

const PARSED: &str = "sessionlog, parsed into serde_json values";
const EFFECTIVE: &str = "sessionlog, as the model sees it";
const LISTED: &str = "strands-agents, only `list_messages`";

/// All messages of a conversation of real shapes.
pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let count = context.sizes.conversation;
    let texts = message::real(&context.dir("fixtures")?, count)?;
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut sides: Sides<'_> = Vec::new();
    for side in stores().into_iter().filter(|side| is_durable(&side.name())) {
        let dir = context.dir("restore")?.join(side.name());
        side.fill(&dir, &mut texts.iter().cloned())?;
        let name = side.name();
        let part = move || seconds(|| side.read_last(&dir, usize::MAX));
        sides.push((name, Box::new(part)));
    }
    let dir = context.dir("restore")?.join(Ours.name());
    let store = Store::open(dir)?;
    let parsed_of = store.clone();
    let effective = move || seconds(|| Ok(store.read(SESSION)?.effective(AGENT)?));
    sides.push((EFFECTIVE.to_owned(), Box::new(effective)));
    sides.push((
        PARSED.to_owned(),
        Box::new(move || seconds(|| parsed(&parsed_of))),
    ));
    if context.package().is_some() {
        sides.extend(of_the_package(context, &texts)?);
    }
    let series = interleave(context.sizes.rounds, sides)?;
    context.remove("restore")?;
    targets(context, report, &series);
    report.table(Table {
        id: "restore",
        title: format!("Restore a conversation of {count} messages"),
        unit: Unit::Seconds,
        note: format!(
            "The fixtures' messages over and over, {:.1} MiB of JSON, on a warm cache. Every side opens its store and \
             gives the text of every message. As the model sees it: redactions, window and repair of the tool history \
             applied, which a restore of strands-agents does too; it gives Python objects, for which parsed values \
             are the like. Messages that only Python's JSON can hold are left out.",
            mebibytes(bytes as f64)
        ),
        columns: vec![Column {
            label: count.to_string(),
            series,
        }],
    });
    Ok(())
}

fn parsed(store: &Store) -> Result<Vec<Value>> {
    let messages = store.read(SESSION)?.messages(AGENT)?;
    messages
        .map(|message| Ok(serde_json::from_str(&message?.text())?))
        .collect()
}

fn of_the_package<'p>(context: &'p Context, texts: &[String]) -> Result<Sides<'p>> {
    let dir = context.dir("restore/package")?;
    let source = context.dir("restore")?.join("messages.jsonl");
    let mut lines = String::new();
    for text in texts {
        writeln!(lines, "{text}")?;
    }
    std::fs::write(&source, lines)?;
    if let Some(mut package) = context.package() {
        package.fill(&dir, &source)?;
    }
    let part = |command: &'static str| -> Part<'p> {
        let dir = dir.clone();
        Box::new(move || {
            let mut package = context.package().ok_or("it ended")?;
            Ok(package.does(&json!([command, dir]))?.0)
        })
    };
    Ok(vec![
        (PACKAGE.to_owned(), part("restore")),
        (LISTED.to_owned(), part("list_messages")),
    ])
}

fn targets(context: &Context, report: &mut Report, series: &[Series]) {
    let Some(ours) = of(series, OURS) else { return };
    let count = context.sizes.conversation;
    let over = |other: &str, side: &str| {
        of(series, side)
            .zip(of(series, other))
            .map(|(side, other)| other.over(side))
    };
    let sqlite = Sqlite(Synchronous::Full).name();
    let ahead = of(series, &sqlite).map_or(f64::NAN, |sqlite| sqlite.over(ours));
    let what = format!("restore of {count} messages, against");
    let target = "at least 100 times as quick";
    match over(PACKAGE, OURS) {
        Some(ratio) => {
            let effective = over(PACKAGE, EFFECTIVE).unwrap_or(f64::NAN);
            let parsed = over(PACKAGE, PARSED).unwrap_or(f64::NAN);
            let measured = format!(
                "{ratio:.0} times; {effective:.0} times as the model sees it, {parsed:.0} times parsed"
            );
            report.target(
                format!("{what} {PACKAGE}"),
                target,
                measured,
                effective >= 100.0,
            );
        }
        None => report.target(
            format!("{what} {PACKAGE}"),
            target,
            "there is no package here",
            None,
        ),
    }
    report.target(
        format!("{what} SQLite"),
        "ahead",
        format!("SQLite takes {ahead:.2} times as long"),
        ahead > 1.0,
    );
}

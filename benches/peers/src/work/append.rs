//! Durable appends, one writer.

use std::path::Path;

use serde_json::json;

use super::size;
use crate::context::Context;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::{Sides, interleave, seconds_each};
use crate::series::{Series, of};
use crate::side::package::PACKAGE;
use crate::side::{Extent, OURS, Ours, Side, bare, is_durable, stores};

const EXTENTS: [Extent; 3] = [Extent::Extended, Extent::Preallocated, Extent::Overwritten];
/// The payload that the target is about.
const USUAL: usize = 1024;

/// Each message is on disk before the next one is appended.
pub(crate) fn durable(context: &Context, report: &mut Report) -> Result<()> {
    let mut columns = Vec::new();
    for &len in &context.sizes.payloads {
        let series = at(context, len)?;
        if len == USUAL {
            target(report, &series);
        }
        columns.push(Column {
            label: size(len),
            series,
        });
        context.remove("append")?;
    }
    report.table(Table {
        id: "append-durable",
        title: "Durable append, one writer".to_owned(),
        unit: Unit::Seconds,
        note: "The time of one append that is on disk when it returns. SQLite NORMAL does not sync at a commit and \
               strands-agents never syncs: a power cut may take what they acknowledged. The bare loop writes the \
               message's bytes with `pwrite` and calls `fdatasync`; into a file whose bytes were all written before \
               it is what no log that grows can have. Ours begins behind 300 messages of 1 KiB: \
               shorter logs have no space allocated ahead."
            .to_owned(),
        columns,
    });
    Ok(())
}

fn at(context: &Context, len: usize) -> Result<Vec<Series>> {
    let rounds = if len == USUAL {
        context.sizes.fine_rounds
    } else {
        context.sizes.sync_rounds
    };
    let count = context.sizes.appends;
    let mut sides: Sides<'_> = Vec::new();
    for side in stores() {
        let name = side.name();
        let dir = context.dir("append")?.join(&name);
        if name == OURS {
            long_enough(&dir)?;
        }
        let open = side.open(&dir)?;
        let mut number = 0;
        let part = move || {
            seconds_each(count, || {
                number += 1;
                open.append(&message::of_len(len, number))
            })
        };
        sides.push((name, Box::new(part)));
    }
    for extent in EXTENTS {
        let loops = bare(&context.dir("append")?.join(extent.name()), extent)?;
        let mut number = 0;
        let part = move || {
            seconds_each(count, || {
                number += 1;
                crate::side::Appends::append(&loops, &message::of_len(len, number))
            })
        };
        sides.push((extent.name().to_owned(), Box::new(part)));
    }
    if context.package().is_some() {
        let dir = context.dir("append/package")?;
        let mut first = 0;
        let part = move || {
            let mut package = context.package().ok_or("it ended")?;
            let command = json!(["append", dir, first, count, len]);
            first += count;
            Ok(package.does(&command)?.0 / count as f64)
        };
        sides.push((PACKAGE.to_owned(), Box::new(part)));
    }
    interleave(rounds, sides)
}

/// Fills a log of ours until it has space allocated ahead, as the bare loop has from its beginning.
fn long_enough(dir: &Path) -> Result<()> {
    let texts = (0..300).map(|number| message::of_len(USUAL, number));
    Ours.fill(dir, &mut texts.into_iter())
}

fn target(report: &mut Report, series: &[Series]) {
    let Some(ours) = of(series, OURS) else { return };
    for extent in [Extent::Extended, Extent::Preallocated] {
        let ratio = of(series, extent.name()).map_or(f64::NAN, |bare| bare.over(ours));
        report.target(
            format!(
                "durable append, 1 writer, 1 KiB, against the {}",
                extent.name()
            ),
            "at least 0.95 of it",
            format!("{ratio:.2} of it"),
            ratio >= 0.95,
        );
    }
    let is_peer = |s: &&Series| {
        s.side != OURS && !s.side.starts_with("bare") && s.side != PACKAGE && is_durable(&s.side)
    };
    let best = series
        .iter()
        .filter(is_peer)
        .min_by(|a, b| a.median().total_cmp(&b.median()));
    if let Some(best) = best {
        let ratio = best.over(ours);
        report.target(
            "durable append, 1 writer, 1 KiB, against every peer that syncs",
            "ahead of each",
            format!(
                "the quickest, {}, takes {ratio:.2} times as long",
                best.side
            ),
            ratio > 1.0,
        );
    }
}

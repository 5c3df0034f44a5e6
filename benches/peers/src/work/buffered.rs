//! Appends that are not synced one by one.

use std::fs::File;
use std::io::{BufWriter, Write};

use sessionlog::Store;

use super::size;
use crate::context::Context;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::{Sides, interleave, seconds};
use crate::series::{Series, of};
use crate::side::{OURS, SESSION, Synchronous, buffered, connect};

const WRITE: &str = "plain loop of `write`";
const BUFFER: &str = "plain loop into a buffer";
const FLUSHED: &str = "sessionlog, with a flush at the end";

/// Buffered appends, of a few sizes.
pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let mut columns = Vec::new();
    let sustained = context.sizes.buffered;
    let burst = sustained / 10;
    for (len, count) in [
        (200, burst),
        (1024, burst),
        (200, sustained),
        (1024, sustained),
    ] {
        let series = at(context, len, count)?;
        if len == 1024 {
            targets(report, &series, count);
        }
        let label = format!("{}, {count} events", size(len));
        columns.push(Column { label, series });
        context.remove("buffered")?;
    }
    report.table(Table {
        id: "append-buffered",
        title: "Buffered append".to_owned(),
        unit: Unit::Rate,
        note: "Events a second, that many in one go. The many fill segments, of 16 MiB, and ours includes what a full \
               segment costs: its `fdatasync`, the next file, its seal. The plain loops sync nothing meanwhile: one \
               calls `write` for each message, one goes through a buffer of 64 KiB. SQLite puts all of them into one \
               transaction."
            .to_owned(),
        columns,
    });
    Ok(())
}

fn at(context: &Context, len: usize, count: usize) -> Result<Vec<Series>> {
    let texts: Vec<_> = (0..count.min(1000))
        .map(|n| message::of_len(len, n))
        .collect();
    let texts = || texts.iter().cycle().take(count);
    let rate = |work: &mut dyn FnMut() -> Result<()>| Ok(count as f64 / seconds(work)?);
    let dir = context.dir("buffered")?;

    let session = Store::open(dir.join("ours"))?.session(SESSION)?;
    let ours = move || {
        let rate = rate(&mut || texts().try_for_each(|text| buffered(&session, text)))?;
        // What the next side's writes would otherwise compete with.
        session.flush()?;
        Ok(rate)
    };
    let session = Store::open(dir.join("flushed"))?.session(SESSION)?;
    let flushed = move || {
        rate(&mut || {
            texts().try_for_each(|text| buffered(&session, text))?;
            Ok(session.flush()?)
        })
    };
    let mut file = File::create(dir.join("write"))?;
    let write = move || {
        let rate = rate(&mut || {
            texts().try_for_each(|text| Ok(file.write_all(format!("{text}\n").as_bytes())?))
        })?;
        file.sync_data()?;
        Ok(rate)
    };
    let mut file = BufWriter::with_capacity(64 << 10, File::create(dir.join("buffer"))?);
    let buffer = move || {
        let rate = rate(&mut || {
            texts().try_for_each(|text| writeln!(file, "{text}"))?;
            Ok(file.flush()?)
        })?;
        file.get_ref().sync_data()?;
        Ok(rate)
    };
    let mut connection = connect(&dir.join("sqlite"), Synchronous::Normal)?;
    let sqlite = move || {
        rate(&mut || {
            let transaction = connection.transaction()?;
            let mut insert = transaction.prepare("INSERT INTO messages (body) VALUES (?1)")?;
            for text in texts() {
                insert.execute([text])?;
            }
            drop(insert);
            Ok(transaction.commit()?)
        })
    };
    let sides: Sides<'_> = vec![
        (OURS.to_owned(), Box::new(ours)),
        (FLUSHED.to_owned(), Box::new(flushed)),
        (WRITE.to_owned(), Box::new(write)),
        (BUFFER.to_owned(), Box::new(buffer)),
        ("SQLite, one transaction".to_owned(), Box::new(sqlite)),
    ];
    interleave(context.sizes.rounds, sides)
}

fn targets(report: &mut Report, series: &[Series], count: usize) {
    let Some(ours) = of(series, OURS) else { return };
    let rate = ours.median();
    report.target(
        format!("buffered append, 1 KiB, {count} in one go"),
        "at least 500 k events/s",
        Unit::Rate.show(rate),
        rate >= 500_000.0,
    );
    let ratio = of(series, WRITE).map_or(f64::NAN, |write| ours.over(write));
    let buffer = of(series, BUFFER).map_or(f64::NAN, |buffer| ours.over(buffer));
    report.target(
        format!("buffered append, 1 KiB, {count} in one go, against a plain loop of `write`"),
        "at least 0.5 of it",
        format!("{ratio:.2} of it ({buffer:.2} of the loop into a buffer)"),
        ratio >= 0.5,
    );
}

//! Repair of broken tool histories.

use sessionlog::history::{self, Stored};
use sessionlog::json::Json;

use crate::context::Context;
use crate::fault::{Fault, Result};
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::{Sides, interleave, seconds};

const REPAIR: &str = "sessionlog, repair";
const APPLY: &str = "sessionlog, repair and apply";

/// Conversations with a fault in every tenth message.
pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let texts: Vec<_> = context
        .sizes
        .broken
        .iter()
        .map(|n| message::broken(*n))
        .collect();
    let conversations = texts
        .iter()
        .map(|texts| stored(texts))
        .collect::<Result<Vec<_>>>()?;
    let mut sides: Sides<'_> = Vec::new();
    for stored in &conversations {
        let repair = move || seconds(|| Ok(history::repair(stored)));
        let apply = move || {
            seconds(|| {
                let edits = history::repair(stored).edits;
                Ok(history::apply(stored, &edits).messages.len())
            })
        };
        sides.push((REPAIR.to_owned(), Box::new(repair)));
        sides.push((APPLY.to_owned(), Box::new(apply)));
    }
    let mut series = interleave(context.sizes.rounds, sides)?.into_iter();
    let mut columns = Vec::new();
    let mut each = Vec::new();
    for stored in &conversations {
        let faults = history::validate(stored).len();
        let count = stored.len();
        let series: Vec<_> = series.by_ref().take(2).collect();
        let median = series[0].median();
        each.push(median / count as f64);
        if count == 10_000 {
            report.target(
                format!("conversation repair, {count} messages with {faults} faults"),
                "under 50 ms",
                Unit::Seconds.show(median),
                median < 0.050,
            );
        }
        columns.push(Column {
            label: format!("{count} messages, {faults} faults"),
            series,
        });
    }
    let shown: Vec<_> = each.iter().map(|each| Unit::Seconds.show(*each)).collect();
    let low = each.iter().copied().fold(f64::INFINITY, f64::min);
    let high = each.iter().copied().fold(0.0, f64::max);
    report.target(
        format!(
            "conversation repair, a message's share at {:?} messages",
            context.sizes.broken
        ),
        "linear: within a factor of 3",
        shown.join(", "),
        high / low <= 3.0,
    );
    report.table(Table {
        id: "history",
        title: "Repair of a broken tool history".to_owned(),
        unit: Unit::Seconds,
        note: "Messages parsed already; results are missing, late, doubled, or answer nothing. Pure: no I/O.".to_owned(),
        columns,
    });
    Ok(())
}

fn stored(texts: &[String]) -> Result<Vec<Stored<'_>>> {
    (0..)
        .zip(texts)
        .map(|(id, text)| {
            let message = Json::parse(text).map_err(|e| Fault::from(e.to_string()))?;
            Ok(Stored { id, message })
        })
        .collect()
}

//! The report as JSON, with every sample.

use serde_json::{Value, json};

use super::{Column, Report, Table};
use crate::series::Series;

pub(super) fn value(report: &Report) -> Value {
    let targets = report
        .targets
        .iter()
        .map(|t| json!({"what": t.what, "target": t.aim, "measured": t.measured, "met": t.is_met}));
    json!({
        "machine": report.machine.facts.iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>(),
        "quick": report.is_quick,
        "minutes": report.minutes,
        "skipped": report.skipped,
        "targets": targets.collect::<Vec<_>>(),
        "tables": report.tables.iter().map(table).collect::<Vec<_>>(),
    })
}

fn table(table: &Table) -> Value {
    json!({
        "id": table.id,
        "title": table.title,
        "unit": table.unit.name(),
        "note": table.note,
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
    })
}

fn column(column: &Column) -> Value {
    let series: Vec<_> = column.series.iter().map(one).collect();
    json!({"label": column.label, "series": series})
}

fn one(series: &Series) -> Value {
    // Nine digits are more than any clock here gives.
    let short = |figure: &f64| format!("{figure:.8e}").parse::<f64>().unwrap_or(*figure);
    json!({
        "side": series.side,
        "median": short(&series.median()),
        "spread": short(&series.spread()),
        "samples": series.samples.iter().map(short).collect::<Vec<_>>(),
    })
}

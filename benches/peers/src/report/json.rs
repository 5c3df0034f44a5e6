//! The report as JSON, with every sample.

use serde_json::{Value, json};

use super::{Column, Report, Table};
use crate::series::Series;

/// One member per line, and one table per line, so that two runs can be compared by eye.
pub(super) fn text(report: &Report) -> String {
    let facts: Vec<_> = report
        .machine
        .facts
        .iter()
        .map(|(k, v)| json!([k, v]))
        .collect();
    let targets = report
        .targets
        .iter()
        .map(|t| json!({"what": t.what, "target": t.aim, "measured": t.measured, "met": t.is_met}));
    let members = [
        ("machine", json!(facts).to_string()),
        ("quick", json!(report.is_quick).to_string()),
        ("minutes", json!(report.minutes).to_string()),
        ("skipped", json!(report.skipped).to_string()),
        ("targets", lines(targets)),
        ("tables", lines(report.tables.iter().map(table))),
    ];
    let members = members.map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{\n{}\n}}\n", members.join(",\n"))
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    let values: Vec<_> = values.map(|value| value.to_string()).collect();
    format!("[\n{}\n]", values.join(",\n"))
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

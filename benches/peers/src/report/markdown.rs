//! The report as a page of Markdown.

use std::fmt::Write;

use super::{MEASURED, Report, Table, Target, unit};
use crate::series::{Series, of};

const HEAD: &str = "# Benchmarks\n\n\
Written by one command; do not edit. Everything in a table ran interleaved in one run: each round, every side did its \
part, each time in another order. A figure is the median of the rounds; after it stands the spread, half the distance \
from the first to the ninth decile. A ratio is the median of the ratios of the rounds. `results.json` has every sample.\n\n\
```sh\n\
SESSIONLOG_PYTHON=$(tests/oracle/venv.sh) cargo run --release -p sessionlog-peers -- run\n\
```\n\n\
`run --quick` does the same at sizes that say nothing about a disk. [damage.md](damage.md) has what the same stores lose \
to the same damage.\n\n**One run is one mood of one machine: [NOTES.md](NOTES.md) says which lines other runs contradict, and what is known of those not met.**\n";

pub(super) fn page(report: &Report) -> String {
    let mut page = String::from(HEAD);
    if report.is_quick {
        page.push_str("\n**This was a quick run: the figures mean nothing.**\n");
    }
    page.push_str("\n## The machine\n\n| | |\n|---|---|\n");
    for (name, fact) in &report.machine.facts {
        let _ = writeln!(page, "| {name} | {fact} |");
    }
    let _ = writeln!(page, "| the run took | {:.1} minutes |", report.minutes);
    if let Some(skipped) = &report.skipped {
        let _ = writeln!(page, "| strands-agents | {skipped} |");
    }
    page.push_str("\n## Targets\n\n| what | target | measured | |\n|---|---|---|---|\n");
    for target in &report.targets {
        let _ = writeln!(page, "{}", line(target));
    }
    for table in &report.tables {
        section(&mut page, table);
    }
    page
}

fn line(target: &Target) -> String {
    let verdict = match target.is_met {
        Some(true) => "met",
        Some(false) => "**not met**",
        None if target.aim == MEASURED => "",
        None => "not measured",
    };
    format!(
        "| {} | {} | {} | {verdict} |",
        target.what, target.aim, target.measured
    )
}

fn section(page: &mut String, table: &Table) {
    let _ = writeln!(page, "\n## {}\n\n{}\n", table.title, table.note);
    let labels: Vec<_> = table.columns.iter().map(|c| c.label.as_str()).collect();
    let _ = writeln!(page, "| | {} |", labels.join(" | "));
    let _ = writeln!(page, "|---{}|", "|---".repeat(labels.len()));
    for side in sides(table) {
        let cells: Vec<_> = table
            .columns
            .iter()
            .map(|column| of(&column.series, side).map_or(String::new(), |s| cell(table, s)))
            .collect();
        let _ = writeln!(page, "| {side} | {} |", cells.join(" | "));
    }
    let _ = writeln!(page, "\n![{}]({}.svg)", table.title, table.id);
}

/// Every side of a table, in the order of its first appearance.
fn sides(table: &Table) -> Vec<&str> {
    let mut sides: Vec<&str> = Vec::new();
    for series in table.columns.iter().flat_map(|c| &c.series) {
        if !sides.contains(&series.side.as_str()) {
            sides.push(&series.side);
        }
    }
    sides
}

fn cell(table: &Table, series: &Series) -> String {
    let median = table.unit.show(series.median());
    if series.samples.len() > 1 {
        format!("{median} ±{} %", unit::digits(series.spread() * 100.0))
    } else {
        median
    }
}

//! What a run found: tables, and a line for each target.

mod chart;
mod json;
mod machine;
mod markdown;
mod unit;

use std::path::Path;

use crate::fault::Result;
use crate::series::Series;

pub(crate) use machine::Machine;
pub(crate) use unit::Unit;

/// The aim of a line that is only there to be known.
pub(crate) const MEASURED: &str = "none, to be known";

/// Figures of the same kind: sides against sizes.
pub(crate) struct Table {
    /// A file name's worth.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// How it was measured, in a sentence or two.
    pub(crate) note: String,
    pub(crate) columns: Vec<Column>,
}

/// The sides at one size.
pub(crate) struct Column {
    pub(crate) label: String,
    pub(crate) series: Vec<Series>,
}

/// What was aimed at, and what came out.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) aim: String,
    pub(crate) measured: String,
    /// None if it could not be measured here.
    pub(crate) is_met: Option<bool>,
}

/// Everything that a run found.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) is_quick: bool,
    pub(crate) tables: Vec<Table>,
    pub(crate) targets: Vec<Target>,
    pub(crate) skipped: Option<String>,
    pub(crate) minutes: f64,
}

impl Report {
    pub(crate) fn table(&mut self, table: Table) {
        eprintln!("  {}", table.title);
        self.tables.push(table);
    }

    pub(crate) fn target(
        &mut self,
        what: impl Into<String>,
        aim: impl Into<String>,
        measured: impl Into<String>,
        is_met: impl Into<Option<bool>>,
    ) {
        self.targets.push(Target {
            what: what.into(),
            aim: aim.into(),
            measured: measured.into(),
            is_met: is_met.into(),
        });
    }

    /// The report as one page of Markdown.
    pub(crate) fn page(&self) -> String {
        markdown::page(self)
    }

    /// Writes `README.md`, `results.json` and a chart for each table.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join("README.md"), self.page())?;
        std::fs::write(dir.join("results.json"), json::text(self))?;
        for table in &self.tables {
            std::fs::write(dir.join(format!("{}.svg", table.id)), chart::svg(table))?;
        }
        Ok(())
    }
}

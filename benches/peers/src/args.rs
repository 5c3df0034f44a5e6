//! The arguments, and what each command does.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::child::{self, Task};
use crate::context::Context;
use crate::damage;
use crate::fault::Result;
use crate::report::{Machine, Report};
use crate::sizes::Sizes;
use crate::work;

const BENCHMARKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/benchmarks");

/// The same work on sessionlog and on what one would pick instead, interleaved in one run.
#[derive(Debug, Parser)]
#[command(name = "peers")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure everything and write the report.
    Run {
        /// Sizes that say nothing about a disk, in seconds instead of minutes.
        #[arg(long)]
        quick: bool,
        /// Where the report goes [default: docs/benchmarks].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// The disk to measure: a directory on it [default: where this program is].
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Only measurements whose name contains this; prints the report instead of writing it.
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
    },
    /// Do the same damage to every store and write the table of what is left.
    Damage {
        /// A few places instead of many.
        #[arg(long)]
        quick: bool,
        /// Where the page goes [default: docs/benchmarks].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// A measurement's part that needs a process of its own.
    #[command(hide = true)]
    Child {
        task: Task,
        dir: PathBuf,
        other: PathBuf,
        count: usize,
    },
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            Command::Run {
                quick,
                out,
                dir,
                only,
            } => {
                let sizes = if quick { Sizes::quick() } else { Sizes::full() };
                let scratch = scratch(dir)?;
                let out = out.unwrap_or_else(|| PathBuf::from(BENCHMARKS));
                measure(sizes, scratch.path(), &out, only.as_deref())
            }
            Command::Damage { quick, out } => {
                damage_to(quick, &out.unwrap_or_else(|| PathBuf::from(BENCHMARKS)))
            }
            Command::Child {
                task,
                dir,
                other,
                count,
            } => child::run(task, &dir, &other, count),
        }
    }
}

/// Places at which each damage is done.
fn places(is_quick: bool) -> usize {
    if is_quick { 2 } else { 24 }
}

fn damage_to(is_quick: bool, out: &Path) -> Result<()> {
    let scratch = scratch(None)?;
    let rows = damage::run(scratch.path(), places(is_quick))?;
    let versions = Machine::versions();
    std::fs::create_dir_all(out)?;
    let path = out.join("damage.md");
    std::fs::write(&path, damage::page(&rows, &versions))?;
    println!("{}", path.display());
    Ok(())
}

/// A directory on the disk to measure, removed at the end.
fn scratch(dir: Option<PathBuf>) -> Result<tempfile::TempDir> {
    let program = std::env::current_exe()?;
    let beside = program.parent().unwrap_or(Path::new("."));
    let dir = dir.unwrap_or_else(|| beside.to_path_buf());
    Ok(tempfile::Builder::new().prefix("peers-").tempdir_in(dir)?)
}

fn measure(sizes: Sizes, root: &Path, out: &Path, only: Option<&str>) -> Result<()> {
    let start = Instant::now();
    let context = Context::new(sizes, root);
    let version = context.package().map(|package| package.version.clone());
    let mut report = Report {
        machine: Machine::look(root, version.as_deref()),
        is_quick: context.sizes.is_quick,
        tables: Vec::new(),
        targets: Vec::new(),
        skipped: context.without_package.clone(),
        minutes: 0.0,
    };
    if let Some(skipped) = &report.skipped {
        eprintln!("strands-agents: {skipped}");
    }
    for (name, work) in work::ALL {
        if only.is_none_or(|only| name.contains(only)) {
            eprintln!("{name} (at {:.0} s)", start.elapsed().as_secs_f64());
            work(&context, &mut report)?;
        }
    }
    report.minutes = start.elapsed().as_secs_f64() / 60.0;
    if only.is_some() {
        print!("{}", report.page());
        return Ok(());
    }
    report.write(out)?;
    println!("{}", out.join("README.md").display());
    damage_to(report.is_quick, out)
}

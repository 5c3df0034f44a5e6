//! The standard layout: import and export, their speed and their memory.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use sessionlog::Store;
use sessionlog::layout::{self, ExportOptions, ImportOptions};

use super::mebibytes;
use crate::child::{self, Task};
use crate::context::Context;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, MEASURED, Report, Table, Unit};
use crate::round::{Sides, interleave, seconds};
use crate::series::{Series, of};
use crate::side::package::PACKAGE;
use crate::side::{OURS, Ours, SESSION, Side};

const PLAIN: &str = "plain loop";
const SYNCED: &str = "plain loop, then one sync of the file system";
/// A file system in memory, where a sync costs nothing.
const MEMORY: &str = "/dev/shm";

/// Import of a conversation, against the package that reads it.
pub(crate) fn import(context: &Context, report: &mut Report) -> Result<()> {
    let count = context.sizes.conversation;
    let layout = in_layout(context, count)?;
    let mut number = 0;
    let (source, stores) = (layout.clone(), context.dir("imported")?);
    let ours = move || {
        number += 1;
        let store = Store::open(stores.join(number.to_string()))?;
        seconds(|| into(&store, &source))
    };
    let mut sides: Sides<'_> = vec![(OURS.to_owned(), Box::new(ours))];
    if context.package().is_some() {
        let part = move || {
            let mut package = context.package().ok_or("it ended")?;
            Ok(package.does(&json!(["list_messages", layout]))?.0)
        };
        sides.push((PACKAGE.to_owned(), Box::new(part)));
    }
    let series = interleave(context.sizes.rounds, sides)?;
    context.remove("imported")?;
    let ratio = of(&series, PACKAGE).map(|package| package.over(&series[0]));
    report.target(
        format!("import of {count} messages, durable, against the package that reads them"),
        "at least 5 times as quick",
        ratio.map_or("there is no package here".to_owned(), |r| {
            format!("{r:.1} times")
        }),
        ratio.map(|ratio| ratio >= 5.0),
    );
    report.table(Table {
        id: "import",
        title: format!("Import {count} messages of the standard layout"),
        unit: Unit::Seconds,
        note: "The fixtures' messages over and over, one file each, on a warm cache. Ours ends with a log that is \
               synced; strands-agents only reads (`list_messages`)."
            .to_owned(),
        columns: vec![Column {
            label: count.to_string(),
            series,
        }],
    });
    Ok(())
}

/// Export of a conversation, against a plain loop that writes the same files.
pub(crate) fn export(context: &Context, report: &mut Report) -> Result<()> {
    let count = context.sizes.conversation;
    let layout = in_layout(context, count)?;
    let store = Store::open(context.dir("exported")?.join("store"))?;
    into(&store, &layout)?;
    let files = read_all(&layout)?;
    let mut columns = Vec::new();
    let memory = Path::new(MEMORY)
        .is_dir()
        .then(|| tempfile::tempdir_in(MEMORY));
    let memory = memory.transpose()?;
    let places = [
        ("on disk", Some(context.dir("exported")?)),
        (
            "in memory",
            memory.as_ref().map(|dir| dir.path().to_path_buf()),
        ),
    ];
    for (label, dir) in places {
        let Some(dir) = dir else { continue };
        let series = interleave(context.sizes.rounds, exports(&store, &files, &dir))?;
        let ratio = series[0].over(&series[1]);
        if label == "in memory" {
            report.target(
                format!("export of {count} messages without its syncs, against a plain loop that writes the same files"),
                "at most as long",
                format!("{ratio:.2} times as long ({MEMORY}, where a sync costs nothing)"),
                ratio <= 1.0,
            );
        } else {
            let synced = of(&series, SYNCED).map_or(f64::NAN, |synced| series[0].over(synced));
            report.target(
                format!(
                    "export of {count} messages with its syncs, against the plain loop on disk"
                ),
                MEASURED,
                format!(
                    "{ratio:.2} times as long as without any sync, {synced:.2} times as with one"
                ),
                None,
            );
        }
        let label = label.to_owned();
        columns.push(Column { label, series });
    }
    context.remove("exported")?;
    report.table(Table {
        id: "export",
        title: format!("Export {count} messages to the standard layout"),
        unit: Unit::Seconds,
        note: format!(
            "One file for each message. The plain loop has every file's text in memory, creates the files with the \
             same mode and writes them; ours reads the log, formats each file as Python does, and syncs the file \
             system before the directory gets its name. In memory ({MEMORY}) a sync costs nothing."
        ),
        columns,
    });
    Ok(())
}

/// Peak memory of import and export of a large conversation.
pub(crate) fn memory(context: &Context, report: &mut Report) -> Result<()> {
    let count = context.sizes.large_conversation;
    let layout = in_layout(context, count)?;
    let (store, out) = (
        context.dir("memory")?.join("store"),
        context.dir("memory")?.join("out"),
    );
    let nothing = child::ask(Task::Nothing, &store, &layout, 0)?;
    let files = read_all(&layout)?;
    let largest = files.iter().map(|(_, text)| text.len()).max().unwrap_or(0) as f64;
    let limit = mebibytes(largest) + 64.0;
    let mut series = Vec::new();
    for (task, name, other) in [
        (Task::Import, "import", &layout),
        (Task::Export, "export", &out),
    ] {
        let found = child::ask(task, &store, other, 0)?;
        report.target(
            format!("peak memory of the {name} of {count} messages"),
            format!("at most the largest message and 64 MiB: {limit:.1} MiB"),
            format!("{:.1} MiB", mebibytes(found.peak)),
            mebibytes(found.peak) <= limit,
        );
        series.push(Series::once(name, found.peak));
    }
    series.push(Series::once("a process that does nothing", nothing.peak));
    context.remove("memory")?;
    report.table(Table {
        id: "memory",
        title: format!("Peak memory, {count} messages"),
        unit: Unit::Bytes,
        note: "The most resident memory that a process of its own ever had (`VmHWM`).".to_owned(),
        columns: vec![Column {
            label: count.to_string(),
            series,
        }],
    });
    Ok(())
}

/// A conversation of real shapes in the standard layout: a storage directory. Made once.
fn in_layout(context: &Context, count: usize) -> Result<PathBuf> {
    let name = format!("layout-{count}");
    let dir = context.root().join(&name);
    if !dir.exists() {
        let texts = message::real(&context.dir("fixtures")?, count)?;
        let scratch = context.dir("layout-source")?;
        Ours.fill(&scratch, &mut texts.into_iter())?;
        let store = Store::open(&scratch)?;
        layout::export(
            &store,
            SESSION,
            &dir,
            &ExportOptions::default(),
            &mut |_| {},
        )?;
        context.remove("layout-source")?;
    }
    Ok(dir)
}

fn into(store: &Store, layout: &Path) -> Result<()> {
    for session in layout::find_sessions(layout)? {
        let report = layout::import(store, &session, &ImportOptions::default(), &mut |_| {})?;
        if !report.skipped.is_empty() {
            return Err(format!("{} files were skipped", report.skipped.len()).into());
        }
    }
    Ok(())
}

/// A path relative to its root, and a text.
type Files = Vec<(PathBuf, String)>;

fn read_all(root: &Path) -> Result<Files> {
    let (mut files, mut dirs) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let text = std::fs::read_to_string(&path)?;
                files.push((path.strip_prefix(root)?.to_path_buf(), text));
            }
        }
    }
    Ok(files)
}

fn exports<'w>(store: &'w Store, files: &'w Files, dir: &Path) -> Sides<'w> {
    let fresh = |name: &str| {
        let (dir, mut number) = (dir.join(name), 0);
        move || {
            // The export before this one is not needed any more; removing it is nobody's time.
            let _ = std::fs::remove_dir_all(dir.join(number.to_string()));
            number += 1;
            dir.join(number.to_string())
        }
    };
    let (mut ours, mut plain, mut synced) = (fresh("ours"), fresh("plain"), fresh("synced"));
    let export = move || {
        let (to, options) = (ours(), ExportOptions::default());
        seconds(|| Ok(layout::export(store, SESSION, &to, &options, &mut |_| {})?))
    };
    let write = move || {
        let to = plain();
        seconds(|| write_all(files, &to))
    };
    let write_and_sync = move || {
        let to = synced();
        seconds(|| {
            write_all(files, &to)?;
            Ok(rustix::fs::syncfs(File::open(&to)?)?)
        })
    };
    vec![
        (OURS.to_owned(), Box::new(export)),
        (PLAIN.to_owned(), Box::new(write)),
        (SYNCED.to_owned(), Box::new(write_and_sync)),
    ]
}

fn write_all(files: &Files, to: &Path) -> Result<()> {
    let mut dir = PathBuf::new();
    for (path, text) in files {
        let path = to.join(path);
        if let Some(parent) = path.parent().filter(|parent| *parent != dir) {
            std::fs::create_dir_all(parent)?;
            dir = parent.to_path_buf();
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}

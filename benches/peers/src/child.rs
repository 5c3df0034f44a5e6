//! What needs a process of its own: peak memory, and a writer that is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use serde_json::{Value, json};
use sessionlog::Store;
use sessionlog::layout::{self, ExportOptions, ImportOptions};

use crate::counting::Counting;
use crate::fault::Result;
use crate::message;
use crate::side::{AGENT, SESSION};

/// What a child does.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Task {
    /// Opens the session and reads its last messages.
    Last,
    /// Appends messages, each durable, and waits to be killed.
    Write,
    /// Imports a directory of the standard layout.
    Import,
    /// Exports to a directory of the standard layout.
    Export,
    /// Lists the sessions of a store, twice: the second time is taken.
    List,
    /// Does nothing: what any process of this program takes.
    Nothing,
}

/// What a child found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) seconds: f64,
    /// Bytes read from the store.
    pub(crate) read: f64,
    /// The most memory that the process ever had, in bytes.
    pub(crate) peak: f64,
}

/// Runs a task in a child and returns what it found.
pub(crate) fn ask(task: Task, dir: &Path, other: &Path, count: usize) -> Result<Found> {
    let output = command(task, dir, other, count)?.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let figure = |key: &str| answer[key].as_f64().ok_or(format!("no {key} in {answer}"));
    Ok(Found {
        seconds: figure("seconds")?,
        read: figure("read")?,
        peak: figure("peak")?,
    })
}

/// Has a child append `count` messages in sync mode, and kills it.
pub(crate) fn kill_a_writer(dir: &Path, count: usize) -> Result<()> {
    let mut child = command(Task::Write, dir, dir, count)?
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("the child has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    child.kill()?;
    child.wait()?;
    if line.trim() == "written" {
        Ok(())
    } else {
        Err("the child did not write".into())
    }
}

fn command(task: Task, dir: &Path, other: &Path, count: usize) -> Result<Command> {
    let name = task.to_possible_value().ok_or("a task without a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("child")
        .arg(name.get_name())
        .args([dir, other])
        .arg(count.to_string());
    Ok(command)
}

/// The child's side.
pub(crate) fn run(task: Task, dir: &Path, other: &Path, count: usize) -> Result<()> {
    let storage = Arc::new(Counting::default());
    let counts = storage.counts();
    let store = Store::options().storage(storage).open(dir)?;
    if matches!(task, Task::List) {
        store.list()?;
    }
    let start = Instant::now();
    match task {
        Task::Last => {
            for message in store.read(SESSION)?.messages(AGENT)?.last(count) {
                std::hint::black_box(message?.text().len());
            }
        }
        Task::Write => return write_and_wait(&store, count),
        Task::Import => {
            for session in layout::find_sessions(other)? {
                layout::import(&store, &session, &ImportOptions::default(), &mut |_| {})?;
            }
        }
        Task::Export => {
            let options = ExportOptions::default();
            layout::export(&store, SESSION, other, &options, &mut |_| {})?;
        }
        Task::List => {
            std::hint::black_box(store.list()?.len());
        }
        Task::Nothing => {}
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"seconds": seconds, "read": counts.read(), "peak": peak()?})
    );
    Ok(())
}

fn write_and_wait(store: &Store, count: usize) -> Result<()> {
    let session = store.session(SESSION)?;
    for number in 0..count {
        session.append_json(AGENT, &message::of_len(1024, number))?;
    }
    println!("written");
    std::io::stdout().flush()?;
    // Until it is killed; or, if its parent died, until its input ends.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The most memory that this process ever had, in bytes.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let line = line.ok_or("this system does not tell peak memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}

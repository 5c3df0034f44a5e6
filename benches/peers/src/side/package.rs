//! The real Python package, in a process of its own that takes its own time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::fault::Result;

const SCRIPT: &str = include_str!("package.py");
/// The environment variable that names a Python with the package.
pub(crate) const VARIABLE: &str = "SESSIONLOG_PYTHON";
/// The name of this side in every table.
pub(crate) const PACKAGE: &str = "strands-agents";

/// The package's process. It ends when its input does.
pub(crate) struct Package {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(crate) version: String,
}

impl Package {
    /// Starts it with the Python that the environment names.
    pub(crate) fn start(python: &Path) -> Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("the process has no output")?;
        let mut package = Self {
            child,
            input,
            output: BufReader::new(output),
            version: String::new(),
        };
        let hello = package.answer()?;
        let text = |key: &str| hello[key].as_str().unwrap_or("?").to_owned();
        package.version = format!("{} on Python {}", text("strands"), text("python"));
        Ok(package)
    }

    /// Has it do something; returns the seconds it took and its answer.
    pub(crate) fn does(&mut self, command: &Value) -> Result<(f64, Value)> {
        let input = self.input.as_mut().ok_or("the process has no input")?;
        writeln!(input, "{command}")?;
        let answer = self.answer()?;
        let seconds = answer["seconds"].as_f64();
        let seconds = seconds.ok_or_else(|| format!("no time in {answer}"))?;
        Ok((seconds, answer["answer"].clone()))
    }

    /// Has it write a conversation, given as JSON Lines.
    pub(crate) fn fill(&mut self, dir: &Path, source: &Path) -> Result<()> {
        self.does(&json!(["fill", dir, source]))?;
        Ok(())
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the package's process ended".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        self.input = None;
        // It has nothing more to do; a failure to wait changes no figure.
        let _ = self.child.wait();
    }
}

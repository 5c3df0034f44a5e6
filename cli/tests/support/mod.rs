//! Running the real binary.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a run answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Whether it is one clear line of error with this status.
    pub(crate) fn is_one_line(&self, status: i32) -> bool {
        let line = self.stderr.trim_end_matches('\n');
        self.status == status
            && line.starts_with("sessionlog: ")
            && !line.contains('\n')
            && !line.chars().any(char::is_control)
    }
}

/// The command with a store.
pub(crate) fn command(store: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessionlog"));
    command.arg("--store").arg(store).args(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary to its end.
pub(crate) fn run(store: &Path, args: &[&str], stdin: &[u8]) -> Answer {
    finish(command(store, args).spawn().unwrap(), stdin)
}

/// Feeds a process and waits for it.
pub(crate) fn finish(mut child: Child, stdin: &[u8]) -> Answer {
    let mut input = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    // A process that refuses its input early is not an error of the test.
    let feeder = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Answer {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A message that says something.
pub(crate) fn message(text: &str) -> String {
    format!("{{\"role\":\"user\",\"content\":[{{\"text\":\"{text}\"}}]}}\n")
}

/// Every file below a directory, with its bytes; directories and links too.
pub(crate) fn listing(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(root) else {
        return found;
    };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(listing(&path));
            found.insert(path, b"directory".to_vec());
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        } else {
            found.insert(path, b"other".to_vec());
        }
    }
    found
}

/// The command with a test server's endpoint and keys.
pub(crate) fn command_at(endpoint: &str, store: &Path, args: &[&str]) -> Command {
    let mut command = command(store, args);
    command
        .args(["--endpoint", endpoint, "--allow-http"])
        .args(["--region", "us-east-1"])
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "testtest");
    command
}

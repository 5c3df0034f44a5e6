//! Any directory tree: importing it does not panic, what was imported is exported byte for byte, everything else is
//! reported, an update writes nothing where nothing changed, and the manager restores it.
//!
//! The input is a list of files: which one, a number, the length of the text in two bytes, the text. Run it with
//! `-malloc_limit_mb=65`: an import allocates no more than its input plus 64 MiB.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sessionlog::layout::{
    ExportOptions, ImportOptions, ImportReport, export, find_sessions, import,
};
use sessionlog::repository::{DirectoryRepository, LogRepository, SessionRepository};
use sessionlog::sim::SimDisk;
use sessionlog::{AgentSync, SessionManager, Store};

type Tree = BTreeMap<PathBuf, Vec<u8>>;

fuzz_target!(|bytes: &[u8]| {
    let work = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let from = work.path().join("from");
    fs::create_dir_all(from.join("session_s")).expect("an empty session");
    let half = write_files(&from, bytes, bytes.len() / 2);
    let store = Store::options()
        .storage(Arc::new(SimDisk::new()))
        .open("/store")
        .expect("an empty store");
    // Half of the files first: the rest comes as an update.
    let Ok(first) = import_from(&store, &from) else {
        return;
    };
    compare(&store, &from, &work.path().join("half"), &first);
    write_files(&from, &bytes[half..], usize::MAX);
    let Ok(whole) = import_from(&store, &from) else {
        // It diverged: a file of the second half changed one of the first in a way that no history allows.
        return;
    };
    compare(&store, &from, &work.path().join("out"), &whole);
    let again = import_from(&store, &from).expect("nothing changed");
    assert_eq!(
        again.version, whole.version,
        "an update of nothing wrote something"
    );
    restore_all(&store, &from);
});

/// Writes files until `end`; returns where it stopped.
fn write_files(root: &Path, bytes: &[u8], end: usize) -> usize {
    let mut at = 0;
    while let Some(&[which, number, low, high]) = bytes.get(at..at + 4) {
        let len = usize::from(u16::from_le_bytes([low, high]));
        let text = &bytes[at + 4..(at + 4 + len).min(bytes.len())];
        at += 4 + text.len();
        let agent = format!("session_s/agents/agent_{}", number % 2);
        let path = match which % 8 {
            0 => "session_s/session.json".to_owned(),
            1 => format!("{agent}/agent.json"),
            2 | 3 => format!(
                "session_s/agents/agent_{}/messages/message_{number}.json",
                which % 2
            ),
            4 => format!("session_s/multi_agents/multi_agent_{number}/multi_agent.json"),
            5 => format!("{agent}/messages/message_00{number}.json"),
            6 => format!("{agent}/.strands_{number}.tmp"),
            _ => format!("{agent}/messages/message_18446744073709551{number:03}.json"),
        };
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(&path, text).expect("a file");
        if at >= end {
            break;
        }
    }
    at.min(bytes.len())
}

fn import_from(store: &Store, from: &Path) -> sessionlog::Result<ImportReport> {
    let sessions = find_sessions(from).expect("there is one");
    let options = ImportOptions { update: true };
    import(store, &sessions[0], &options, &mut |_| {})
}

fn files(root: &Path) -> Tree {
    let mut files = Tree::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).expect("it is inside").to_path_buf();
                files.insert(name, fs::read(path).expect("it can be read"));
            }
        }
    }
    files
}

fn compare(store: &Store, from: &Path, to: &Path, report: &ImportReport) {
    export(store, "s", to, &ExportOptions::default(), &mut |_| {}).expect("it was imported");
    let (mut left, mut exported) = (files(from), files(to));
    // Records that are missing or unreadable are made up, or the package could not read the rest.
    let is_record = |name: &Path| name.ends_with("session.json") || name.ends_with("agent.json");
    exported.retain(|name, _| left.contains_key(name) || !is_record(name));
    // What cannot be read is not there, or it is what an earlier import read.
    for path in report.skipped.iter().map(|s| &s.path).chain(&report.strays) {
        let path = path.strip_prefix(from).expect("it is inside");
        left.retain(|name, _| !name.starts_with(path));
        exported.retain(|name, _| !name.starts_with(path));
    }
    assert!(
        exported == left,
        "{:?} instead of {:?}",
        exported.keys(),
        left.keys()
    );
}

/// The log and the files give the same conversation.
fn restore_all(store: &Store, from: &Path) {
    let view = store.read("s").expect("it was imported");
    let state = view.state().expect("it was imported");
    let log: Arc<dyn SessionRepository> = Arc::new(LogRepository::new(store.clone()));
    let plain: Arc<dyn SessionRepository> = Arc::new(DirectoryRepository::new(from));
    for (agent, _) in state.agents() {
        let restore = |repository: &Arc<dyn SessionRepository>| {
            SessionManager::open(Arc::clone(repository), "s")
                .and_then(|manager| manager.initialize(agent, AgentSync::default()))
        };
        let restored = restore(&log).expect("it was imported");
        if restored.next_message_id > 0 {
            let _ = restore(&plain);
        }
    }
}

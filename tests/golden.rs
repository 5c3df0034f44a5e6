//! On-disk bytes are a promise: files of version 1 are read for ever, and the same history gives the same bytes.
//!
//! `SESSIONLOG_BLESS=1 cargo test --test golden` writes the files anew; a change of them is a change of the format.

mod trees;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sessionlog::{AgentSync, Environment, Error, Event, Store, Version};
use trees::Tree;

/// A clock and random bytes that are the same every time.
#[derive(Debug, Default)]
struct Fixed(AtomicU64);

impl Environment for Fixed {
    fn now_us(&self) -> u64 {
        1_795_205_717_000_000 + self.0.fetch_add(1, Ordering::Relaxed) * 1_000_001
    }

    fn fill_random(&self, buf: &mut [u8]) {
        buf.iter_mut().zip(1..).for_each(|(byte, i)| *byte = i);
    }
}

fn golden() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/golden"
    ))
}

fn open(path: &Path) -> Store {
    Store::options()
        .segment_len(4096)
        .environment(Arc::new(Fixed::default()))
        .open(path)
        .unwrap()
}

/// Every kind of event that this version writes, over several segments.
fn write_history(path: &Path) {
    let store = open(path);
    let session = store.session("Golden é").unwrap();
    for i in 0..30 {
        let text = "ä🎉 ".repeat(30 + i);
        let message =
            format!("{{\"role\":\"user\",\"content\":[{{\"text\":\"{i} {text}\"}}],\"n\":1.50}}");
        session.append_json("default", &message).unwrap();
    }
    let use_tool = r#"{"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"t","input":{"x":NaN}}}]}"#;
    let batch = session.batch().append_json("tools", use_tool).unwrap();
    let batch = batch
        .append_json("tools", r#"{"role":"user","content":[{"text":"?"}]}"#)
        .unwrap();
    batch
        .redact_json("default", 3, r#"{"role":"user","content":[]}"#)
        .unwrap()
        .commit()
        .unwrap();
    session.repair_history("tools").unwrap();
    for state in [
        r#"{"a":1,"long":"0123456789012345678901234567890123456789"}"#,
        r#"{"a":2,"long":"0123456789012345678901234567890123456789"}"#,
    ] {
        let sync = AgentSync {
            state: Some(state),
            ..AgentSync::default()
        };
        session.sync_agent("default", sync).unwrap();
    }
    session
        .sync_multi_agent("graph", r#"{"nodes":["a","b"],"step":1}"#)
        .unwrap();
    session
        .sync_multi_agent("graph", r#"{"nodes":["a","b"],"step":2}"#)
        .unwrap();
    session.close().unwrap();
    // A second writer has the next epoch.
    store
        .session("Golden é")
        .unwrap()
        .append_json("default", "{}")
        .unwrap();
}

fn write_imported(path: &Path, work: &Path) {
    let mut tree = Tree::default();
    tree.file("session.json", "{\"session_id\":\"imported\"}");
    tree.file("agents/agent_a/agent.json", "{\n  \"agent_id\": \"a\"\n}");
    tree.file(
        "agents/agent_a/messages/message_007.json",
        "{\n  \"message\": {},\n  \"message_id\": 7,\n  \"redact_message\": {}\n}",
    );
    tree.file(
        "agents/agent_a/messages/message_2.json",
        "{ \"message\": {\"x\":1e400}, \"message_id\": 2 }",
    );
    let dir = work.join("session_imported");
    tree.write(&dir);
    let sessions = sessionlog::layout::find_sessions(&dir).unwrap();
    let options = sessionlog::layout::ImportOptions::default();
    sessionlog::layout::import(&open(path), &sessions[0], &options, &mut |_| {}).unwrap();
}

/// One line of JSON per event.
fn list(store: &Store, id: &str) -> String {
    let mut lines = String::new();
    let mut visit = |e: &Event<'_>| {
        let line = serde_json::json!({
            "version": e.version.0, "time_us": e.time_us, "kind": e.kind.name(), "subject": e.subject,
            "message_id": e.message_id, "extra": e.extra, "payload": e.payload,
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
        Ok(())
    };
    let view = store.read(id).unwrap();
    view.for_each_event(Version(1), Version(u64::MAX), &mut visit)
        .unwrap();
    assert!(view.damage().unwrap().is_empty(), "{:?}", view.damage());
    lines
}

fn listing(store: &Store) -> String {
    let part = |id: &String| ["# ", id, "\n", &list(store, id)].concat();
    store.list().unwrap().iter().map(part).collect()
}

/// The files of a store but for locks, which hold nothing.
fn files(path: &Path) -> Tree {
    let mut tree = Tree::read(path);
    tree.0.retain(|path, bytes| {
        bytes.as_ref().is_some_and(|bytes| !bytes.is_empty()) && !path.ends_with("STORE")
    });
    tree
}

#[test]
fn the_same_history_gives_the_same_bytes_and_old_files_are_read() {
    let work = tempfile::tempdir().unwrap();
    let fresh = work.path().join("store");
    write_history(&fresh);
    write_imported(&fresh, work.path());
    let (store_dir, listed) = (golden().join("v1"), golden().join("v1.jsonl"));
    if std::env::var_os("SESSIONLOG_BLESS").is_some() {
        let _ = std::fs::remove_dir_all(&store_dir);
        files(&fresh).write(&store_dir);
        std::fs::write(&listed, listing(&open(&fresh))).unwrap();
    }
    assert_eq!(
        listing(&open(&store_dir)),
        std::fs::read_to_string(&listed).unwrap()
    );
    assert_eq!(
        files(&fresh),
        files(&store_dir),
        "the bytes on disk have changed"
    );
    let segments = files(&store_dir).0.len();
    assert!(segments >= 4, "{segments} files");
}

#[test]
fn a_file_of_version_2_is_refused_and_a_flipped_version_byte_is_damage() {
    let work = tempfile::tempdir().unwrap();
    files(&golden().join("v1")).write(work.path());
    let path = work
        .path()
        .join("sessions/imported/00000000000000000001.seg");
    let good = std::fs::read(&path).unwrap();
    let mut newer = good.clone();
    newer[8] = 2;
    newer[88..120].fill(0);
    newer[88..104].copy_from_slice(b"sessionlog 7.1.0");
    let crc = crc32fast::hash(&newer[..124]);
    newer[124..128].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &newer).unwrap();
    let refused = open(work.path()).read("imported").unwrap_err();
    let text = refused.to_string();
    assert!(
        matches!(refused, Error::UnsupportedVersion { supported: 1, .. }),
        "{refused:?}"
    );
    assert!(
        text.contains("format 2 by sessionlog 7.1.0") && text.contains("up to format 1"),
        "{text}"
    );
    let mut flipped = good;
    flipped[8] ^= 2;
    std::fs::write(&path, &flipped).unwrap();
    let report = open(work.path()).verify("imported").unwrap();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert_eq!(report.events, 4, "every event is still read");
}

#[test]
fn a_reader_written_from_the_documentation_alone_reads_the_same() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/read_log.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(golden().join("v1"))
        .output();
    let output = output.expect("this test needs python3: install it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let parse = |text: &str| -> Vec<serde_json::Value> {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let ours = parse(&std::fs::read_to_string(golden().join("v1.jsonl")).unwrap());
    assert_eq!(parse(&String::from_utf8(output.stdout).unwrap()), ours);
}

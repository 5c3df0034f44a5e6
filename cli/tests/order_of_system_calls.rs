//! What the operating system sees: write, fdatasync, and only then the acknowledgement.
#![cfg(target_os = "linux")]

mod support;

use std::process::{Command, Stdio};

use support::{finish, message};

/// The system calls of one append, in order.
fn trace(store: &std::path::Path) -> Option<Vec<String>> {
    let log = store.join("strace.log");
    let calls = "trace=pwrite64,write,fdatasync,fsync,rename,renameat,renameat2";
    let child = Command::new("strace")
        .args(["-f", "-y", "-s", "200", "-e", calls, "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_sessionlog"))
        .arg("--store")
        .arg(store.join("store"))
        .args(["append", "s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(child) = child else {
        println!("skipped: strace is not installed");
        return None;
    };
    let answer = finish(child, message("hi").as_bytes());
    assert_eq!(answer.status, 0, "{answer:?}");
    let text = std::fs::read_to_string(log).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

#[test]
fn an_acknowledgement_comes_after_write_and_fdatasync_and_the_first_after_the_directories() {
    let dir = tempfile::tempdir().unwrap();
    let Some(first) = trace(dir.path()) else {
        return;
    };
    let at = |calls: &[String], what: &dyn Fn(&str) -> bool| {
        calls
            .iter()
            .position(|call| what(call))
            .unwrap_or_else(|| panic!("{calls:#?}"))
    };
    let is_ack = |call: &str| call.contains("write(1<") && call.contains("message_id");
    let acknowledged = at(&first, &is_ack);
    let event = at(&first, &|call| {
        call.contains("pwrite64") && call.contains(".seg") && !call.contains("211SLG")
    });
    for name in ["/sessions/s>", "/sessions>", "/store>"] {
        let synced = at(&first, &|call| {
            call.contains("fsync(") && call.contains(name)
        });
        assert!(
            synced < event,
            "{name} is synced before the first event is written"
        );
    }
    let second = trace(dir.path()).unwrap();
    for calls in [first, second] {
        let acknowledged_at = at(&calls, &is_ack);
        let written = calls[..acknowledged_at]
            .iter()
            .rposition(|call| call.contains("pwrite64"));
        let synced = calls[..acknowledged_at]
            .iter()
            .rposition(|call| call.contains("fdatasync"));
        assert!(written.is_some() && written < synced, "{calls:#?}");
    }
    assert!(acknowledged > event);
}

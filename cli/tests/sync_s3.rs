//! The commands for a remote, against a real S3 server, with processes that are killed.
#![cfg(feature = "s3")]

#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../tests/sync_s3/server.rs"]
mod server;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use server::Server;
use support::{Answer, command, command_at, finish, message, run};

fn remote(server: &Server, store: &Path, args: &[&str]) -> Command {
    let mut command = command_at(&server.endpoint, store, args);
    command.env("SESSIONLOG_REMOTE", server.url());
    command
}

fn ask(server: &Server, store: &Path, args: &[&str]) -> Answer {
    finish(remote(server, store, args).spawn().unwrap(), b"")
}

fn append(store: &Path, text: &str) {
    assert_eq!(
        run(store, &["append", "s"], message(text).as_bytes()).status,
        0
    );
}

#[test]
fn the_commands_answer_as_the_contract_says() {
    let Some(server) = Server::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    append(&one, "a");
    let pushed = ask(&server, &one, &["--json", "push", "s"]);
    assert_eq!(
        pushed.stdout,
        "{\"session_id\":\"s\",\"result\":\"pushed\",\"local\":3,\"remote\":3}\n"
    );
    assert_eq!(ask(&server, &two, &["clone", "s"]).status, 0);
    append(&one, "b");
    append(&two, "c");
    assert_eq!(ask(&server, &one, &["sync", "--all"]).status, 0);
    let diverged = ask(&server, &two, &["--json", "sync", "s"]);
    assert_eq!(diverged.status, 8);
    assert!(
        diverged.stdout.contains("\"result\":\"diverged\""),
        "{}",
        diverged.stdout
    );
    let rebased = ask(&server, &two, &["--json", "sync", "s", "--rebase"]);
    assert!(
        rebased
            .stdout
            .contains("\"moved\":[{\"agent_id\":\"default\",\"from\":1,\"to\":2}]"),
        "{}",
        rebased.stdout
    );

    assert_eq!(ask(&server, &one, &["claim", "s"]).status, 0);
    append(&two, "d");
    assert!(ask(&server, &two, &["push", "s"]).is_one_line(8));
    assert_eq!(ask(&server, &one, &["release", "s"]).status, 0);
    assert_eq!(ask(&server, &two, &["push", "s"]).status, 0);
    let listed = ask(&server, &two, &["--json", "remote", "ls"]);
    assert!(
        listed.stdout.contains("\"session_id\":\"s\",\"version\":6"),
        "{}",
        listed.stdout
    );
    assert_eq!(ask(&server, &two, &["remote", "verify", "--all"]).status, 0);
    assert_eq!(
        ask(&server, &two, &["remote", "delete", "s", "--yes"]).status,
        0
    );
    assert!(
        ask(&server, &one, &["--json", "sync", "s"])
            .stdout
            .contains("\"result\":\"deleted\"")
    );
    assert!(ask(&server, &two, &["clone", "s"]).is_one_line(3));
    assert!(ask(&server, &two, &["clone", "other"]).is_one_line(3));
}

#[test]
fn a_remote_that_cannot_be_used_is_one_line_and_local_work_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    append(&store, "a");
    let push = |url: &str, endpoint: &str, more: &[&str]| {
        let mut command = command(
            &store,
            &["push", "s", "--remote", url, "--endpoint", endpoint],
        );
        command
            .args(more)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "testtest");
        finish(command.spawn().unwrap(), b"")
    };
    let down = push("s3://bucket/x", "http://127.0.0.1:1", &["--allow-http"]);
    assert!(down.is_one_line(9), "{down:?}");
    assert!(push("s3://bucket/x", "http://127.0.0.1:1", &[]).is_one_line(2));
    assert!(push("ftp://bucket/x", "http://127.0.0.1:1", &["--allow-http"]).is_one_line(2));
    assert!(!down.stderr.contains("testtest"));
    append(&store, "b");
    assert!(run(&store, &["push", "s"], b"").is_one_line(2));
}

#[test]
fn a_pusher_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let kills: u64 = std::env::var("SESSIONLOG_KILLS").map_or(12, |n| n.parse().unwrap());
    for i in 0..kills {
        append(&one, &format!("number-{i}."));
        let mut pusher = remote(&server, &one, &["push", "s"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(i * 7 % 60));
        pusher.kill().unwrap();
        pusher.wait().unwrap();
    }
    assert_eq!(ask(&server, &one, &["sync", "s"]).status, 0);
    assert_eq!(ask(&server, &two, &["clone", "s"]).status, 0);
    let shown = |store: &Path| run(store, &["--json", "show", "s"], b"").stdout;
    assert_eq!(shown(&one), shown(&two));
    for i in 0..kills {
        assert_eq!(
            shown(&two).matches(&format!("number-{i}.")).count(),
            1,
            "{i}"
        );
    }
}

//! Each fault of a remote is one clear line with its own exit status, and nothing is lost or applied.
#![cfg(feature = "s3")]

#[path = "support/bad_s3.rs"]
mod bad_s3;
mod support;

use std::path::Path;
use std::process::Command;

use bad_s3::{BadS3, Manners};
use support::{Answer, command, finish, listing, message, run};

const NO_ROLE: &str = "http://127.0.0.1:1";

fn remote(endpoint: &str, store: &Path, args: &[&str]) -> Command {
    let mut command = command(store, args);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .args(["--endpoint", endpoint, "--allow-http", "--region", "x"])
        .env("SESSIONLOG_REMOTE", "s3://sessions/p")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "testtest");
    command
}

fn ask(server: &BadS3, store: &Path, args: &[&str]) -> Answer {
    end(&mut remote(&server.endpoint, store, args))
}

fn end(command: &mut Command) -> Answer {
    finish(command.spawn().unwrap(), b"")
}

fn append(store: &Path, text: &str) {
    let appended = run(store, &["append", "s"], message(text).as_bytes());
    assert_eq!(appended.status, 0, "{appended:?}");
}

#[track_caller]
fn refused(answer: &Answer, status: i32, says: &str) {
    assert!(answer.is_one_line(status), "{answer:?}");
    assert!(answer.stderr.contains(says), "{answer:?}");
    assert!(!answer.stderr.contains("testtest"), "{answer:?}");
}

#[test]
fn credentials_and_buckets_that_are_wrong_or_missing() {
    let server = BadS3::start(Manners::Good);
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "a");
    let push = || remote(&server.endpoint, dir.path(), &["push", "s"]);

    let mut none = push();
    none.env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_METADATA_ENDPOINT", NO_ROLE);
    refused(&end(&mut none), 9, "AWS_ACCESS_KEY_ID is not set");
    let half = end(push().env_remove("AWS_ACCESS_KEY_ID"));
    refused(&half, 2, "look at the AWS_* variables");
    let wrong = end(push().env("AWS_ACCESS_KEY_ID", "other"));
    refused(&wrong, 2, "refused: 403 InvalidAccessKeyId");
    let nowhere = end(push().env("SESSIONLOG_REMOTE", "s3://elsewhere/p"));
    refused(&nowhere, 2, "the bucket does not exist");
    let down = end(&mut remote(NO_ROLE, dir.path(), &["push", "s"]));
    refused(&down, 9, "not reachable");
    append(dir.path(), "local work goes on");
    let info = run(dir.path(), &["--json", "info", "s"], b"");
    assert!(info.stdout.contains("\"not_pushed\":[1,4]"), "{info:?}");
    assert_eq!(ask(&server, dir.path(), &["push", "s"]).status, 0);
}

#[test]
fn a_store_that_ignores_conditions_is_refused_before_anything_is_pushed() {
    let server = BadS3::start(Manners::IgnoresConditions);
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "a");
    for _ in 0..2 {
        let push = ask(&server, dir.path(), &["push", "s"]);
        refused(&push, 2, "ignores conditional writes");
    }
    let clone = ask(&server, &dir.path().join("two"), &["clone", "s"]);
    refused(&clone, 3, "the remote has no session");
}

#[test]
fn a_head_that_is_newer_or_damaged_is_not_applied() {
    let server = BadS3::start(Manners::Good);
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    append(&one, "a");
    assert_eq!(ask(&server, &one, &["push", "s"]).status, 0);
    let mut good = Vec::new();
    server.change("/head", |bytes| {
        good.clone_from(&bytes);
        Some(newer(bytes))
    });
    for args in [["clone", "s"], ["sync", "s"], ["claim", "s"]] {
        let store = if args[0] == "clone" { &two } else { &one };
        // A device that knows the old head has to ask, or it would not see the new one.
        let answer = ask(&server, store, &args);
        refused(&answer, 11, "was written in format 2 by sessionlog");
    }
    for at in [20, 100, 170, good.len() - 2] {
        server.change("/head", |_| {
            let mut bytes = good.clone();
            bytes[at] ^= 4;
            Some(bytes)
        });
        let clone = ask(&server, &two, &["clone", "s"]);
        refused(&clone, 6, "sessionlog/v1/s/head is damaged");
    }
    assert!(run(&two, &["show", "s"], b"").is_one_line(3));
}

/// The head as a program of the next format would write it.
fn newer(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[8] = 2;
    let header = crc32fast::hash(&bytes[..156]);
    bytes[156..160].copy_from_slice(&header.to_le_bytes());
    let end = bytes.len() - 4;
    let whole = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&whole.to_le_bytes());
    bytes
}

#[test]
fn a_sealed_object_that_is_damaged_or_missing_is_not_applied_and_can_be_repaired() {
    let server = BadS3::start(Manners::Good);
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    append(&one, &"x".repeat(200_000));
    assert_eq!(ask(&server, &one, &["push", "s"]).status, 0);
    for damage in ["a flipped bit", "missing"] {
        server.change(".seg", |mut bytes| {
            bytes[1000] ^= 1;
            (damage != "missing").then_some(bytes)
        });
        let clone = ask(&server, &two, &["clone", "s"]);
        refused(&clone, 6, ".seg is damaged");
        assert!(run(&two, &["show", "s"], b"").is_one_line(3));
        assert_eq!(ask(&server, &one, &["remote", "verify", "s"]).status, 1);
        let repair = ask(&server, &one, &["--json", "remote", "repair", "s"]);
        assert!(repair.stdout.contains("\"repaired\":1"), "{repair:?}");
        assert_eq!(ask(&server, &one, &["remote", "verify", "s"]).status, 0);
        // The damaged one is no part of the history any more.
        if damage != "missing" {
            server.change(".seg", |_| None);
        }
    }
    assert_eq!(ask(&server, &two, &["clone", "s"]).status, 0);
}

#[test]
fn one_id_on_two_devices_is_a_divergence_from_nothing_with_three_ways_out() {
    for how in [&["--rebase"][..], &["--fork", "mine"], &["--take-remote"]] {
        let server = BadS3::start(Manners::Good);
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        append(&one, "theirs");
        append(&two, "ours");
        assert_eq!(ask(&server, &one, &["push", "s"]).status, 0);
        let before = listing(&two.join("sessions"));
        let diverged = ask(&server, &two, &["--json", "sync", "s"]);
        assert_eq!(diverged.status, 8, "{diverged:?}");
        assert!(diverged.stdout.contains("\"common\":0"), "{diverged:?}");
        assert_eq!(listing(&two.join("sessions")), before);
        let args = [&["--json", "sync", "s"], how].concat();
        let resolved = ask(&server, &two, &args);
        assert_eq!(resolved.status, 0, "{resolved:?}");
        // The losing branch is read with the ordinary commands.
        let answer: serde_json::Value = serde_json::from_str(&resolved.stdout).unwrap();
        let branch = Path::new(answer["branch"].as_str().unwrap());
        let kept = run(branch, &["show", "s"], b"");
        assert!(kept.stdout.contains("ours"), "{kept:?}");
        let to = dir.path().join("out");
        let export = ["export", "s", "--to", to.to_str().unwrap()];
        assert_eq!(run(branch, &export, b"").status, 0);
    }
}

#[test]
fn a_damaged_local_log_is_not_pushed() {
    let server = BadS3::start(Manners::Good);
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "a");
    append(dir.path(), "b");
    let segment = dir.path().join("sessions/s/00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    // More than one bit, or it would be corrected.
    bytes[300..310].fill(0xAA);
    std::fs::write(&segment, bytes).unwrap();
    let push = ask(&server, dir.path(), &["push", "s"]);
    refused(&push, 6, "`repair` makes it writable again");
    let clone = ask(&server, &dir.path().join("two"), &["clone", "s"]);
    refused(&clone, 3, "the remote has no session");
}

#[test]
fn what_the_local_log_lost_comes_back_from_the_remote() {
    let server = BadS3::start(Manners::Good);
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "a text to lose");
    append(dir.path(), "b");
    assert_eq!(ask(&server, dir.path(), &["push", "s"]).status, 0);
    let shown = run(dir.path(), &["show", "s"], b"").stdout;
    let segment = dir.path().join("sessions/s/00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes
        .windows(9)
        .position(|text| text == b"a text to")
        .unwrap();
    bytes[at..at + 9].fill(0xAA);
    std::fs::write(&segment, bytes).unwrap();
    let from = ["--json", "repair", "s", "--from", "s3://sessions/p"];
    let repair = ask(&server, dir.path(), &from);
    assert_eq!(repair.status, 0, "{repair:?}");
    assert!(repair.stdout.contains("\"lost_versions\":[]"), "{repair:?}");
    assert_eq!(run(dir.path(), &["show", "s"], b"").stdout, shown);
    append(dir.path(), "c");
    assert_eq!(ask(&server, dir.path(), &["push", "s"]).status, 0);
}

#[test]
fn import_and_export_answer_for_a_bucket_as_they_do_for_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "a");
    let server = BadS3::start(Manners::Good);
    for args in [
        &["import", "s3://elsewhere/p"][..],
        &["export", "s", "--to", "s3://elsewhere/p"],
    ] {
        let answer = ask(&server, dir.path(), args);
        refused(&answer, 2, "the bucket does not exist");
        let down = end(&mut remote(NO_ROLE, dir.path(), args));
        refused(&down, 9, "not reachable");
        let wrong = end(remote(&server.endpoint, dir.path(), args).env("AWS_ACCESS_KEY_ID", "no"));
        refused(&wrong, 2, "refused: 403");
    }
    let missing = ask(
        &server,
        dir.path(),
        &["export", "t", "--to", "s3://sessions/p"],
    );
    refused(&missing, 3, "does not exist");
    let nothing = ask(&server, dir.path(), &["import", "s3://sessions/p"]);
    refused(&nothing, 3, "s3://sessions/p");
    let plain = run(
        dir.path(),
        &["import", "s3://sessions/p", "--endpoint", NO_ROLE],
        b"",
    );
    refused(&plain, 2, "allow http");
}

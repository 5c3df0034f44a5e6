//! The real `S3SessionManager` reads what we exported, and we import what it wrote, byte for byte: on a real S3 server.
#![cfg(feature = "s3")]

#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../tests/sync_s3/server.rs"]
mod server;

use std::process::Command;

use server::{BUCKET, Server};

#[test]
fn the_package_and_ours_read_each_others_sessions_in_a_bucket() {
    let (Some(server), Ok(python)) = (Server::start(), std::env::var("SESSIONLOG_STRANDS_PYTHON"))
    else {
        println!("skipped: no S3 server, or SESSIONLOG_STRANDS_PYTHON is not set");
        return;
    };
    let fixtures = tempfile::tempdir().unwrap();
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests");
    let unpacked = Command::new("tar")
        .args([
            "xzf",
            &format!("{tests}/fixtures/standard-layout.tar.gz"),
            "-C",
        ])
        .arg(fixtures.path())
        .status();
    assert!(unpacked.expect("the tests need `tar`").success());
    // More than one listing shows.
    let messages = std::env::var("SESSIONLOG_MESSAGES").unwrap_or("1100".to_owned());
    let checked = Command::new(python)
        .arg(format!("{tests}/servers/check_bucket.py"))
        .args([env!("CARGO_BIN_EXE_sessionlog"), &server.endpoint, BUCKET])
        .arg(fixtures.path())
        .arg(messages)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{errors}");
}

//! The tour runs to its end, from nothing and from a real session, and leaves a store that the commands can use.

mod support;

use std::path::Path;
use std::process::Command;

use support::run;

#[test]
fn the_tour_holds_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("kept");
    let answer = run(dir.path(), &["tour", "--keep", keep.to_str().unwrap()], b"");
    assert_eq!(answer.status, 0, "{answer:?}");
    assert!(
        answer
            .stdout
            .contains("every acknowledged message is there"),
        "{}",
        answer.stdout
    );
    assert!(
        !answer.stdout.contains('\u{1b}'),
        "no colour without a terminal"
    );
    let store = keep.join("store");
    assert_eq!(run(&store, &["verify", "--all"], b"").status, 0);
    assert!(keep.join("export/session_tour/session.json").exists());
    let wide = answer
        .stdout
        .lines()
        .filter(|line| line.chars().count() > 110)
        .count();
    assert_eq!(wide, 1, "only the command to paste is long");
}

#[test]
fn the_tour_starts_from_a_real_session() {
    let dir = tempfile::tempdir().unwrap();
    let archive = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/standard-layout.tar.gz"
    );
    let status = Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(dir.path())
        .status();
    assert!(status.expect("the tests need `tar`").success());
    let from = dir.path().join("04_tools/store");
    let answer = run(dir.path(), &["tour", "--from", from.to_str().unwrap()], b"");
    assert_eq!(answer.status, 0, "{answer:?}");
    assert!(
        answer.stdout.contains("Import a session"),
        "{}",
        answer.stdout
    );
    let missing = run(dir.path(), &["tour", "--from", "/nonexistent"], b"");
    assert!(missing.is_one_line(3), "{missing:?}");
    assert!(Path::new(&from).exists());
}

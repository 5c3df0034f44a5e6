//! Files that are not what they should be: one clear line, the right status, nothing changed.

mod support;

use std::path::{Path, PathBuf};

use support::{listing, message, run};

fn session_dir(store: &Path, id: &str) -> PathBuf {
    store.join("sessions").join(id)
}

fn segment(store: &Path, id: &str) -> PathBuf {
    session_dir(store, id).join("00000000000000000001.seg")
}

/// A store with the sessions `a` and `b`.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for id in ["a", "b"] {
        let input = message("one") + &message("two");
        assert_eq!(run(dir.path(), &["append", id], input.as_bytes()).status, 0);
    }
    dir
}

fn refuses(store: &Path, status: i32, what: &str) {
    let before = listing(store);
    let answer = run(store, &["append", "a"], message("x").as_bytes());
    assert!(answer.is_one_line(status), "{what}: {answer:?}");
    assert_eq!(
        listing(store),
        before,
        "{what}: nothing on disk has changed"
    );
}

#[test]
fn a_log_of_a_newer_major_version_is_refused_with_both_versions_and_the_writer() {
    let dir = store();
    let path = segment(dir.path(), "a");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 2;
    bytes[88..104].copy_from_slice(b"sessionlog 2.0.0");
    let crc = crc32fast::hash(&bytes[..124]);
    bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    refuses(dir.path(), 11, "newer");
    for command in ["show", "verify", "info"] {
        let answer = run(dir.path(), &[command, "a"], b"");
        assert!(answer.is_one_line(11), "{command}: {answer:?}");
        assert!(
            answer.stderr.contains("format 2 by sessionlog 2.0.0"),
            "{answer:?}"
        );
    }
    bytes[8] = 3;
    std::fs::write(&path, &bytes).unwrap();
    refuses(
        dir.path(),
        6,
        "a flipped version byte is damage, not a newer format",
    );
}

#[test]
fn a_log_of_another_session_is_refused() {
    let dir = store();
    std::fs::copy(segment(dir.path(), "b"), segment(dir.path(), "a")).unwrap();
    let before = listing(dir.path());
    let answer = run(dir.path(), &["append", "a"], message("x").as_bytes());
    assert!(
        answer.is_one_line(2) && answer.stderr.contains("\"b\""),
        "{answer:?}"
    );
    assert_eq!(listing(dir.path()), before);
}

#[test]
fn a_segment_that_is_cut_short_is_damage() {
    for len in [0, 1, 127] {
        let dir = store();
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(segment(dir.path(), "a"))
            .unwrap();
        file.set_len(len).unwrap();
        refuses(dir.path(), 6, &format!("{len} bytes"));
        assert_eq!(
            run(dir.path(), &["verify", "a"], b"").status,
            1,
            "{len} bytes"
        );
        let answer = run(dir.path(), &["verify", "b"], b"");
        assert_eq!(
            answer.status, 0,
            "another session is not affected: {answer:?}"
        );
    }
}

#[test]
fn a_directory_or_a_link_in_place_of_a_segment_is_damage() {
    let dir = store();
    let path = segment(dir.path(), "a");
    let moved = dir.path().join("elsewhere");
    std::fs::rename(&path, &moved).unwrap();
    std::fs::create_dir(&path).unwrap();
    refuses(dir.path(), 6, "a directory");
    std::fs::remove_dir(&path).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        refuses(dir.path(), 6, "a link is not followed");
    }
}

#[test]
fn a_stray_file_is_ignored_and_mentioned() {
    let dir = store();
    std::fs::write(session_dir(dir.path(), "a").join("notes.txt"), "mine").unwrap();
    assert_eq!(
        run(dir.path(), &["append", "a"], message("x").as_bytes()).status,
        0
    );
    let info = run(dir.path(), &["info", "a", "--json"], b"").stdout;
    assert!(info.contains("\"strays\":[\"notes.txt\"]"), "{info}");
}

#[test]
fn a_log_without_its_segments_is_damaged_and_not_new() {
    let dir = store();
    std::fs::remove_file(segment(dir.path(), "a")).unwrap();
    std::fs::create_dir(session_dir(dir.path(), "a").join("quarantine")).unwrap();
    refuses(dir.path(), 6, "a quarantine without a segment");
}

#[test]
fn a_read_only_store_can_be_read_and_not_written() {
    let dir = store();
    let mount = |args: &[&str]| {
        std::process::Command::new("mount")
            .args(args)
            .status()
            .is_ok_and(|s| s.success())
    };
    let path = dir.path().to_str().unwrap();
    if !mount(&["--bind", path, path]) || !mount(&["-o", "remount,ro,bind", path]) {
        println!("skipped: mounting is not permitted here");
        return;
    }
    let written = run(dir.path(), &["append", "a"], message("x").as_bytes());
    let created = run(dir.path(), &["append", "new"], message("x").as_bytes());
    let shown = run(dir.path(), &["show", "a", "--json"], b"");
    std::process::Command::new("umount")
        .arg(path)
        .status()
        .unwrap();
    assert!(written.is_one_line(7), "{written:?}");
    assert!(created.is_one_line(7), "{created:?}");
    assert_eq!(
        (shown.status, shown.stdout.lines().count()),
        (0, 2),
        "{shown:?}"
    );
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs", path])
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        println!("skipped: mounting is not permitted here");
        return;
    }
    let input = message(&"x".repeat(3000)).repeat(200);
    let answer = run(dir.path(), &["append", "s"], input.as_bytes());
    let shown = run(dir.path(), &["show", "s", "--json"], b"");
    let created = run(dir.path(), &["append", "new"], message("x").as_bytes());
    std::process::Command::new("umount")
        .arg(path)
        .status()
        .unwrap();
    assert!(answer.is_one_line(10), "{answer:?}");
    assert!(
        shown.stdout.lines().count() >= answer.stdout.lines().count(),
        "{}",
        shown.stderr
    );
    assert!(answer.stdout.lines().count() > 20);
    assert!(
        created.status == 7 || created.status == 10 || created.status == 0,
        "{created:?}"
    );
}

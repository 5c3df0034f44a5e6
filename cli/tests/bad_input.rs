//! Bad input gets one clear line and its exit status, and changes nothing on disk.

mod support;

use support::{listing, message, run};

#[test]
fn ids_that_could_leave_the_store_are_refused_and_odd_ones_are_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let long = "x".repeat(10_000);
    for id in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\nb",
        "a\u{1b}[31mb",
        "\u{7f}",
        &long,
    ] {
        let answer = run(&store, &["append", id], message("hi").as_bytes());
        assert!(answer.is_one_line(2), "{id:?}: {answer:?}");
        assert!(answer.stderr.len() < 400, "{answer:?}");
    }
    assert!(listing(dir.path()).is_empty(), "nothing was created");
    let odd = [
        "CON",
        "con",
        "trailing.",
        "trailing",
        "🎉",
        "User",
        "user",
        "\u{e9}",
        "e\u{301}",
        "a\\b",
        "%41",
    ];
    for id in odd {
        let answer = run(
            &store,
            &["append", id],
            message(
                id.escape_default()
                    .to_string()
                    .as_str()
                    .replace('\\', "/")
                    .as_str(),
            )
            .as_bytes(),
        );
        assert_eq!(answer.status, 0, "{id:?}: {answer:?}");
        assert!(
            answer.stdout.contains("\"message_id\":0"),
            "{id:?} is a session of its own: {answer:?}"
        );
    }
    let answer = run(&store, &["ls", "--json"], b"");
    assert_eq!(answer.stdout.lines().count(), odd.len());
}

#[test]
fn a_line_that_is_not_a_json_object_is_refused_and_what_was_acknowledged_stays() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["append", "s"], message("first").as_bytes());
    let before = listing(dir.path());
    let deep = format!(
        "{{\"a\":{}1{}}}",
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    let cases: [&[u8]; 9] = [
        b"hello",
        b"[1,2]",
        b"\"text\"",
        b"12",
        b"\xEF\xBB\xBF{}",
        b"{\"role\":\"user\",\"content\":[",
        deep.as_bytes(),
        b"{\"a\":\"\xFF\"}",
        b"{} {}",
    ];
    for bytes in cases {
        let answer = run(dir.path(), &["append", "s"], bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert!(answer.is_one_line(2), "{shown}: {answer:?}");
        assert!(answer.stderr.contains("line 1"), "{shown}: {answer:?}");
        assert_eq!(
            listing(dir.path()),
            before,
            "{shown}: nothing on disk has changed"
        );
    }
    let input = format!("{}{}nonsense\n{}", message("a"), message("b"), message("c"));
    let answer = run(dir.path(), &["append", "s"], input.as_bytes());
    assert!(
        answer.is_one_line(2) && answer.stderr.contains("line 3"),
        "{answer:?}"
    );
    assert_eq!(
        answer.stdout.lines().count(),
        2,
        "the lines before it are acknowledged"
    );
    let shown = run(dir.path(), &["show", "s", "--json"], b"").stdout;
    assert_eq!(shown.lines().count(), 3);
}

#[test]
fn a_message_of_100_megabytes_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut line = b"{\"text\":\"".to_vec();
    line.resize(100 << 20, b'x');
    line.extend_from_slice(b"\"}\n");
    let answer = run(dir.path(), &["append", "s"], &line);
    assert!(answer.is_one_line(2), "{}", answer.stderr);
    assert!(listing(dir.path()).is_empty());
}

#[test]
fn what_does_not_exist_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    for args in [
        &["ls"][..],
        &["show", "s"],
        &["log", "s"],
        &["info", "s"],
        &["verify", "s"],
        &["delete", "s", "--yes"],
    ] {
        let answer = run(&store, args, b"");
        assert!(answer.is_one_line(3), "{args:?}: {answer:?}");
    }
    assert!(!store.exists(), "reading creates no store");
    run(&store, &["append", "s"], message("hi").as_bytes());
    let before = listing(&store);
    let missing = [
        &["show", "other"][..],
        &["show", "s", "--agent", "nobody"],
        &["show", "s", "--at", "99"],
        &["redact", "s", "--message", "7"],
        &["redact", "s", "--message", "0", "--agent", "nobody"],
        &["redact", "other", "--message", "0"],
        &["export", "other", "--to", "/nonexistent/out"],
        &["repair", "other"],
        &["import", "/nonexistent"],
    ];
    for args in missing {
        let answer = run(&store, args, b"{}");
        assert!(answer.is_one_line(3), "{args:?}: {answer:?}");
    }
    assert_eq!(
        listing(&store),
        before.clone().into_iter().collect(),
        "nothing has changed"
    );
}

#[test]
fn a_wrong_expected_version_is_a_conflict_that_names_the_actual_one() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["append", "s"], message("hi").as_bytes());
    let before = listing(dir.path());
    let answer = run(
        dir.path(),
        &["append", "s", "--expect", "2"],
        message("x").as_bytes(),
    );
    assert!(
        answer.is_one_line(5) && answer.stderr.contains("version 3"),
        "{answer:?}"
    );
    assert_eq!(listing(dir.path()), before);
    let answer = run(
        dir.path(),
        &["append", "new", "--expect", "1"],
        message("x").as_bytes(),
    );
    assert!(answer.is_one_line(5), "{answer:?}");
    assert_eq!(listing(dir.path()), before);
    let answer = run(
        dir.path(),
        &["append", "s", "--expect", "3"],
        message("x").as_bytes(),
    );
    assert_eq!(answer.status, 0, "{answer:?}");
}

#[test]
fn a_second_writer_is_told_that_the_session_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let store = sessionlog::Store::open(dir.path()).unwrap();
    let session = store.session("s").unwrap();
    session.append_json("default", "{}").unwrap();
    for args in [
        &["append", "s"][..],
        &["delete", "s", "--yes"],
        &["repair", "s"],
    ] {
        let answer = run(dir.path(), args, message("x").as_bytes());
        assert!(answer.is_one_line(4), "{args:?}: {answer:?}");
    }
    let answer = run(dir.path(), &["show", "s", "--json"], b"");
    assert_eq!(
        (answer.status, answer.stdout.lines().count()),
        (0, 1),
        "readers need no lock"
    );
}

#[test]
fn a_store_that_is_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "hello").unwrap();
    for args in [&["append", "s"][..], &["ls"], &["show", "s"]] {
        let answer = run(&file, args, message("x").as_bytes());
        assert!(answer.is_one_line(2), "{args:?}: {answer:?}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"hello");
}

#[test]
fn bad_usage_is_status_2() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["frobnicate"][..],
        &["append"],
        &["show", "s", "--last", "many"],
        &["redact", "s"],
    ] {
        assert_eq!(run(dir.path(), args, b"").status, 2, "{args:?}");
    }
    let answer = run(dir.path(), &["sync-state", "s"], b"{\"stat\":{}}");
    assert!(answer.is_one_line(2), "{answer:?}");
    assert!(
        run(dir.path(), &["--help"], b"")
            .stdout
            .contains("sessionlog tour")
    );
}

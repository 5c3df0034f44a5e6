//! What is imported is exported again byte for byte, directories included.

mod trees;

use std::path::Path;

use sessionlog::layout::{
    ExportOptions, ImportOptions, ImportReport, export, find_sessions, import,
};
use sessionlog::{Error, Store, Version};
use trees::{Tree, fixtures};

fn import_all(store: &Store, dir: &Path, options: ImportOptions) -> Vec<ImportReport> {
    let sessions = find_sessions(dir).unwrap();
    sessions
        .iter()
        .map(|s| import(store, s, &options, &mut |_| {}).unwrap())
        .collect()
}

fn export_all(store: &Store, to: &Path, options: &ExportOptions) {
    for id in store.list().unwrap() {
        export(store, &id, to, options, &mut |_| {}).unwrap();
    }
}

/// Imports a tree, exports it, and returns what came out.
fn round_trip(dir: &Path) -> Tree {
    let work = tempfile::tempdir().unwrap();
    let store = Store::open(work.path().join("store")).unwrap();
    for report in import_all(&store, dir, ImportOptions::default()) {
        assert!(report.skipped.is_empty(), "{report:?}");
    }
    export_all(&store, &work.path().join("out"), &ExportOptions::default());
    Tree::read(&work.path().join("out"))
}

#[test]
fn every_healthy_fixture_comes_back_byte_for_byte() {
    let (fixtures, mut healthy) = (fixtures(), 0);
    for (name, store) in fixtures.stores() {
        if name != "21_corrupt" {
            assert_eq!(round_trip(&store), Tree::read(&store), "{name}");
            healthy += 1;
        }
    }
    assert_eq!(healthy, 14);
}

#[test]
fn damaged_files_are_reported_and_the_rest_is_imported() {
    let fixtures = fixtures();
    let work = tempfile::tempdir().unwrap();
    let store = Store::open(work.path()).unwrap();
    let reports = import_all(
        &store,
        &fixtures.store("21_corrupt"),
        ImportOptions::default(),
    );
    assert_eq!(reports.len(), 7);
    for report in reports {
        let expected = match report.session_id.as_str() {
            "no_messages_dir" => 0,
            _ => 1,
        };
        assert_eq!(report.skipped.len(), expected, "{report:?}");
        assert!(store.read(&report.session_id).is_ok());
        for skipped in report.skipped {
            assert!(
                !skipped.error.contains('\n') && skipped.path.is_absolute(),
                "{skipped:?}"
            );
        }
    }
}

#[test]
fn odd_trees_come_back_byte_for_byte() {
    let work = tempfile::tempdir().unwrap();
    let session = work.path().join("in/session_odd");
    let mut tree = Tree::default();
    tree.file(
        "session.json",
        "{ \"session_id\":\"odd\",\n\t\"session_type\":\"X\", \"more\":[1.0,1e400,NaN]}\n",
    );
    tree.file(
        "agents/agent_a b/agent.json",
        "{\"agent_id\":\"a b\",\"state\":{},\"state\":{\"n\":-0.0}}",
    );
    let messages = "agents/agent_a b/messages";
    tree.file(
        &format!("{messages}/message_007.json"),
        "{\n  \"message\": {},\n  \"message_id\": 7\n}",
    );
    tree.file(
        &format!("{messages}/message_3.json"),
        "{\"message\":{\"role\":\"user\"},\"message_id\":3}",
    );
    tree.file(
        &format!("{messages}/message_900.json"),
        "{\n  \"message_id\": 12,\n  \"x\": \"\\ud800\"\n}",
    );
    tree.file("agents/agent_silent/agent.json", "{}");
    tree.write(&session);
    assert_eq!(
        round_trip(&work.path().join("in")),
        Tree::read(&work.path().join("in"))
    );
}

#[test]
fn an_import_appears_whole_or_not_at_all_and_is_not_repeated() {
    let fixtures = fixtures();
    let work = tempfile::tempdir().unwrap();
    let store = Store::open(work.path()).unwrap();
    let sessions = find_sessions(&fixtures.store("01_plain")).unwrap();
    let import_it = || import(&store, &sessions[0], &ImportOptions::default(), &mut |_| {});
    let version = import_it().unwrap().version;
    assert!(matches!(import_it(), Err(Error::AlreadyExists(_))));
    assert_eq!(store.read("plain").unwrap().version(), version);
    // What a crashed import left is not a session, and the next import removes it.
    let left = work.path().join("sessions/.building-0123456789abcdef");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("00000000000000000001.seg"), [0; 300]).unwrap();
    assert_eq!(store.list().unwrap(), ["plain"]);
    store.delete("plain").unwrap();
    import_it().unwrap();
    assert!(!left.exists());
}

#[test]
fn an_update_writes_what_is_new_and_a_second_one_writes_nothing() {
    let fixtures = fixtures();
    let work = tempfile::tempdir().unwrap();
    let store = Store::open(work.path().join("store")).unwrap();
    let dir = work.path().join("in");
    Tree::read(&fixtures.store("01_plain")).write(&dir);
    import_all(&store, &dir, ImportOptions::default());
    let update = ImportOptions { update: true };
    let before = store.read("plain").unwrap().version();
    assert_eq!(
        import_all(&store, &dir, update)[0].version,
        before,
        "nothing is new"
    );

    let messages = dir.join("session_plain/agents/agent_default/messages");
    let first = std::fs::read_to_string(messages.join("message_0.json")).unwrap();
    let hidden = first.replace(
        "\"redact_message\": null",
        "\"redact_message\": {\"role\": \"user\"}",
    );
    std::fs::write(messages.join("message_0.json"), hidden).unwrap();
    let next = first.replace("\"message_id\": 0", "\"message_id\": 6");
    std::fs::write(messages.join("message_6.json"), next).unwrap();
    let report = &import_all(&store, &dir, update)[0];
    assert_eq!(
        (report.messages, report.version),
        (2, Version(before.0 + 2)),
        "{report:?}"
    );
    assert_eq!(
        import_all(&store, &dir, update)[0].version,
        Version(before.0 + 2)
    );
    export_all(&store, &work.path().join("out"), &ExportOptions::default());
    assert_eq!(Tree::read(&work.path().join("out")), Tree::read(&dir));

    std::fs::write(
        messages.join("message_1.json"),
        first.replace("\"message_id\": 0", "\"message_id\": 1"),
    )
    .unwrap();
    let sessions = find_sessions(&dir).unwrap();
    let refused = import(&store, &sessions[0], &update, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("message 1 of agent \"default\""),
        "{refused}"
    );
    std::fs::remove_file(messages.join("message_1.json")).unwrap();
    let refused = import(&store, &sessions[0], &update, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(refused.contains("has message 1"), "{refused}");
    assert_eq!(
        store.read("plain").unwrap().version(),
        Version(before.0 + 2)
    );
}

#[test]
fn an_export_replaces_another_only_when_told_and_a_past_version_can_be_had() {
    let fixtures = fixtures();
    let work = tempfile::tempdir().unwrap();
    let store = Store::open(work.path().join("store")).unwrap();
    import_all(
        &store,
        &fixtures.store("05_redacted"),
        ImportOptions::default(),
    );
    let (out, id) = (work.path().join("out"), "redacted");
    let run = |options: ExportOptions| export(&store, id, &out, &options, &mut |_| {});
    let whole = run(ExportOptions::default()).unwrap();
    assert!(whole.originals > 0, "{whole:?}");
    let before = Tree::read(&out);
    assert!(matches!(
        run(ExportOptions::default()),
        Err(Error::AlreadyExists(_))
    ));
    let at = Some(Version(2));
    let past = run(ExportOptions {
        at,
        force: true,
        ..ExportOptions::default()
    })
    .unwrap();
    assert!(past.files < whole.files && Tree::read(&out) != before);
    run(ExportOptions {
        force: true,
        ..ExportOptions::default()
    })
    .unwrap();
    assert_eq!(Tree::read(&out), before);
    let safe = ExportOptions {
        redacted: true,
        force: true,
        ..ExportOptions::default()
    };
    assert_eq!(run(safe).unwrap().originals, 0);
    let leftovers = std::fs::read_dir(&out).unwrap().count();
    assert_eq!(leftovers, 1, "no temporary directory is left");
}

#[test]
fn a_redacted_export_has_the_replacement_in_both_fields() {
    let work = tempfile::tempdir().unwrap();
    let store = Store::open(work.path().join("store")).unwrap();
    let session = store.session("s").unwrap();
    session
        .append_json("a", r#"{"role":"user","content":[{"text":"hunter2"}]}"#)
        .unwrap();
    let hidden = serde_json::json!({"role": "user", "content": [{"text": "gone"}]});
    session.redact_message("a", 0, &hidden).unwrap();
    drop(session);
    for (redacted, leaks) in [(false, true), (true, false)] {
        let options = ExportOptions {
            redacted,
            force: true,
            ..ExportOptions::default()
        };
        export(&store, "s", &work.path().join("out"), &options, &mut |_| {}).unwrap();
        let path = "session_s/agents/agent_a/messages/message_0.json";
        let file = std::fs::read_to_string(work.path().join("out").join(path)).unwrap();
        assert_eq!(file.contains("hunter2"), leaks, "{file}");
        assert_eq!(
            file.matches("gone").count(),
            if redacted { 2 } else { 1 },
            "{file}"
        );
    }
}

#[test]
fn a_redaction_goes_into_the_imported_record_and_leaves_the_rest_as_it_was() {
    let work = tempfile::tempdir().unwrap();
    let session = work.path().join("in/session_s");
    let messages = session.join("agents/agent_a/messages");
    std::fs::create_dir_all(&messages).unwrap();
    let put = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    put(
        &session.join("session.json"),
        r#"{"session_id": "s", "session_type": "AGENT"}"#,
    );
    put(
        &session.join("agents/agent_a/agent.json"),
        r#"{"agent_id": "a", "state": {}, "conversation_manager_state": {}}"#,
    );
    let usual = r#"{"mine": 1.50, "message": {"content": [{"text": "hunter2"}]}, "message_id": 0, "redact_message": null, "updated_at": "then"}"#;
    let bare = r#"{"message": {"content": [{"text": "hunter2"}]}, "message_id": 1, "mine": "x"}"#;
    put(&messages.join("message_0.json"), usual);
    put(&messages.join("message_1.json"), bare);
    let store = Store::open(work.path().join("store")).unwrap();
    let reports = import_all(&store, &work.path().join("in"), ImportOptions::default());
    assert!(reports[0].skipped.is_empty(), "{reports:?}");
    let session = store.session("s").unwrap();
    for id in [0, 1] {
        let hidden = serde_json::json!({"content": []});
        session.redact_message("a", id, &hidden).unwrap();
    }
    drop(session);
    let at = |id: u64| {
        let view = store.read("s").unwrap();
        let mut messages = view.messages("a").unwrap().map(Result::unwrap);
        messages.find(|message| message.id() == id).unwrap()
    };
    let redacted = r#""redact_message":{"content":[]}"#;
    let when = |id: u64| format!(r#""updated_at":"{}""#, at(id).updated_at().unwrap());
    let original = r#""message":{"content":[{"text":"hunter2"}]}"#;
    assert_eq!(
        at(0).record(),
        format!(
            r#"{{"mine":1.50,{original},"message_id":0,{redacted},{}}}"#,
            when(0)
        )
    );
    assert_eq!(
        at(1).record(),
        format!(
            r#"{{{original},"message_id":1,"mine":"x",{redacted},{}}}"#,
            when(1)
        )
    );
}

/// Fuzzing found: an update took a message for a new one whose file's number was not its id, if the file of that number
/// could not be read; and it did not miss stored messages behind such a file.
#[test]
fn an_update_goes_by_ids_whatever_the_files_are_called() {
    let fixtures = fixtures();
    let work = tempfile::tempdir().unwrap();
    let store = Store::open(work.path().join("store")).unwrap();
    let update = ImportOptions { update: true };
    let dir = fixtures.store("01_plain");
    let messages = dir.join("session_plain/agents/agent_default/messages");
    let first = std::fs::read_to_string(messages.join("message_0.json")).unwrap();
    let put = |name: &str, id: u64| {
        let text = first.replace("\"message_id\": 0", &format!("\"message_id\": {id}"));
        std::fs::write(messages.join(name), text).unwrap();
    };
    std::fs::write(messages.join("message_0.json"), "{").unwrap();
    put("message_7.json", 0);
    put("message_8.json", 9);
    put("message_9.json", 8);
    put("message_10.json", 8);
    let version = import_all(&store, &dir, update)[0].version;
    for _ in 0..2 {
        let report = &import_all(&store, &dir, update)[0];
        assert_eq!((report.version, report.messages), (version, 0));
        let skipped: Vec<_> = report.skipped.iter().map(|s| s.path.clone()).collect();
        let expected = ["message_0.json", "message_10.json"].map(|name| messages.join(name));
        assert_eq!(skipped, expected);
    }
    let refused = || {
        let sessions = find_sessions(&dir).unwrap();
        let refused = import(&store, &sessions[0], &update, &mut |_| {});
        refused.unwrap_err().to_string()
    };
    // The file that cannot be read may be message 0, but none may be message 8.
    std::fs::remove_file(messages.join("message_7.json")).unwrap();
    std::fs::remove_file(messages.join("message_9.json")).unwrap();
    assert!(refused().contains("was in message_9.json"), "{}", refused());
    std::fs::remove_file(messages.join("message_10.json")).unwrap();
    assert!(refused().contains("has message 8"), "{}", refused());
    assert_eq!(store.read("plain").unwrap().version(), version);
}

//! What was appended is read back, at every version, after closing and reopening.

use serde_json::json;
use sessionlog::storage::MemoryStorage;
use sessionlog::{AgentSync, Error, Store, Version};
use std::sync::Arc;

fn message(text: &str) -> serde_json::Value {
    json!({"role": "user", "content": [{"text": text}]})
}

#[test]
fn a_conversation_survives_closing_and_reopening() {
    for files in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let memory = Arc::new(MemoryStorage::new());
        let open = || {
            let options = Store::options().segment_len(4096);
            if files {
                options.open(dir.path().join("deep/er/store")).unwrap()
            } else {
                options
                    .storage(memory.clone())
                    .open("/deep/er/store")
                    .unwrap()
            }
        };
        for round in 0..4_u64 {
            let store = open();
            let session = store.session("user-123").unwrap();
            for i in 0..25_u64 {
                let done = session
                    .append_message("default", &message(&format!("{round} {i}")))
                    .unwrap();
                assert_eq!(done.message_id, round * 25 + i);
            }
            assert!(matches!(
                store.session("user-123"),
                Err(Error::Locked { .. })
            ));
            let view = store.read("user-123").unwrap();
            assert_eq!(view.version(), session.version());
            assert!(view.damage().unwrap().is_empty());
        }
        let store = open();
        let view = store.read("user-123").unwrap();
        assert_eq!(view.version(), Version(102));
        assert!(
            view.log().unwrap().segments > 2,
            "segments roll: {:?}",
            view.log().unwrap()
        );
        let last: Vec<_> = view
            .messages("default")
            .unwrap()
            .last(3)
            .map(Result::unwrap)
            .collect();
        assert_eq!(last[2].id(), 99);
        assert_eq!(last[2].text(), message("3 24").to_string());
        let then = view.at(Version(42)).unwrap();
        assert_eq!(then.messages("default").unwrap().count(), 40);
        assert_eq!(store.list().unwrap(), ["user-123"]);
        store.delete("user-123").unwrap();
        assert!(matches!(store.read("user-123"), Err(Error::NotFound(_))));
        assert_eq!(store.list().unwrap(), [""; 0]);
    }
}

#[test]
fn the_last_messages_read_backwards_hide_what_was_redacted() {
    let options = Store::options().storage(Arc::new(MemoryStorage::new()));
    let store = options.open("/s").unwrap();
    let session = store.session("x").unwrap();
    for i in 0..5 {
        session
            .append_message("a", &message(&format!("secret {i}")))
            .unwrap();
    }
    session.redact_message("a", 3, &message("gone")).unwrap();
    session.close().unwrap();
    // Nothing but the end of the log was read by this view.
    let view = store.read("x").unwrap();
    let last: Vec<_> = view
        .messages("a")
        .unwrap()
        .last(2)
        .map(Result::unwrap)
        .collect();
    assert_eq!(last[0].text(), message("gone").to_string());
    assert!(last[0].is_redacted());
    assert_eq!(last[1].text(), message("secret 4").to_string());
}

#[test]
fn a_redaction_hides_the_original_and_the_state_follows_its_syncs() {
    let store = Store::options()
        .storage(Arc::new(MemoryStorage::new()))
        .open("/s")
        .unwrap();
    let session = store.session("s").unwrap();
    session
        .append_message("a", &message("my password is hunter2"))
        .unwrap();
    session.redact_message("a", 0, &message("[gone]")).unwrap();
    let sync = |text| AgentSync {
        state: Some(text),
        ..AgentSync::default()
    };
    assert!(
        session
            .sync_agent("a", sync(r#"{"n":1.50,"list":[1,2,3]}"#))
            .unwrap()
            .changed
    );
    assert!(
        session
            .sync_agent("a", sync(r#"{"n":1.50,"list":[1,2,3,4]}"#))
            .unwrap()
            .changed
    );
    assert!(
        !session
            .sync_agent("a", sync(r#"{ "n": 1.50, "list": [1,2,3,4] }"#))
            .unwrap()
            .changed
    );
    let view = session.read().unwrap();
    let shown = view.messages("a").unwrap().get(0).unwrap();
    assert!(shown.is_redacted() && !shown.text().contains("hunter2"));
    assert!(shown.original().contains("hunter2"));
    let record = view
        .state()
        .unwrap()
        .agent("a")
        .unwrap()
        .record()
        .unwrap()
        .text();
    assert!(
        record.contains(r#""state":{"n":1.50,"list":[1,2,3,4]}"#),
        "{record}"
    );
    let missing = session.redact_message("a", 7, &message("x"));
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
}

#[test]
fn a_wrong_expected_version_writes_nothing() {
    let store = Store::options()
        .storage(Arc::new(MemoryStorage::new()))
        .open("/s")
        .unwrap();
    let session = store.session("s").unwrap();
    let batch = session.batch().append_message("a", &message("1")).unwrap();
    batch.expect_version(Version(0)).commit().unwrap();
    let before = session.version();
    let batch = session.batch().append_message("a", &message("2")).unwrap();
    match batch.expect_version(Version(1)).commit() {
        Err(Error::VersionConflict {
            expected, actual, ..
        }) => {
            assert_eq!((expected, actual), (Version(1), before));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(session.read().unwrap().version(), before);
}

#[test]
fn message_ids_are_never_given_out_twice_whatever_a_window_removed() {
    let store = Store::options()
        .storage(Arc::new(MemoryStorage::new()))
        .open("/s")
        .unwrap();
    let session = store.session("s").unwrap();
    for i in 0..3 {
        assert_eq!(
            session
                .append_message("a", &message("x"))
                .unwrap()
                .message_id,
            i
        );
    }
    let window = r#"{"__name__":"SlidingWindowConversationManager","removed_message_count":500}"#;
    let sync = AgentSync {
        conversation_manager_state: Some(window),
        ..AgentSync::default()
    };
    session.sync_agent("a", sync).unwrap();
    assert!(
        session.read().unwrap().effective("a").unwrap().is_empty(),
        "the window left nothing"
    );
    drop(session);
    let session = store.session("s").unwrap();
    assert_eq!(
        session
            .append_message("a", &message("x"))
            .unwrap()
            .message_id,
        3
    );
}

#[test]
fn threads_that_append_to_one_session_get_versions_of_their_own() {
    let store = Store::options()
        .storage(Arc::new(MemoryStorage::new()))
        .open("/s")
        .unwrap();
    let session = store.session("s").unwrap();
    session.append_message("a", &message("first")).unwrap();
    let mut versions: Vec<_> = std::thread::scope(|scope| {
        let append = || {
            let one = |_| {
                session
                    .append_message("a", &message("x"))
                    .unwrap()
                    .version
                    .0
            };
            (0..50).map(one).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(append)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    versions.sort_unstable();
    assert_eq!(versions, (4..404).collect::<Vec<_>>());
    assert_eq!(session.durable_version(), session.version());
}

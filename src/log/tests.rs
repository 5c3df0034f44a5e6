//! What only a log made by hand can show.

use std::path::Path;
use std::sync::Arc;

use crate::event::EventKind;
use crate::storage::{MemoryStorage, OpenMode, Storage, write_all_at};
use crate::{Error, Store, Version};

use super::{Birth, Draft, LogReader, LogWriter, WriterOptions};

/// A session with a message, an event of the kind `kind`, and another message.
fn log_with(kind: u8) -> Store {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    for dir in ["/s", "/s/sessions", "/s/sessions/x"] {
        storage.create_dir(Path::new(dir)).unwrap();
    }
    let birth = Birth {
        log_id: [1; 16],
        salt: 7,
        time_us: 5,
    };
    let options = WriterOptions {
        segment_len: 1 << 20,
        allocate_above: 1 << 20,
    };
    let dir = Path::new("/s/sessions/x");
    let mut writer = LogWriter::create(Arc::clone(&storage), dir, options, birth).unwrap();
    let draft = |kind, subject: &str, message_id| Draft {
        kind,
        flags: 0,
        subject: subject.into(),
        message_id,
        extra: Arc::default(),
        payload: "{}".to_owned(),
    };
    let drafts = vec![
        draft(EventKind::SessionCreated, "x", 0),
        draft(EventKind::MessageAdded, "a", 0),
        draft(EventKind::Unknown(kind), "future", 9),
        draft(EventKind::MessageAdded, "a", 1),
    ];
    writer.append(drafts, 6).unwrap();
    Store::options().storage(storage).open("/s").unwrap()
}

#[test]
fn an_unknown_event_that_may_be_ignored_is_kept_counted_and_shown() {
    let store = log_with(200);
    let view = store.read("x").unwrap();
    assert_eq!(view.state().unwrap().unknown_events(), 1);
    assert_eq!(
        view.messages("a").unwrap().count(),
        2,
        "the rest is not affected"
    );
    let mut kinds = Vec::new();
    let mut visit = |event: &crate::Event<'_>| {
        kinds.push((
            event.kind,
            event.subject.to_owned(),
            event.payload.to_owned(),
        ));
        Ok(())
    };
    view.for_each_event(Version(3), Version(3), &mut visit)
        .unwrap();
    assert_eq!(
        kinds,
        [(
            EventKind::Unknown(200),
            "future".to_owned(),
            "{}".to_owned()
        )]
    );
    let session = store.session("x").unwrap();
    session.append_json("a", "{}").unwrap();
    assert_eq!(session.state().unknown_events(), 1);
}

#[test]
fn an_unknown_event_that_must_be_understood_makes_the_log_read_only() {
    let store = log_with(100);
    assert_eq!(store.read("x").unwrap().messages("a").unwrap().count(), 2);
    let refused = store.session("x").unwrap_err();
    assert!(
        matches!(refused, Error::UnsupportedVersion { .. }),
        "{refused:?}"
    );
    assert!(
        refused.to_string().contains("event kind 100 at version 3"),
        "{refused}"
    );
}

#[test]
fn a_commit_that_is_too_large_is_refused_before_anything_is_written() {
    let store = log_with(200);
    let session = store.session("x").unwrap();
    let before = session.append_json("a", "{}").unwrap().version;
    let huge = format!("{{\"text\":\"{}\"}}", "x".repeat(64 << 20));
    let refused = session.append_json("a", &huge).unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused:?}");
    assert_eq!(
        session.append_json("a", "{}").unwrap().version,
        before.next()
    );
}

#[test]
fn commits_are_shared_up_to_damage_and_not_over_it() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let options = Store::options().storage(Arc::clone(&storage));
    let store = options.segment_len(4096).open("/s").unwrap();
    let session = store.session("x").unwrap();
    for _ in 0..60 {
        session.append_json("a", "{}").unwrap();
    }
    session.close().unwrap();
    let dir = Path::new("/s/sessions/x").to_path_buf();
    let log = LogReader { storage, dir };
    let share = |until| {
        let mut last = 0;
        let mut visit = |_: &crate::format::Frame<'_>, point: crate::format::Point| {
            last = point.version;
            Ok(true)
        };
        log.commits(0, until, &mut visit).map(|()| last)
    };
    assert_eq!(share(62).unwrap(), 62);
    let beyond = share(63).unwrap_err();
    assert!(matches!(beyond, Error::NotFound(_)), "{beyond}");
    let listing = super::Listing::read(&*log.storage, &log.dir)
        .unwrap()
        .unwrap();
    let base = listing.segments[1];
    let path = super::directory::segment_path(&log.dir, base);
    let file = log.storage.open(&path, OpenMode::Write).unwrap();
    write_all_at(&*file, &[0x5A; 8], 128 + 64).unwrap();
    assert_eq!(share(base - 1).unwrap(), base - 1);
    let refused = share(62).unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    log.storage.remove_file(&path).unwrap();
    let refused = share(62).unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
}

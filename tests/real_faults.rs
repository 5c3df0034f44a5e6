//! What a machine does to a store besides losing its power, on real files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use sessionlog::{
    Durability, Environment, Error, RepairOptions, Session, Store, SystemEnvironment, Version,
};

const HI: &str = r#"{"role":"user","content":[{"text":"hi"}]}"#;

/// A clock and a process id that a test sets.
#[derive(Debug)]
struct Settable {
    now_us: AtomicU64,
    process_id: AtomicU32,
}

impl Environment for Settable {
    fn now_us(&self) -> u64 {
        self.now_us.load(Ordering::Relaxed)
    }

    fn fill_random(&self, buf: &mut [u8]) {
        SystemEnvironment.fill_random(buf);
    }

    fn process_id(&self) -> u32 {
        self.process_id.load(Ordering::Relaxed)
    }
}

fn settable() -> Arc<Settable> {
    Arc::new(Settable {
        now_us: AtomicU64::new(1_700_000_000_000_000),
        process_id: AtomicU32::new(1),
    })
}

/// A directory in memory where there is one: these tests make thousands of files durable.
fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn segment(store: &Path, id: &str) -> PathBuf {
    store.join(format!("sessions/{id}/{:020}.seg", 1))
}

fn append(session: &Session, count: u32) {
    for _ in 0..count {
        session.append_json("a", HI).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_acknowledged_into_a_directory_that_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let session = store.session("s").unwrap();
    append(&session, 3);
    std::fs::remove_dir_all(dir.path().join("sessions/s")).unwrap();
    let error = session.append_json("a", HI).unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    assert!(error.to_string().contains("was deleted"), "{error}");
    // Nothing else either; and a new session is a new one.
    assert!(session.append_json("a", HI).is_err());
    drop(session);
    assert_eq!(store.session("s").unwrap().version(), Version(0));
}

#[test]
fn a_reader_of_a_file_that_is_cut_gets_an_error_and_no_wrong_data() {
    let dir = tempfile::tempdir().unwrap();
    let options = Store::options().segment_len(64 << 20);
    let store = options.open(dir.path()).unwrap();
    let session = store.session("s").unwrap();
    // One segment, and more than a reader holds in memory.
    let long = format!(
        r#"{{"role":"user","content":[{{"text":"{}"}}]}}"#,
        "x".repeat(20_000)
    );
    for _ in 0..1_000 {
        let batch = session.batch().append_json("a", &long).unwrap();
        batch.durability(Durability::Buffered).commit().unwrap();
    }
    session.close().unwrap();
    let view = store.read("s").unwrap();
    let mut messages = view.messages("a").unwrap();
    let first = messages.next().unwrap().unwrap();
    assert_eq!(first.text(), long);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(segment(dir.path(), "s"));
    file.unwrap().set_len(200_000).unwrap();
    let rest: Vec<_> = messages.collect();
    let bad: Vec<_> = rest
        .iter()
        .filter_map(|message| message.as_ref().err())
        .collect();
    assert!(
        !bad.is_empty() && rest.len() <= 999,
        "{} of {}",
        bad.len(),
        rest.len()
    );
    assert!(rest.iter().flatten().all(|message| message.text() == long));
    let later = store.read("s").unwrap();
    assert!(later.version() < view.version());
}

#[test]
fn a_clock_that_goes_back_a_year_changes_no_order() {
    let dir = tempfile::tempdir().unwrap();
    let clock = settable();
    let options = || Store::options().environment(Arc::clone(&clock) as Arc<dyn Environment>);
    let store = options().open(dir.path()).unwrap();
    let session = store.session("s").unwrap();
    append(&session, 5);
    clock
        .now_us
        .fetch_sub(365 * 86_400_000_000, Ordering::Relaxed);
    append(&session, 5);
    session.close().unwrap();
    append(
        &options().open(dir.path()).unwrap().session("s").unwrap(),
        5,
    );
    assert!(store.verify("s").unwrap().is_ok());
    let view = store.read("s").unwrap();
    let ids: Vec<_> = view
        .messages("a")
        .unwrap()
        .map(|m| m.unwrap().id())
        .collect();
    assert_eq!(ids, (0..15).collect::<Vec<_>>());
    // Time travel goes by versions.
    assert_eq!(
        view.at(Version(7)).unwrap().messages("a").unwrap().count(),
        5
    );
}

#[test]
fn a_session_that_a_fork_took_along_refuses_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let process = settable();
    let options = Store::options().environment(Arc::clone(&process) as Arc<dyn Environment>);
    let store = options.open(dir.path()).unwrap();
    let session = store.session("s").unwrap();
    append(&session, 2);
    let version = session.version();
    process.process_id.store(2, Ordering::Relaxed);
    let error = session.append_json("a", HI).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    process.process_id.store(1, Ordering::Relaxed);
    let done = session.append_json("a", HI).unwrap();
    assert_eq!(done.version, Version(version.0 + 1));
}

/// Runs as a child process of the test below, which gives it few file descriptors.
#[test]
fn few_descriptors_child() {
    let Some(dir) = std::env::var_os("SESSIONLOG_FEW_DESCRIPTORS") else {
        return;
    };
    let store = Store::open(dir).unwrap();
    let mut open = Vec::new();
    let refused = loop {
        assert!(open.len() < 1_000, "the limit has no effect");
        let session = store.session(&format!("s{}", open.len())).unwrap();
        match session.append_json("a", HI) {
            Ok(_) => open.push(session),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Io { .. }), "{refused}");
    assert!(refused.to_string().contains("open files"), "{refused}");
    // Those that are open go on, and when one is closed there is room again.
    let keep = open.len() / 2;
    for session in &open {
        append(session, 1);
    }
    open.truncate(keep);
    for i in 0..1_000 {
        let session = store.session(&format!("s{i}"));
        let session = match session {
            Err(Error::Locked { .. }) => continue,
            session => session.unwrap(),
        };
        append(&session, 1);
        session.close().unwrap();
    }
    println!("{keep} sessions stayed open");
}

#[cfg(unix)]
#[test]
fn with_few_file_descriptors_opening_fails_cleanly_and_1000_sessions_take_turns() {
    let dir = quick_dir();
    let test = std::env::current_exe().unwrap();
    let script = "ulimit -n 100; exec \"$0\" --exact few_descriptors_child --nocapture";
    let child = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(&test)
        .env("SESSIONLOG_FEW_DESCRIPTORS", dir.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success(),
        "{output}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(output.contains("sessions stayed open"), "{output}");
    let store = Store::open(dir.path()).unwrap();
    let ids = store.list().unwrap();
    assert_eq!(ids.len(), 1_000);
    for id in ids {
        assert!(store.verify(&id).unwrap().is_ok());
    }
}

#[test]
fn creating_deleting_and_repairing_one_session_at_once_leaves_it_whole() {
    let dir = quick_dir();
    // Each thread has a store of its own, as a process would.
    let open = || Store::open(dir.path()).unwrap();
    let is_expected = |error: &Error| {
        matches!(
            error,
            Error::Locked { .. } | Error::NotFound(_) | Error::AlreadyExists(_)
        )
    };
    let writer = || {
        let mut written = 0;
        for _ in 0..300 {
            let twice = open().session("s").and_then(|session| {
                session.append_json("a", HI)?;
                session.append_json("a", HI)
            });
            match twice {
                Ok(_) => written += 1,
                Err(error) => assert!(is_expected(&error), "append: {error}"),
            }
        }
        written
    };
    let deleter = || {
        for _ in 0..300 {
            let deleted = open().delete("s");
            assert!(
                deleted.as_ref().err().is_none_or(is_expected),
                "delete: {deleted:?}"
            );
        }
        0
    };
    let repairer = || {
        for _ in 0..300 {
            let repaired = open().repair("s", &RepairOptions::default());
            assert!(
                repaired.as_ref().err().is_none_or(is_expected),
                "repair: {repaired:?}"
            );
        }
        0
    };
    let written: u32 = std::thread::scope(|scope| {
        let threads = [
            scope.spawn(writer),
            scope.spawn(writer),
            scope.spawn(deleter),
            scope.spawn(repairer),
        ];
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert!(written > 0);
    // A child of another test has our descriptors, and with them the lock, between its fork and its exec.
    let patient = Store::options().lock_wait(Duration::from_secs(10));
    let store = patient.open(dir.path()).unwrap();
    append(&store.session("s").unwrap(), 1);
    assert!(store.verify("s").unwrap().is_ok());
    let strays: Vec<_> = std::fs::read_dir(dir.path().join("sessions"))
        .unwrap()
        .collect();
    assert_eq!(strays.len(), 1, "{strays:?}");
}

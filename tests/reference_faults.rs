//! The ten faults of the reference package's session managers, and that ours does not have them.
//!
//! Each test runs on every repository that can have the fault, and is named after what the package does wrong.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use sessionlog::repository::{
    DirectoryRepository, LogRepository, MemoryRepository, SessionRecord, SessionRepository,
};
use sessionlog::sim::{FaultPlan, Policy, Seeded, SimDisk};
use sessionlog::{
    AgentSync, Error, Origin, Restored, SessionManager, Store, SystemEnvironment, Version, View,
};

type Repository = Arc<dyn SessionRepository>;
type Opened = Result<Repository, Error>;

const STORE: &str = "/sessions";

fn open_log(disk: &SimDisk) -> Opened {
    let options = Store::options().storage(Arc::new(disk.clone()));
    Ok(Arc::new(LogRepository::new(options.open(STORE)?)))
}

fn log(disk: &SimDisk) -> Repository {
    open_log(disk).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside `open_log`")]
fn open_directory(disk: &SimDisk) -> Opened {
    Ok(directory(disk))
}

fn directory(disk: &SimDisk) -> Repository {
    let (storage, environment) = (Arc::new(disk.clone()), Arc::new(SystemEnvironment));
    Arc::new(DirectoryRepository::on(storage, environment, STORE))
}

/// Every repository, each fresh: its name, the disk below it if it has one, and itself.
fn repositories() -> [(&'static str, SimDisk, Repository); 3] {
    let (a, b) = (SimDisk::new(), SimDisk::new());
    let (log, directory) = (log(&a), directory(&b));
    [
        ("log", a, log),
        ("directory", b, directory),
        ("memory", SimDisk::new(), Arc::new(MemoryRepository::new())),
    ]
}

/// Those that a crash leaves something of.
const ON_DISK: [fn(&SimDisk) -> Opened; 2] = [open_log, open_directory];

fn manager(repository: &Repository) -> SessionManager {
    SessionManager::open(Arc::clone(repository), "s").unwrap()
}

fn initialize(manager: &SessionManager) -> Restored {
    manager.initialize("a", AgentSync::default()).unwrap()
}

fn text(text: &str) -> serde_json::Value {
    json!({"role": "user", "content": [{"text": text}]})
}

fn append(manager: &SessionManager, what: &str) -> u64 {
    manager.append_message("a", &text(what)).unwrap()
}

/// A manager with an initialized agent and `count` messages, "0", "1", ...
fn conversation(repository: &Repository, count: u64) -> SessionManager {
    let manager = manager(repository);
    initialize(&manager);
    for i in 0..count {
        assert_eq!(append(&manager, &i.to_string()), i);
    }
    manager
}

fn texts(restored: &Restored) -> Vec<String> {
    let text = |message: &str| {
        let message: serde_json::Value = serde_json::from_str(message).unwrap();
        message["content"][0]["text"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    restored.messages.iter().map(|m| text(&m.text)).collect()
}

fn removed(count: u64) -> String {
    json!({"__name__": "SlidingWindowConversationManager", "removed_message_count": count})
        .to_string()
}

fn sync_removed(manager: &SessionManager, count: u64) {
    let state = removed(count);
    let parts = AgentSync {
        conversation_manager_state: Some(&state),
        ..AgentSync::default()
    };
    manager.sync_agent("a", parts).unwrap();
}

#[test]
fn fault_1_two_writers_silently_overwrite_each_other() {
    for (name, disk, repository) in repositories() {
        let first = conversation(&repository, 1);
        let second = manager(&repository);
        initialize(&second);
        append(&first, "from the first");
        let late = second.append_message("a", &text("from the second"));
        assert!(
            matches!(late, Err(Error::AlreadyExists(_))),
            "{name}: {late:?}"
        );
        // The other one's message is there; then it is this one's turn.
        assert_eq!(
            texts(&initialize(&second)),
            ["0", "from the first"],
            "{name}"
        );
        assert_eq!(append(&second, "from the second"), 2, "{name}");
        assert_eq!(texts(&initialize(&first)).len(), 3, "{name}");
        if name == "log" {
            // Another process does not even come that far.
            let other = manager(&log(&disk)).initialize("b", AgentSync::default());
            assert!(matches!(other, Err(Error::Locked { .. })), "{other:?}");
        }
    }
}

#[test]
fn fault_2_a_window_beyond_the_end_makes_the_next_append_overwrite_message_0() {
    for (name, _, repository) in repositories() {
        for beyond in [3, 4, 1000] {
            let id = format!("s{beyond}");
            let open = || SessionManager::open(Arc::clone(&repository), &id).unwrap();
            let before = open();
            initialize(&before);
            (0..3).for_each(|i| assert_eq!(append(&before, &i.to_string()), i));
            sync_removed(&before, beyond);

            let after = open();
            let restored = initialize(&after);
            assert_eq!(texts(&restored), [""; 0], "{name}");
            assert_eq!(restored.next_message_id, 3, "{name}");
            assert_eq!(append(&after, "next"), 3, "{name}");
            assert_eq!(texts(&initialize(&open())), ["next"], "{name}");
            let all = repository.list_messages(&id, "a", None, 0).unwrap();
            assert_eq!(all.messages.len(), 4, "{name}");
        }
    }
}

#[test]
fn fault_3_a_repair_in_memory_shifts_the_window_and_loses_a_stored_message() {
    for (name, _, repository) in repositories() {
        let before = manager(&repository);
        initialize(&before);
        let tool_use = json!({"toolUse": {"toolUseId": "t", "name": "n", "input": {}}});
        append(&before, "0");
        let lonely = json!({"role": "assistant", "content": [tool_use]});
        before.append_message("a", &lonely).unwrap();
        (2..6).for_each(|i| assert_eq!(append(&before, &i.to_string()), i));

        // The repair inserts a result behind message 1; the agent's window then drops the first four of seven.
        let after = manager(&repository);
        let restored = initialize(&after);
        assert_eq!(
            texts(&restored),
            ["0", "", "", "2", "3", "4", "5"],
            "{name}"
        );
        assert_eq!(restored.messages[2].origin, Origin::Inserted, "{name}");
        sync_removed(&after, 4);
        for _ in 0..3 {
            let again = manager(&repository);
            assert_eq!(texts(&initialize(&again)), ["3", "4", "5"], "{name}");
        }
    }
}

#[test]
fn fault_4_a_crash_while_creating_leaves_a_session_that_never_opens() {
    for open in ON_DISK {
        let mut crashes = 0;
        for seed in 0..8 {
            for cut in 0.. {
                let disk = SimDisk::new();
                disk.set_faults(FaultPlan::power_cut(cut));
                let opened = open(&disk)
                    .and_then(|repository| SessionManager::open(repository, "s"))
                    .and_then(|manager| manager.initialize("a", AgentSync::default()));
                if opened.is_ok() {
                    break;
                }
                let disk = disk.crash(Policy::AnySubset, &mut Seeded::new(seed));
                let again = conversation(&open(&disk).unwrap(), 2);
                assert_eq!(
                    texts(&initialize(&again)),
                    ["0", "1"],
                    "cut {cut}, seed {seed}"
                );
                crashes += 1;
            }
        }
        assert!(crashes > 40, "{crashes}");
    }
}

#[test]
fn fault_5_without_agent_json_appends_start_at_0_and_overwrite() {
    let disk = SimDisk::new();
    drop(conversation(&directory(&disk), 3));
    disk.delete(Path::new("/sessions/session_s/agents/agent_a/agent.json"))
        .unwrap();
    let after = manager(&directory(&disk));
    let restored = initialize(&after);
    assert_eq!(texts(&restored), ["0", "1", "2"]);
    assert!(!restored.is_new);
    assert_eq!(append(&after, "3"), 3);
}

#[test]
fn fault_6_one_bad_file_makes_the_whole_restore_fail() {
    let disk = SimDisk::new();
    drop(conversation(&directory(&disk), 5));
    let message = "/sessions/session_s/agents/agent_a/messages/message_2.json";
    disk.damage(Path::new(message), |bytes| bytes.truncate(20))
        .unwrap();
    let after = manager(&directory(&disk));
    let restored = initialize(&after);
    assert_eq!(texts(&restored), ["0", "1", "3", "4"]);
    // It is not skipped silently, and nothing overwrites it.
    assert_eq!(restored.unreadable.len(), 1);
    assert_eq!(restored.unreadable[0].id, Some(2));
    assert_eq!(append(&after, "5"), 5);
    assert_eq!(disk.peek(Path::new(message)).unwrap().len(), 20);
}

#[test]
fn fault_7_a_redaction_leaves_no_trace_in_any_timestamp_or_version() {
    for (name, disk, repository) in repositories() {
        let manager = conversation(&repository, 2);
        let before = repository.read_message("s", "a", 1).unwrap().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let redacted = manager.redact_latest_message("a", &text("hidden")).unwrap();
        assert_eq!(redacted, [1], "{name}");
        let after = repository.read_message("s", "a", 1).unwrap().unwrap();
        assert_eq!(after.created_at(), before.created_at(), "{name}");
        assert!(after.updated_at() > before.updated_at(), "{name}");
        assert_eq!(texts(&initialize(&manager)), ["0", "hidden"], "{name}");
        if name == "log" {
            drop((manager, repository));
            let store = Store::options()
                .storage(Arc::new(disk))
                .open(STORE)
                .unwrap();
            let view = store.read("s").unwrap();
            let is_redacted =
                |view: &View| view.state().unwrap().agent("a").unwrap().is_redacted(1);
            let earlier = view.at(Version(view.version().0 - 1)).unwrap();
            assert!(is_redacted(&view) && !is_redacted(&earlier));
        }
    }
}

#[test]
fn fault_8_nothing_is_synced_and_a_power_cut_leaves_empty_files() {
    for open in ON_DISK {
        let disk = SimDisk::new();
        let manager = conversation(&open(&disk).unwrap(), 3);
        manager
            .sync_agent(
                "a",
                AgentSync {
                    state: Some(r#"{"n":1}"#),
                    ..AgentSync::default()
                },
            )
            .unwrap();
        manager.sync_multi_agent("graph", r#"{"step":1}"#).unwrap();
        manager.redact_latest_message("a", &text("hidden")).unwrap();
        // Only what is durable is left.
        let disk = disk.crash(Policy::Nothing, &mut Seeded::new(1));
        let after = self::manager(&open(&disk).unwrap());
        let restored = initialize(&after);
        assert_eq!(texts(&restored), ["0", "1", "hidden"]);
        assert_eq!(restored.record.state(), r#"{"n":1}"#);
        assert_eq!(
            after.multi_agent("graph").unwrap().unwrap(),
            r#"{"step":1}"#
        );
    }
}

#[test]
fn fault_9_an_append_costs_more_the_longer_the_conversation_is() {
    for open in ON_DISK {
        let disk = SimDisk::new();
        let manager = conversation(&open(&disk).unwrap(), 10);
        let cost = |message: &str| {
            let before = (disk.operations(), disk.bytes_read());
            append(&manager, message);
            (disk.operations() - before.0, disk.bytes_read() - before.1)
        };
        let early = cost("early");
        for i in 0..2_000 {
            append(&manager, &i.to_string());
        }
        let late = cost("later");
        assert!(
            late.0 <= early.0 + 2 && late.1 <= early.1,
            "{early:?}, then {late:?}"
        );
    }
}

#[test]
fn fault_9_a_message_of_500_bytes_takes_a_block_of_4_kib() {
    let disk = SimDisk::new();
    let manager = conversation(&log(&disk), 0);
    let before = disk.bytes_written();
    for _ in 0..1_000 {
        append(&manager, &"x".repeat(460));
    }
    let each = (disk.bytes_written() - before) / 1_000;
    assert!(each < 800, "{each} bytes");
}

#[test]
fn fault_10_the_unredacted_text_is_restored() {
    for (name, _, repository) in repositories() {
        let before = conversation(&repository, 2);
        before.redact_latest_message("a", &text("hidden")).unwrap();
        assert_eq!(
            texts(&initialize(&manager(&repository))),
            ["0", "hidden"],
            "{name}"
        );
    }
}

#[test]
fn fault_10_a_corrupt_session_record_is_read_as_a_new_session() {
    let disk = SimDisk::new();
    drop(conversation(&directory(&disk), 2));
    let record = Path::new("/sessions/session_s/session.json");
    disk.damage(record, |bytes| bytes.truncate(bytes.len() / 2))
        .unwrap();
    let damaged = disk.peek(record).unwrap();
    let opened = SessionManager::open(directory(&disk), "s");
    let error = opened.err().unwrap().to_string();
    assert!(
        error.contains("session.json") && !error.contains('\n'),
        "{error}"
    );
    let created = directory(&disk).create_session(&SessionRecord::new("s", 0));
    assert!(created.is_err());
    assert_eq!(disk.peek(record).unwrap(), damaged);
}

#[test]
fn fault_10_a_list_ends_after_1000_messages() {
    for (name, _, repository) in repositories() {
        let before = conversation(&repository, 1_234);
        append(&before, "the last");
        let restored = initialize(&manager(&repository));
        assert_eq!(restored.messages.len(), 1_235, "{name}");
        assert_eq!(texts(&restored).last().unwrap(), "the last", "{name}");
    }
}

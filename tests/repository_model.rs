//! Any sequence of operations gives the same results in every repository.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use sessionlog::repository::{
    AgentRecord, DirectoryRepository, LogRepository, MemoryRepository, MessageRecord,
    MultiAgentRecord, SessionRecord, SessionRepository,
};
use sessionlog::storage::MemoryStorage;
use sessionlog::{AgentSync, Error, Store, SystemEnvironment};

const THEN: u64 = 1_795_205_717_000_000;

#[derive(Clone, Debug)]
enum Op {
    CreateSession(u8, u64),
    DeleteSession(u8),
    CreateAgent(u8, u8, Parts),
    UpdateAgent(u8, u8, Parts),
    /// An update that names one member only.
    UpdateAgentPart(u8, u8, String),
    CreateMessage(u8, u8, u64, String),
    /// A message with the next id.
    Append(u8, u8, String),
    UpdateMessage(u8, u8, u64, String, Option<String>),
    List(u8, u8, Option<i64>, i64),
    CreateMultiAgent(u8, u8, Parts),
    UpdateMultiAgent(u8, u8, Parts),
    Reopen,
}

type Parts = Vec<(String, i32)>;

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (session, agent, id) = (0..3_u8, 0..2_u8, 0..8_u64);
    let parts = prop::collection::vec(("[a-c/~é\"]{0,2}", any::<i32>()), 0..4);
    let one = (session.clone(), agent.clone());
    let text = ".{0,20}";
    let op = prop_oneof![
        2 => (session.clone(), 0..3_u64).prop_map(|(s, t)| Op::CreateSession(s, t)),
        1 => session.prop_map(Op::DeleteSession),
        3 => (one.clone(), parts.clone()).prop_map(|((s, a), p)| Op::CreateAgent(s, a, p)),
        4 => (one.clone(), parts.clone()).prop_map(|((s, a), p)| Op::UpdateAgent(s, a, p)),
        2 => (one.clone(), text).prop_map(|((s, a), t)| Op::UpdateAgentPart(s, a, t)),
        4 => (one.clone(), id.clone(), text).prop_map(|((s, a), i, t)| Op::CreateMessage(s, a, i, t)),
        6 => (one.clone(), text).prop_map(|((s, a), t)| Op::Append(s, a, t)),
        4 => (one.clone(), id, text, proptest::option::of(text))
            .prop_map(|((s, a), i, t, r)| Op::UpdateMessage(s, a, i, t, r)),
        3 => (one.clone(), proptest::option::of(-9..9_i64), -9..9_i64)
            .prop_map(|((s, a), limit, offset)| Op::List(s, a, limit, offset)),
        2 => (one.clone(), parts.clone()).prop_map(|((s, a), p)| Op::CreateMultiAgent(s, a, p)),
        3 => (one, parts).prop_map(|((s, a), p)| Op::UpdateMultiAgent(s, a, p)),
        1 => Just(Op::Reopen),
    ];
    let begun = vec![
        Op::CreateSession(0, 0),
        Op::CreateAgent(0, 0, Vec::new()),
        Op::CreateSession(1, 0),
        Op::CreateAgent(1, 1, Vec::new()),
    ];
    prop::collection::vec(op, 1..80).prop_map(move |ops| [begun.clone(), ops].concat())
}

fn object(parts: &Parts) -> String {
    let members: serde_json::Map<String, serde_json::Value> = parts
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    json!(members).to_string()
}

fn message(text: &str) -> String {
    json!({"role": "user", "content": [{"text": text}]}).to_string()
}

fn agent_record(id: u8, parts: &Parts, now_us: u64) -> AgentRecord {
    let state = object(parts);
    let parts = AgentSync {
        state: Some(&state),
        conversation_manager_state: Some(r#"{"removed_message_count":0}"#),
        internal_state: None,
    };
    AgentRecord::new(&format!("agent{id}"), parts, now_us).unwrap()
}

/// What an operation answers, as text.
fn answer<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        // They may name the session, the agent or the message that is missing.
        Err(Error::NotFound(_)) => "not found".to_owned(),
        Err(Error::AlreadyExists(_)) => "already exists".to_owned(),
        Err(e) => panic!("{e}"),
    }
}

/// Does one operation, the `now`-th.
fn act(repository: &dyn SessionRepository, op: &Op, now: u64) -> String {
    let session = |id: &u8| format!("session{id}");
    let agent = |id: &u8| format!("agent{id}");
    let multi = |id: &u8, parts| MultiAgentRecord::new(&agent(id), &object(parts)).unwrap();
    let now_us = THEN + now;
    match op {
        Op::CreateSession(s, time) => {
            let record = SessionRecord::new(&session(s), THEN + time);
            answer(repository.create_session(&record))
        }
        Op::DeleteSession(s) => answer(repository.delete_session(&session(s))),
        Op::CreateAgent(s, a, parts) => {
            answer(repository.create_agent(&session(s), &agent_record(*a, parts, now_us)))
        }
        Op::UpdateAgent(s, a, parts) => {
            answer(repository.update_agent(&session(s), &agent_record(*a, parts, now_us)))
        }
        Op::UpdateAgentPart(s, a, text) => {
            let record = json!({"mine": text}).to_string();
            let record = AgentRecord::from_text(&agent(a), &record).unwrap();
            answer(repository.update_agent(&session(s), &record))
        }
        Op::CreateMessage(s, a, id, text) => {
            let record = MessageRecord::new(*id, &message(text), now_us).unwrap();
            answer(repository.create_message(&session(s), &agent(a), &record))
        }
        Op::Append(s, a, text) => {
            let next = repository.next_message_id(&session(s), &agent(a));
            let append = |id| {
                let record = MessageRecord::new(id, &message(text), now_us)?;
                repository.create_message(&session(s), &agent(a), &record)?;
                Ok(id)
            };
            answer(next.and_then(append))
        }
        Op::UpdateMessage(s, a, id, text, redaction) => {
            let mut record = MessageRecord::new(*id, &message(text), now_us).unwrap();
            if let Some(redaction) = redaction {
                record = record.redacted(&message(redaction), now_us).unwrap();
            }
            answer(repository.update_message(&session(s), &agent(a), &record))
        }
        Op::List(s, a, limit, offset) => {
            answer(repository.list_messages(&session(s), &agent(a), *limit, *offset))
        }
        Op::CreateMultiAgent(s, m, parts) => {
            answer(repository.create_multi_agent(&session(s), &multi(m, parts)))
        }
        Op::UpdateMultiAgent(s, m, parts) => {
            answer(repository.update_multi_agent(&session(s), &multi(m, parts)))
        }
        Op::Reopen => String::new(),
    }
}

/// Everything that a repository holds, as text.
fn contents(repository: &dyn SessionRepository) -> String {
    let mut out = String::new();
    for session in ["session0", "session1", "session2"] {
        out += &answer(repository.read_session(session));
        for agent in ["agent0", "agent1"] {
            out += &answer(repository.read_agent(session, agent));
            out += &answer(repository.read_multi_agent(session, agent));
            out += &answer(repository.list_messages(session, agent, None, 0));
            out += &answer(repository.next_message_id(session, agent));
            for id in 0..13 {
                out += &answer(repository.read_message(session, agent, id));
            }
            out.push('\n');
        }
    }
    out
}

fn log(storage: &MemoryStorage) -> LogRepository {
    let store = Store::options().storage(Arc::new(storage.clone()));
    LogRepository::new(store.open(Path::new("/store")).unwrap())
}

fn directory(storage: &MemoryStorage) -> DirectoryRepository {
    let environment = Arc::new(SystemEnvironment);
    DirectoryRepository::on(Arc::new(storage.clone()), environment, "/sessions")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_operations_give_the_same_results_in_every_repository(ops in ops()) {
        let storage = MemoryStorage::new();
        let memory = MemoryRepository::new();
        let (mut log_repository, mut directory_repository) = (log(&storage), directory(&storage));
        for (now, op) in (0..).zip(&ops) {
            if matches!(op, Op::Reopen) {
                drop(log_repository);
                (log_repository, directory_repository) = (log(&storage), directory(&storage));
            }
            let expected = act(&memory, op, now);
            prop_assert_eq!(&act(&log_repository, op, now), &expected, "log, {:?}", op);
            prop_assert_eq!(&act(&directory_repository, op, now), &expected, "directory, {:?}", op);
        }
        let expected = contents(&memory);
        prop_assert_eq!(contents(&log_repository), expected.as_str());
        prop_assert_eq!(contents(&directory_repository), expected.as_str());
        // And once more by a process that has not written.
        drop(log_repository);
        prop_assert_eq!(contents(&log(&storage)), expected);
    }
}

//! Any sequence of operations, replayed, equals a plain in-memory model, at every version.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use sessionlog::storage::MemoryStorage;
use sessionlog::{AgentSync, Error, Session, Store, Version, View};

#[derive(Clone, Debug)]
enum Op {
    Append {
        agent: u8,
        text: String,
    },
    Redact {
        agent: u8,
        message: u64,
        text: String,
    },
    Sync {
        agent: u8,
        key: u8,
        value: u8,
    },
    MultiAgent {
        id: u8,
        value: u8,
    },
    /// Two messages and a redaction of the first of them, in one commit.
    Batch {
        agent: u8,
        text: String,
    },
    /// A batch whose last operation cannot be done.
    FailingBatch {
        agent: u8,
    },
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..3_u8, ".{0,40}").prop_map(|(agent, text)| Op::Append { agent, text }),
        2 => (0..3_u8, 0..12_u64, ".{0,10}")
            .prop_map(|(agent, message, text)| Op::Redact { agent, message, text }),
        2 => (0..3_u8, 0..4_u8, 0..3_u8)
            .prop_map(|(agent, key, value)| Op::Sync { agent, key, value }),
        1 => (0..2_u8, 0..3_u8).prop_map(|(id, value)| Op::MultiAgent { id, value }),
        1 => (0..3_u8, ".{0,20}").prop_map(|(agent, text)| Op::Batch { agent, text }),
        1 => (0..3_u8).prop_map(|agent| Op::FailingBatch { agent }),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..40)
}

/// What a session should hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    agents: BTreeMap<String, AgentModel>,
    multi_agents: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct AgentModel {
    /// Original and replacement.
    messages: Vec<(serde_json::Value, Option<serde_json::Value>)>,
    state: BTreeMap<String, u8>,
}

impl Model {
    fn read(view: &View) -> Self {
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let mut model = Self::default();
        for (id, agent) in view.state().unwrap().agents() {
            let record = parse(&agent.record().unwrap().text());
            let state = serde_json::from_value(record["state"].clone()).unwrap();
            let mut messages = Vec::new();
            for (i, message) in view.messages(id).unwrap().enumerate() {
                let message = message.unwrap();
                assert_eq!(message.id(), i as u64, "ids are given out in order");
                let shown = message.is_redacted().then(|| parse(&message.text()));
                messages.push((parse(&message.original()), shown));
            }
            // The last messages, read backwards, are the last of all of them.
            let last = view.messages(id).unwrap().last(3).map(Result::unwrap);
            let ids: Vec<_> = last.map(|m| m.id()).collect();
            let all: Vec<_> = (0..messages.len() as u64).collect();
            assert_eq!(ids, all[all.len().saturating_sub(3)..]);
            model
                .agents
                .insert(id.to_owned(), AgentModel { messages, state });
        }
        for (id, object) in view.state().unwrap().multi_agents() {
            model
                .multi_agents
                .insert(id.to_owned(), parse(&object.text()));
        }
        model
    }
}

fn message(text: &str) -> serde_json::Value {
    json!({"role": "user", "content": [{"text": text}]})
}

fn agent_id(agent: u8) -> String {
    format!("agent-{agent}")
}

/// Does one operation to the session and to the model.
fn apply(session: &Session, model: &mut Model, op: &Op) {
    match op {
        Op::Append { agent, text } => {
            let id = agent_id(*agent);
            let done = session.append_message(&id, &message(text)).unwrap();
            let agent = model.agents.entry(id).or_default();
            assert_eq!(done.message_id, agent.messages.len() as u64);
            agent.messages.push((message(text), None));
        }
        Op::Redact {
            agent,
            message: at,
            text,
        } => {
            let id = agent_id(*agent);
            let result = session.redact_message(&id, *at, &message(text));
            let target = model
                .agents
                .get_mut(&id)
                .and_then(|a| a.messages.get_mut(*at as usize));
            match target {
                Some((_, shown)) => {
                    result.unwrap();
                    *shown = Some(message(text));
                }
                None => assert!(matches!(result, Err(Error::NotFound(_))), "{result:?}"),
            }
        }
        Op::Sync { agent, key, value } => {
            let id = agent_id(*agent);
            let is_new = !model.agents.contains_key(&id);
            let agent = model.agents.entry(id.clone()).or_default();
            let before = agent.state.insert(format!("k/{key}~"), *value);
            let state = serde_json::to_string(&agent.state).unwrap();
            let sync = AgentSync {
                state: Some(&state),
                ..AgentSync::default()
            };
            let done = session.sync_agent(&id, sync).unwrap();
            assert_eq!(done.changed, is_new || before != Some(*value));
        }
        Op::MultiAgent { id, value } => {
            let (id, object) = (
                format!("graph-{id}"),
                json!({"step": value, "nodes": [1, value]}),
            );
            let before = model.multi_agents.insert(id.clone(), object.clone());
            let done = session.sync_multi_agent(&id, &object.to_string()).unwrap();
            assert_eq!(done.changed, before.as_ref() != Some(&object));
        }
        Op::Batch { agent, text } => {
            let id = agent_id(*agent);
            let first = model.agents.get(&id).map_or(0, |a| a.messages.len()) as u64;
            let batch = session.batch().append_message(&id, &message(text)).unwrap();
            let batch = batch.append_message(&id, &message("second")).unwrap();
            batch
                .redact_message(&id, first, &message("gone"))
                .unwrap()
                .commit()
                .unwrap();
            let agent = model.agents.entry(id).or_default();
            agent.messages.push((message(text), Some(message("gone"))));
            agent.messages.push((message("second"), None));
        }
        Op::FailingBatch { agent } => {
            let id = agent_id(*agent);
            let batch = session
                .batch()
                .append_message(&id, &message("never"))
                .unwrap();
            let result = batch
                .redact_message(&id, 999, &message("x"))
                .unwrap()
                .commit();
            assert!(matches!(result, Err(Error::NotFound(_))), "{result:?}");
        }
        Op::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_history_replayed_equals_the_model_at_every_version(
        ops in ops(),
        segment_len in 4096_u64..6000,
    ) {
        let storage = Arc::new(MemoryStorage::new());
        let options = Store::options().storage(storage).segment_len(segment_len);
        let store = options.open("/s").unwrap();
        let mut session = store.session("s").unwrap();
        let (mut model, mut at_version) = (Model::default(), BTreeMap::new());
        for op in &ops {
            let before = session.version();
            if matches!(op, Op::Reopen) {
                session.close().unwrap();
                session = store.session("s").unwrap();
                prop_assert_eq!(session.version(), before);
            }
            apply(&session, &mut model, op);
            prop_assert!(session.version() >= before);
            if session.version() > before {
                at_version.insert(session.version(), model.clone());
            }
        }
        if session.version() == Version::ZERO {
            prop_assert!(matches!(store.read("s"), Err(Error::NotFound(_))));
            return Ok(());
        }
        let view = store.read("s").unwrap();
        prop_assert_eq!(view.version(), session.version());
        prop_assert!(view.damage().unwrap().is_empty());
        for (version, then) in &at_version {
            prop_assert_eq!(&Model::read(&view.at(*version).unwrap()), then);
        }
        prop_assert_eq!(Model::read(&view), model);
    }
}

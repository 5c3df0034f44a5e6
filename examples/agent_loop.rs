//! A session manager in an agent's loop: `cargo run --example agent_loop`.

use std::sync::Arc;

use serde_json::json;
use sessionlog::repository::LogRepository;
use sessionlog::{AgentSync, Result, SessionManager, Store};

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("sessionlog-agent-{}", std::process::id()));
    // The process dies in the middle of a tool call ...
    run(&path, |manager| {
        let ask = json!({"role": "user", "content": [{"text": "What is the weather in Paris?"}]});
        manager.append_message("default", &ask)?;
        let tool_use = json!({"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}});
        let call = json!({"role": "assistant", "content": [{"toolUse": tool_use}]});
        manager.append_message("default", &call)?;
        let state = AgentSync {
            state: Some(r#"{"city":"Paris"}"#),
            ..AgentSync::default()
        };
        manager.sync_agent("default", state).map(drop)
    })?;
    // ... and the user goes on in the next one.
    run(&path, |manager| {
        let again = json!({"role": "user", "content": [{"text": "Are you still there?"}]});
        manager.append_message("default", &again).map(drop)
    })?;
    run(&path, |_| Ok(()))?;
    // The directory is this example's own.
    std::fs::remove_dir_all(&path).map_err(sessionlog::Error::io("remove", &path))
}

/// One life of the process: restores the agent, shows what a model would see, and does its turn.
fn run(path: &std::path::Path, turn: impl FnOnce(&SessionManager) -> Result<()>) -> Result<()> {
    let repository = Arc::new(LogRepository::new(Store::open(path)?));
    let manager = SessionManager::open(repository, "user-123")?;
    let restored = manager.initialize("default", AgentSync::default())?;
    println!("state {}", restored.record.state());
    for shown in &restored.messages {
        println!("  {:?}: {}", shown.origin, shown.text);
    }
    turn(&manager)
}

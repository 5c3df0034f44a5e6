//! A Rust agent and a Python agent share one storage directory of the standard layout.
//!
//! One operation of the Rust agent, JSON on standard input:
//! `cargo run --example shared_directory -- DIR SESSION AGENT append|redact|state|show`

use std::io::Read;
use std::sync::Arc;

use sessionlog::json::Json;
use sessionlog::repository::DirectoryRepository;
use sessionlog::{AgentSync, Error, Result, SessionManager};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [directory, session, agent, operation] = &arguments[..] else {
        eprintln!("usage: shared_directory DIR SESSION AGENT append|redact|state|show");
        std::process::exit(2);
    };
    let manager = SessionManager::open(Arc::new(DirectoryRepository::new(directory)), session)?;
    let restored = manager.initialize(agent, AgentSync::default())?;
    match &**operation {
        "append" => {
            let id = manager.append_json(agent, &input()?)?;
            println!("{id}");
        }
        "redact" => {
            let ids = manager.redact_latest_json(agent, &input()?)?;
            println!("{ids:?}");
        }
        "state" => {
            let state = input()?;
            let parts = AgentSync {
                state: Some(&state),
                ..AgentSync::default()
            };
            println!("{}", manager.sync_agent(agent, parts)?);
        }
        _ => {
            println!(
                "{}",
                Json::parse(restored.record.state())
                    .unwrap_or(Json::NULL)
                    .minified()
            );
            for shown in restored.messages {
                println!("{}", shown.text);
            }
        }
    }
    Ok(())
}

fn input() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(Error::io("read", std::path::Path::new("standard input")))?;
    Ok(text)
}

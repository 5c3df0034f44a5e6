//! What every [`SessionRepository`] must do, as small named checks: run them over an implementation of your own.
//!
//! ```
//! use std::sync::Arc;
//! use sessionlog::repository::{MemoryRepository, conformance};
//!
//! conformance::run(&mut || Arc::new(MemoryRepository::new()));
//! ```
//!
//! Durability is not checked, and neither is what happens to records that something else damages.

mod agents;
mod messages;
mod multi_agents;
mod sessions;

use std::error::Error as StdError;
use std::sync::Arc;

use super::{AgentRecord, MessageRecord, MultiAgentRecord, SessionRecord, SessionRepository};
use crate::{AgentSync, Error, Result};

/// What a check finds: nothing, or why the repository does not conform.
pub type Outcome = std::result::Result<(), Box<dyn StdError>>;

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What a repository that fails the check gets wrong.
    pub name: &'static str,
    /// Runs it in an empty repository.
    pub run: fn(&dyn SessionRepository) -> Outcome,
}

/// All checks.
#[must_use]
pub fn checks() -> Vec<Check> {
    [
        sessions::CHECKS,
        agents::CHECKS,
        messages::CHECKS,
        multi_agents::CHECKS,
    ]
    .concat()
}

/// Runs every check in a fresh repository; `make` returns an empty one.
///
/// # Panics
///
/// If checks fail; the message has the name and the reason of each.
pub fn run(make: &mut dyn FnMut() -> Arc<dyn SessionRepository>) {
    let mut failures = Vec::new();
    for check in checks() {
        if let Err(why) = (check.run)(&*make()) {
            failures.push(format!("{}: {why}", check.name));
        }
    }
    assert!(
        failures.is_empty(),
        "{} checks failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}

macro_rules! check {
    ($($run:ident),* $(,)?) => {
        pub(super) const CHECKS: &[super::Check] = &[$(super::Check { name: stringify!($run), run: $run }),*];
    };
}
use check;

macro_rules! ensure {
    ($holds:expr, $($why:tt)*) => {
        if !$holds {
            return Err(format!($($why)*).into());
        }
    };
}
use ensure;

const SESSION: &str = "session-1";
const AGENT: &str = "default";
/// 2026-11-20T20:15:17.716298+00:00 and later, in microseconds.
const THEN: u64 = 1_795_205_717_716_298;
const LATER: u64 = THEN + 60_000_000;

/// Members, numbers and strings that a careless repository changes.
const PECULIAR: &str = r#"{"z":1.50,"a":[1e+16,-0.0,123456789012345678901234567890,NaN],"":{"__bytes_encoded__":true,"data":"AA=="},"text":"\u0000 \ud800 é 🎉 / \"","b":{},"a2":null}"#;

fn session() -> SessionRecord {
    SessionRecord::new(SESSION, THEN)
}

fn agent(id: &str) -> Result<AgentRecord> {
    AgentRecord::new(id, AgentSync::default(), THEN)
}

fn text(text: &str) -> String {
    format!(r#"{{"role":"user","content":[{{"text":"{text}"}}]}}"#)
}

fn message(id: u64) -> Result<MessageRecord> {
    MessageRecord::new(id, &text(&format!("message {id}")), THEN)
}

fn multi_agent(id: &str, object: &str) -> Result<MultiAgentRecord> {
    MultiAgentRecord::new(id, object)
}

/// A session with one agent that has messages with these ids.
fn with_messages(repository: &dyn SessionRepository, ids: &[u64]) -> Result<()> {
    repository.create_session(&session())?;
    repository.create_agent(SESSION, &agent(AGENT)?)?;
    for id in ids {
        repository.create_message(SESSION, AGENT, &message(*id)?)?;
    }
    Ok(())
}

/// That it is there, and what it should be.
fn equals<T: PartialEq + std::fmt::Debug>(found: Option<T>, expected: &T, what: &str) -> Outcome {
    match found {
        Some(found) if found == *expected => Ok(()),
        found => Err(format!("{what} is {found:?} instead of {expected:?}").into()),
    }
}

/// That there is nothing.
fn nothing<T: std::fmt::Debug>(found: Option<T>, what: &str) -> Outcome {
    match found {
        None => Ok(()),
        Some(found) => Err(format!("{what} is {found:?} instead of nothing").into()),
    }
}

fn already_exists<T>(result: Result<T>, what: &str) -> Outcome {
    match result {
        Err(Error::AlreadyExists(_)) => Ok(()),
        Err(e) => Err(format!("{what} gave {e} instead of AlreadyExists").into()),
        Ok(_) => Err(format!("{what} succeeded instead of AlreadyExists").into()),
    }
}

fn not_found<T>(result: Result<T>, what: &str) -> Outcome {
    match result {
        Err(Error::NotFound(_)) => Ok(()),
        Err(e) => Err(format!("{what} gave {e} instead of NotFound").into()),
        Ok(_) => Err(format!("{what} succeeded instead of NotFound").into()),
    }
}

fn invalid_id<T>(result: Result<T>, what: &str) -> Outcome {
    match result {
        Err(Error::InvalidId { .. }) => Ok(()),
        Err(e) => Err(format!("{what} gave {e} instead of InvalidId").into()),
        Ok(_) => Err(format!("{what} succeeded instead of InvalidId").into()),
    }
}

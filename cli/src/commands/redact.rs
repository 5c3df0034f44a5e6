//! `redact` and `sync-state`: one object from stdin, one event.

use sessionlog::json::Json;
use sessionlog::{AgentSync, Error};

use super::append::read_all;
use crate::args::Args;
use crate::exit::Failure;
use crate::output::{NAME, Object, json_line, line};

/// Redacts a message.
pub(crate) fn run(args: &Args, session: &str, agent: &str, message: u64) -> Result<u8, Failure> {
    let store = args.open()?;
    store.read(session)?;
    let replacement = read_all()?;
    let session = store.session(session)?;
    let done = session
        .batch()
        .redact_json(agent, message, &replacement)?
        .commit()?;
    session.close()?;
    if args.json {
        json_line(&Object::default().value("version", done.version).finish())?;
    } else {
        line(format_args!(
            "message {message} is redacted at version {NAME}{}{NAME:#}",
            done.version
        ))?;
    }
    Ok(0)
}

/// Brings an agent's record up to date.
pub(crate) fn sync_state(args: &Args, session: &str, agent: &str) -> Result<u8, Failure> {
    let text = read_all()?;
    let invalid = |source| Error::InvalidJson {
        what: "stdin".to_owned(),
        source,
    };
    let json = Json::parse(&text).map_err(invalid)?;
    let names = ["state", "conversation_manager_state", "_internal_state"];
    if let Some((key, _)) = json
        .members()
        .find(|(key, _)| !names.iter().any(|name| key.is(name)))
    {
        let text = format!(
            "stdin: unknown member {}; known are {}",
            key.text(),
            names.join(", ")
        );
        return Err(Failure::Input(text));
    }
    let part = |name: &str| json.get(name).map(Json::text);
    let sync = AgentSync {
        state: part(names[0]),
        conversation_manager_state: part(names[1]),
        internal_state: part(names[2]),
    };
    if sync == AgentSync::default() {
        let text = format!(
            "stdin: nothing to sync; give an object with {}",
            names.join(", ")
        );
        return Err(Failure::Input(text));
    }
    let session = args.open()?.session(session)?;
    let done = session.sync_agent(agent, sync)?;
    session.close()?;
    if args.json {
        let answer = Object::default()
            .value("version", done.version)
            .value("changed", done.changed);
        json_line(&answer.finish())?;
    } else if done.changed {
        line(format_args!(
            "synced at version {NAME}{}{NAME:#}",
            done.version
        ))?;
    } else {
        line(format_args!(
            "nothing changed; still at version {NAME}{}{NAME:#}",
            done.version
        ))?;
    }
    Ok(0)
}

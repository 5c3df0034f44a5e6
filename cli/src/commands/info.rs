//! `info` and `ls`: what there is.

use sessionlog::Error;
use sessionlog::sync::Unpushed;

use crate::args::Args;
use crate::exit::{Failure, one_line};
use crate::output::{BAD, FAINT, GOOD, NAME, Object, STRONG, json_line, line, quoted, size};

/// Tells what a session consists of.
pub(crate) fn run(args: &Args, session: &str) -> Result<u8, Failure> {
    let store = args.open()?;
    let view = store.read(session)?;
    let remotes = sessionlog::sync::unpushed(&store, &view)?;
    let (state, log, damage) = (view.state()?, view.log()?, view.damage()?);
    let strays = view.strays()?;
    let health = if damage.is_empty() { "ok" } else { "damaged" };
    if args.json {
        let agents = state.agents().map(|(id, agent)| {
            let agent = Object::default()
                .text("agent_id", id)
                .value("messages", agent.message_count())
                .value("next_message_id", agent.next_message_id());
            agent.finish()
        });
        let answer = Object::default()
            .text("session_id", session)
            .value("version", view.version())
            .text("updated_at", &sessionlog::iso_time(view.updated_us()))
            .list("agents", agents)
            .list(
                "multi_agents",
                state.multi_agents().map(|(id, _)| quoted(id)),
            )
            .value("segments", log.segments)
            .value("bytes", log.bytes)
            .value("events", log.events)
            .value("unknown_events", state.unknown_events())
            .value("durable_version", log.durable_version)
            .value("torn_bytes", log.torn_bytes)
            .text("health", health)
            .list("strays", strays.iter().map(|name| quoted(name)))
            .list("remotes", remotes.iter().map(remote_json));
        json_line(&answer.finish())?;
        return Ok(0);
    }
    line(format_args!("{STRONG}{}{STRONG:#}", one_line(session)))?;
    let row =
        |name: &str, value: String| line(format_args!("  {FAINT}{name:<17}{FAINT:#} {value}"));
    row("version", view.version().to_string())?;
    row("durable version", log.durable_version.to_string())?;
    row("updated", sessionlog::iso_time(view.updated_us()))?;
    row(
        "size",
        format!(
            "{} in {} segment(s), {} events",
            size(log.bytes),
            log.segments,
            log.events
        ),
    )?;
    for (id, agent) in state.agents() {
        row(
            "agent",
            format!(
                "{NAME}{}{NAME:#}, {} messages",
                one_line(id),
                agent.message_count()
            ),
        )?;
    }
    for (id, _) in state.multi_agents() {
        row("multi-agent", one_line(id))?;
    }
    if state.unknown_events() > 0 {
        row(
            "unknown events",
            format!("{} of a newer program, kept", state.unknown_events()),
        )?;
    }
    if log.torn_bytes > 0 {
        row(
            "torn tail",
            format!("{} that the next writer sets aside", size(log.torn_bytes)),
        )?;
    }
    for remote in &remotes {
        row("remote", remote_text(remote))?;
    }
    for name in strays {
        row("stray file", format!("{}, ignored", one_line(&name)))?;
    }
    if damage.is_empty() {
        row("health", format!("{GOOD}ok{GOOD:#}"))?;
    }
    for damage in damage {
        row(
            "health",
            format!("{BAD}{}{BAD:#}", one_line(&damage.to_string())),
        )?;
    }
    Ok(0)
}

fn remote_json(remote: &Unpushed) -> String {
    let (first, last) = remote.versions.unzip();
    let object = Object::default()
        .text("remote", &remote.remote)
        .value("version", remote.remote_version)
        .list(
            "not_pushed",
            first.into_iter().chain(last).map(|v| v.to_string()),
        );
    match remote.since_us {
        Some(since) => object.text("since", &sessionlog::iso_time(since)),
        None => object,
    }
    .finish()
}

fn remote_text(remote: &Unpushed) -> String {
    let name = one_line(&remote.remote);
    let Some((first, last)) = remote.versions else {
        return format!("{NAME}{name}{NAME:#}, has everything");
    };
    let since = remote.since_us.map(sessionlog::iso_time);
    let since = since.map_or(String::new(), |since| format!(" since {since}"));
    format!("{NAME}{name}{NAME:#}, {BAD}not pushed{BAD:#}: versions {first} to {last}{since}")
}

/// Lists the sessions.
pub(crate) fn list(args: &Args) -> Result<u8, Failure> {
    let store = args.open()?;
    for id in store.list()? {
        let view = match store.read(&id) {
            Ok(view) => view,
            // Deleted meanwhile, or created and never written.
            Err(Error::NotFound(_)) => continue,
            Err(error) => {
                anstream::eprintln!("sessionlog: {}", one_line(&error.to_string()));
                continue;
            }
        };
        let (bytes, updated) = (view.bytes()?, sessionlog::iso_time(view.updated_us()));
        if args.json {
            let answer = Object::default()
                .text("session_id", &id)
                .value("version", view.version())
                .text("updated_at", &updated)
                .value("bytes", bytes);
            json_line(&answer.finish())?;
        } else {
            let (version, updated) = (view.version(), updated.get(..19).unwrap_or(&updated));
            line(format_args!(
                "{NAME}{:<32}{NAME:#} {FAINT}version{FAINT:#} {version:>8} {FAINT}{updated}{FAINT:#} {:>10}",
                one_line(&id),
                size(bytes)
            ))?;
        }
    }
    Ok(0)
}

//! `log`: the events.

use sessionlog::{Event, EventKind, Result as LibraryResult, Version};

use crate::args::Args;
use crate::exit::{Failure, one_line};
use crate::output::{FAINT, NAME, Object, STRONG, json_line, line, note, size};

/// Shows the events from one version to another.
pub(crate) fn run(
    args: &Args,
    session: &str,
    (from, to): (u64, u64),
    original: bool,
) -> Result<u8, Failure> {
    let view = args.open()?.read(session)?;
    let (mut failed, mut withheld) = (None, 0_u64);
    let mut print = |event: &Event<'_>| -> LibraryResult<()> {
        if failed.is_some() {
            return Ok(());
        }
        let hide = view.is_withheld(event)?;
        withheld += u64::from(hide);
        let shown = if args.json {
            json(event, hide && !original)
        } else {
            text(event, hide)
        };
        let printed = if args.json {
            json_line(&shown)
        } else {
            line(shown)
        };
        failed = printed.err();
        Ok(())
    };
    view.for_each_event(Version(from), Version(to), &mut print)?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    if withheld > 0 && original {
        note(
            args.quiet,
            format_args!("{withheld} originals of redacted messages are shown"),
        );
    }
    Ok(0)
}

fn json(event: &Event<'_>, hide: bool) -> String {
    use EventKind::{
        AgentCreated, AgentSynced, HistoryRepaired, MessageAdded, MessageRedacted, MessageUpdated,
        MultiAgentCreated, MultiAgentSynced,
    };
    let object = Object::default()
        .value("version", event.version)
        .text("time", &sessionlog::iso_time(event.time_us))
        .text("kind", event.kind.name());
    let object = match event.kind {
        MessageAdded | MessageUpdated | MessageRedacted => object
            .text("agent_id", event.subject)
            .value("message_id", event.message_id),
        AgentCreated | AgentSynced | HistoryRepaired => object.text("agent_id", event.subject),
        MultiAgentCreated | MultiAgentSynced => object.text("multi_agent_id", event.subject),
        EventKind::Unknown(kind) => object.value("kind_number", kind),
        _ => object.text("session_id", event.subject),
    };
    if hide {
        return object
            .raw("payload", "null")
            .value("redacted", true)
            .finish();
    }
    let payload =
        sessionlog::json::Json::parse(event.payload).map(sessionlog::json::Json::minified);
    object
        .raw("payload", payload.as_deref().unwrap_or("null"))
        .finish()
}

fn text(event: &Event<'_>, redacted: bool) -> String {
    let time = sessionlog::iso_time(event.time_us);
    let time = time.get(..19).unwrap_or(&time);
    let about = match event.kind {
        EventKind::MessageAdded | EventKind::MessageUpdated | EventKind::MessageRedacted => {
            format!("{} message {}", event.subject, event.message_id)
        }
        _ => event.subject.to_owned(),
    };
    let mark = if redacted { ", redacted later" } else { "" };
    format!(
        "{NAME}{:>7}{NAME:#} {FAINT}{time}{FAINT:#} {STRONG}{:<19}{STRONG:#} {} {FAINT}{}{mark}{FAINT:#}",
        event.version,
        event.kind.name(),
        one_line(&about),
        size(event.payload.len() as u64)
    )
}

//! `repair-history` and `validate`: the tool pairs of a conversation.

use sessionlog::history::{Edit, edits_to_json};
use sessionlog::json::Json;

use crate::args::Args;
use crate::exit::{DIFFERS, Failure, one_line};
use crate::output::{FAINT, GOOD, NAME, Object, json_line, line};

/// Mends a conversation, or shows how.
pub(crate) fn repair(
    args: &Args,
    session: &str,
    agent: &str,
    dry_run: bool,
) -> Result<u8, Failure> {
    let store = args.open()?;
    let (version, repair) = if dry_run {
        let view = store.read(session)?;
        (view.version(), view.history_repair(agent)?)
    } else {
        store.read(session)?.messages(agent)?;
        let session = store.session(session)?;
        let (done, repair) = session.repair_history(agent)?;
        session.close()?;
        (done.version, repair)
    };
    let status = if dry_run && !repair.edits.is_empty() {
        DIFFERS
    } else {
        0
    };
    if args.json {
        let text = edits_to_json(&repair.edits);
        let edits = Json::parse(&text)
            .ok()
            .and_then(|json| json.get("edits").map(Json::minified));
        let answer = Object::default()
            .value("version", version)
            .raw("edits", edits.as_deref().unwrap_or("[]"))
            .list(
                "unmendable",
                repair
                    .unmendable
                    .iter()
                    .map(sessionlog::history::Fault::to_json),
            );
        json_line(&answer.finish())?;
        return Ok(status);
    }
    if repair.edits.is_empty() {
        line(format_args!(
            "{GOOD}nothing to mend{GOOD:#} {FAINT}at version {version}{FAINT:#}"
        ))?;
    }
    for edit in &repair.edits {
        print(edit)?;
    }
    for fault in &repair.unmendable {
        line(format_args!(
            "! cannot be mended: {}",
            one_line(&fault.to_string())
        ))?;
    }
    if !repair.edits.is_empty() && !dry_run {
        line(format_args!(
            "{FAINT}written; the session is at version{FAINT:#} {NAME}{version}{NAME:#}"
        ))?;
    }
    Ok(status)
}

fn print(edit: &Edit) -> Result<(), Failure> {
    line(one_line(&edit.to_string()))
}

/// Lists the faults; 1 if there are any.
pub(crate) fn validate(args: &Args, session: &str, agent: &str) -> Result<u8, Failure> {
    let faults = args.open()?.read(session)?.history_faults(agent)?;
    for fault in &faults {
        if args.json {
            json_line(&fault.to_json())?;
        } else {
            line(one_line(&fault.to_string()))?;
        }
    }
    if faults.is_empty() && !args.json {
        line(format_args!("{GOOD}no faults{GOOD:#}"))?;
    }
    Ok(if faults.is_empty() { 0 } else { DIFFERS })
}

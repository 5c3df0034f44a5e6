//! `show`: the conversation.

use sessionlog::json::Json;
use sessionlog::{Message, Version};

use crate::args::{Args, Show};
use crate::exit::{Failure, one_line};
use crate::output::{BAD, FAINT, NAME, Object, STRONG, json_line, line, note, quoted};

/// Shows messages.
pub(crate) fn run(args: &Args, show: &Show) -> Result<u8, Failure> {
    let mut view = args.open()?.read(&show.session)?;
    if let Some(version) = show.at {
        view = view.at(Version(version))?;
    }
    if show.effective {
        for text in view.effective(&show.agent)? {
            if args.json {
                json_line(&text)?;
            } else {
                print(None, &text, "")?;
            }
        }
        return Ok(0);
    }
    let messages = view.messages(&show.agent)?;
    let messages = match show.last {
        Some(n) => messages.last(n),
        None => messages.window(show.offset, show.limit),
    };
    let mut originals = 0_u64;
    for message in messages {
        let message = message?;
        originals += u64::from(show.original && message.is_redacted());
        if args.json {
            json_line(&record(&message, show.original))?;
        } else {
            let text = if show.original {
                message.original()
            } else {
                message.text()
            };
            let mark = match (message.is_redacted(), message.is_redaction_unknown()) {
                (true, _) => " redacted",
                (_, true) => " a redaction of it may be lost",
                _ => "",
            };
            print(Some(message.id()), &text, mark)?;
        }
    }
    if originals > 0 {
        note(
            args.quiet,
            format_args!("{originals} originals of redacted messages are shown"),
        );
    }
    Ok(0)
}

/// The standard record with the text that is to be shown, the version, and whether it is redacted.
fn record(message: &Message, original: bool) -> String {
    let text = if original {
        message.original()
    } else {
        message.text()
    };
    let redaction = message.is_redacted().then(|| message.text());
    let time = |time: Option<String>| time.map_or("null".to_owned(), |time| quoted(&time));
    Object::default()
        .raw("message", &text)
        .value("message_id", message.id())
        .raw("redact_message", redaction.as_deref().unwrap_or("null"))
        .raw("created_at", &time(message.created_at()))
        .raw("updated_at", &time(message.updated_at()))
        .value("version", message.version())
        .value("redacted", message.is_redacted())
        .finish()
}

/// Prints a message for people: its role, and its blocks one line each.
fn print(id: Option<u64>, text: &str, mark: &str) -> Result<(), Failure> {
    let Ok(json) = Json::parse(text) else {
        return Ok(());
    };
    let role = json.get("role").and_then(Json::as_str).unwrap_or_default();
    let number = id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    line(format_args!(
        "{FAINT}{number:>5}{FAINT:#} {STRONG}{}{STRONG:#}{BAD}{mark}{BAD:#}",
        one_line(&role)
    ))?;
    let content = json.get("content");
    for block in content.into_iter().flat_map(Json::elements) {
        let shown = match block.get("text").and_then(Json::as_str) {
            Some(text) => one_line(&text),
            None => block
                .members()
                .map(|(key, value)| tool(key.text(), value))
                .collect(),
        };
        line(format_args!("      {}", short(&shown)))?;
    }
    Ok(())
}

/// A block that is not text: its kind and its beginning.
fn tool(key: &str, value: Json<'_>) -> String {
    format!(
        "{NAME}{}{NAME:#} {}",
        key.trim_matches('"'),
        one_line(&value.minified())
    )
}

fn short(text: &str) -> String {
    const MOST: usize = 160;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MOST).collect();
    format!("{cut}{FAINT} ...{FAINT:#}")
}

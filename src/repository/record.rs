//! Records as JSON text: whole, lossless, with a few members in reach.

use std::collections::{HashMap, HashSet};

use crate::json::{Json, Kind, write_string};
use crate::session::{AgentSync, agent_record, session_record, with_members};
use crate::time::iso;
use crate::{Error, Result};

const CREATED_AT: &str = "created_at";
const REDACT_MESSAGE: &str = "redact_message";

/// A session's record: `session_id`, `session_type`, timestamps, and whatever else it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    id: String,
    text: String,
}

impl SessionRecord {
    /// The record of a session that begins at `now_us`, in microseconds since 1970.
    #[must_use]
    pub fn new(id: &str, now_us: u64) -> Self {
        Self {
            id: id.to_owned(),
            text: session_record(id, now_us),
        }
    }

    /// A record that is stored somewhere. The place says the session's id, whatever the text does.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if it is not an object.
    pub fn from_text(id: &str, text: &str) -> Result<Self> {
        Ok(Self {
            id: id.to_owned(),
            text: object("session record", text)?,
        })
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The record as minified JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `session_type`: "AGENT", or any other string.
    #[must_use]
    pub fn session_type(&self) -> Option<String> {
        string(&self.text, "session_type")
    }
}

/// An agent's record: `agent_id`, three states that are opaque here, timestamps, and whatever else it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    id: String,
    text: String,
}

impl AgentRecord {
    /// The record of an agent that begins at `now_us`, in microseconds since 1970. A part that is `None` is `{}`.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if a part is not an object.
    pub fn new(id: &str, parts: AgentSync<'_>, now_us: u64) -> Result<Self> {
        let parts = checked(parts)?;
        Ok(Self {
            id: id.to_owned(),
            text: with_members(&agent_record(id, now_us), &parts)?,
        })
    }

    /// A record that is stored somewhere. The place says the agent's id, whatever the text does.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if it is not an object.
    pub fn from_text(id: &str, text: &str) -> Result<Self> {
        Ok(Self {
            id: id.to_owned(),
            text: object("agent record", text)?,
        })
    }

    /// The agent's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The record as minified JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The user's state as JSON text; `{}` if there is none.
    #[must_use]
    pub fn state(&self) -> &str {
        self.part("state")
    }

    /// The conversation manager's state as JSON text; `{}` if there is none.
    #[must_use]
    pub fn conversation_manager_state(&self) -> &str {
        self.part("conversation_manager_state")
    }

    /// `_internal_state` as JSON text: interrupts, model state. `{}` if there is none.
    #[must_use]
    pub fn internal_state(&self) -> &str {
        self.part("_internal_state")
    }

    /// The update that brings these parts at `now_us`: it names only what changes. `None` if nothing does.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if a part is not an object.
    pub fn update(&self, parts: AgentSync<'_>, now_us: u64) -> Result<Option<Self>> {
        let mut changed = checked(parts)?;
        changed.retain(|(name, value)| field(&self.text, name) != Some(value));
        if changed.is_empty() {
            return Ok(None);
        }
        changed.push(("updated_at", quoted(&iso(now_us))));
        Ok(Some(Self {
            id: self.id.clone(),
            text: with_members("{}", &changed)?,
        }))
    }

    /// What this stored record becomes by `update`: the members that the update names have its values, except
    /// `created_at`; the others stay. Key order stays, new members stand before the timestamps.
    #[must_use]
    pub fn updated_by(&self, update: &Self) -> Self {
        Self {
            id: self.id.clone(),
            text: merged(&self.text, &update.text, &[CREATED_AT]),
        }
    }

    fn part(&self, name: &str) -> &str {
        field(&self.text, name).unwrap_or("{}")
    }
}

/// A message's record: `message`, `message_id`, `redact_message`, timestamps, and whatever else it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    id: u64,
    text: String,
}

impl MessageRecord {
    /// The record of a message that is new at `now_us`, in microseconds since 1970.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if the message is not an object.
    pub fn new(id: u64, message: &str, now_us: u64) -> Result<Self> {
        let message = object("message", message)?;
        let now = quoted(&iso(now_us));
        let text = format!(
            r#"{{"message":{message},"message_id":{id},"redact_message":null,"created_at":{now},"updated_at":{now}}}"#
        );
        Ok(Self { id, text })
    }

    /// A record that is stored somewhere. The id in the text counts; `id` is for a text without one.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if it is not an object.
    pub fn from_text(id: u64, text: &str) -> Result<Self> {
        Ok(Self::trusted(id, object("message record", text)?))
    }

    /// A record that is known to be an object without white space.
    pub(crate) fn trusted(id: u64, text: String) -> Self {
        let own = field(&text, "message_id").and_then(|id| id.parse().ok());
        Self {
            id: own.unwrap_or(id),
            text,
        }
    }

    /// The message's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The record as minified JSON. It holds the original of a redacted message.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The message as JSON text: the replacement if it is redacted. `null` if the record has no message.
    #[must_use]
    pub fn message(&self) -> &str {
        self.redaction().unwrap_or_else(|| self.original())
    }

    /// The message as it was before a redaction, as far as the record has it.
    #[must_use]
    pub fn original(&self) -> &str {
        field(&self.text, "message").unwrap_or("null")
    }

    /// What is shown instead of the message; `None` if it is not redacted.
    #[must_use]
    pub fn redaction(&self) -> Option<&str> {
        field(&self.text, REDACT_MESSAGE).filter(|text| *text != "null")
    }

    /// `created_at`, as the record has it.
    #[must_use]
    pub fn created_at(&self) -> Option<String> {
        string(&self.text, CREATED_AT)
    }

    /// `updated_at`, as the record has it.
    #[must_use]
    pub fn updated_at(&self) -> Option<String> {
        string(&self.text, "updated_at")
    }

    /// The record with `replacement` shown instead of the message from `now_us` on. The original stays in `message`.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if the replacement is not an object.
    pub fn redacted(&self, replacement: &str, now_us: u64) -> Result<Self> {
        let replacement = object("replacement", replacement)?;
        let members = [
            (REDACT_MESSAGE, replacement),
            ("updated_at", quoted(&iso(now_us))),
        ];
        Ok(Self {
            id: self.id,
            text: with_members(&self.text, &members)?,
        })
    }

    /// What this stored record becomes by `update`: the members that the update names have its values, except
    /// `created_at`, and except a redaction that the update would undo; the others stay. Key order stays, new members
    /// stand before the timestamps.
    #[must_use]
    pub fn updated_by(&self, update: &Self) -> Self {
        let stays: &[&str] = if update.redaction().is_none() && self.redaction().is_some() {
            &[CREATED_AT, REDACT_MESSAGE]
        } else {
            &[CREATED_AT]
        };
        Self {
            id: self.id,
            text: merged(&self.text, &update.text, stays),
        }
    }
}

/// A multi-agent's record: one opaque object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiAgentRecord {
    id: String,
    text: String,
}

impl MultiAgentRecord {
    /// The object `text` under the id `id`.
    ///
    /// Errors: [`Error::InvalidJson`], [`Error::InvalidInput`] if it is not an object.
    pub fn new(id: &str, text: &str) -> Result<Self> {
        Ok(Self {
            id: id.to_owned(),
            text: object("multi-agent object", text)?,
        })
    }

    /// The multi-agent's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The object as minified JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A JSON object without white space.
fn object(what: &str, text: &str) -> Result<String> {
    let json = Json::parse(text).map_err(|source| Error::InvalidJson {
        what: what.to_owned(),
        source,
    })?;
    if json.kind() == Kind::Object {
        return Ok(json.minified());
    }
    Err(Error::InvalidInput {
        what: what.to_owned(),
        reason: "it is not a JSON object".to_owned(),
    })
}

/// The text of a member of a checked object.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    Some(Json::parse(text).ok()?.get(name)?.text())
}

fn string(text: &str, name: &str) -> Option<String> {
    let value = Json::parse(text).ok()?.get(name)?;
    value.as_str().map(std::borrow::Cow::into_owned)
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}

/// The parts that are given, checked, by their names.
fn checked(parts: AgentSync<'_>) -> Result<Vec<(&'static str, String)>> {
    let parts = [
        ("state", parts.state),
        (
            "conversation_manager_state",
            parts.conversation_manager_state,
        ),
        ("_internal_state", parts.internal_state),
    ];
    let given = parts
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    given
        .map(|(name, text)| Ok((name, object(name, text)?)))
        .collect()
}

/// The members of `stored` in their order, with the values that `update` has except for those named in `stays`, and the
/// members that are new. Both are minified, so the same key has the same text.
fn merged(stored: &str, update: &str, stays: &[&str]) -> String {
    let (Ok(stored), Ok(update)) = (Json::parse(stored), Json::parse(update)) else {
        return update.to_owned();
    };
    let updates: HashMap<_, _> = update.members().map(|(k, v)| (k.text(), v)).collect();
    let known: HashSet<_> = stored.members().map(|(key, _)| key.text()).collect();
    let new = update
        .members()
        .filter(|(key, _)| !known.contains(key.text()));
    let mut new: Vec<_> = new.collect();
    let mut out = String::from("{");
    let mut put = |key: &str, value: Json<'_>| {
        out.push_str(if out.len() > 1 { "," } else { "" });
        out.push_str(key);
        out.push(':');
        out.push_str(value.text());
    };
    for (key, value) in stored.members() {
        if key.is(CREATED_AT) {
            // As in a record of the package, the timestamps stay the last.
            for (key, value) in new.drain(..) {
                put(key.text(), value);
            }
        }
        let stays = stays.iter().any(|name| key.is(name));
        let update = updates.get(key.text()).filter(|_| !stays);
        put(key.text(), update.copied().unwrap_or(value));
    }
    for (key, value) in new {
        put(key.text(), value);
    }
    out.push('}');
    out
}

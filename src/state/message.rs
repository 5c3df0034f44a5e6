//! A message as a reader sees it.

use std::borrow::Cow;

use crate::Version;
use crate::event::Form;
use crate::json::{Json, write_string};
use crate::time::iso;

use super::Entry;

/// One message of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(crate) id: u64,
    pub(crate) version: Version,
    pub(crate) created_us: u64,
    pub(crate) form: Form,
    pub(crate) payload: String,
    /// The time and text of a redaction; the text is empty if it was lost.
    pub(crate) redaction: Option<(u64, String)>,
    pub(crate) redaction_unknown: bool,
    /// The name of its file, if that is not the usual one.
    pub(crate) name: Option<Box<str>>,
}

/// What stands for a redacted message whose replacement was lost to damage.
const LOST_REDACTION: &str = r#"{"role":"user","content":[{"text":"[redacted]"}]}"#;

impl Message {
    /// The message of an entry; `None` if nothing is left of it.
    pub(crate) fn of(entry: Entry<String>, redaction_unknown: bool) -> Option<Self> {
        let redaction = entry
            .redaction
            .map(|redaction| (redaction.time_us, redaction.payload.unwrap_or_default()));
        let (payload, form) = match entry.payload {
            Some(payload) => (payload, entry.form),
            None if redaction.is_some() => ("null".to_owned(), Form::Plain),
            None => return None,
        };
        Some(Self {
            id: entry.id,
            version: entry.version,
            created_us: entry.created_us,
            form,
            payload,
            redaction,
            redaction_unknown,
            name: entry.name,
        })
    }

    /// The message's id in its agent: from 0 on.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The version of the event that added it, or last replaced it.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether it is redacted.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        self.redaction.is_some() || self.record_redaction().is_some()
    }

    /// Whether events were lost to damage that may have redacted this message.
    #[must_use]
    pub fn is_redaction_unknown(&self) -> bool {
        self.redaction_unknown
    }

    /// The message as JSON text; for a redacted one, the replacement.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        if let Some(record) = self.record_redaction() {
            return Cow::Borrowed(record.text());
        }
        match &self.redaction {
            Some((_, text)) if text.is_empty() => Cow::Borrowed(LOST_REDACTION),
            Some((_, text)) => Cow::Borrowed(text),
            None => self.original(),
        }
    }

    /// As [`Message::text`], without a copy where there need not be one.
    #[must_use]
    pub fn into_text(self) -> String {
        if self.form == Form::Plain && self.redaction.is_none() {
            return self.payload;
        }
        self.text().into_owned()
    }

    /// The message as it was before any redaction. `null` for a record without a message.
    #[must_use]
    pub fn original(&self) -> Cow<'_, str> {
        match self.field("message") {
            Some(message) => Cow::Borrowed(message.text()),
            None if self.form == Form::Plain => Cow::Borrowed(&self.payload),
            None => Cow::Borrowed("null"),
        }
    }

    /// `created_at` as a standard layout record has it.
    #[must_use]
    pub fn created_at(&self) -> Option<String> {
        self.timestamp("created_at", self.created_us)
    }

    /// `updated_at` as a standard layout record has it; a redaction updates it.
    #[must_use]
    pub fn updated_at(&self) -> Option<String> {
        match &self.redaction {
            Some((time_us, _)) => Some(iso(*time_us)),
            None => self.timestamp("updated_at", self.created_us),
        }
    }

    /// The record of the standard layout as minified JSON: `message`, `message_id`, `redact_message`,
    /// `created_at`, `updated_at`, and whatever else was imported. It holds the original of a redacted message.
    #[must_use]
    pub fn record(&self) -> String {
        match (self.form, Json::parse(&self.payload)) {
            (Form::Record | Form::File, Ok(record)) => self.imported_record(record),
            _ => self.plain_record(),
        }
    }

    /// The text of `message_<id>.json` in the standard layout. It holds the original of a redacted message.
    #[must_use]
    pub fn file(&self) -> String {
        match (self.form, &self.redaction) {
            (Form::File, None) => return self.payload.clone(),
            (Form::Record, None) => {
                if let Ok(record) = Json::parse(&self.payload) {
                    return record.to_python();
                }
            }
            _ => {}
        }
        let record = self.record();
        Json::parse(&record).map(Json::to_python).unwrap_or(record)
    }

    /// The name of its file in the standard layout: `message_<id>.json`, or what an import found.
    #[must_use]
    pub fn file_name(&self) -> String {
        let usual = || format!("message_{}.json", self.id);
        let name = self.name.as_deref().filter(|name| is_message_file(name));
        name.map_or_else(usual, str::to_owned)
    }

    fn plain_record(&self) -> String {
        let (created, updated) = (iso(self.created_us), self.updated_at().unwrap_or_default());
        let mut out = String::with_capacity(self.payload.len() + 160);
        out.push_str("{\"message\":");
        out.push_str(&self.payload);
        out.push_str(",\"message_id\":");
        out.push_str(&self.id.to_string());
        out.push_str(",\"redact_message\":");
        out.push_str(self.redaction_text().unwrap_or("null"));
        out.push_str(",\"created_at\":");
        write_string(&created, &mut out);
        out.push_str(",\"updated_at\":");
        write_string(&updated, &mut out);
        out.push('}');
        out
    }

    /// The imported record, with a later redaction put into it.
    fn imported_record(&self, record: Json<'_>) -> String {
        let redaction = self.redaction_text();
        let Some((redaction, updated)) = redaction.and_then(|r| Some((r, self.updated_at()?)))
        else {
            return record.minified();
        };
        let mut updated_text = String::new();
        write_string(&updated, &mut updated_text);
        let mut missing = vec![("redact_message", redaction), ("updated_at", &updated_text)];
        let mut out = String::from("{");
        let mut put = |key: &str, value: &str| {
            out.push_str(if out.len() > 1 { "," } else { "" });
            out.push_str(key);
            out.push(':');
            out.push_str(value);
        };
        for (key, value) in record.members() {
            let replaced = missing.iter().position(|(name, _)| key.is(name));
            match replaced.map(|at| missing.remove(at)) {
                Some((_, value)) => put(key.text(), value),
                None => put(key.text(), value.text()),
            }
        }
        for (name, value) in missing {
            put(&format!("\"{name}\""), value);
        }
        out.push('}');
        Json::parse(&out).map(Json::minified).unwrap_or(out)
    }

    fn redaction_text(&self) -> Option<&str> {
        let (_, text) = self.redaction.as_ref()?;
        Some(if text.is_empty() {
            LOST_REDACTION
        } else {
            text
        })
    }

    /// The `redact_message` inside an imported record, unless a later redaction stands above it.
    fn record_redaction(&self) -> Option<Json<'_>> {
        if self.redaction.is_some() {
            return None;
        }
        self.field("redact_message")
            .filter(|redaction| !redaction.is_null())
    }

    fn timestamp(&self, field: &str, time_us: u64) -> Option<String> {
        if self.form == Form::Plain {
            return Some(iso(time_us));
        }
        self.field(field)
            .and_then(Json::as_str)
            .map(Cow::into_owned)
    }

    /// A field of an imported record.
    fn field(&self, name: &str) -> Option<Json<'_>> {
        if self.form == Form::Plain {
            return None;
        }
        Json::parse(&self.payload).ok()?.get(name)
    }
}

/// Whether a file name is one that the layout has for messages: `message_`, digits, `.json`.
pub(crate) fn is_message_file(name: &str) -> bool {
    let digits = name
        .strip_prefix("message_")
        .and_then(|rest| rest.strip_suffix(".json"));
    digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

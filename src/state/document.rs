//! A record that changes: the session's, an agent's, a multi-agent's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Form;
use crate::json::{Json, Kind, write_string};
use crate::time::iso;

use super::patch;

/// A record: its last whole text, and the changes since.
///
/// Replay does not apply the changes; they are applied when the record is asked for. A writer stores a whole
/// record again when the changes outgrow it, so that this stays bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    base: Arc<str>,
    form: Form,
    patches: Vec<Arc<str>>,
    patch_len: usize,
    /// When the last change was committed.
    updated_us: u64,
    /// Whether a change or the whole record was lost to damage since the last whole text.
    incomplete: bool,
    /// What an import kept beside the record.
    extra: Arc<str>,
}

impl Document {
    pub(crate) fn new(text: &str, form: Form, time_us: u64) -> Self {
        Self {
            base: text.into(),
            form,
            patches: Vec::new(),
            patch_len: 0,
            updated_us: time_us,
            incomplete: false,
            extra: Arc::default(),
        }
    }

    pub(crate) fn with_extra(mut self, extra: &str) -> Self {
        self.extra = extra.into();
        self
    }

    /// What an import kept beside the record: the names of directories that were missing, with commas between.
    #[must_use]
    pub fn extra(&self) -> &str {
        &self.extra
    }

    /// Takes in a change, or with `form` other than plain a whole record.
    pub(crate) fn sync(&mut self, payload: &str, form: Form, time_us: u64) {
        if form == Form::Plain {
            self.patches.push(payload.into());
            self.patch_len += payload.len();
            self.updated_us = time_us;
        } else {
            let extra = Arc::clone(&self.extra);
            *self = Self::new(payload, form, time_us).with_extra(&extra);
        }
    }

    pub(crate) fn lose(&mut self) {
        self.incomplete = true;
    }

    /// Whether a part of the record was lost to damage.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Whether one more change of `len` bytes would make the changes longer than the record itself.
    pub(crate) fn is_outgrown_by(&self, len: usize) -> bool {
        self.patch_len + len > self.base.len()
    }

    /// The record as JSON text, as it is now.
    #[must_use]
    pub fn text(&self) -> String {
        if self.patches.is_empty() {
            return self.base.as_ref().to_owned();
        }
        let mut patches: Vec<&str> = self.patches.iter().map(AsRef::as_ref).collect();
        let updated = updated_patch(&self.base, self.updated_us);
        // A change that sets `updated_at` itself knows better.
        let is_set = patches.last().is_some_and(|patch| sets_updated_at(patch));
        patches.extend(updated.as_deref().filter(|_| !is_set));
        // Patches that do not apply can only come from a log with a lost change: what does apply is kept.
        patch::apply(&self.base, &patches).unwrap_or_else(|_| self.text_leniently(&patches))
    }

    /// The text of the record's file in the standard layout.
    #[must_use]
    pub fn file(&self) -> String {
        let text = self.text();
        if self.form == Form::File && self.patches.is_empty() {
            return text;
        }
        Json::parse(&text).map(Json::to_python).unwrap_or(text)
    }

    fn text_leniently(&self, patches: &[&str]) -> String {
        let mut text = self.base.as_ref().to_owned();
        for patch in patches {
            text = patch::apply(&text, &[patch]).unwrap_or(text);
        }
        text
    }
}

/// Whether a change sets `updated_at`.
fn sets_updated_at(change: &str) -> bool {
    let ops = Json::parse(change).into_iter().flat_map(Json::elements);
    let mut paths = ops.filter_map(|op| op.get("path").and_then(Json::as_str));
    paths.any(|path| path == "/updated_at" || path.is_empty())
}

/// Lets a change that leads to `record` set the record's own `updated_at`, if it has one.
pub(crate) fn keep_updated_at(change: &mut String, record: Json<'_>) {
    let updated_at = record.get("updated_at");
    if let Some(value) = updated_at.filter(|_| !sets_updated_at(change)) {
        change.pop();
        change.push_str(r#",{"op":"replace","path":"/updated_at","value":"#);
        value.write_minified(change);
        change.push_str("}]");
    }
}

/// A change of `updated_at`, for a record that has one.
fn updated_patch(base: &str, time_us: u64) -> Option<String> {
    let json = Json::parse(base).ok()?;
    (json.kind() == Kind::Object && json.get("updated_at").is_some()).then(|| {
        let mut patch = String::from(r#"[{"op":"replace","path":"/updated_at","value":"#);
        write_string(&iso(time_us), &mut patch);
        patch.push_str("}]");
        patch
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_change_was_lost_those_that_still_fit_are_applied() {
        let mut record = Document::new(r#"{"a":1,"b":2}"#, Form::Record, 0);
        // The change that added `c` was lost.
        record.lose();
        for change in [
            r#"[{"op":"replace","path":"/c/d","value":3}]"#,
            r#"[{"op":"replace","path":"/b","value":3}]"#,
        ] {
            record.sync(change, Form::Plain, 1);
        }
        assert!(record.is_incomplete());
        assert_eq!(record.text(), r#"{"a":1,"b":3}"#);
    }

    #[test]
    fn a_whole_record_makes_up_for_the_lost_change() {
        let mut record = Document::new(r#"{"a":1}"#, Form::Record, 0).with_extra("messages");
        record.lose();
        record.sync(r#"{"a":2}"#, Form::Record, 1);
        assert!(!record.is_incomplete());
        assert_eq!(
            (record.text(), record.extra()),
            (r#"{"a":2}"#.to_owned(), "messages")
        );
    }

    #[test]
    fn a_change_dates_a_record_unless_it_says_a_date_itself() {
        let mut record = Document::new(r#"{"a":1,"updated_at":"then"}"#, Form::Record, 0);
        record.sync(
            r#"[{"op":"replace","path":"/a","value":2}]"#,
            Form::Plain,
            0,
        );
        assert_eq!(
            record.text(),
            format!(r#"{{"a":2,"updated_at":"{}"}}"#, iso(0))
        );
        let own = r#"[{"op":"replace","path":"/updated_at","value":"now"}]"#;
        record.sync(own, Form::Plain, 0);
        assert_eq!(record.text(), r#"{"a":2,"updated_at":"now"}"#);
    }
}

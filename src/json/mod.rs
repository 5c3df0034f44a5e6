//! Lossless JSON text.
//!
//! Messages and states are kept as the text that came in. This module checks such text, looks into it and
//! writes it again, without ever building a tree: memory stays bounded whatever the size of the text.
//!
//! # What is accepted
//!
//! What Python's `json.loads` accepts, because Python wrote most of the files that we import:
//!
//! - JSON (RFC 8259), integers of any size, and nothing after the value but white space.
//! - The bare literals `NaN`, `Infinity` and `-Infinity`.
//! - Lone surrogate escapes, for example `"\ud800"`.
//! - Duplicate keys.
//! - Nesting of up to [`MAX_DEPTH`] levels. More is an error, never a stack overflow.
//!
//! Control characters inside strings must be escaped, and a byte order mark is refused.
//!
//! # What is kept
//!
//! Both writers, [`Json::write_minified`] and [`Json::write_python`], keep key order, duplicate keys and the
//! spelling of every number. They change only white space and the spelling of strings: a character is
//! escaped if Python's `json.dumps(.., ensure_ascii=False)` escapes it, and literal otherwise. A lone surrogate
//! has no literal form, so it stays a lower-case escape.
//!
//! ```
//! use sessionlog::json::Json;
//!
//! let message = Json::parse(r#" {"role": "user", "n": 1.50, "caf\u00e9": "\/"} "#)?;
//! assert_eq!(message.get("role").and_then(Json::as_str).as_deref(), Some("user"));
//! assert_eq!(message.minified(), r#"{"role":"user","n":1.50,"café":"/"}"#);
//! # Ok::<(), sessionlog::json::JsonError>(())
//! ```

mod cursor;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod write;

use std::borrow::Cow;

pub use cursor::{Elements, Key, Members};
pub use scan::MAX_DEPTH;
pub use write::write_string;

/// Where a text is not JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct JsonError {
    /// The offset of the first wrong byte.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, or one of `NaN`, `Infinity` and `-Infinity`.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One checked JSON value, as text, without the white space around it.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    text: &'a str,
    /// It is known that minifying changes nothing: no white space, no escapes.
    is_minified: bool,
}

impl<'a> Json<'a> {
    /// `null`.
    pub const NULL: Self = Self::part("null");

    /// Checks that `text` is exactly one JSON value, and returns it.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        let (range, is_minified) = scan::check(text.as_bytes())?;
        // The value starts and ends with ASCII, so the range lies on character boundaries.
        let text = text.get(range).unwrap_or_default();
        Ok(Self { text, is_minified })
    }

    /// A value inside of checked text.
    const fn part(text: &'a str) -> Self {
        Self {
            text,
            is_minified: false,
        }
    }

    /// Checks that `bytes` are UTF-8 and exactly one JSON value, and returns it.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|error| JsonError {
            offset: error.valid_up_to(),
            reason: "the text is not UTF-8",
        })?;
        Self::parse(text)
    }

    /// The text of this value, as it came.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.text
    }

    /// What this value is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// True for `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The members of an object, read lazily, in text order, duplicates included. Empty for any other value.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members::of(self)
    }

    /// The elements of an array, read lazily. Empty for any other value.
    #[must_use]
    pub fn elements(self) -> Elements<'a> {
        Elements::of(self)
    }

    /// The value of the member `key` of an object. Of duplicate keys the last one counts, as in Python.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Json<'a>> {
        self.members()
            .filter(|(name, _)| name.is(key))
            .last()
            .map(|(_, value)| value)
    }

    /// The decoded string. None if this is not a string, or if it has a lone surrogate escape.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        text::decode(text::content(self.text)?)
    }

    /// The number, if it is written as an integer and fits.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        self.text.parse().ok()
    }

    /// The number, if it is written as an integer and fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        self.text.parse().ok()
    }

    /// True if both are the same value: white space and the spelling of strings do not count; key order, duplicate
    /// keys and the spelling of numbers do. Equivalent to comparing the minified texts, without writing them.
    #[must_use]
    pub fn same(self, other: Json<'_>) -> bool {
        self.text == other.text
            || scan::Tokens::new(self.text)
                .map(text::Canonical)
                .eq(scan::Tokens::new(other.text).map(text::Canonical))
    }

    /// Appends this value without white space.
    pub fn write_minified(self, out: &mut String) {
        if self.is_minified {
            out.push_str(self.text);
        } else {
            write::minified(self.text, out);
        }
    }

    /// Appends what Python writes with `json.dumps(value, indent=2, ensure_ascii=False)`, for a value that is nested
    /// `level` levels deep (0 for a whole document).
    ///
    /// It differs from `json.dumps(json.loads(text))` where that loses something: number lexemes and duplicate keys
    /// are kept, and a lone surrogate becomes an escape instead of invalid UTF-8. A file that Python wrote comes out
    /// byte for byte.
    pub fn write_python(self, level: usize, out: &mut String) {
        write::python(self.text, level, out);
    }

    /// This value without white space. See [`Json::write_minified`].
    #[must_use]
    pub fn minified(self) -> String {
        let mut out = String::with_capacity(self.text.len());
        self.write_minified(&mut out);
        out
    }

    /// This value as Python writes it. See [`Json::write_python`].
    #[must_use]
    pub fn to_python(self) -> String {
        let mut out = String::with_capacity(self.text.len());
        self.write_python(0, &mut out);
        out
    }
}

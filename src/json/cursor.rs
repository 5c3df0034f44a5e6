//! Lazy walks over the members and elements of checked text.

use std::borrow::Cow;

use super::scan::{space_end, string_end, value_end};
use super::{Json, Kind, text};

/// The key of a member.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a>(&'a str);

impl<'a> Key<'a> {
    /// True if the decoded key is `name`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        let content = text::content(self.0).unwrap_or_default();
        match memchr::memchr(b'\\', content.as_bytes()) {
            None => content == name,
            Some(_) => text::code_points(content).eq(name.chars().map(u32::from)),
        }
    }

    /// The key as it is written, with its quotes.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.0
    }

    /// The decoded key. None if it has a lone surrogate escape.
    #[must_use]
    pub fn decoded(&self) -> Option<Cow<'a, str>> {
        text::decode(text::content(self.0)?)
    }
}

/// The members of an object. Made by [`Json::members`].
#[derive(Clone, Debug)]
pub struct Members<'a>(Walk<'a>);

impl<'a> Members<'a> {
    pub(super) fn of(value: Json<'a>) -> Self {
        Self(Walk::of(value, Kind::Object))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Key<'a>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.skip_mark(b',');
        let key = self.0.take(string_end)?;
        self.0.skip_mark(b':');
        let value = self.0.take(value_end)?;
        Some((Key(key), Json::part(value)))
    }
}

/// The elements of an array. Made by [`Json::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a>(Walk<'a>);

impl<'a> Elements<'a> {
    pub(super) fn of(value: Json<'a>) -> Self {
        Self(Walk::of(value, Kind::Array))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.skip_mark(b',');
        self.0.take(value_end).map(Json::part)
    }
}

/// A position in what is between the brackets of a container.
#[derive(Clone, Debug)]
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// The inside of `value`, or an empty walk if it is of another kind.
    fn of(value: Json<'a>, kind: Kind) -> Self {
        let text = value.text;
        let inside = if value.kind() == kind {
            text.get(1..text.len().saturating_sub(1))
        } else {
            None
        };
        Self {
            text: inside.unwrap_or_default(),
            at: 0,
        }
    }

    fn skip_mark(&mut self, mark: u8) {
        self.at = space_end(self.text.as_bytes(), self.at);
        if self.text.as_bytes().get(self.at) == Some(&mark) {
            self.at += 1;
        }
    }

    /// Takes the next value, whose end `end` finds. None at the end of the container.
    fn take(&mut self, end: fn(&[u8], usize) -> usize) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let from = space_end(bytes, self.at);
        if from >= bytes.len() {
            return None;
        }
        self.at = end(bytes, from);
        self.text.get(from..self.at)
    }
}

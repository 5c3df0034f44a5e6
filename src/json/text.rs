//! Strings of checked text: escapes decoded, and compared whatever their spelling.

use std::borrow::Cow;

use super::scan::Token;

/// A piece of a string's content.
pub(super) enum Part<'a> {
    /// Literal characters, none of which needs an escape.
    Run(&'a str),
    /// A decoded escape.
    Char(char),
    /// The escape of a surrogate that is not part of a pair.
    Lone(u16),
}

/// What is between the quotes of a string. None if `text` is not a string.
pub(super) fn content(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// The pieces of a string's content.
pub(super) fn parts(content: &str) -> Parts<'_> {
    Parts { rest: content }
}

/// The decoded content. None if it has a lone surrogate.
pub(super) fn decode(content: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', content.as_bytes()).is_none() {
        return Some(Cow::Borrowed(content));
    }
    let mut out = String::with_capacity(content.len());
    for part in parts(content) {
        match part {
            Part::Run(run) => out.push_str(run),
            Part::Char(char) => out.push(char),
            Part::Lone(_) => return None,
        }
    }
    Some(Cow::Owned(out))
}

/// The code points of a string's content, surrogates included.
pub(super) fn code_points(content: &str) -> CodePoints<'_> {
    CodePoints {
        parts: parts(content),
        run: "".chars(),
    }
}

pub(super) struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes an escape of the form `\uxxxx`, if one is next.
    fn hex(&mut self) -> Option<u16> {
        let digits = self.rest.strip_prefix("\\u")?.get(..4)?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        self.rest = self.rest.get(6..)?;
        Some(unit)
    }

    fn escape(&mut self) -> Option<Part<'a>> {
        let Some(unit) = self.hex() else {
            let name = self.rest.chars().nth(1)?;
            self.rest = self.rest.get(1 + name.len_utf8()..)?;
            return Some(Part::Char(match name {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                same => same,
            }));
        };
        if let Some(char) = char::from_u32(u32::from(unit)) {
            return Some(Part::Char(char));
        }
        let after_first = self.rest;
        if let Some(second) = self.hex() {
            if let Some(Ok(char)) = char::decode_utf16([unit, second]).next() {
                return Some(Part::Char(char));
            }
            self.rest = after_first;
        }
        Some(Part::Lone(unit))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.rest.starts_with('\\') {
            return self.escape();
        }
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\\', self.rest.as_bytes()).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(Part::Run(run))
    }
}

pub(super) struct CodePoints<'a> {
    parts: Parts<'a>,
    run: std::str::Chars<'a>,
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if let Some(char) = self.run.next() {
                return Some(u32::from(char));
            }
            match self.parts.next()? {
                Part::Run(run) => self.run = run.chars(),
                Part::Char(char) => return Some(u32::from(char)),
                Part::Lone(unit) => return Some(u32::from(unit)),
            }
        }
    }
}

/// A token that equals another one if both are written alike after normalisation.
pub(super) struct Canonical<'a>(pub(super) Token<'a>);

impl<'b> PartialEq<Canonical<'b>> for Canonical<'_> {
    fn eq(&self, other: &Canonical<'b>) -> bool {
        match (self.0, other.0) {
            (Token::Mark(a), Token::Mark(b)) => a == b,
            (Token::Plain(a), Token::Plain(b)) => a == b,
            (Token::String(a), Token::String(b)) => a == b || code_points(a).eq(code_points(b)),
            _ => false,
        }
    }
}

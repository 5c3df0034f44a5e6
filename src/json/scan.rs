//! The grammar: one pass over bytes without recursion, and tokens of text that was checked.

use std::ops::Range;

use super::JsonError;

/// The number of levels that arrays and objects may be nested.
pub const MAX_DEPTH: usize = 1000;

/// Checks that `bytes` (UTF-8) hold exactly one JSON value. Returns where it is, and whether it has neither white space
/// nor escapes.
pub(super) fn check(bytes: &[u8]) -> Result<(Range<usize>, bool), JsonError> {
    let mut scanner = Scanner {
        bytes,
        at: 0,
        depth: 0,
        objects: [0; MAX_DEPTH.div_ceil(64)],
        is_minified: true,
    };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return scanner.fail("a byte order mark is not allowed");
    }
    scanner.space();
    let start = scanner.at;
    while scanner.start()? || scanner.finish()? {}
    let end = scanner.at;
    scanner.space();
    if scanner.at < bytes.len() {
        return scanner.fail("nothing may follow the value");
    }
    Ok((start..end, scanner.is_minified))
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// One bit for each open container, set for an object.
    objects: [u64; MAX_DEPTH.div_ceil(64)],
    is_minified: bool,
}

impl Scanner<'_> {
    /// Reads a value up to its end, or up to its first element if it has any: then another value follows (true).
    fn start(&mut self) -> Result<bool, JsonError> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => return self.open(true),
            Some(b'[') => return self.open(false),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'N') => self.literal("NaN"),
            Some(b'I') => self.literal("Infinity"),
            _ => self.fail("a value is expected"),
        }?;
        Ok(false)
    }

    /// Reads what follows a value: closing brackets, then a comma if another value follows (true).
    fn finish(&mut self) -> Result<bool, JsonError> {
        while self.depth > 0 {
            self.space();
            let object = self.in_object();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if object => self.close(),
                Some(b']') if !object => self.close(),
                _ if object => return self.fail("`,` or `}` is expected"),
                _ => return self.fail("`,` or `]` is expected"),
            }
        }
        Ok(false)
    }

    /// Opens a container. True if it has an element, whose value follows.
    fn open(&mut self, object: bool) -> Result<bool, JsonError> {
        if self.depth == MAX_DEPTH {
            return self.fail("arrays and objects are nested too deep");
        }
        let bit = 1 << (self.depth % 64);
        if object {
            self.objects[self.depth / 64] |= bit;
        } else {
            self.objects[self.depth / 64] &= !bit;
        }
        self.depth += 1;
        self.at += 1;
        self.space();
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            self.close();
            return Ok(false);
        }
        if object {
            self.key()?;
        }
        Ok(true)
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    fn in_object(&self) -> bool {
        let top = self.depth - 1;
        self.objects[top / 64] >> (top % 64) & 1 == 1
    }

    fn key(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.fail("a key is expected");
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return self.fail("`:` is expected");
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return self.fail("a control character in a string must be escaped"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.is_minified = false;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.fail("four hexadecimal digits are expected");
                    }
                    self.at += 1;
                }
            }
            _ => return self.fail("this is not an escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'I') && self.at > from {
            return self.literal("Infinity");
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from {
            return self.fail("a digit is expected");
        }
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<(), JsonError> {
        for expected in literal.bytes() {
            if self.peek() != Some(expected) {
                return self.fail("this is not a literal");
            }
            self.at += 1;
        }
        Ok(())
    }

    #[inline]
    fn space(&mut self) {
        let from = self.at;
        self.at = space_end(self.bytes, from);
        self.is_minified &= self.at == from;
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn fail<T>(&self, reason: &'static str) -> Result<T, JsonError> {
        let ended = self.at >= self.bytes.len();
        Err(JsonError {
            offset: self.at,
            reason: if ended {
                "the text ends too early"
            } else {
                reason
            },
        })
    }
}

/// One token of checked text. Nothing but white space is between tokens.
#[derive(Clone, Copy)]
pub(super) enum Token<'a> {
    /// One of `{ } [ ] , :`.
    Mark(u8),
    /// A string, with its quotes.
    String(&'a str),
    /// A number or a literal.
    Plain(&'a str),
}

/// The tokens of checked text.
#[derive(Clone)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is not white space, not taken yet.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        self.at = space_end(bytes, self.at);
        bytes.get(self.at).copied()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let first = self.peek()?;
        let bytes = self.text.as_bytes();
        let from = self.at;
        self.at = match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                self.at += 1;
                return Some(Token::Mark(first));
            }
            b'"' => string_end(bytes, from),
            _ => plain_value_end(bytes, from),
        };
        let text = self.text.get(from..self.at)?;
        Some(if first == b'"' {
            Token::String(text)
        } else {
            Token::Plain(text)
        })
    }
}

/// The end of the value that starts at `from` in checked text.
pub(super) fn value_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ if depth == 0 => at = plain_value_end(bytes, at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The end of the string whose opening quote is at `from` in checked text.
pub(super) fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            // The character after the backslash is never a multi-byte one.
            Some(_) => at += 2,
            None => return bytes.len(),
        }
    }
}

fn plain_value_end(bytes: &[u8], from: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(ends).unwrap_or(rest.len())
}

/// The first byte at or after `from` that is not white space.
#[inline]
pub(super) fn space_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The first quote, backslash or control character at or after `from`, or the end: eight bytes at a time.
#[inline]
fn plain_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from.min(bytes.len());
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        // A byte's high bit is set if it is zero (after the xor) or below 0x20. A borrow can set the bit of a later
        // byte wrongly, never of an earlier one, so the first is right.
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quote | backslash | control) & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(special).unwrap_or(rest.len())
}

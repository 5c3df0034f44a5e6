//! Writing checked text again: minified, or as Python's `json.dumps` does.

use super::scan::{Token, Tokens, string_end};
use super::text::{self, Part};

/// Appends `value` as a JSON string, escaped as Python does with `ensure_ascii=False`.
pub fn write_string(value: &str, out: &mut String) {
    out.push('"');
    let mut run = 0;
    for (at, byte) in value.bytes().enumerate() {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            // The byte is ASCII, so both ends are character boundaries.
            out.push_str(&value[run..at]);
            write_char(char::from(byte), out);
            run = at + 1;
        }
    }
    out.push_str(&value[run..]);
    out.push('"');
}

/// Appends one character of a string.
fn write_char(char: char, out: &mut String) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\0'..'\x20' => write_escape(char as u16, out),
        _ => out.push(char),
    }
}

fn write_escape(unit: u16, out: &mut String) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        let digit = u32::from(unit >> shift) & 0xf;
        out.extend(char::from_digit(digit, 16));
    }
}

/// Appends a checked string, quotes included, with its escapes normalised.
fn write_checked_string(quoted: &str, out: &mut String) {
    if memchr::memchr(b'\\', quoted.as_bytes()).is_none() {
        out.push_str(quoted);
        return;
    }
    out.push('"');
    for part in text::parts(text::content(quoted).unwrap_or_default()) {
        match part {
            Part::Run(run) => out.push_str(run),
            Part::Char(char) => write_char(char, out),
            Part::Lone(unit) => write_escape(unit, out),
        }
    }
    out.push('"');
}

/// Appends checked text without white space.
pub(super) fn minified(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    // Most text is minified already: what needs no change is copied in runs as long as possible.
    let mut run = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = match byte {
            b'"' => string_end(bytes, at),
            _ => at + 1,
        };
        let piece = text.get(at..next).unwrap_or_default();
        let space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        if space || *byte == b'"' && memchr::memchr(b'\\', piece.as_bytes()).is_some() {
            out.push_str(text.get(run..at).unwrap_or_default());
            if !space {
                write_checked_string(piece, out);
            }
            run = next;
        }
        at = next;
    }
    out.push_str(text.get(run..).unwrap_or_default());
}

/// Appends checked text as `json.dumps(value, indent=2, ensure_ascii=False)` does, nested `level` levels deep.
pub(super) fn python(text: &str, level: usize, out: &mut String) {
    let mut level = level;
    let mut tokens = Tokens::new(text);
    while let Some(token) = tokens.next() {
        match token {
            Token::String(string) => write_checked_string(string, out),
            Token::Plain(plain) => out.push_str(plain),
            Token::Mark(b':') => out.push_str(": "),
            Token::Mark(b',') => {
                out.push(',');
                new_line(level, out);
            }
            Token::Mark(open @ (b'{' | b'[')) => {
                out.push(char::from(open));
                if let Some(b'}' | b']') = tokens.peek() {
                    out.extend(tokens.next().map(|_| if open == b'{' { '}' } else { ']' }));
                } else {
                    level += 1;
                    new_line(level, out);
                }
            }
            Token::Mark(close) => {
                level = level.saturating_sub(1);
                new_line(level, out);
                out.push(char::from(close));
            }
        }
    }
}

fn new_line(level: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..level {
        out.push_str("  ");
    }
}

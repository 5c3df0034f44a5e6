//! Ids, and the directory names that stand for them.

use crate::{Error, Result};

/// The greatest length of an encoded id, in bytes: file systems allow names of 255, and we add to them.
const MAX_ENCODED: usize = 240;

/// Names that Windows keeps for devices, with or without an ending.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Checks an id. The standard layout uses ids as directory names, so what could leave the directory is
/// refused: empty ids, `.` and `..`, `/`, control characters.
pub(crate) fn check(what: &'static str, id: &str) -> Result<()> {
    let reason = if id.is_empty() {
        "it is empty"
    } else if id == "." || id == ".." {
        "it names a directory"
    } else if id.contains('/') {
        "it contains a slash"
    } else if id.chars().any(char::is_control) {
        "it contains a control character"
    } else if encode(id).len() > MAX_ENCODED {
        "it is too long for a file name (at most 240 bytes, where every byte that is not a-z, 0-9, '-', '_' or '.' counts three)"
    } else {
        return Ok(());
    };
    Err(Error::InvalidId {
        what,
        id: id.chars().take(64).collect(),
        reason,
    })
}

/// The directory name of an id: reversible, the same on every file system whatever it does with case and
/// Unicode normalisation. Lower-case letters, digits, `-`, `_` and inner dots stand for themselves, every
/// other byte is `%` and two lower-case hex digits.
pub(crate) fn encode(id: &str) -> String {
    let stem = id.split('.').next().unwrap_or_default();
    let reserved = RESERVED.contains(&stem);
    let mut name = String::with_capacity(id.len());
    for (i, byte) in id.bytes().enumerate() {
        let edge = i == 0 || i + 1 == id.len();
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if !(reserved && i == 0) => {
                name.push(char::from(byte));
            }
            b'.' if !edge => name.push('.'),
            _ => {
                name.push('%');
                for digit in [byte >> 4, byte & 15] {
                    name.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                }
            }
        }
    }
    name
}

/// The id of a directory name; `None` if no id has this name.
pub(crate) fn decode(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let id = String::from_utf8(bytes).ok()?;
    (encode(&id) == name && check("session id", &id).is_ok()).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_that_could_leave_the_store_or_hide_are_refused() {
        let long = "x".repeat(10_000);
        for id in [
            "", ".", "..", "../x", "a/b", "a\0b", "a\nb", "\u{7f}", "\u{85}", &long,
        ] {
            assert!(check("session id", id).is_err(), "{id:?}");
        }
        for id in [
            "user-123",
            "CON",
            "con.txt",
            "trailing.",
            ".hidden",
            "🎉",
            "a\\b",
            "%41",
            "~",
        ] {
            assert!(check("session id", id).is_ok(), "{id:?}");
            assert_eq!(decode(&encode(id)).as_deref(), Some(id));
        }
    }

    #[test]
    fn names_are_safe_on_file_systems_that_fold_case_or_normalise() {
        assert_eq!(encode("User"), "%55ser");
        assert_ne!(encode("user").to_lowercase(), encode("User").to_lowercase());
        assert_ne!(
            encode("\u{e9}"),
            encode("e\u{301}"),
            "composed and decomposed are two ids"
        );
        assert_eq!(encode("con"), "%63on");
        assert_eq!(encode("con.txt"), "%63on.txt");
        assert_eq!(encode("a."), "a%2e");
        assert!(encode("é🎉").is_ascii());
    }

    #[test]
    fn a_name_that_we_did_not_make_is_not_an_id() {
        for name in [
            "%41%", "%4", "User", "%zz", "%61", ".x", "%2f", "con", "%C3%A9",
        ] {
            assert_eq!(decode(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn encoding_is_reversible(id in "\\PC{1,60}") {
            let name = encode(&id);
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.%".contains(&b)));
            if check("session id", &id).is_ok() {
                prop_assert_eq!(decode(&name), Some(id));
            }
        }

        #[test]
        fn decoding_never_panics(name in ".*") {
            let _ = decode(&name);
        }
    }
}

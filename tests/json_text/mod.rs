//! Generated JSON text: any grammar, white space, escapes and lexemes that Python's `json.loads` accepts.

use proptest::prelude::*;

/// Any JSON text, with white space around and inside.
pub(crate) fn document() -> impl Strategy<Value = String> {
    (space(), value(), space()).prop_map(|(before, value, after)| before + &value + &after)
}

/// Text that is JSON, or nearly so.
pub(crate) fn nearly_json() -> impl Strategy<Value = String> {
    let broken = (document(), any::<prop::sample::Index>(), piece()).prop_map(broken);
    let soup = prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![broken, soup]
}

/// `text` with one character replaced by `piece`.
fn broken((text, at, piece): (String, prop::sample::Index, String)) -> String {
    let mut chars: Vec<String> = text.chars().map(String::from).collect();
    let at = at.index(chars.len());
    chars[at] = piece;
    chars.concat()
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\[\\]{},:\"]{0,2}",
        "[ \t\n\r\u{b}\u{a0}]",
        "[-+.eE0-9]{1,5}",
        "\\\\[u\"\\\\/bfnrtxU0]",
        "\\\\u[0-9a-fA-Fx]{3,5}",
        "[\\x00-\\x7f]",
        prop::sample::select(vec![
            "null",
            "true",
            "NaN",
            "-Infinity",
            "Infinity",
            "-NaN",
            "nul",
            "é",
            "\u{feff}",
            "😀",
        ])
        .prop_map(String::from),
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\n\r]{1,3}"]
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(6, 60, 6, |inner| {
        let element = (space(), inner.clone(), space()).prop_map(|(a, b, c)| a + &b + &c);
        let member = (space(), key(), space(), space(), inner, space())
            .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
        prop_oneof![wrapped('[', element, ']'), wrapped('{', member, '}'),]
    })
}

fn wrapped(
    open: char,
    item: impl Strategy<Value = String>,
    close: char,
) -> impl Strategy<Value = String> {
    (space(), prop::collection::vec(item, 0..6))
        .prop_map(move |(space, items)| format!("{open}{space}{}{close}", items.join(",")))
}

fn scalar() -> impl Strategy<Value = String> {
    let literals = vec!["null", "true", "false", "NaN", "Infinity", "-Infinity"];
    prop_oneof![
        prop::sample::select(literals).prop_map(String::from),
        number(),
        string(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?",
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(|f| format!("{f:?}")),
        any::<i64>().prop_map(|i| i.to_string()),
    ]
}

/// A key: often one of a few, so that duplicates occur.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => prop::sample::select(vec!["\"a\"", "\"\\u0061\"", "\"b\"", "\"\""]).prop_map(String::from),
        2 => string(),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "[a-zA-Z0-9 /\\[\\]{},:]{1,20}",
        1 => "[^\"\\\\\\x00-\\x1f]{1,4}",
        1 => "\\\\[\"\\\\/bfnrt]",
        1 => "\\\\u[0-9a-fA-F]{4}",
        1 => "\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
        1 => "\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}",
        1 => prop::sample::select(vec!["\u{7f}", "\u{2028}", "\u{feff}", "\u{10ffff}", "\\u0000", "\\u001f"])
            .prop_map(String::from),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

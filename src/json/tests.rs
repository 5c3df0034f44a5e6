//! Examples. The laws that hold for any text are in `tests/json_laws.rs`.

use super::*;

fn reason(text: &str) -> (usize, &'static str) {
    let error = Json::parse(text).unwrap_err();
    (error.offset, error.reason)
}

fn parse(text: &str) -> Json<'_> {
    Json::parse(text).unwrap()
}

#[test]
fn every_kind_of_value_is_recognised() {
    for (text, kind) in [
        ("null", Kind::Null),
        ("true", Kind::Bool),
        ("false", Kind::Bool),
        ("-0.5e+7", Kind::Number),
        ("NaN", Kind::Number),
        ("Infinity", Kind::Number),
        ("-Infinity", Kind::Number),
        ("\"\"", Kind::String),
        ("[]", Kind::Array),
        ("{}", Kind::Object),
    ] {
        let padded = format!(" \n{text}\t\r");
        assert_eq!(parse(&padded).kind(), kind, "{text}");
        assert_eq!(parse(&padded).text(), text);
    }
}

#[test]
fn wrong_text_is_refused_where_it_goes_wrong() {
    for (text, offset, expected) in [
        ("", 0, "the text ends too early"),
        ("[1,", 3, "the text ends too early"),
        ("\"a", 2, "the text ends too early"),
        ("tru", 3, "the text ends too early"),
        ("trux", 3, "this is not a literal"),
        ("[1,]", 3, "a value is expected"),
        ("{\"a\":1,}", 7, "a key is expected"),
        ("{1:2}", 1, "a key is expected"),
        ("{\"a\" 1}", 5, "`:` is expected"),
        ("{\"a\":1]", 6, "`,` or `}` is expected"),
        ("[1}", 2, "`,` or `]` is expected"),
        ("[1 2]", 3, "`,` or `]` is expected"),
        ("1 2", 2, "nothing may follow the value"),
        ("01", 1, "nothing may follow the value"),
        ("-x", 1, "a digit is expected"),
        ("1.e", 2, "a digit is expected"),
        ("1e+]", 3, "a digit is expected"),
        ("+1", 0, "a value is expected"),
        ("'a'", 0, "a value is expected"),
        ("\u{a0}1", 0, "a value is expected"),
        ("\"\\x\"", 2, "this is not an escape"),
        ("\"\\u12g4\"", 5, "four hexadecimal digits are expected"),
        (
            "\"01234567\n\"",
            9,
            "a control character in a string must be escaped",
        ),
        ("\u{feff}1", 0, "a byte order mark is not allowed"),
    ] {
        assert_eq!(reason(text), (offset, expected), "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_place() {
    let error = Json::from_bytes(b"\"ab\xff\"").unwrap_err();
    assert_eq!(error.to_string(), "the text is not UTF-8 at byte 3");
}

#[test]
fn nesting_up_to_the_limit_is_read_and_a_million_levels_are_an_error() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let deepest = nested(MAX_DEPTH);
    assert_eq!(parse(&deepest).minified(), deepest);
    let too_deep = (MAX_DEPTH, "arrays and objects are nested too deep");
    assert_eq!(reason(&nested(MAX_DEPTH + 1)), too_deep);
    assert_eq!(reason(&nested(1_000_000)), too_deep);
    assert_eq!(
        reason(&"{\"a\":".repeat(1_000_000)).1,
        "arrays and objects are nested too deep"
    );
}

#[test]
fn a_bracket_must_close_what_was_opened_whatever_the_depth() {
    for depth in [1, 63, 64, 65, 128, 999] {
        let open = "[".repeat(depth);
        let close = "]".repeat(depth);
        assert!(Json::parse(&format!("{open}{{}}{close}")).is_ok());
        assert!(Json::parse(&format!("{open}{{\"a\":1]{close}")).is_err());
        assert!(Json::parse(&format!("{open}[1}}{close}")).is_err());
    }
}

#[test]
fn members_come_in_text_order_with_duplicates_and_get_takes_the_last() {
    let object = parse(r#"{ "a" : 1 , "b":[{"a":9}], "\u0061":2, "":"}" }"#);
    let members: Vec<_> = object
        .members()
        .map(|(key, value)| (key.decoded().unwrap().into_owned(), value.text()))
        .collect();
    let expected = [("a", "1"), ("b", r#"[{"a":9}]"#), ("a", "2"), ("", "\"}\"")];
    assert!(members.iter().map(|(k, v)| (k.as_str(), *v)).eq(expected));
    assert_eq!(object.get("a").and_then(Json::as_u64), Some(2));
    assert!(object.get("c").is_none());
    assert!(parse(r#"{"\\":1}"#).get(r"\\").is_none());
    assert!(parse("[1]").get("a").is_none());
    assert_eq!(parse("[1]").members().count(), 0);
}

#[test]
fn elements_come_in_order_and_only_from_arrays() {
    let array = parse(r#"[ 1,"a,]\"", {"b":[2]} ,[], null ]"#);
    let texts: Vec<_> = array.elements().map(Json::text).collect();
    assert_eq!(texts, ["1", r#""a,]\"""#, r#"{"b":[2]}"#, "[]", "null"]);
    for other in ["{\"a\":1}", "\"[1]\"", "1", "[]", "[ ]"] {
        assert_eq!(parse(other).elements().count(), 0, "{other}");
    }
}

#[test]
fn strings_are_decoded_unless_a_surrogate_is_alone() {
    let decoded = parse(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\uDE00é""#).as_str();
    assert_eq!(decoded.as_deref(), Some("a\"\\/\u{8}\u{c}\n\r\té😀é"));
    assert!(matches!(
        parse("\"plain\"").as_str(),
        Some(Cow::Borrowed("plain"))
    ));
    for alone in [r#""\ud83d""#, r#""\ude00\ud83d""#, r#""\ud83dx\ude00""#] {
        assert_eq!(parse(alone).as_str(), None, "{alone}");
    }
    assert_eq!(parse("1").as_str(), None);
}

#[test]
fn numbers_are_read_only_if_they_are_integers_that_fit() {
    assert_eq!(parse("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(parse("18446744073709551616").as_u64(), None);
    assert_eq!(parse("-9223372036854775808").as_i64(), Some(i64::MIN));
    for text in ["1.0", "1e3", "NaN", "\"1\"", "[1]", "true"] {
        assert_eq!(parse(text).as_u64(), None, "{text}");
        assert_eq!(parse(text).as_i64(), None, "{text}");
    }
}

#[test]
fn minified_text_keeps_lexemes_order_and_duplicates() {
    let text = " { \"b\" : [ 1.50 , 1E400,-0 , NaN ] , \"a\":1, \"a\" : { } ,\"\\u00E9\\/\\u000A\\uD800\": \" x \" } ";
    assert_eq!(
        parse(text).minified(),
        r#"{"b":[1.50,1E400,-0,NaN],"a":1,"a":{},"é/\n\ud800":" x "}"#
    );
}

#[test]
fn python_text_has_its_indent_its_empties_and_no_final_newline() {
    let value = parse(r#"{"a":[1,{"b":[]}],"c":{},"d":"e"}"#);
    let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {},\n  \"d\": \"e\"\n}";
    assert_eq!(value.to_python(), expected);
    let mut nested = String::new();
    value.write_python(1, &mut nested);
    assert_eq!(nested, expected.replace('\n', "\n  "));
}

#[test]
fn a_string_is_written_with_the_escapes_of_python() {
    let mut out = String::new();
    write_string("\"\\/\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}\u{2028}é😀", &mut out);
    assert_eq!(
        out,
        "\"\\\"\\\\/\\n\\r\\t\\b\\f\\u0000\\u001f\u{7f}\u{2028}é😀\""
    );
}

#[test]
fn values_are_the_same_whatever_their_white_space_and_escapes() {
    let same = |a: &str, b: &str| parse(a).same(parse(b));
    assert!(same(r#"{"a": ["\u0041\/"]}"#, r#"{ "\u0061":["A/"] }"#));
    assert!(same(r#""\uD83D\uDE00\ud800""#, r#""😀\uD800""#));
    assert!(!same(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#));
    assert!(!same("1.0", "1.00"));
    assert!(!same("[1]", "[1,1]"));
    assert!(!same("[[]]", "[{}]"));
    assert!(!same(r#""1""#, "1"));
}

#[test]
fn a_control_character_is_refused_wherever_it_is_in_a_string() {
    for at in 0..20 {
        for control in 0..0x20 {
            let mut bytes = *b"\"ab\x7fde \xc3\xa9!(#[]{}/:;~\"";
            if matches!(bytes[at + 1], b'a'..=b'z' | b'!'..=b'~') {
                bytes[at + 1] = control;
                let error = Json::from_bytes(&bytes).unwrap_err();
                assert_eq!(error.offset, at + 1);
            }
        }
    }
}

//! What holds for any JSON text, whatever its white space, escapes, duplicates and number lexemes.

mod json_text;

use json_text::{document, nearly_json};
use proptest::prelude::*;
use sessionlog::json::{Json, Kind, write_string};

/// `value` put together again from its members and elements.
fn reassembled(value: Json<'_>) -> String {
    match value.kind() {
        Kind::Object => {
            let members: Vec<_> = value
                .members()
                .map(|(key, value)| {
                    let key = Json::parse(key.text()).unwrap().minified();
                    key + ":" + &reassembled(value)
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Kind::Array => {
            let elements: Vec<_> = value.elements().map(reassembled).collect();
            format!("[{}]", elements.join(","))
        }
        _ => value.minified(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn minifying_twice_changes_nothing_more(text in document()) {
        let once = Json::parse(&text).unwrap().minified();
        let again = Json::parse(&once).unwrap();
        prop_assert_eq!(reassembled(again), once.clone());
        prop_assert_eq!(again.minified(), once);
    }

    #[test]
    fn minifying_loses_nothing_that_the_python_form_shows(text in document()) {
        let value = Json::parse(&text).unwrap();
        let minified = value.minified();
        let python = value.to_python();
        prop_assert_eq!(Json::parse(&minified).unwrap().to_python(), python.clone());
        prop_assert_eq!(Json::parse(&python).unwrap().minified(), minified);
    }

    #[test]
    fn a_value_is_the_same_as_its_other_spellings(text in document()) {
        let value = Json::parse(&text).unwrap();
        prop_assert!(value.same(Json::parse(&value.minified()).unwrap()));
        prop_assert!(Json::parse(&value.to_python()).unwrap().same(value));
    }

    #[test]
    fn values_are_the_same_exactly_if_their_minified_texts_are(a in nearly_json(), b in nearly_json()) {
        if let (Ok(a), Ok(b)) = (Json::parse(&a), Json::parse(&b)) {
            prop_assert_eq!(a.same(b), a.minified() == b.minified());
        }
    }

    #[test]
    fn members_and_elements_give_back_the_whole_value(text in document()) {
        let value = Json::parse(&text).unwrap();
        prop_assert_eq!(reassembled(value), value.minified());
    }

    #[test]
    fn every_part_is_itself_checked_json(text in document()) {
        let value = Json::parse(&text).unwrap();
        for part in value.elements().chain(value.members().map(|(_, value)| value)) {
            prop_assert_eq!(Json::parse(part.text()).unwrap().text(), part.text());
        }
    }

    #[test]
    fn get_finds_the_last_member_of_each_key(text in document()) {
        let value = Json::parse(&text).unwrap();
        let mut last = std::collections::BTreeMap::new();
        for (key, value) in value.members() {
            if let Some(name) = key.decoded() {
                prop_assert!(key.is(&name));
                let longer = format!("{name}x");
                prop_assert!(!key.is(&longer));
                last.insert(name, value.text());
            }
        }
        for (name, text) in last {
            prop_assert_eq!(value.get(&name).map(Json::text), Some(text));
        }
    }

    #[test]
    fn a_written_string_is_read_back(text in any::<String>()) {
        let mut written = String::new();
        write_string(&text, &mut written);
        let value = Json::parse(&written).unwrap();
        prop_assert_eq!(value.as_str().unwrap(), text);
        prop_assert_eq!(value.minified(), written.clone());
    }

    #[test]
    fn strings_that_serde_json_reads_are_decoded_alike(text in document()) {
        let value = Json::parse(&text).unwrap();
        for part in value.elements().filter(|part| part.kind() == Kind::String) {
            let decoded = serde_json::from_str::<String>(part.text()).ok();
            prop_assert_eq!(part.as_str().map(String::from), decoded);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), text in nearly_json()) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            match Json::from_bytes(bytes) {
                Ok(value) => prop_assert!(Json::parse(&value.to_python()).is_ok()),
                Err(error) => prop_assert!(error.offset <= bytes.len()),
            }
        }
    }

    #[test]
    fn text_that_serde_json_accepts_is_accepted(text in nearly_json()) {
        if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
            prop_assert!(Json::parse(&text).is_ok());
        }
    }
}

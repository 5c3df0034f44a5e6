//! Any bytes as JSON text: no panic, and whatever is accepted is kept by every form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sessionlog::json::{Json, Kind, write_string};

fuzz_target!(|bytes: &[u8]| {
    let value = match Json::from_bytes(bytes) {
        Ok(value) => value,
        Err(error) => {
            assert!(error.offset <= bytes.len());
            return;
        }
    };
    let minified = value.minified();
    // 1,000 levels may be indented 2,000 spaces in each line.
    if bytes.len() < 4096 {
        let python = value.to_python();
        let again = Json::parse(&python).expect("the Python form is JSON");
        assert!(again.same(value));
        assert_eq!(again.minified(), minified);
    }
    let again = Json::parse(&minified).expect("the minified form is JSON");
    assert!(again.same(value) && value.same(again));
    assert_eq!(again.minified(), minified);

    assert_eq!(reassembled(value), minified);
    if let Some(text) = value.as_str() {
        let mut written = String::new();
        write_string(&text, &mut written);
        assert_eq!(written, minified);
    }
});

/// One level of `value` put together again from its members or elements.
fn reassembled(value: Json<'_>) -> String {
    match value.kind() {
        Kind::Object => {
            let member = |(key, value): (sessionlog::json::Key<'_>, Json<'_>)| {
                if let Some(name) = key.decoded() {
                    assert!(key.is(&name));
                }
                let key = Json::parse(key.text()).expect("a key is JSON").minified();
                format!("{key}:{}", value.minified())
            };
            format!(
                "{{{}}}",
                value.members().map(member).collect::<Vec<_>>().join(",")
            )
        }
        Kind::Array => {
            format!(
                "[{}]",
                value
                    .elements()
                    .map(Json::minified)
                    .collect::<Vec<_>>()
                    .join(",")
            )
        }
        _ => value.minified(),
    }
}

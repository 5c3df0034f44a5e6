//! What is said in the tour.

/// A conversation with a tool call: what it is, and the message.
pub(crate) const CONVERSATION: [(&str, &str); 4] = [
    (
        "a question",
        r#"{"role":"user","content":[{"text":"What is the weather in Lyon?"}]}"#,
    ),
    (
        "the model calls a tool",
        r#"{"role":"assistant","content":[{"toolUse":{"toolUseId":"call-1","name":"weather","input":{"city":"Lyon"}}}]}"#,
    ),
    (
        "the tool's result",
        r#"{"role":"user","content":[{"toolResult":{"toolUseId":"call-1","status":"success","content":[{"json":{"celsius":21.50}}]}}]}"#,
    ),
    (
        "the answer",
        r#"{"role":"assistant","content":[{"text":"It is 21.5 degrees in Lyon."}]}"#,
    ),
];

/// Two messages that belong together; the first has a secret.
pub(crate) const BATCH: [&str; 2] = [
    r#"{"role":"user","content":[{"text":"Thanks! By the way, my PIN is 4711."}]}"#,
    r#"{"role":"assistant","content":[{"text":"You should not tell me that."}]}"#,
];

/// What stands in its place.
pub(crate) const REDACTED: &str = r#"{"role":"user","content":[{"text":"[redacted]"}]}"#;

//! The library in one minute: `cargo run --example quickstart`.

use serde_json::json;
use sessionlog::{Result, Store, Version};

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("sessionlog-quickstart-{}", std::process::id()));
    let store = Store::open(&path)?;
    let session = store.session("user-123")?; // this process is its one writer

    let question = json!({"role": "user", "content": [{"text": "What is 2 + 2?"}]});
    let done = session.append_message("default", &question)?; // on disk when it returns
    println!("version {} is message {}", done.version, done.message_id);

    let answer = json!({"role": "assistant", "content": [{"text": "4"}]});
    session.append_message("default", &answer)?;
    let hidden = json!({"role": "user", "content": [{"text": "[redacted]"}]});
    session.redact_message("default", done.message_id, &hidden)?;

    let view = store.read("user-123")?; // no lock, beside the writer
    for message in view.messages("default")?.last(50) {
        println!("now:  {}", message?.text());
    }
    for message in view.at(Version(3))?.messages("default")? {
        println!("then: {}", message?.text());
    }

    session.close()?;
    store.delete("user-123")?;
    // The directory is this example's own.
    std::fs::remove_dir_all(&path).map_err(sessionlog::Error::io("remove", &path))
}

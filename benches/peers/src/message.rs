//! Messages: of a given length, of real shapes, and with broken tool histories.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::fault::Result;

const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/standard-layout.tar.gz"
);
const WORDS: [&str; 8] = [
    "session", "answers", "weather", "between", "tomorrow", "because", "number", "reads",
];

/// A message whose JSON text has exactly `len` bytes (at least 64).
pub(crate) fn of_len(len: usize, number: usize) -> String {
    let head = "{\"role\":\"user\",\"content\":[{\"text\":\"";
    let tail = "\"}]}";
    let room = len.max(64) - head.len() - tail.len();
    let mut text = format!("{number} ");
    let mut word = number;
    while text.len() < room {
        text.push_str(WORDS[word % WORDS.len()]);
        text.push(' ');
        word = word.wrapping_mul(5).wrapping_add(3);
    }
    text.truncate(room);
    format!("{head}{text}{tail}")
}

/// `count` messages of real shapes: those of the fixtures that the reference wrote, over and over.
pub(crate) fn real(scratch: &Path, count: usize) -> Result<Vec<String>> {
    let unpacked = Command::new("tar")
        .arg("xzf")
        .arg(FIXTURES)
        .arg("-C")
        .arg(scratch)
        .status()?;
    if !unpacked.success() {
        return Err(format!("tar could not unpack {FIXTURES}").into());
    }
    let mut texts = Vec::new();
    collect(scratch, &mut texts)?;
    if texts.is_empty() {
        return Err(format!("there is no message in {FIXTURES}").into());
    }
    Ok(texts.iter().cycle().take(count).cloned().collect())
}

/// The messages below a directory that plain JSON can hold, in the order of their paths.
fn collect(dir: &Path, texts: &mut Vec<String>) -> Result<()> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::result::Result<_, _>>()?;
    paths.sort();
    for path in paths {
        let is_message = path.to_string_lossy().contains("/messages/message_");
        if path.is_dir() {
            collect(&path, texts)?;
        } else if is_message {
            let record: Option<Value> = serde_json::from_slice(&std::fs::read(&path)?).ok();
            let message = record.and_then(|record| record.get("message").cloned());
            texts.extend(message.filter(Value::is_object).map(|m| m.to_string()));
        }
    }
    Ok(())
}

/// A conversation of tool uses and results in which every tenth message has a fault: its results are missing, too
/// late, doubled, or answer nothing.
pub(crate) fn broken(count: usize) -> Vec<String> {
    let mut texts = Vec::with_capacity(count);
    let result = |id: String| json!({"toolResult": {"toolUseId": id, "status": "success", "content": [{"text": "18 degrees and rain"}]}});
    for turn in 0.. {
        let id = format!("tooluse_{turn}");
        let mut answer = vec![result(id.clone())];
        match turn % 10 {
            2 => answer.clear(),
            4 => answer = vec![result(format!("tooluse_{}", turn + 1_000_000_000))],
            6 => answer.push(result(id.clone())),
            8 => answer = vec![json!({"text": "never mind"})],
            _ => {}
        }
        let late = (turn % 10 == 9).then(|| result(format!("tooluse_{}", turn - 1)));
        let mut content = vec![json!({"text": "And tomorrow?"})];
        content.extend(late);
        let arguments = json!({"city": "Berlin", "day": turn});
        let call = json!({"toolUse": {"toolUseId": id, "name": "weather", "input": arguments}});
        for (role, content) in [
            ("user", content),
            ("assistant", vec![json!({"text": "I look it up."}), call]),
            ("user", answer),
            ("assistant", vec![json!({"text": "It will rain."})]),
        ] {
            if texts.len() == count {
                return texts;
            }
            texts.push(json!({"role": role, "content": content}).to_string());
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_length_that_was_asked_for() {
        for len in [64, 200, 1024, 102_400] {
            let text = of_len(len, 7);
            assert_eq!(text.len(), len);
            assert!(serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}

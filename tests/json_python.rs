//! Python's own `json` module as the judge of what is accepted and how it is written.

mod json_text;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use json_text::{document, nearly_json};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use sessionlog::json::Json;

/// Reads length-prefixed documents; answers each with its length-prefixed form, or with an empty one if it is refused.
///
/// Where `json.dumps(json.loads(text))` would lose something that we keep (lexemes, duplicates) hooks keep it too.
/// Documents without floats and duplicates are written a second time without any hook, to show that the hooks change
/// nothing else.
const JUDGE: &str = r#"
import json, re, struct, sys
sys.setrecursionlimit(100000)
read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
class Pairs(dict):
    def items(self): return self.pairs
kept = [False]
def pairs(items):
    if len(dict(items)) == len(items): return dict(items)
    kept[0] = True
    out = Pairs(items)
    out.pairs = items
    return out
def lexeme(text):
    return "\ue000" + text + "\ue001"
def real(text):
    kept[0] = kept[0] or repr(float(text)) != text
    return lexeme(text)
def integer(text):
    kept[0] = kept[0] or text == "-0"
    return lexeme(text)
def dump(value):
    text = json.dumps(value, indent=2, ensure_ascii=False)
    text = re.sub("\"\ue000([^\ue001]*)\ue001\"", r"\1", text)
    return re.sub("[\ud800-\udfff]", lambda m: "\\u%04x" % ord(m.group()), text)
while True:
    size = read(4)
    if len(size) < 4: break
    text = read(struct.unpack("<I", size)[0]).decode("utf-8")
    try:
        kept[0] = False
        value = json.loads(text, parse_int=integer, parse_float=real, parse_constant=lexeme, object_pairs_hook=pairs)
        out = dump(value)
        if not kept[0]: assert out == dump(json.loads(text)), text
    except json.JSONDecodeError:
        out = ""
    out = out.encode("utf-8")
    write(struct.pack("<I", len(out)) + out)
"#;

/// What Python makes of each document: None if it refuses it.
fn judged(documents: &[String]) -> Vec<Option<String>> {
    let mut python = Command::new("python3")
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test compares with Python: install python3");
    let mut input = Vec::new();
    for document in documents {
        input.extend(u32::try_from(document.len()).unwrap().to_le_bytes());
        input.extend(document.as_bytes());
    }
    let mut stdin = python.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    python
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output)
        .unwrap();
    assert!(python.wait().unwrap().success(), "the Python side failed");
    writer.join().unwrap().unwrap();

    let mut rest = output.as_slice();
    let mut answers = Vec::new();
    while let Some((size, tail)) = rest.split_first_chunk::<4>() {
        let (text, tail) = tail.split_at(u32::from_le_bytes(*size) as usize);
        answers.push((!text.is_empty()).then(|| String::from_utf8(text.to_vec()).unwrap()));
        rest = tail;
    }
    assert_eq!(answers.len(), documents.len());
    answers
}

fn generated(strategy: &impl Strategy<Value = String>, count: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let mut next = || strategy.new_tree(&mut runner).unwrap().current();
    (0..count).map(|_| next()).collect()
}

#[test]
fn valid_documents_are_written_byte_for_byte_as_python_writes_them() {
    let mut documents = generated(&document(), 4000);
    documents.push("[".repeat(890) + &"]".repeat(890));
    for (document, python) in documents.iter().zip(judged(&documents)) {
        let ours = Json::parse(document).unwrap().to_python();
        assert_eq!(Some(ours), python, "{document}");
    }
}

#[test]
fn a_text_is_refused_exactly_if_python_refuses_it() {
    let documents = generated(&nearly_json(), 8000);
    let answers = judged(&documents);
    let refused = answers.iter().filter(|answer| answer.is_none()).count();
    assert!(
        refused > 500 && documents.len() - refused > 500,
        "{refused}"
    );
    for (document, python) in documents.iter().zip(answers) {
        let ours = Json::parse(document).map(Json::to_python).ok();
        assert_eq!(ours, python, "{document:?}");
    }
}

//! The parts of the engine: `cargo bench`.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use sessionlog::json::Json;
use sessionlog::{Durability, Session, Store};
use tempfile::TempDir;

fn main() {
    divan::main();
}

fn message(len: usize) -> String {
    format!(
        "{{\"role\":\"user\",\"content\":[{{\"text\":\"{}\"}}]}}",
        "x".repeat(len - 44)
    )
}

fn session(dir: &TempDir, messages: usize) -> Session {
    let session = Store::open(dir.path()).unwrap().session("s").unwrap();
    let text = message(1024);
    for _ in 0..messages {
        append(&session, &text, Durability::Buffered);
    }
    session.flush().unwrap();
    session
}

fn append(session: &Session, text: &str, durability: Durability) {
    session
        .batch()
        .append_json("a", text)
        .unwrap()
        .durability(durability)
        .commit()
        .unwrap();
}

#[divan::bench(args = [200, 1024, 10_240])]
fn append_durable(bencher: Bencher<'_, '_>, len: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (session, text) = (session(&dir, 1), message(len));
    bencher
        .counter(BytesCount::new(len))
        .bench(|| append(&session, &text, Durability::Sync));
}

#[divan::bench(args = [200, 1024, 10_240])]
fn append_buffered(bencher: Bencher<'_, '_>, len: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (session, text) = (session(&dir, 1), message(len));
    bencher
        .counter(BytesCount::new(len))
        .bench(|| append(&session, &text, Durability::Buffered));
}

#[divan::bench(args = [1_000, 100_000])]
fn open_and_read_the_last_50(bencher: Bencher<'_, '_>, messages: usize) {
    let dir = tempfile::tempdir().unwrap();
    drop(session(&dir, messages));
    let store = Store::open(dir.path()).unwrap();
    bencher.bench(|| {
        store
            .read("s")
            .unwrap()
            .messages("a")
            .unwrap()
            .last(50)
            .count()
    });
}

#[divan::bench(args = [1_000, 100_000], sample_count = 10)]
fn replay(bencher: Bencher<'_, '_>, messages: usize) {
    let dir = tempfile::tempdir().unwrap();
    drop(session(&dir, messages));
    let store = Store::open(dir.path()).unwrap();
    let bytes = store.read("s").unwrap().bytes().unwrap();
    let counter = (BytesCount::new(bytes), ItemsCount::new(messages));
    bencher
        .counter(counter.0)
        .counter(counter.1)
        .bench(|| store.read("s").unwrap().state().unwrap().version());
}

#[divan::bench(args = [1_000, 100_000], sample_count = 10)]
fn open_for_writing(bencher: Bencher<'_, '_>, messages: usize) {
    let dir = tempfile::tempdir().unwrap();
    drop(session(&dir, messages));
    let store = Store::open(dir.path()).unwrap();
    bencher.bench(|| store.session("s").unwrap().version());
}

#[divan::bench(args = [200, 1024, 102_400])]
fn minify_json(bencher: Bencher<'_, '_>, len: usize) {
    let text = Json::parse(&message(len)).unwrap().to_python();
    let counter = BytesCount::new(text.len());
    bencher
        .counter(counter)
        .bench(|| Json::parse(&text).unwrap().minified().len());
}

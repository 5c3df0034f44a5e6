//! Opening a session for reading and reading its last 50 messages costs the same however long the session is: the bytes
//! that the disk gives are counted.

use std::sync::Arc;

use sessionlog::sim::SimDisk;
use sessionlog::{Session, Store};

/// 50 messages of 1 KiB with what is around them, and as much again.
const MOST: u64 = 128 << 10;

fn store(disk: &SimDisk, segment_len: u64) -> Store {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options.segment_len(segment_len).open("/s").unwrap()
}

/// A session of this many messages of 1 KiB, one commit each.
fn fill(disk: &SimDisk, segment_len: u64, messages: usize) -> Session {
    let session = store(disk, segment_len).session("x").unwrap();
    for i in 0..messages {
        let text = "x".repeat(980);
        let message = format!(r#"{{"role":"user","content":[{{"text":"{i:06} {text}"}}]}}"#);
        session.append_json("a", &message).unwrap();
        disk.clear_trace();
    }
    session
}

/// How many bytes are read from opening the store to the 50th message from the end.
fn last_50(disk: &SimDisk, messages: usize) -> u64 {
    let before = disk.bytes_read();
    let view = store(disk, 16 << 20).read("x").unwrap();
    let last: Vec<_> = view
        .messages("a")
        .unwrap()
        .last(50)
        .map(|message| message.unwrap().id())
        .collect();
    let wanted: Vec<_> = (messages as u64 - 50..messages as u64).collect();
    assert_eq!(last, wanted);
    disk.bytes_read() - before
}

/// Counts for a session of one segment and for one of many, after a clean end and after a kill, which leaves no MARK.
fn count(messages: usize, segment_len: u64) {
    let disk = SimDisk::new();
    let session = fill(&disk, segment_len, messages);
    let killed = disk.kill();
    session.close().unwrap();
    for (disk, end) in [(disk, "closed"), (killed, "killed")] {
        let read = last_50(&disk, messages);
        assert!(
            read <= MOST,
            "{messages} messages, segments of {segment_len} bytes, {end}: {read} bytes read"
        );
    }
}

#[test]
fn the_last_50_of_1_000_messages_cost_at_most_128_kib() {
    count(1000, 64 << 20);
    count(1000, 256 << 10);
}

#[test]
fn the_last_50_of_100_000_messages_cost_at_most_128_kib() {
    count(100_000, 16 << 20);
}

#[test]
fn the_last_50_messages_may_be_in_two_segments() {
    // One segment length after the other, so that the last roll comes at every distance from the end.
    for segment_len in (100 << 10..160 << 10).step_by(5 << 10) {
        count(300, segment_len);
    }
}

//! Writers that race, and readers beside a writer.

mod support;

use std::io::Write;

use support::{command, finish, message};

#[test]
fn of_two_processes_that_expect_the_same_version_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let rounds: u64 = std::env::var("SESSIONLOG_ROUNDS").map_or(1000, |n| n.parse().unwrap());
    let mut version = 0;
    for round in 0..rounds {
        let expect = version.to_string();
        let args = ["--wait", "20", "append", "s", "--expect", &expect];
        let children = [
            command(dir.path(), &args).spawn().unwrap(),
            command(dir.path(), &args).spawn().unwrap(),
        ];
        let text = message(&round.to_string());
        // Both are fed at once: the one that got the lock keeps it until its input ends.
        let answers = std::thread::scope(|scope| {
            let runs = children.map(|child| scope.spawn(|| finish(child, text.as_bytes())));
            runs.map(|run| run.join().unwrap())
        });
        let mut statuses = answers.each_ref().map(|answer| answer.status);
        statuses.sort_unstable();
        assert_eq!(statuses, [0, 5], "round {round}: {answers:?}");
        let winner = answers.iter().find(|answer| answer.status == 0).unwrap();
        let ack: serde_json::Value = serde_json::from_str(&winner.stdout).unwrap();
        version = ack["version"].as_u64().unwrap();
        assert_eq!(ack["message_id"].as_u64(), Some(round));
        let loser = answers.iter().find(|answer| answer.status == 5).unwrap();
        assert!(
            loser.stderr.contains(&format!("is at version {version}")),
            "{loser:?}"
        );
    }
}

#[test]
fn a_reader_beside_a_writer_sees_whole_batches_and_growing_versions() {
    let dir = tempfile::tempdir().unwrap();
    let commits = 10_000;
    let args = ["append", "s", "--batch", "3", "--durability", "buffered"];
    let mut child = command(dir.path(), &args).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // On a busy machine the reader may get no turn: every 200 commits the writer waits for it to have looked again.
    let (looked, has_looked) = std::sync::mpsc::channel();
    let feeder = std::thread::spawn(move || {
        for i in 0..commits * 3 {
            // Long enough that what is buffered is written a few times in between.
            let text = message(&format!("{i} {}", "x".repeat(500)));
            input.write_all(text.as_bytes()).unwrap();
            if i % 600 == 599 {
                has_looked.try_iter().for_each(drop);
                has_looked.recv().ok();
            }
        }
    });
    let mut output = child.stdout.take().unwrap();
    let drain =
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()).unwrap());
    let store = sessionlog::Store::open(dir.path()).unwrap();
    let (mut last, mut looks) = (0, 0_u64);
    while child.try_wait().unwrap().is_none() {
        let Ok(view) = store.read("s") else { continue };
        let version = view.version().0;
        assert_eq!((version - 2) % 3, 0, "half a batch at version {version}");
        assert!(version >= last, "{version} after {last}");
        let recent = view
            .messages("default")
            .unwrap()
            .last(1)
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(
            recent.id(),
            version - 3,
            "the last message of the last batch"
        );
        if looks % 50 == 0 {
            assert!(view.damage().unwrap().is_empty(), "{:?}", view.damage());
            assert_eq!(
                view.messages("default").unwrap().count() as u64,
                version - 2
            );
        }
        (last, looks) = (version, looks + 1);
        looked.send(()).ok();
    }
    drop(looked);
    feeder.join().unwrap();
    drain.join().unwrap();
    assert_eq!(store.read("s").unwrap().version().0, commits * 3 + 2);
    assert!(looks >= 50, "the reader looked {looks} times");
}

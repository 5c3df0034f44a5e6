//! A writer that is killed at any moment has lost nothing that it acknowledged.

mod support;

use std::io::Read;
use std::time::Duration;

use support::{command, message, run};

#[test]
fn two_hundred_kills_lose_no_acknowledged_line() {
    let dir = tempfile::tempdir().unwrap();
    let kills: u64 = std::env::var("SESSIONLOG_KILLS").map_or(200, |n| n.parse().unwrap());
    let sessions = ["one", "two", "three"];
    let mut acknowledged = [0_usize; 3];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for kill in 0..kills {
        let which = (kill % 3) as usize;
        let mut child = command(dir.path(), &["append", sessions[which]])
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let feeder = std::thread::spawn(move || {
            use std::io::Write;
            let text = message(&"a message of some length ".repeat(30));
            while input.write_all(text.as_bytes()).is_ok() {}
        });
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(500 + random % 30_000));
        child.kill().unwrap();
        let mut out = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        child.wait().unwrap();
        feeder.join().unwrap();
        let whole = out.lines().filter(|line| line.ends_with('}'));
        acknowledged[which] += whole.count();
        // The next writer opens the session without a flag; a reader sees everything that was acknowledged.
        let shown = run(dir.path(), &["show", sessions[which], "--json"], b"");
        let lines: Vec<_> = shown.stdout.lines().collect();
        assert!(
            shown.status == 0 || acknowledged[which] == 0,
            "kill {kill}: {}",
            shown.stderr
        );
        assert!(
            lines.len() >= acknowledged[which],
            "kill {kill}: {} of {}",
            lines.len(),
            acknowledged[which]
        );
        for line in lines.iter().rev().take(3) {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(
                record["message"]["content"][0]["text"]
                    .as_str()
                    .unwrap()
                    .len()
                    > 700,
                "no half message"
            );
        }
        acknowledged[which] = lines.len();
    }
    assert!(
        acknowledged.iter().sum::<usize>() as u64 > kills,
        "the writers wrote: {acknowledged:?}"
    );
    let verified = run(dir.path(), &["verify", "--all"], b"");
    // A torn tail of the last kill is set aside by the next writer.
    for id in sessions {
        assert_eq!(
            run(dir.path(), &["append", id], message("x").as_bytes()).status,
            0
        );
    }
    let again = run(dir.path(), &["verify", "--all"], b"");
    assert_eq!(again.status, 0, "{verified:?} {again:?}");
}

//! `import` and `export` with a bucket: the exit statuses of what is there already, and of what is damaged.
#![cfg(feature = "s3")]

#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../tests/sync_s3/server.rs"]
mod server;
mod support;

use std::path::Path;

use server::{Server, options};
use sessionlog::bucket::Bucket;
use support::{Answer, command_at, finish, message, run};

fn ask(server: &Server, store: &Path, args: &[&str]) -> Answer {
    let mut command = command_at(&server.endpoint, store, args);
    finish(command.spawn().unwrap(), b"")
}

#[test]
fn what_is_there_is_not_overwritten_and_what_is_damaged_is_skipped() {
    let Some(server) = Server::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (one, two, three) = (
        dir.path().join("1"),
        dir.path().join("2"),
        dir.path().join("3"),
    );
    for text in ["first", "second"] {
        run(&one, &["append", "s"], message(text).as_bytes());
    }
    let url = server.url();
    let export = ["export", "s", "--to", &url];
    assert_eq!(ask(&server, &one, &export).status, 0);
    let again = ask(&server, &one, &export);
    assert!(
        again.is_one_line(2) && again.stderr.contains("exists already"),
        "{again:?}"
    );
    let force = [&export[..], &["--force"]].concat();
    assert_eq!(ask(&server, &one, &force).status, 0);

    assert_eq!(ask(&server, &two, &["import", &url]).status, 0);
    let again = ask(&server, &two, &["import", &url]);
    assert!(
        again.is_one_line(2) && again.stderr.contains("exists already"),
        "{again:?}"
    );
    assert_eq!(ask(&server, &two, &["import", &url, "--update"]).status, 0);

    let bucket = Bucket::open(&url, &options(&server.endpoint)).unwrap();
    let key = "session_s/agents/agent_default/messages/message_0.json";
    bucket.put(key, b"{\"message_id\": 0, \"mess").unwrap();
    let damaged = ask(&server, &three, &["--json", "import", &url]);
    assert_eq!(damaged.status, 1, "{damaged:?}");
    assert!(damaged.stdout.contains("message_0.json"), "{damaged:?}");
    assert!(run(&three, &["show", "s"], b"").stdout.contains("second"));
}

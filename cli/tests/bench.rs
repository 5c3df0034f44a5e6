//! `bench` measures on the disk of the store, and leaves nothing there.

mod support;

use sessionlog::json::Json;
use support::run;

#[test]
fn bench_gives_every_figure_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let answer = run(dir.path(), &["bench", "--quick", "--json", "--quiet"], b"");
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
    let json = Json::parse(answer.stdout.trim_end()).unwrap();
    for key in [
        "durable_append_us",
        "bare_write_and_sync_us",
        "grouped_appends_per_s",
        "buffered_appends_per_s",
        "open_and_last_50_us",
        "open_for_writing_us",
        "verify_bytes_per_s",
    ] {
        let figure: f64 = json.get(key).unwrap().text().parse().unwrap();
        assert!(figure > 0.0, "{key}");
    }
    let path = json.get("path").unwrap();
    assert!(path.text().contains(&*dir.path().to_string_lossy()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn bench_measures_beside_a_store_that_does_not_exist_yet() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("not/yet");
    let answer = run(&store, &["bench", "--quick"], b"");
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("durable append"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

//! The quick form runs wherever the tests do, and leaves no line of the report out.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What every report must have a line for.
const TARGETS: [&str; 19] = [
    "durable append, 1 writer",
    "threads on one session",
    "against tephra with as many",
    "sessions in parallel",
    "buffered append, 1 KiB",
    "durable append at",
    "open for reading and the last 50",
    "bytes read",
    "after a kill in sync mode",
    "peak memory of the process",
    "full replay to state",
    "verify,",
    "bytes on disk against the minified JSON, 1 KiB",
    "bytes on disk against the minified JSON, 200 B",
    "against SQLite",
    "list ",
    "mixed operations on one session",
    "peak memory of the export",
    "conversation repair",
];

fn peers(arguments: &[&str], out: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_peers"))
        .args(arguments)
        .arg("--out")
        .arg(out)
        .env_remove("SESSIONLOG_PYTHON")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_quick_run_writes_every_table_and_every_target() {
    let out = tempfile::tempdir().unwrap();
    peers(&["run", "--quick"], out.path());
    let read = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();

    let page = read("README.md");
    for target in TARGETS {
        assert!(page.contains(target), "no line for {target:?}");
    }
    assert!(page.contains("skipped: SESSIONLOG_PYTHON names no Python"));
    let results: Value = serde_json::from_str(&read("results.json")).unwrap();
    for table in results["tables"].as_array().unwrap() {
        let chart = read(&format!("{}.svg", table["id"].as_str().unwrap()));
        assert!(chart.starts_with("<svg") && chart.ends_with("</svg>\n"));
        for column in table["columns"].as_array().unwrap() {
            for series in column["series"].as_array().unwrap() {
                let is_figure = series["median"].as_f64().is_some_and(|median| median > 0.0);
                assert!(is_figure, "{}: {series}", table["id"]);
            }
        }
    }
    let damage = read("damage.md");
    for store in ["sessionlog", "SQLite", "JSONL", "tephra", "batpak"] {
        let rows = damage.matches(&format!("\n| {store}")).count();
        assert!(rows >= 6, "{store}: {rows}");
    }
    // Ours loses what was hit and nothing else, and says so.
    let mut ours = damage
        .lines()
        .filter(|line| line.starts_with("| sessionlog"));
    assert!(ours.all(|line| !line.contains("silent")));
}

//! How long verify and repair take on a large damaged log, and how much memory: one step per process, so that each has
//! its own peak.
//!
//! ```sh
//! for step in fill damage verify repair verify; do
//!     cargo run --release --features sim --example repair_speed -- $step /some/disk/store
//! done
//! ```
//!
//! `fill` appends 1,000,000 messages of 1 KiB, one commit each; `damage` overwrites 100 random ranges of 1 to 3,000 bytes
//! with noise. Set `SEED` for other places.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sessionlog::sim::{Choice, Seeded};
use sessionlog::{Durability, RepairOptions, Result, Store};

const MESSAGES: u32 = 1_000_000;
const DAMAGES: u32 = 100;
const SESSION: &str = "s";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let step = arguments.next().expect("fill, damage, verify or repair");
    let root = PathBuf::from(arguments.next().expect("the directory of a store"));
    let store = Store::open(&root)?;
    let started = Instant::now();
    match step.as_str() {
        "fill" => fill(&store)?,
        "damage" => damage(&root),
        "verify" => {
            let report = store.verify(SESSION)?;
            let (found, events) = (report.damage.len(), report.events);
            println!(
                "{found} damaged ranges, {events} good events of {}",
                report.version
            );
        }
        "repair" => {
            let report = store.repair(SESSION, &RepairOptions::default())?;
            let lost: u64 = report.lost.iter().map(|(a, b)| b.0 - a.0 + 1).sum();
            let (kept, changed) = (report.kept, report.rewritten.len());
            println!(
                "{kept} events kept, {} back, {lost} lost, {changed} segments changed",
                report.recovered
            );
        }
        other => panic!("{other}: it is fill, damage, verify or repair"),
    }
    println!(
        "{step}: {:.2} s, {}",
        started.elapsed().as_secs_f64(),
        peak()
    );
    Ok(())
}

fn fill(store: &Store) -> Result<()> {
    let session = store.session(SESSION)?;
    let text = "x".repeat(1000);
    for i in 0..MESSAGES {
        let message = format!(r#"{{"role":"user","n":{i},"text":"{text}"}}"#);
        let batch = session.batch().append_json("a", &message)?;
        batch.durability(Durability::Buffered).commit()?;
    }
    session.close()
}

fn damage(root: &Path) {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut choice = Seeded::new(seed);
    let dir = root.join("sessions").join(SESSION);
    let entries = std::fs::read_dir(dir).expect("a filled store");
    let mut segments: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    for _ in 0..DAMAGES {
        let path = &segments[choice.choose("segment", segments.len() as u64) as usize];
        let mut file = OpenOptions::new()
            .write(true)
            .open(path)
            .expect("a segment");
        let len = file.metadata().expect("a segment").len();
        let at = choice.choose("offset", len);
        let noise: Vec<u8> = (0..(1 + choice.choose("length", 3000)).min(len - at))
            .map(|_| choice.choose("byte", 256) as u8)
            .collect();
        file.seek(SeekFrom::Start(at)).expect("an offset");
        file.write_all(&noise).expect("room for damage");
    }
}

/// The peak of this process' memory, as Linux knows it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("VmHWM unknown").replace('\t', " ")
}

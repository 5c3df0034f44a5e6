//! Reading all of a log: to its state, and to verify it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sessionlog::Store;

use super::length::conversation;
use crate::context::Context;
use crate::fault::{Fault, Result};
use crate::report::{Column, Report, Table, Unit};
use crate::round::{Sides, interleave, seconds};
use crate::series::{Series, of};
use crate::side::{Ours, SESSION};

const REPLAY: &str = "sessionlog, replay to state";
const VERIFY: &str = "sessionlog, verify";
const ONE: &str = "bare CRC loop, one thread";
const ALL: &str = "bare CRC loop, every core";

/// Replay and verify, against reading the same bytes and taking their CRC.
pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let mut columns = Vec::new();
    let longest = context.sizes.longest();
    for &length in context.sizes.lengths.iter().skip(1) {
        let series = at(context, length)?;
        if length == longest {
            target(report, &series, "full replay to state", REPLAY, length);
            target(report, &series, "verify", VERIFY, length);
        }
        let label = length.to_string();
        columns.push(Column { label, series });
    }
    report.table(Table {
        id: "replay",
        title: "Replay and verify".to_owned(),
        unit: Unit::Throughput,
        note: "Bytes of the log a second, on a warm cache, by the number of messages of 1 KiB. The bare loop reads \
               the same files 1 MiB at a time and takes the CRC-32 of the bytes, on one thread or on as many as there \
               are cores."
            .to_owned(),
        columns,
    });
    Ok(())
}

fn at(context: &Context, length: usize) -> Result<Vec<Series>> {
    let dir = conversation(context, &Ours, length)?;
    let store = Store::open(&dir)?;
    let bytes = store.read(SESSION)?.bytes()? as f64;
    let segments = files(&dir.join("sessions").join(SESSION))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (a, b, few, many) = (store.clone(), store, segments.clone(), segments);
    let replay = move || Ok(bytes / seconds(|| Ok(a.read(SESSION)?.state()?.version()))?);
    let verify = move || {
        let report = |store: &Store| Ok(store.verify(SESSION)?);
        Ok(bytes / seconds(|| report(&b))?)
    };
    let sides: Sides<'_> = vec![
        (REPLAY.to_owned(), Box::new(replay)),
        (VERIFY.to_owned(), Box::new(verify)),
        (
            ONE.to_owned(),
            Box::new(move || Ok(bytes / seconds(|| crc(&few, 1))?)),
        ),
        (
            ALL.to_owned(),
            Box::new(move || Ok(bytes / seconds(|| crc(&many, cores))?)),
        ),
    ];
    interleave(context.sizes.rounds, sides)
}

fn target(report: &mut Report, series: &[Series], what: &str, side: &str, length: usize) {
    let (Some(ours), Some(bare)) = (of(series, side), of(series, ALL)) else {
        return;
    };
    let (rate, ratio) = (ours.median(), ours.over(bare));
    report.target(
        format!("{what}, {length} events, warm cache"),
        "at least 2 GB/s, or 0.5 of a bare CRC loop on every core",
        format!("{}, {ratio:.2} of it", Unit::Throughput.show(rate)),
        rate >= 2e9 || ratio >= 0.5,
    );
}

/// The segment files.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "seg") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The CRC of every file, on some threads.
fn crc(files: &[PathBuf], threads: usize) -> Result<u32> {
    std::thread::scope(|scope| {
        let works: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || -> Result<u32> {
                    let mut all = 0;
                    for path in files.iter().skip(thread).step_by(threads) {
                        all ^= crc_of(path)?;
                    }
                    Ok(all)
                })
            })
            .collect();
        works.into_iter().try_fold(0, |all, work| {
            Ok(all
                ^ work
                    .join()
                    .map_err(|_| Fault::from("a thread panicked"))??)
        })
    })
}

fn crc_of(path: &Path) -> Result<u32> {
    let (mut file, mut hasher) = (File::open(path)?, crc32fast::Hasher::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

//! What this disk gives: a short measurement in a temporary directory beside the store.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sessionlog::{Durability, Session, Store};

use crate::args::Args;
use crate::exit::Failure;
use crate::output::{FAINT, NAME, Object, STRONG, json_line, line, note};

const SESSION: &str = "bench";
const AGENT: &str = "default";
/// The length of each message as JSON text, in bytes.
const LEN: usize = 1024;
const THREADS: u32 = 16;
const LAST: usize = 50;

/// How much is done.
struct Sizes {
    /// Rounds of a few durable appends by each side.
    rounds: u32,
    grouped: u32,
    buffered: u32,
    opens: u32,
}

impl Sizes {
    fn of(is_quick: bool) -> Self {
        if is_quick {
            Self {
                rounds: 10,
                grouped: 10,
                buffered: 2_000,
                opens: 5,
            }
        } else {
            Self {
                rounds: 100,
                grouped: 100,
                buffered: 200_000,
                opens: 50,
            }
        }
    }
}

/// What was measured: medians, or rates of all of it.
struct Found {
    durable: Duration,
    bare: Duration,
    grouped: f64,
    buffered: f64,
    open: Duration,
    open_for_writing: Duration,
    verify: f64,
    messages: u32,
}

pub(crate) fn run(args: &Args, is_quick: bool) -> Result<u8, Failure> {
    let place = existing(&args.store_path());
    let stream = |what| move |e| Failure::Stream(what, e);
    let dir = tempfile::Builder::new()
        .prefix(".sessionlog-bench-")
        .tempdir_in(&place)
        .map_err(stream("making a directory for the measurement"))?;
    note(args.quiet, format_args!("measuring in {}", place.display()));
    let found = measure(dir.path(), &Sizes::of(is_quick))?;
    if args.json {
        json_line(&json(&found, &place))?;
    } else {
        table(&found)?;
    }
    Ok(0)
}

/// The store's directory, or what will hold it: the disk is the same.
fn existing(store: &Path) -> PathBuf {
    let exists = |path: &&Path| path.is_dir();
    let found = store.ancestors().find(exists);
    found.unwrap_or(Path::new(".")).to_path_buf()
}

fn measure(dir: &Path, sizes: &Sizes) -> Result<Found, Failure> {
    let store = Store::open(dir)?;
    let (durable, bare) = durable(&store, dir, sizes.rounds)?;
    let grouped = grouped(&store.session("grouped")?, sizes.grouped)?;
    let session = store.session(SESSION)?;
    let (text, start) = (message(), Instant::now());
    for _ in 0..sizes.buffered {
        let batch = session.batch().append_json(AGENT, &text)?;
        batch.durability(Durability::Buffered).commit()?;
    }
    session.flush()?;
    let buffered = f64::from(sizes.buffered) / start.elapsed().as_secs_f64();
    session.close()?;
    let open = median(sizes.opens, || {
        let last = store.read(SESSION)?.messages(AGENT)?.last(LAST);
        for message in last {
            std::hint::black_box(message?);
        }
        Ok(())
    })?;
    let open_for_writing = median(sizes.opens.div_ceil(5), || {
        drop(store.session(SESSION)?);
        Ok(())
    })?;
    let start = Instant::now();
    let report = store.verify(SESSION)?;
    let seconds = start.elapsed().as_secs_f64();
    if !report.is_ok() || report.version.0 <= u64::from(sizes.buffered) {
        let source = io::Error::other("the disk does not give it back");
        return Err(Failure::Stream("reading what was written", source));
    }
    let kibibytes = u32::try_from(report.bytes >> 10).unwrap_or(u32::MAX);
    Ok(Found {
        durable,
        bare,
        grouped,
        buffered,
        open,
        open_for_writing,
        verify: f64::from(kibibytes) * 1024.0 / seconds,
        messages: sizes.buffered,
    })
}

/// The median of a durable append, and of a bare write and sync of the same bytes, taking turns.
fn durable(store: &Store, dir: &Path, rounds: u32) -> Result<(Duration, Duration), Failure> {
    let stream = |e: io::Error| Failure::Stream("writing a file", e);
    let session = store.session("durable")?;
    let mut file = std::fs::File::create(dir.join("bare")).map_err(stream)?;
    let text = message();
    session.append_json(AGENT, &text)?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for _ in 0..4 {
            let start = Instant::now();
            session.append_json(AGENT, &text)?;
            ours.push(start.elapsed());
        }
        for _ in 0..4 {
            let start = Instant::now();
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_data())
                .map_err(stream)?;
            bare.push(start.elapsed());
        }
    }
    Ok((middle(ours), middle(bare)))
}

/// Durable events a second, of many threads on one session.
fn grouped(session: &Session, each: u32) -> Result<f64, Failure> {
    let (text, start) = (message(), Instant::now());
    std::thread::scope(|scope| {
        let work = || (0..each).try_for_each(|_| session.append_json(AGENT, &text).map(drop));
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            let panicked = |_| Failure::Stream("appending", io::Error::other("a thread panicked"));
            thread.join().map_err(panicked)?.map_err(Failure::from)
        })
    })?;
    Ok(f64::from(THREADS * each) / start.elapsed().as_secs_f64())
}

fn median(
    count: u32,
    mut work: impl FnMut() -> sessionlog::Result<()>,
) -> Result<Duration, Failure> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        work()?;
        taken.push(start.elapsed());
    }
    Ok(middle(taken))
}

fn middle(mut taken: Vec<Duration>) -> Duration {
    taken.sort_unstable();
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}

fn message() -> String {
    let around = "{\"role\":\"user\",\"content\":[{\"text\":\"\"}]}";
    let text = "what an agent says ".repeat(LEN / 16);
    around.replace("\"\"", &format!("\"{}\"", &text[..LEN - around.len()]))
}

fn json(found: &Found, place: &Path) -> String {
    let micros = |taken: Duration| format!("{:.1}", taken.as_secs_f64() * 1e6);
    Object::default()
        .text("path", &place.display().to_string())
        .value("message_bytes", LEN)
        .value("durable_append_us", micros(found.durable))
        .value("bare_write_and_sync_us", micros(found.bare))
        .value("threads", THREADS)
        .value(
            "grouped_appends_per_s",
            format_args!("{:.0}", found.grouped),
        )
        .value(
            "buffered_appends_per_s",
            format_args!("{:.0}", found.buffered),
        )
        .value("messages", found.messages)
        .value("open_and_last_50_us", micros(found.open))
        .value("open_for_writing_us", micros(found.open_for_writing))
        .value("verify_bytes_per_s", format_args!("{:.0}", found.verify))
        .finish()
}

fn table(found: &Found) -> Result<(), Failure> {
    let micros = |taken: Duration| format!("{:.0} us", taken.as_secs_f64() * 1e6);
    let rate = |rate: f64| format!("{rate:.0} a second");
    let of = format!("of {} messages", found.messages);
    let rows = [
        (
            "durable append",
            micros(found.durable),
            "on disk when it returns".to_owned(),
        ),
        (
            "bare write and sync",
            micros(found.bare),
            "the same bytes: the limit of this disk".to_owned(),
        ),
        (
            "grouped append",
            rate(found.grouped),
            format!("durable, {THREADS} threads on one session"),
        ),
        (
            "buffered append",
            rate(found.buffered),
            "durable after one flush at the end".to_owned(),
        ),
        ("open and last 50", micros(found.open), of.clone()),
        (
            "open for writing",
            micros(found.open_for_writing),
            of.clone(),
        ),
        (
            "verify",
            format!("{:.2} GB a second", found.verify / 1e9),
            of,
        ),
    ];
    line(format_args!("{STRONG}messages of 1 KiB{STRONG:#}"))?;
    for (what, figure, how) in rows {
        line(format_args!(
            "  {NAME}{what:<20}{NAME:#} {figure:>18}  {FAINT}{how}{FAINT:#}"
        ))?;
    }
    Ok(())
}

//! A day's work on one session: does anything get slower?

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use sessionlog::{AgentSync, Session, Store};

use crate::context::Context;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::round::seconds;
use crate::series::Series;
use crate::side::{AGENT, Appends, SESSION, buffered};

/// What is done, and how often in a thousand operations.
const KINDS: [(&str, usize); 5] = [
    ("buffered append", 930),
    ("state sync", 40),
    ("redaction", 15),
    ("read of the last 50", 10),
    ("durable append", 5),
];
const READ: usize = 3;
const DURABLE: usize = 4;
/// Beside these, a reader's first step, and a bare loop.
const SPILL: usize = 5;
const WRITE: usize = 6;
const BARE: usize = 7;
const PARTS: usize = 10;
const LEN: usize = 1024;

/// The samples of one kind of operation in one part of the work.
type Samples = Vec<Vec<f64>>;

/// Mixed operations on one session; the medians of the first tenth against those of the last.
pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let count = context.sizes.mixed;
    let session = Store::open(context.dir("mixed")?)?.session(SESSION)?;
    session.append_json(AGENT, &message::of_len(LEN, 0))?;
    let mut parts: Vec<Samples> = Vec::new();
    let mut bare = Bare::open(context)?;
    for part in 0..PARTS {
        let mut samples = vec![Vec::new(); KINDS.len() + 3];
        for number in part * count / PARTS..(part + 1) * count / PARTS {
            let kind = kind_of(number);
            if kind == READ {
                // A reader's first step; what was buffered is written by it.
                samples[SPILL].push(seconds(|| Ok(session.read()?))?);
            }
            let start = Instant::now();
            step(&session, kind, number)?;
            samples[kind].push(start.elapsed().as_secs_f64());
            if kind == DURABLE {
                let (write, sync) = (seconds(|| bare.write())?, seconds(|| bare.sync())?);
                samples[WRITE].push(write);
                samples[BARE].push(write + sync);
            }
        }
        parts.push(samples);
    }
    drop(session);
    context.remove("mixed")?;

    let series = |part: usize, kind: usize, side: &str| Series {
        side: side.to_owned(),
        samples: vec![median(&parts[part][kind])],
    };
    let mut columns = Vec::new();
    let mut drifts = Vec::new();
    for (kind, name) in names().enumerate() {
        let (first, last) = (
            series(0, kind, "first tenth"),
            series(PARTS - 1, kind, "last tenth"),
        );
        let middle = series(PARTS / 2, kind, "sixth tenth");
        drifts.push((name, last.over(&first)));
        columns.push(Column {
            label: name.to_owned(),
            series: vec![first, middle, last],
        });
    }
    let shown: Vec<_> = drifts
        .iter()
        .map(|(name, drift)| format!("{name} {:+.1} %", (drift - 1.0) * 100.0))
        .collect();
    report.target(
        format!("{count} mixed operations on one session: drift of the medians from the first to the last tenth"),
        "no more than 10 % slower; what writes to files, than the bare loop beside it",
        shown.join(", "),
        is_steady(&drifts),
    );
    report.table(Table {
        id: "mixed",
        title: format!("{count} mixed operations on one session"),
        unit: Unit::Seconds,
        note: "The median of each kind of operation in the first, sixth and last tenth: 93 % buffered appends of \
               1 KiB, 4 % state syncs, 1.5 % redactions, 1 % reads of the last 50 messages, 0.5 % durable appends. A \
               durable append here syncs the buffered ones before it; beside each, as many bytes are written to \
               another file and synced, which shows what disk and memory give meanwhile. Before each read the session \
               is opened once, so that the read finds nothing to write."
            .to_owned(),
        columns,
    });
    Ok(())
}

/// What has a median.
fn names() -> impl Iterator<Item = &'static str> {
    let others = [
        "opening with what is buffered to write",
        "bare write",
        "bare write and sync",
    ];
    KINDS.iter().map(|(name, _)| *name).chain(others)
}

/// Whether nothing is more than 10 % slower in the end; what writes to files against what a bare loop beside it got.
fn is_steady(drifts: &[(&str, f64)]) -> bool {
    let bare = |kind: usize| drifts[kind].1.max(1.0);
    let mut ours = drifts[..WRITE].iter().enumerate();
    ours.all(|(kind, (_, drift))| match kind {
        DURABLE => *drift <= 1.1 * bare(BARE),
        SPILL => *drift <= 1.1 * bare(WRITE),
        _ => *drift <= 1.1,
    })
}

/// A file that grows as the log does, written and synced beside each durable append.
struct Bare {
    file: File,
    buf: Vec<u8>,
}

impl Bare {
    fn open(context: &Context) -> Result<Self> {
        let file = File::create(context.dir("mixed")?.join("bare"))?;
        // What comes between two durable appends.
        let buf = vec![b'x'; LEN * 1000 / KINDS[DURABLE].1];
        Ok(Self { file, buf })
    }

    fn write(&mut self) -> Result<()> {
        Ok(self.file.write_all(&self.buf)?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.file.sync_data()?)
    }
}

/// The kinds in their shares, well mixed, and the same mix in every tenth.
fn kind_of(number: usize) -> usize {
    let mut place = number.wrapping_mul(617) % 1000;
    for (kind, (_, share)) in KINDS.iter().enumerate() {
        match place.checked_sub(*share) {
            Some(rest) => place = rest,
            None => return kind,
        }
    }
    0
}

fn step(session: &Session, kind: usize, number: usize) -> Result<()> {
    let text = message::of_len(LEN, number);
    match kind {
        0 => buffered(session, &text),
        1 => {
            let state = format!("{{\"turn\":{number},\"topic\":\"weather\"}}");
            let sync = AgentSync {
                state: Some(&state),
                ..AgentSync::default()
            };
            let batch = session.batch().sync_agent(AGENT, sync)?;
            batch
                .durability(sessionlog::Durability::Buffered)
                .commit()?;
            Ok(())
        }
        2 => {
            let state = session.state();
            let agent = state.agent(AGENT).ok_or("the agent is gone")?;
            let last = agent.next_message_id() - 1;
            let hidden = "{\"role\":\"user\",\"content\":[{\"text\":\"[redacted]\"}]}";
            let batch = session.batch().redact_json(AGENT, last, hidden)?;
            batch
                .durability(sessionlog::Durability::Buffered)
                .commit()?;
            Ok(())
        }
        3 => {
            for message in session.read()?.messages(AGENT)?.last(50) {
                std::hint::black_box(message?.text().len());
            }
            Ok(())
        }
        _ => session.append(&text),
    }
}

fn median(samples: &[f64]) -> f64 {
    Series {
        side: String::new(),
        samples: samples.to_vec(),
    }
    .median()
}

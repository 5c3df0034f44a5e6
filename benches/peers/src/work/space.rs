//! Bytes on disk.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use sessionlog::{Durability, Session, Store};

use super::size;
use crate::context::Context;
use crate::counting::Counting;
use crate::fault::Result;
use crate::message;
use crate::report::{Column, Report, Table, Unit};
use crate::series::Series;
use crate::side::package::PACKAGE;
use crate::side::{AGENT, OURS, SESSION, buffered, is_durable, stores};

/// Messages in one commit, where a commit has many.
const BATCH: usize = 100;

/// How much room messages take against their minified JSON.
pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let count = context.sizes.conversation;
    let mut columns = Vec::new();
    for (len, alone, together) in [(200, 1.60, 1.25), (1024, 1.12, 1.05)] {
        let texts: Vec<_> = (0..count).map(|n| message::of_len(len, n)).collect();
        let json = (len * count) as f64;
        let mut series = Vec::new();
        for (how, limit, write) in [
            ("one commit per message", alone, one_by_one as Write),
            ("in batches of 100", together, in_batches as Write),
            ("buffered", together, in_a_buffer as Write),
        ] {
            let dir = context.dir("space")?.join(how);
            let ratio = ours(&dir, &texts, write)? as f64 / json;
            report.target(
                format!(
                    "bytes on disk against the minified JSON, {}, {how}",
                    size(len)
                ),
                format!("at most {limit:.2}"),
                format!("{ratio:.3}"),
                ratio <= limit,
            );
            series.push(Series::once(format!("{OURS}, {how}"), ratio));
        }
        for side in stores()
            .into_iter()
            .skip(1)
            .filter(|s| is_durable(&s.name()))
        {
            let dir = context.dir("space")?.join(side.name());
            side.fill(&dir, &mut texts.iter().cloned())?;
            series.push(Series::once(side.name(), blocks(&dir)? as f64 / json));
        }
        if let Some(mut package) = context.package() {
            let dir = context.dir("space")?.join("package");
            package.does(&json!(["append", dir, 0, count, len]))?;
            series.push(Series::once(PACKAGE, blocks(&dir)? as f64 / json));
        }
        context.remove("space")?;
        let label = size(len);
        columns.push(Column { label, series });
    }
    report.table(Table {
        id: "space",
        title: "Bytes on disk for each byte of JSON".to_owned(),
        unit: Unit::Times,
        note: format!(
            "{count} messages. Ours is the length of its files; the others' are the blocks that the file system gave \
             them, filled in bulk, which is the least they take. tephra allocates a segment of 256 MiB at once."
        ),
        columns,
    });
    Ok(())
}

type Write = fn(&Session, &[String]) -> Result<()>;

/// The length of our files.
fn ours(dir: &Path, texts: &[String], write: Write) -> Result<u64> {
    // Syncs change no byte, and take long.
    let store = Store::options()
        .storage(Arc::new(Counting::lazy()))
        .open(dir)?;
    let session = store.session(SESSION)?;
    write(&session, texts)?;
    session.close()?;
    Ok(store.read(SESSION)?.bytes()?)
}

fn one_by_one(session: &Session, texts: &[String]) -> Result<()> {
    for text in texts {
        session.append_json(AGENT, text)?;
    }
    Ok(())
}

fn in_batches(session: &Session, texts: &[String]) -> Result<()> {
    for texts in texts.chunks(BATCH) {
        let mut batch = session.batch().durability(Durability::Sync);
        for text in texts {
            batch = batch.append_json(AGENT, text)?;
        }
        batch.commit()?;
    }
    Ok(())
}

fn in_a_buffer(session: &Session, texts: &[String]) -> Result<()> {
    texts.iter().try_for_each(|text| buffered(session, text))
}

/// The bytes of all blocks below a directory.
fn blocks(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        total += if entry.file_type()?.is_dir() {
            blocks(&entry.path())?
        } else {
            entry.metadata()?.blocks() * 512
        };
    }
    Ok(total)
}

//! The rows as a page of Markdown.

use std::fmt::Write;

use super::{EVENTS, Left, Row, blow};

const HEAD: &str = "# The same damage to every store\n\n\
Written by `cargo run --release -p sessionlog-peers -- damage`; do not edit.\n\n";

const NOTES: &str = "\n## How each store was used\n\n\
| store | written with | read with | checked with | repaired with |\n\
|---|---|---|---|---|\n\
| sessionlog | `append_json`, durable | `View::messages` | `Store::verify` | `Store::repair` |\n\
| SQLite (WAL, FULL) | one `INSERT`, one transaction | `SELECT .. ORDER BY id` | `PRAGMA integrity_check` | each row asked \
for by its number and put into a new database; the shell's `.recover` is not in the library, and looks at pages that no \
tree leads to as well |\n\
| JSONL | one line, `fsync` | line by line; a line that is not JSON is reported and passed over | the JSON parser | it has \
none |\n\
| tephra | `append`, durable | `read` of all | what opening and reading say | it has none |\n\
| batpak | `append`, `sync_every_n_events(1)` | `get` of every event of its kind | `verify_chain` | it has none |\n\n\
Segments are 64 KiB where a store has any, so that there are several; \"one segment\" is the same store with segments \
that hold all events, as its defaults do for a log of this length. sessionlog refuses to write to a damaged session \
until it is repaired, while reading goes on; its five later events are appended after the repair. A flipped bit that \
sessionlog corrects is counted as kept only after the repair. What SQLite and JSONL hand out altered is text whose bytes \
were flipped: neither has checksums of content. A file that SQLite keeps elsewhere, a backup for one, is nobody's here.\n";

/// The whole page.
pub(crate) fn page(rows: &[Row], machine: &str) -> String {
    let mut page = String::from(HEAD);
    let _ = writeln!(
        page,
        "Every store gets {EVENTS} events, each durable before the next, and then one damage. Each damage is done at \
         several places, each time to a fresh copy: a cell is the mean, and the worst place in parentheses. \
         **Reported** says how often the store said anything: an error, or a check that found something.\n\n{machine}"
    );
    for blow in blow::ALL {
        let _ = writeln!(page, "\n## {}\n\n{}\n", blow.title(), blow.how());
        page.push_str(
            "| | kept, read as it is | kept after repair | handed out altered | doubled or stale | loss reported | what it said |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for row in rows
            .iter()
            .filter(|row| row.blow == blow && !row.trials.is_empty())
        {
            let _ = writeln!(page, "{}", line(row));
        }
    }
    page.push_str(NOTES);
    page
}

fn line(row: &Row) -> String {
    let plain: Vec<_> = row.trials.iter().map(|(plain, _)| *plain).collect();
    let repaired: Vec<_> = row
        .trials
        .iter()
        .filter_map(|(_, repaired)| *repaired)
        .collect();
    let damaged: Vec<_> = plain.iter().filter(|left| is_harmed(left)).collect();
    let told = damaged.iter().filter(|left| left.is_reported).count();
    let reported = match (told, damaged.len()) {
        (_, 0) => "nothing lost".to_owned(),
        (told, all) if told == all => "reported".to_owned(),
        (0, _) => "**silent**".to_owned(),
        (told, all) => format!("**silent** in {} of {all}", all - told),
    };
    let said = row.said.as_deref().unwrap_or("nothing");
    format!(
        "| {} | {} | {} | {} | {} | {reported} | {} |",
        row.victim,
        kept(&plain),
        if repaired.is_empty() {
            "no repair".to_owned()
        } else {
            kept(&repaired)
        },
        most(&plain, |left| left.altered),
        most(&plain, |left| left.doubled),
        shortened(said)
    )
}

fn is_harmed(left: &Left) -> bool {
    left.kept < left.of || left.altered > 0 || left.doubled > 0
}

fn kept(all: &[Left]) -> String {
    let mean = all.iter().map(|left| left.kept as f64).sum::<f64>() / all.len() as f64;
    let worst = all.iter().map(|left| left.kept).min().unwrap_or(0);
    let of = all.iter().map(|left| left.of).max().unwrap_or(0);
    if all.len() == 1 {
        format!("{worst} of {of}")
    } else {
        format!("{mean:.1} ({worst}) of {of}")
    }
}

fn most(all: &[Left], figure: impl Fn(&Left) -> usize) -> String {
    match all.iter().map(figure).max() {
        Some(0) | None => "0".to_owned(),
        Some(most) => format!("up to {most}"),
    }
}

/// One line, without paths of a run and without what breaks a table.
fn shortened(said: &str) -> String {
    let words = said.split_whitespace().map(|word| {
        let is_path = word.matches('/').count() > 1;
        let name = word.rsplit('/').next().unwrap_or(word);
        if is_path { name } else { word }
    });
    let line = words.collect::<Vec<_>>().join(" ").replace('|', "/");
    let short: String = line.chars().take(140).collect();
    if short.len() < line.len() {
        format!("{short}...")
    } else {
        short
    }
}

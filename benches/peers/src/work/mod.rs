//! The measurements.

mod append;
mod buffered;
mod history;
mod layout;
mod length;
mod list;
mod mixed;
mod replay;
mod restore;
mod space;
mod threads;

use crate::context::Context;
use crate::fault::Result;
use crate::report::Report;

type Work = fn(&Context, &mut Report) -> Result<()>;

/// Every measurement with its name, in the order of the report.
pub(crate) const ALL: [(&str, Work); 16] = [
    ("append", append::durable),
    ("threads", threads::one_session),
    ("sessions", threads::many_sessions),
    ("buffered", buffered::run),
    ("open", length::open_and_read),
    ("length", length::append),
    ("kill", length::open_after_a_kill),
    ("replay", replay::run),
    ("space", space::run),
    ("restore", restore::run),
    ("list", list::run),
    ("mixed", mixed::run),
    ("import", layout::import),
    ("export", layout::export),
    ("memory", layout::memory),
    ("history", history::run),
];

/// How many KiB, or bytes if it is less.
fn size(bytes: usize) -> String {
    if bytes >= 1024 {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{bytes} B")
    }
}

fn mebibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

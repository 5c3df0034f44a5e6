//! The measurements.

mod append;
mod threads;

use crate::context::Context;
use crate::fault::Result;
use crate::report::Report;

type Work = fn(&Context, &mut Report) -> Result<()>;

/// Every measurement with its name, in the order of the report.
pub(crate) const ALL: [(&str, Work); 3] = [
    ("append", append::durable),
    ("threads", threads::one_session),
    ("sessions", threads::many_sessions),
];

/// How many KiB, or bytes if it is less.
fn size(bytes: usize) -> String {
    if bytes >= 1024 {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{bytes} B")
    }
}

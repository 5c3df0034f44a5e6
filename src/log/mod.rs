//! One log: a directory of segments, its writer and its readers.

mod active;
mod classify;
mod commits;
mod copy;
mod correct;
mod directory;
mod encode;
mod events;
mod found;
mod identity;
mod judge;
mod mend;
mod order;
mod pass;
mod payload;
mod pending;
mod pieces;
mod quarantine;
mod reader;
mod rebuild;
mod recover;
mod renew;
mod repair;
mod salvage;
mod scan;
mod segment;
mod stats;
mod strangers;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use active::WriterOptions;
pub(crate) use directory::{Listing, snapshot_path};
pub(crate) use encode::Draft;
pub(crate) use events::{Replayed, events};
pub(crate) use payload::PayloadReader;
pub(crate) use reader::{LogReader, Scanned, Since};
pub(crate) use recover::{Recovery, recover};
pub(crate) use renew::renew;
pub(crate) use repair::{Repaired, repair};
pub(crate) use segment::SegmentFile;
pub(crate) use tail::{Backward, Stop, Tip};
pub(crate) use writer::{Birth, Haste, LogWriter};

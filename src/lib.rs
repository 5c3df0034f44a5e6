//! A crash-safe, versioned, event-sourced session log for AI agents.
//!
//! An agent's conversation must survive crashes, power cuts, bit rot, two writers and interrupted tool calls.
//! This crate keeps each conversation in a log of its own:
//!
//! - A [`Store`] is a directory of sessions.
//! - A session is an append-only log of **events**: a message was added, a message was redacted, an agent's state
//!   changed. Each event has a [`Version`]: 1, 2, 3, ... It is never reused and never renumbered.
//! - A **commit** is one or more events that are written together. After a crash all of them are there, or none.
//! - [`Session`] writes. There is one writer at a time; another gets [`Error::Locked`].
//! - [`View`] reads. Readers take no lock, work beside a writer in any process, and never see half a commit.
//!   A view can go back to any earlier version.
//!
//! ```
//! use serde_json::json;
//! use sessionlog::{AgentSync, Error, Store, Version};
//!
//! # fn main() -> sessionlog::Result<()> {
//! # let dir = tempfile::tempdir().expect("a temporary directory");
//! # let path = dir.path().join("sessions");
//! let store = Store::open(&path)?;
//! let session = store.session("user-123")?; // opens or creates; this process is its one writer
//!
//! let question = json!({"role": "user", "content": [{"text": "My PIN is 1234. Is that safe?"}]});
//! let done = session.append_message("default", &question)?; // durable when it returns
//! assert_eq!(done.message_id, 0);
//!
//! let hidden = json!({"role": "user", "content": [{"text": "[redacted]"}]});
//! session.redact_message("default", done.message_id, &hidden)?;
//! session.sync_agent("default", AgentSync { state: Some(r#"{"turns": 1}"#), ..Default::default() })?;
//!
//! let version = session.version();
//! let batch = session.batch() // several events, one atomic commit
//!     .append_json("default", r#"{"role":"assistant","content":[{"text":"No."}]}"#)?
//!     .append_json("default", r#"{"role":"user","content":[{"text":"Thanks."}]}"#)?;
//! batch.expect_version(version).commit()?;
//!
//! let late = session.batch().append_json("default", "{}")?.expect_version(version).commit();
//! assert!(matches!(late, Err(Error::VersionConflict { .. }))); // and nothing was written
//!
//! let view = store.read("user-123")?; // no lock; works beside a writer
//! let last: Vec<_> = view.messages("default")?.last(2).collect::<Result<_, _>>()?;
//! assert!(last[0].text().contains("No."));
//! let then = view.at(done.version)?; // time travel
//! assert_eq!(then.messages("default")?.count(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! An append that returned is on disk, and stays the same bytes at the same version for ever. What a crash cut off
//! is set aside in the session's `quarantine/` directory and reported, never dropped silently. A damaged byte
//! costs the event that it is in and nothing else: [`View::damage`] says exactly what is lost, [`Store::repair`]
//! makes the session writable again. `docs/FORMAT.md` has the bytes, and what is assumed of the disk.
//!
//! # Errors
//!
//! [`Error`] has one variant for each thing that a caller can do about it, and every message says what, where and
//! what to do. After [`Error::OutcomeUnknown`] open the session again to learn what was written.
//!
//! # Features
//!
//! None is on by default. `s3` has remotes in S3-compatible buckets for [`sync`], and the standard layout in
//! a bucket. `conformance` has the test suites
//! for a [`storage::Storage`] of your own; `sim` has a simulated disk that takes the power away between any two
//! operations, and a network that fails in every way.

#[cfg(feature = "s3")]
pub mod bucket;
pub mod damage;
mod effective;
mod environment;
mod error;
mod event;
mod format;
mod health;
pub mod history;
mod id;
pub mod json;
pub mod layout;
mod log;
mod manager;
mod messages;
pub mod repository;
mod session;
#[cfg(feature = "sim")]
pub mod sim;
mod snapshot;
mod state;
pub mod storage;
mod store;
pub mod sync;
mod time;
mod verify;
mod version;
mod view;

pub use effective::{Origin, Shown, Window, effective};
pub use environment::{Environment, SystemEnvironment};
pub use error::{Error, Result};
pub use event::{Event, EventKind, Form};
pub use health::{RepairOptions, RepairReport};
pub use manager::{Restored, SessionManager};
pub use messages::Messages;
pub use session::{AgentSync, Batch, Committed, Durability, Session};
pub use state::{Agent, Document, Message, State};
pub use store::{Store, StoreOptions};
pub use time::iso as iso_time;
pub use verify::VerifyReport;
pub use version::Version;
pub use view::{LogInfo, View};

/// Reads bytes as a frame and checks the laws of the format: for the fuzz target `decode_frame`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_frame(bytes: &[u8]) {
    format::laws::any_bytes_as_a_frame(bytes);
}

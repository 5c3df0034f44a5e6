//! A crash-safe, versioned, event-sourced session log for AI agents.

pub mod damage;
mod environment;
mod error;
mod event;
mod format;
mod health;
mod id;
pub mod json;
mod log;
mod session;
mod state;
pub mod storage;
mod store;
mod time;
mod version;
mod view;

pub use environment::{Environment, SystemEnvironment};
pub use error::{Error, Result};
pub use event::{Event, EventKind, Form};
pub use health::{RepairOptions, RepairReport, VerifyReport};
pub use session::{AgentSync, Batch, Committed, Durability, Session};
pub use state::{Agent, Document, Message, State};
pub use store::{Store, StoreOptions};
pub use version::Version;
pub use view::{LogInfo, Messages, View};

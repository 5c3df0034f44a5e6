//! A crash-safe, versioned, event-sourced session log for AI agents.

pub mod damage;
mod error;
pub mod history;
pub mod json;
pub mod storage;
mod version;

pub use error::{Error, Result};
pub use version::Version;

//! A crash-safe, versioned, event-sourced session log for AI agents.

pub mod damage;
mod error;
pub mod json;
#[cfg(feature = "sim")]
pub mod sim;
pub mod storage;
mod version;

pub use error::{Error, Result};
pub use version::Version;

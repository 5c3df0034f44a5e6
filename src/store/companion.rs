//! The seam for what goes along with a store from above it: it is told which sessions are opened.

use std::fmt;

use crate::Result;
use crate::session::Session;

use super::Store;

/// Somebody who goes along with a store.
pub(crate) trait Companion: fmt::Debug + Send + Sync {
    /// A store is being opened with it; `store` is the same store without it.
    fn begin(&self, store: Store) -> Result<()>;
    /// Opens a session for writing, by calling `open` once, and takes note of it.
    fn open(&self, id: &str, open: &mut dyn FnMut() -> Result<Session>) -> Result<Session>;
    /// The store and all its sessions were dropped.
    fn end(&self);
}

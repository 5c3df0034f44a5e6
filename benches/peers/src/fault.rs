//! Errors of every store at once: only their text matters here.

/// What went wrong, in words.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Fault>;

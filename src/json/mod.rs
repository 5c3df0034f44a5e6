//! Lossless JSON text.

/// Where a text is not JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct JsonError {
    /// The offset of the first wrong byte.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

//! Exit statuses, and the one line that an error is.

use std::io;
use std::process::ExitCode;

use sessionlog::Error;
use sessionlog::sync::RemoteError;

/// The answer is "damaged" or "differs".
pub(crate) const DIFFERS: u8 = 1;
const BAD_INPUT: u8 = 2;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's error, and which line of the input it was about.
    Library(Error, Option<u64>),
    /// A sync failed.
    #[cfg(feature = "s3")]
    Sync(sessionlog::sync::SyncError),
    /// The input cannot be used.
    Input(String),
    /// Standard input or output failed.
    Stream(&'static str, io::Error),
    /// A step of the tour did not hold what it says.
    Step(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error, None)
    }
}

#[cfg(feature = "s3")]
impl From<sessionlog::sync::SyncError> for Failure {
    fn from(error: sessionlog::sync::SyncError) -> Self {
        match error {
            sessionlog::sync::SyncError::Local(error) => error.into(),
            error => Self::Sync(error),
        }
    }
}

/// The exit status of a sync's error.
#[cfg(feature = "s3")]
pub(crate) fn sync_status(error: &sessionlog::sync::SyncError) -> u8 {
    use sessionlog::sync::SyncError;
    match error {
        SyncError::Local(error) => status(error),
        SyncError::NotFound(_) | SyncError::Deleted(_) => 3,
        SyncError::Busy(_) => 5,
        SyncError::Damaged { .. } | SyncError::RemoteLost { .. } | SyncError::GivenUp { .. } => 6,
        SyncError::Claimed { .. } => 8,
        SyncError::Remote { source, .. } => remote_status(source),
        SyncError::OutcomeUnknown { .. } => 10,
        SyncError::UnsupportedVersion { .. } => 11,
        _ => BAD_INPUT,
    }
}

/// The exit status of a library error.
fn status(error: &Error) -> u8 {
    match error {
        Error::NotFound(_) => 3,
        Error::Locked { .. } => 4,
        Error::VersionConflict { .. } => 5,
        Error::Damaged { .. } => 6,
        Error::Io { .. } => 7,
        // The last: a write to a bucket that is in doubt. Sync has an error of its own for it.
        Error::OutcomeUnknown { .. }
        | Error::Poisoned { .. }
        | Error::Remote {
            source: RemoteError::Ambiguous(_),
            ..
        } => 10,
        Error::UnsupportedVersion { .. } => 11,
        Error::Remote { source, .. } => remote_status(source),
        _ => BAD_INPUT,
    }
}

fn remote_status(error: &RemoteError) -> u8 {
    match error {
        RemoteError::Unreachable(_) | RemoteError::Ambiguous(_) => 9,
        _ => BAD_INPUT,
    }
}

/// Prints the failure as one line and gives its exit status.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    let (line, status) = match failure {
        Failure::Library(error, None) => (error.to_string(), status(error)),
        Failure::Library(error, Some(line)) => (format!("line {line}: {error}"), status(error)),
        #[cfg(feature = "s3")]
        Failure::Sync(error) => (error.to_string(), sync_status(error)),
        Failure::Input(text) => (text.clone(), BAD_INPUT),
        // Whoever read our output has seen enough.
        Failure::Stream(_, e) if e.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Failure::Stream(what, e) => (format!("{what}: {e}"), 7),
        Failure::Step(text) => (format!("the tour failed: {text}"), DIFFERS),
    };
    anstream::eprintln!("sessionlog: {}", one_line(&line));
    ExitCode::from(status)
}

/// Prints a usage error; help and version are not errors.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done if even this cannot be printed.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { BAD_INPUT } else { 0 })
}

/// The text without what a terminal would act on.
pub(crate) fn one_line(text: &str) -> String {
    let escape = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}

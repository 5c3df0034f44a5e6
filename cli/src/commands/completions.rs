//! `completions`: for shells.

use std::io::Write;

use clap::CommandFactory;

use crate::args::Args;
use crate::exit::Failure;

/// Prints the completions of a shell.
pub(crate) fn run(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "sessionlog", &mut script);
    let written = std::io::stdout().lock().write_all(&script);
    written.map_err(|e| Failure::Stream("writing the completions", e))?;
    Ok(0)
}

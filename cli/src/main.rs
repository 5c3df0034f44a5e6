//! The command line of `sessionlog`: inspect, verify, repair, import and export agent sessions.

mod args;
mod commands;
mod exit;
mod output;
mod tour;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    args.color.set();
    match commands::run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => exit::report(&failure),
    }
}

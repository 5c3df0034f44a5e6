//! The same work on sessionlog and on what one would pick instead, interleaved in one run.
//!
//! `cargo run --release -p sessionlog-peers -- run` measures everything and writes `docs/benchmarks/`.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures are shown with three digits"
)]

mod args;
mod child;
mod context;
mod counting;
mod damage;
mod fault;
mod message;
mod report;
mod round;
mod series;
mod side;
mod sizes;
mod work;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match args::Args::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("peers: {fault}");
            ExitCode::FAILURE
        }
    }
}

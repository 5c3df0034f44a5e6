//! One command per file: read the arguments, call the library, print the answer.

mod append;
mod bench;
#[cfg(feature = "s3")]
pub(crate) mod bucket;
mod completions;
mod delete;
mod export;
mod health;
mod history;
mod import;
mod info;
mod log;
mod redact;
#[cfg(feature = "s3")]
mod remote;
mod show;
#[cfg(feature = "s3")]
pub(crate) mod sync;

use crate::args::{Args, Command};
use crate::exit::Failure;
use crate::tour;

/// Runs the command; the answer's exit status.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::Append {
            session,
            agent,
            expect,
            durability,
            batch,
        } => {
            let request = append::Request {
                session,
                agent,
                expect: expect.map(Into::into),
                durability: durability.durability(),
                batch: usize::from(*batch),
            };
            append::run(&args.open()?, &request)
        }
        Command::Redact {
            session,
            message,
            agent,
        } => redact::run(args, session, agent, *message),
        Command::SyncState { session, agent } => redact::sync_state(args, session, agent),
        Command::Show(show) => show::run(args, show),
        Command::Log {
            session,
            from,
            to,
            original,
        } => log::run(args, session, (*from, *to), *original),
        Command::Info { session } => info::run(args, session),
        Command::Ls => info::list(args),
        Command::Import(request) => import::run(args, request),
        Command::Export(export) => export::run(args, export),
        Command::Delete { session, yes } => delete::run(args, session, *yes),
        Command::Verify(which) => health::verify(args, which),
        Command::Repair(request) => health::repair(args, request),
        Command::RepairHistory {
            session,
            agent,
            dry_run,
        } => history::repair(args, session, agent, *dry_run),
        Command::Validate { session, agent } => history::validate(args, session, agent),
        Command::Tour { from, keep } => tour::run(from.as_deref(), keep.as_deref()),
        #[cfg(feature = "s3")]
        Command::Sync(command) => sync::run(args, command),
        Command::Bench { quick } => bench::run(args, *quick),
        Command::Completions { shell } => completions::run(*shell),
    }
}

/// The URL of a bucket in place of a directory.
fn url(path: &std::path::Path) -> Result<Option<&str>, Failure> {
    let url = path.to_str().filter(|text| text.starts_with("s3://"));
    if url.is_some() && !cfg!(feature = "s3") {
        let text = "this program was built without S3: build it with --features s3";
        return Err(Failure::Input(text.to_owned()));
    }
    Ok(url)
}

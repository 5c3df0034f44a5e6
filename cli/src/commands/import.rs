//! `import`: the standard layout comes in.

use std::path::PathBuf;

use sessionlog::layout::{ImportOptions, ImportReport, Skipped, find_sessions, import};

use super::export::in_parallel;
use crate::args::Args;
use crate::exit::{DIFFERS, Failure, one_line};
use crate::output::{BAD, FAINT, NAME, Object, json_line, line, note, progress_bar};

/// Imports every session in the directories.
pub(crate) fn run(args: &Args, dirs: &[PathBuf], update: bool) -> Result<u8, Failure> {
    let mut sessions = Vec::new();
    for dir in dirs {
        sessions.extend(find_sessions(dir)?);
    }
    let (store, options) = (args.open()?, ImportOptions { update });
    let bar = progress_bar(args.quiet, "importing");
    let results = in_parallel(&sessions, |session| {
        let mut seen = 0;
        let result = import(&store, session, &options, &mut |progress| {
            if seen == 0 {
                bar.inc_length(progress.total);
            }
            bar.inc(progress.done - seen);
            seen = progress.done;
        });
        result.map_err(|error| (session.session_id.clone(), error))
    });
    bar.finish_and_clear();
    let (mut status, mut failure) = (0, None);
    for result in results {
        match result {
            Ok(report) => {
                if !report.skipped.is_empty() {
                    status = DIFFERS;
                }
                print(args, &report)?;
            }
            Err((id, error)) => {
                if sessions.len() > 1 {
                    anstream::eprintln!(
                        "sessionlog: {}: {}",
                        one_line(&id),
                        one_line(&error.to_string())
                    );
                }
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(status),
    }
}

fn print(args: &Args, report: &ImportReport) -> Result<(), Failure> {
    for path in &report.strays {
        note(
            args.quiet,
            format_args!("left alone: {}", one_line(&path.display().to_string())),
        );
    }
    if args.json {
        let skipped = |skipped: &Skipped| {
            let path = skipped.path.display().to_string();
            Object::default()
                .text("path", &path)
                .text("error", &skipped.error)
                .finish()
        };
        let answer = Object::default()
            .text("session_id", &report.session_id)
            .value("version", report.version)
            .value("messages", report.messages)
            .list("skipped", report.skipped.iter().map(skipped));
        return json_line(&answer.finish());
    }
    line(format_args!(
        "{NAME}{}{NAME:#} {FAINT}version{FAINT:#} {} {FAINT}messages{FAINT:#} {}",
        one_line(&report.session_id),
        report.version,
        report.messages
    ))?;
    for skipped in &report.skipped {
        let path = one_line(&skipped.path.display().to_string());
        line(format_args!(
            "  {BAD}skipped{BAD:#} {path}: {}",
            one_line(&skipped.error)
        ))?;
    }
    Ok(())
}

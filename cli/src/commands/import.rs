//! `import`: the standard layout comes in.

use std::path::Path;

use sessionlog::Store;
use sessionlog::layout::{
    ImportOptions, ImportReport, Progress, SessionDir, Skipped, find_sessions, import,
};
#[cfg(feature = "s3")]
use sessionlog::{bucket::Bucket, layout::import_from};

use super::export::in_parallel;
use super::url;
use crate::args::{Args, Import};
use crate::exit::{DIFFERS, Failure, one_line};
use crate::output::{BAD, FAINT, NAME, Object, json_line, line, note, progress_bar};

/// Where a session comes from.
enum Source {
    Dir(SessionDir),
    #[cfg(feature = "s3")]
    Bucket(Bucket, String),
}

impl Source {
    fn id(&self) -> &str {
        match self {
            Self::Dir(dir) => &dir.session_id,
            #[cfg(feature = "s3")]
            Self::Bucket(_, id) => id,
        }
    }

    fn import(
        &self,
        store: &Store,
        options: ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> sessionlog::Result<ImportReport> {
        match self {
            Self::Dir(dir) => import(store, dir, &options, progress),
            #[cfg(feature = "s3")]
            Self::Bucket(bucket, id) => import_from(store, bucket, id, &options, progress),
        }
    }
}

/// The sessions of a directory or a URL.
fn sources(request: &Import, from: &Path) -> Result<Vec<Source>, Failure> {
    let Some(url) = url(from)? else {
        return Ok(find_sessions(from)?.into_iter().map(Source::Dir).collect());
    };
    #[cfg(feature = "s3")]
    {
        let (bucket, ids) = request.server.sessions(url)?;
        let source = |id| Source::Bucket(bucket.clone(), id);
        Ok(ids.into_iter().map(source).collect())
    }
    #[cfg(not(feature = "s3"))]
    {
        let _ = (request, url);
        Ok(Vec::new())
    }
}

/// Imports every session in the directories and buckets.
pub(crate) fn run(args: &Args, request: &Import) -> Result<u8, Failure> {
    let mut sessions = Vec::new();
    for from in &request.dirs {
        sessions.extend(sources(request, from)?);
    }
    let update = request.update;
    let (store, options) = (args.open()?, ImportOptions { update });
    let bar = progress_bar(args.quiet, "importing");
    let results = in_parallel(&sessions, |session| {
        let mut last = Progress::default();
        let result = session.import(&store, options, &mut |progress| {
            bar.inc_length(progress.total.saturating_sub(last.total));
            bar.inc(progress.done.saturating_sub(last.done));
            last = progress;
        });
        result.map_err(|error| (session.id().to_owned(), error))
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

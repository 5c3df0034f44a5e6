//! `export`: the standard layout goes out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sessionlog::layout::{ExportOptions, ExportReport, Progress, export};
use sessionlog::{Store, Version};

use super::url;
use crate::args::{Args, Export};
use crate::exit::{Failure, one_line};
use crate::output::{FAINT, NAME, Object, json_line, line, note, progress_bar};

/// What exports one session.
type Target<'a> = Box<
    dyn Fn(
            &Store,
            &str,
            &ExportOptions,
            &mut dyn FnMut(Progress),
        ) -> sessionlog::Result<ExportReport>
        + Sync
        + 'a,
>;

/// Where the sessions go: a directory, or a bucket.
fn target(request: &Export) -> Result<Target<'_>, Failure> {
    let Some(url) = url(&request.to)? else {
        return Ok(Box::new(|store, id, options, progress| {
            export(store, id, &request.to, options, progress)
        }));
    };
    #[cfg(feature = "s3")]
    {
        let bucket = request.server.open(url)?;
        Ok(Box::new(move |store, id, options, progress| {
            sessionlog::layout::export_to(store, id, &bucket, options, progress)
        }))
    }
    #[cfg(not(feature = "s3"))]
    Err(Failure::Input(url.to_owned()))
}

/// Exports the sessions.
pub(crate) fn run(args: &Args, request: &Export) -> Result<u8, Failure> {
    let store = args.open()?;
    let ids = if request.all {
        store.list()?
    } else {
        request.sessions.clone()
    };
    let options = ExportOptions {
        at: request.at.map(Version),
        redacted: request.redacted,
        force: request.force,
        include_unknown: request.include_unknown,
    };
    let to = target(request)?;
    let bar = progress_bar(args.quiet, "exporting");
    let results = in_parallel(&ids, |id| {
        let mut last = Progress::default();
        to(&store, id, &options, &mut |progress| {
            bar.inc_length(progress.total.saturating_sub(last.total));
            bar.inc(progress.done.saturating_sub(last.done));
            last = progress;
        })
    });
    bar.finish_and_clear();
    let mut failure = None;
    for result in results {
        match result {
            Ok(report) => print(args, &report)?,
            Err(error) => {
                if failure.is_some() {
                    anstream::eprintln!("sessionlog: {}", one_line(&error.to_string()));
                }
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(0),
    }
}

fn print(args: &Args, report: &ExportReport) -> Result<(), Failure> {
    let (id, path) = (
        one_line(&report.session_id),
        report.path.display().to_string(),
    );
    if report.originals > 0 {
        let count = report.originals;
        note(
            args.quiet,
            format_args!(
                "{id}: {count} original(s) of redacted messages left the store, as the layout has it; --redacted withholds them"
            ),
        );
    }
    for (agent, message) in &report.withheld {
        let agent = one_line(agent);
        note(
            args.quiet,
            format_args!(
                "{id}: message {message} of {agent} is withheld: a redaction of it may be lost; --include-unknown exports it"
            ),
        );
    }
    if args.json {
        let answer = Object::default()
            .text("session_id", &report.session_id)
            .value("version", report.version)
            .value("files", report.files)
            .text("path", &path);
        return json_line(&answer.finish());
    }
    line(format_args!(
        "{NAME}{id}{NAME:#} {FAINT}version{FAINT:#} {} {FAINT}files{FAINT:#} {} {}",
        report.version,
        report.files,
        one_line(&path)
    ))
}

/// Does the work for each item, on as many threads as there are processors; the results in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(items.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    if let Ok(mut done) = done.lock() {
                        done.push((at, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

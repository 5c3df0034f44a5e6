//! `verify` and `repair`.

#[cfg(feature = "s3")]
use sessionlog::Store;
use sessionlog::damage::Damage;
use sessionlog::{RepairOptions, RepairReport, VerifyReport, Version};
use tempfile::TempDir;

use super::export::in_parallel;
use super::url;
use crate::args::{Args, Repair, Which};
use crate::exit::{DIFFERS, Failure, one_line};
use crate::output::{BAD, FAINT, GOOD, NAME, Object, json_line, line, progress_bar, quoted};

/// Verifies sessions; 1 if any is damaged.
pub(crate) fn verify(args: &Args, which: &Which) -> Result<u8, Failure> {
    let store = args.open()?;
    let ids = which.ids(&store)?;
    let bar = progress_bar(args.quiet, "verifying");
    bar.set_length(ids.len() as u64);
    let reports = in_parallel(&ids, |id| {
        let report = store.verify(id);
        bar.inc(1);
        report
    });
    bar.finish_and_clear();
    let mut status = 0;
    for report in reports {
        let report = report?;
        if !report.is_ok() {
            status = DIFFERS;
        }
        if args.json {
            json_line(&verify_json(&report))?;
        } else {
            verify_text(&report)?;
        }
    }
    Ok(status)
}

/// Repairs sessions; a dry run with something to do is 1.
pub(crate) fn repair(args: &Args, request: &Repair) -> Result<u8, Failure> {
    let (store, dry_run) = (args.open()?, request.dry_run);
    let mut status = 0;
    for id in request.which.ids(&store)? {
        let fetched = fetch(request, &id)?;
        let fetched = fetched.as_ref().map(|dir| dir.path().to_path_buf());
        let options = RepairOptions {
            dry_run,
            copy: fetched.or_else(|| request.from.clone()),
        };
        let needs = dry_run && !store.verify(&id)?.is_ok();
        let report = store.repair(&id, &options)?;
        if needs || (dry_run && !report.rewritten.is_empty()) {
            status = DIFFERS;
        }
        if args.json {
            json_line(&repair_json(&report))?;
        } else {
            repair_text(&report, dry_run)?;
        }
    }
    Ok(status)
}

/// A remote's copy of the session, in a store that is removed when it is dropped; none if the copy is a directory.
fn fetch(request: &Repair, id: &str) -> Result<Option<TempDir>, Failure> {
    let Some(url) = request.from.as_deref().map(url).transpose()?.flatten() else {
        return Ok(None);
    };
    #[cfg(feature = "s3")]
    {
        let dir = tempfile::tempdir().map_err(|e| Failure::Stream("temporary directory", e))?;
        super::sync::syncer(&Store::open(dir.path())?, url, &request.server)?.clone_session(id)?;
        Ok(Some(dir))
    }
    #[cfg(not(feature = "s3"))]
    unreachable!("session {id}: {url} is refused without S3")
}

fn verify_json(report: &VerifyReport) -> String {
    Object::default()
        .text("session_id", &report.session_id)
        .value("ok", report.is_ok())
        .value("version", report.version)
        .value("events", report.events)
        .value("bytes", report.bytes)
        .list("damage", report.damage.iter().map(damage_json))
        .raw("given_up", &ranges(&report.given_up))
        .finish()
}

fn damage_json(damage: &Damage) -> String {
    let version = |v: Option<Version>| v.map_or("null".to_owned(), |v| v.to_string());
    let segment = damage
        .segment
        .file_name()
        .map(|n| n.to_string_lossy().into_owned());
    let messages = damage.messages.iter().map(|message| {
        Object::default()
            .value("version", message.version)
            .text("agent_id", &message.agent_id)
            .value("message_id", message.message_id)
            .finish()
    });
    Object::default()
        .text("segment", &segment.unwrap_or_default())
        .value("offset", damage.offset)
        .value("length", damage.length)
        .raw("first_version", &version(damage.first_version))
        .raw("last_version", &version(damage.last_version))
        .text("verdict", damage.verdict.name())
        .text("cause", &damage.cause)
        .list("messages", messages)
        .finish()
}

fn verify_text(report: &VerifyReport) -> Result<(), Failure> {
    let (id, events) = (one_line(&report.session_id), report.events);
    if report.is_ok() {
        line(format_args!(
            "{NAME}{id}{NAME:#} {GOOD}ok{GOOD:#} {FAINT}{events} events{FAINT:#}"
        ))?;
    } else {
        line(format_args!(
            "{NAME}{id}{NAME:#} {BAD}damaged{BAD:#} {FAINT}{events} good events{FAINT:#}"
        ))?;
    }
    for damage in &report.damage {
        line(format_args!("  {}", one_line(&damage.to_string())))?;
    }
    for (first, last) in &report.given_up {
        line(format_args!(
            "  {FAINT}versions {first} to {last} were given up by an earlier repair{FAINT:#}"
        ))?;
    }
    Ok(())
}

fn repair_json(report: &RepairReport) -> String {
    let paths = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths
            .iter()
            .map(|path| quoted(&path.display().to_string()))
            .collect()
    };
    Object::default()
        .text("session_id", &report.session_id)
        .value("kept", report.kept)
        .value("recovered", report.recovered)
        .list(
            "corrected",
            report.corrected.iter().map(ToString::to_string),
        )
        .raw("lost_versions", &ranges(&report.lost))
        .list("quarantine", paths(&report.quarantine))
        .list("rewritten", paths(&report.rewritten))
        .list("strangers", paths(&report.strangers))
        .finish()
}

fn repair_text(report: &RepairReport, dry_run: bool) -> Result<(), Failure> {
    let would = if dry_run { "would be " } else { "" };
    line(format_args!(
        "{NAME}{}{NAME:#} {} kept, {} {would}recovered",
        one_line(&report.session_id),
        report.kept,
        report.recovered
    ))?;
    for path in &report.rewritten {
        line(format_args!(
            "  {would}written anew: {}",
            one_line(&path.display().to_string())
        ))?;
    }
    for path in &report.strangers {
        line(format_args!(
            "  {would}set aside whole, as it is no part of this log: {}",
            one_line(&path.display().to_string())
        ))?;
    }
    for (first, last) in &report.lost {
        line(format_args!(
            "  {BAD}lost{BAD:#}: versions {first} to {last}"
        ))?;
    }
    for path in &report.quarantine {
        line(format_args!(
            "  {FAINT}set aside in {}{FAINT:#}",
            one_line(&path.display().to_string())
        ))?;
    }
    Ok(())
}

fn ranges(ranges: &[(Version, Version)]) -> String {
    let ranges: Vec<_> = ranges
        .iter()
        .map(|(first, last)| format!("[{first},{last}]"))
        .collect();
    format!("[{}]", ranges.join(","))
}

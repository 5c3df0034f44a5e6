//! `remote`: what the bucket holds.

use std::time::Duration;

use clap::Subcommand;

use sessionlog::sync::{RemoteReport, Syncer};

use crate::args::Args;
use crate::exit::{DIFFERS, Failure, one_line};
use crate::output::{BAD, FAINT, NAME, Object, json_line, line, quoted, size};

use super::sync::RemoteArgs;

/// What to do with the bucket.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// List the sessions that the remote has.
    #[command(after_help = "Example:
  sessionlog remote ls --remote s3://bucket/agents")]
    Ls {
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Read every object of sessions and check it.
    #[command(after_help = "Example:
  sessionlog remote verify --all --remote s3://bucket/agents")]
    Verify(Of),
    /// Upload again what the remote lost and this device has.
    #[command(after_help = "Example:
  sessionlog remote repair user-123 --remote s3://bucket/agents")]
    Repair(Of),
    /// Remove objects that no history needs.
    #[command(after_help = "Example:
  sessionlog remote gc --all --remote s3://bucket/agents")]
    Gc {
        #[command(flatten)]
        of: Of,
        /// How old they must be, in hours.
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        grace: u64,
    },
    /// Delete a session on the remote and here; other devices learn of it at their next sync.
    #[command(after_help = "Example:
  sessionlog remote delete user-123 --yes --remote s3://bucket/agents")]
    Delete {
        session: String,
        /// Do not ask.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// Which sessions of which remote.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    #[arg(value_name = "SESSION", required_unless_present = "all")]
    sessions: Vec<String>,
    /// Every session that the remote has.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl Of {
    fn open(&self, args: &Args) -> Result<(Syncer, Vec<String>), Failure> {
        let syncer = self.remote.open(args)?;
        let ids = if self.all {
            syncer.remote_sessions()?
        } else {
            self.sessions.clone()
        };
        Ok((syncer, ids))
    }
}

/// Runs a `remote` command.
pub(crate) fn run(args: &Args, command: &RemoteCommand) -> Result<u8, Failure> {
    match command {
        RemoteCommand::Ls { remote } => {
            let syncer = remote.open(args)?;
            let ids = syncer.remote_sessions()?;
            inspect(args, &syncer, &ids, false)
        }
        RemoteCommand::Verify(of) => {
            let (syncer, ids) = of.open(args)?;
            inspect(args, &syncer, &ids, true)
        }
        RemoteCommand::Repair(of) => {
            let (syncer, ids) = of.open(args)?;
            counted(args, &ids, "repaired", &|id| syncer.repair_remote(id))
        }
        RemoteCommand::Gc { of, grace } => {
            let (syncer, ids) = of.open(args)?;
            let grace = Duration::from_secs(grace.saturating_mul(3600));
            counted(args, &ids, "removed", &|id| syncer.collect(id, grace))
        }
        RemoteCommand::Delete {
            session, remote, ..
        } => {
            remote.open(args)?.delete(session)?;
            if args.json {
                let object = Object::default().text("session_id", session);
                json_line(&object.value("deleted", true).finish())?;
            } else {
                line(format_args!(
                    "{NAME}{}{NAME:#} is deleted",
                    one_line(session)
                ))?;
            }
            Ok(0)
        }
    }
}

fn inspect(args: &Args, syncer: &Syncer, ids: &[String], all: bool) -> Result<u8, Failure> {
    let mut status = 0;
    for id in ids {
        let report = syncer.inspect(id, all)?;
        if args.json {
            json_line(&json(&report))?;
        } else {
            let (name, version) = (one_line(id), report.version);
            let (objects, bytes) = (report.objects, size(report.bytes));
            let deleted = if report.deleted { "  deleted" } else { "" };
            line(format_args!(
                "{NAME}{name}{NAME:#}  version {version}  {FAINT}{objects} objects, {bytes}{FAINT:#}{deleted}"
            ))?;
            for (key, reason) in &report.damage {
                line(format_args!(
                    "  {BAD}{}{BAD:#}: {}",
                    one_line(key),
                    one_line(reason)
                ))?;
            }
        }
        if !report.damage.is_empty() {
            status = DIFFERS;
        }
    }
    Ok(status)
}

fn json(report: &RemoteReport) -> String {
    let damage = report.damage.iter().map(|(key, reason)| {
        let object = Object::default().text("key", key);
        object.text("error", reason).finish()
    });
    let claim = report.claim.as_ref();
    Object::default()
        .text("session_id", &report.session_id)
        .value("version", report.version)
        .value("generation", report.generation)
        .value("deleted", report.deleted)
        .value("objects", report.objects)
        .value("bytes", report.bytes)
        .raw(
            "claimed_by",
            &claim.map_or("null".to_owned(), |c| quoted(&c.device_id)),
        )
        .list("damage", damage)
        .finish()
}

fn counted(
    args: &Args,
    ids: &[String],
    word: &str,
    each: &dyn Fn(&str) -> Result<usize, sessionlog::sync::SyncError>,
) -> Result<u8, Failure> {
    for id in ids {
        let count = each(id)?;
        if args.json {
            let object = Object::default().text("session_id", id);
            json_line(&object.value(word, count).finish())?;
        } else {
            line(format_args!(
                "{NAME}{}{NAME:#}  {count} objects {word}",
                one_line(id)
            ))?;
        }
    }
    Ok(0)
}

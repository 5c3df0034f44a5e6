//! `sync`, `push`, `pull`, `clone`, `claim`, `release`: a session and its remote.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use sessionlog::Store;
use sessionlog::sync::{Outcome, Resolution, S3Remote, SyncError, Synced, Syncer};

use crate::args::{Args, Which};
use crate::exit::{Failure, one_line, sync_status};
use crate::output::{BAD, GOOD, NAME, Object, json_line, line, note};

use super::bucket::{ServerArgs, from};
use super::remote::RemoteCommand;

/// The commands that need a remote.
#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Bring sessions and the remote to the same history.
    ///
    /// Where both moved on, nothing is written and the exit status is 8, unless one of the three ways out is given.
    /// None of them loses an event: the branch that loses is kept in the session's quarantine.
    #[command(after_help = "Examples:
  sessionlog sync --all --remote s3://bucket/agents
  sessionlog sync user-123 --rebase              # theirs first, then ours
  sessionlog sync user-123 --fork user-123-mine  # ours becomes another session
  sessionlog sync user-123 --take-remote         # theirs; ours is set aside")]
    Sync {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        how: How,
    },
    /// Push what is new here.
    #[command(after_help = "Example:
  sessionlog push user-123 --remote s3://bucket/agents")]
    Push {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Pull what is new there.
    #[command(after_help = "Example:
  sessionlog pull user-123 --remote s3://bucket/agents")]
    Pull {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Fetch a session that this store does not have.
    #[command(after_help = "Example:
  sessionlog clone user-123 --remote s3://bucket/agents")]
    Clone {
        session: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Let only this device push a session, for a while.
    #[command(after_help = "Example:
  sessionlog claim user-123 --for 3600 --remote s3://bucket/agents")]
    Claim {
        session: String,
        /// For how long, in seconds.
        #[arg(long = "for", value_name = "SECONDS", default_value_t = 3600)]
        seconds: u64,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Give a claim up.
    #[command(after_help = "Example:
  sessionlog release user-123 --remote s3://bucket/agents")]
    Release {
        session: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// What the bucket holds: list, verify, repair, collect, delete.
    #[command(subcommand)]
    Remote(RemoteCommand),
}

/// Which remote.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoteArgs {
    /// The remote, as `s3://BUCKET/PREFIX` [default: $`SESSIONLOG_REMOTE`].
    #[arg(long, value_name = "URL")]
    remote: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What to do where both moved on.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct How {
    /// Take the remote's events, and append ours after them.
    #[arg(long)]
    rebase: bool,
    /// Make our branch a new session of this id, and take the remote's events.
    #[arg(long, value_name = "NEW")]
    fork: Option<String>,
    /// Take the remote's events, and set ours aside.
    #[arg(long)]
    take_remote: bool,
}

impl How {
    fn resolution(&self) -> Option<Resolution> {
        let fork = self.fork.clone().map(Resolution::Fork);
        let rebase = self.rebase.then_some(Resolution::Rebase);
        let take = self.take_remote.then_some(Resolution::TakeRemote);
        fork.or(rebase).or(take)
    }
}

impl RemoteArgs {
    /// The syncer of the store and this remote.
    pub(crate) fn open(&self, args: &Args) -> Result<Syncer, Failure> {
        let url = self.remote.clone().or_else(|| from("SESSIONLOG_REMOTE"));
        let url = url.ok_or_else(|| {
            let text = "no remote: give --remote s3://BUCKET/PREFIX, or set SESSIONLOG_REMOTE";
            Failure::Input(text.to_owned())
        })?;
        syncer(&args.open()?, &url, &self.server)
    }
}

/// The syncer of a store and the remote at a URL.
pub(crate) fn syncer(store: &Store, url: &str, server: &ServerArgs) -> Result<Syncer, Failure> {
    let remote = S3Remote::open(url, &server.options());
    let remote = remote.map_err(|e| Failure::Input(e.to_string()))?;
    Ok(Syncer::new(store, Arc::new(remote))?)
}

/// Runs a command that needs a remote.
pub(crate) fn run(args: &Args, command: &SyncCommand) -> Result<u8, Failure> {
    match command {
        SyncCommand::Sync { which, remote, how } => {
            let (syncer, how) = (remote.open(args)?, how.resolution());
            each(args, which, &|id| match &how {
                Some(how) => syncer.resolve(id, how),
                None => syncer.sync(id),
            })
        }
        SyncCommand::Push { which, remote } => {
            let syncer = remote.open(args)?;
            each(args, which, &|id| syncer.push(id))
        }
        SyncCommand::Pull { which, remote } => {
            let syncer = remote.open(args)?;
            each(args, which, &|id| syncer.pull(id))
        }
        SyncCommand::Clone { session, remote } => {
            show(args, &remote.open(args)?.clone_session(session)?)
        }
        SyncCommand::Claim {
            session,
            seconds,
            remote,
        } => {
            let claim = remote
                .open(args)?
                .claim(session, Duration::from_secs(*seconds))?;
            let until = sessionlog::iso_time(claim.until_us);
            if args.json {
                let object = Object::default().text("session_id", session);
                let object = object.text("device_id", &claim.device_id);
                json_line(
                    &object
                        .value("epoch", claim.epoch)
                        .text("until", &until)
                        .finish(),
                )?;
            } else {
                let name = one_line(session);
                line(format_args!(
                    "{NAME}{name}{NAME:#} is claimed until {until}"
                ))?;
            }
            Ok(0)
        }
        SyncCommand::Release { session, remote } => {
            let held = remote.open(args)?.release(session)?;
            if args.json {
                let object = Object::default().text("session_id", session);
                json_line(&object.value("released", held).finish())?;
            } else {
                let what = if held {
                    "is released"
                } else {
                    "was not claimed by this device"
                };
                line(format_args!("{NAME}{}{NAME:#} {what}", one_line(session)))?;
            }
            Ok(0)
        }
        SyncCommand::Remote(command) => super::remote::run(args, command),
    }
}

/// One session after the other; what fails for one does not keep the others, unless nobody can be reached.
fn each(
    args: &Args,
    which: &Which,
    sync: &dyn Fn(&str) -> Result<Synced, SyncError>,
) -> Result<u8, Failure> {
    let ids = which.ids(&args.open()?)?;
    let mut status = 0;
    for id in &ids {
        match sync(id) {
            Ok(synced) => status = status.max(show(args, &synced)?),
            Err(error) if ids.len() == 1 => return Err(error.into()),
            Err(error @ SyncError::Remote { .. }) => return Err(error.into()),
            Err(error) => {
                anstream::eprintln!("sessionlog: {}", one_line(&error.to_string()));
                status = status.max(sync_status(&error));
            }
        }
    }
    Ok(status)
}

fn show(args: &Args, synced: &Synced) -> Result<u8, Failure> {
    let (word, status) = match &synced.outcome {
        Outcome::Pushed => ("pushed", 0),
        Outcome::Pulled => ("pulled", 0),
        Outcome::Equal => ("equal", 0),
        Outcome::Behind => ("behind", 0),
        Outcome::Ahead => ("ahead", 0),
        Outcome::Diverged { .. } => ("diverged", 8),
        Outcome::Rebased(_) => ("rebased", 0),
        Outcome::Forked { .. } => ("forked", 0),
        Outcome::TookRemote { .. } => ("took_remote", 0),
        Outcome::Deleted => ("deleted", 0),
        _ => ("unknown", 10),
    };
    if args.json {
        json_line(&json(synced, word))?;
        return Ok(status);
    }
    let style = if status == 0 { GOOD } else { BAD };
    let (name, local, remote) = (one_line(&synced.session_id), synced.local, synced.remote);
    line(format_args!(
        "{NAME}{name}{NAME:#}  {style}{word}{style:#}  local {local}, remote {remote}"
    ))?;
    for text in details(synced) {
        note(args.quiet, format_args!("  {}", one_line(&text)));
    }
    Ok(status)
}

fn json(synced: &Synced, word: &str) -> String {
    let object = Object::default()
        .text("session_id", &synced.session_id)
        .text("result", word)
        .value("local", synced.local)
        .value("remote", synced.remote);
    let path = |path: &Path| path.display().to_string();
    match &synced.outcome {
        Outcome::Diverged { common } => object.value("common", common),
        Outcome::Rebased(report) => {
            let moved = report.moved.iter().map(|moved| {
                let object = Object::default().text("agent_id", &moved.agent_id);
                object
                    .value("from", moved.from)
                    .value("to", moved.to)
                    .finish()
            });
            let held = report.held_back.iter().map(ToString::to_string);
            let object = object.value("common", report.common).list("moved", moved);
            object
                .list("held_back", held)
                .text("branch", &path(&report.branch))
        }
        Outcome::Forked { session_id, branch } => object
            .text("fork", session_id)
            .text("branch", &path(branch)),
        Outcome::TookRemote { set_aside, branch } => {
            let range = [set_aside.0.to_string(), set_aside.1.to_string()];
            object
                .list("set_aside", range)
                .text("branch", &path(branch))
        }
        _ => object,
    }
    .finish()
}

fn details(synced: &Synced) -> Vec<String> {
    let id = &synced.session_id;
    let kept = |branch: &Path| {
        format!(
            "the branch is kept: sessionlog --store {} show {id}",
            branch.display()
        )
    };
    match &synced.outcome {
        Outcome::Diverged { common } => vec![format!(
            "both moved on from version {common}; nothing was written: choose --rebase, --fork NEW or --take-remote"
        )],
        Outcome::Rebased(report) => {
            let moved = report.moved.iter().map(|moved| {
                format!(
                    "message {} of {} is {} now",
                    moved.from, moved.agent_id, moved.to
                )
            });
            let held = report.held_back.iter();
            let held =
                held.map(|version| format!("version {version} is not repeated; the branch has it"));
            moved.chain(held).chain([kept(&report.branch)]).collect()
        }
        Outcome::Forked { session_id, branch } => {
            vec![
                format!("our branch is session {session_id} now"),
                kept(branch),
            ]
        }
        Outcome::TookRemote { set_aside, branch } => vec![
            format!(
                "versions {} to {} of ours were set aside",
                set_aside.0, set_aside.1
            ),
            kept(branch),
        ],
        Outcome::Deleted => {
            vec![format!(
                "it was deleted on another device; the local copy stays: sessionlog delete {id}"
            )]
        }
        _ => Vec::new(),
    }
}

//! The arguments of every command.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use sessionlog::{Durability, Result, Store};

/// Crash-safe session logs for AI agents.
///
/// A session is an append-only log of versioned events. Start with `sessionlog tour`.
#[derive(Debug, Parser)]
#[command(
    name = "sessionlog",
    version,
    max_term_width = 100,
    after_help = "\
Exit status: 0 done, 1 damaged or different, 2 bad usage or input, 3 not found, 4 locked, 5 version conflict,
6 damaged and refused to write, 7 I/O error, 8 diverged or claimed, 9 remote not reachable, 10 outcome unknown, 11 unsupported format version."
)]
pub(crate) struct Args {
    /// The store's directory [default: $`SESSIONLOG_STORE`, else ~/.sessionlog].
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Answer in JSON: one object, or one per line where the answer is a list.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no notes on stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Colour in the output.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// How long to wait for a session that another writer holds, in seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 0.0)]
    wait: f64,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Sets it for the whole process.
    pub(crate) fn set(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Ack {
    /// When it is on disk.
    #[default]
    Sync,
    /// When it is on disk; appends at the same time share a sync.
    Group,
    /// At the end, all at once.
    Buffered,
}

impl Ack {
    pub(crate) fn durability(self) -> Durability {
        match self {
            Self::Sync => Durability::Sync,
            Self::Group => Durability::Group,
            Self::Buffered => Durability::Buffered,
        }
    }
}

impl Args {
    /// The store's directory.
    pub(crate) fn store_path(&self) -> PathBuf {
        let from = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let home = || from("HOME").unwrap_or_default().join(".sessionlog");
        self.store
            .clone()
            .or_else(|| from("SESSIONLOG_STORE"))
            .unwrap_or_else(home)
    }

    /// Opens the store.
    pub(crate) fn open(&self) -> Result<Store> {
        let wait = Duration::try_from_secs_f64(self.wait).unwrap_or_default();
        Store::options().lock_wait(wait).open(self.store_path())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Append messages from stdin, one JSON object per line.
    ///
    /// Each message is acknowledged by one line on stdout, written only when the message is durable.
    #[command(after_help = "Examples:
  echo '{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}' | sessionlog append user-123
  sessionlog append user-123 --agent planner --batch 100 < messages.jsonl
  sessionlog append user-123 --expect 7 < one.json      # only if the session is at version 7")]
    Append {
        session: String,
        /// The agent whose message it is; created if it is new.
        #[arg(long, default_value = "default")]
        agent: String,
        /// Append only if the session is at this version (0: it does not exist); checked at the first commit.
        #[arg(long, value_name = "VERSION")]
        expect: Option<u64>,
        /// When to acknowledge.
        #[arg(long, value_enum, default_value = "sync")]
        durability: Ack,
        /// Commit so many messages at a time: all of them are there after a crash, or none.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=60000))]
        batch: u16,
    },
    /// Redact a message: the replacement, one JSON object, comes from stdin.
    #[command(after_help = "Example:
  echo '{\"role\":\"user\",\"content\":[{\"text\":\"[redacted]\"}]}' | sessionlog redact user-123 --message 4")]
    Redact {
        session: String,
        /// The message's id.
        #[arg(long, value_name = "M")]
        message: u64,
        #[arg(long, default_value = "default")]
        agent: String,
    },
    /// Bring an agent's state up to date from stdin; writes nothing when nothing changed.
    #[command(after_help = "Example:
  echo '{\"state\":{\"step\":3}}' | sessionlog sync-state user-123

The object has any of: state, conversation_manager_state, _internal_state.")]
    SyncState {
        session: String,
        #[arg(long, default_value = "default")]
        agent: String,
    },
    /// Show the conversation.
    #[command(after_help = "Examples:
  sessionlog show user-123 --last 20
  sessionlog show user-123 --at 42               # as it was at version 42
  sessionlog show user-123 --effective --json    # what the model sees")]
    Show(Show),
    /// Show the events.
    #[command(after_help = "Examples:
  sessionlog log user-123 --from 40 --to 60
  sessionlog log user-123 --json | tail -1")]
    Log {
        session: String,
        /// The first version.
        #[arg(long, value_name = "V", default_value_t = 1)]
        from: u64,
        /// The last version.
        #[arg(long, value_name = "V", default_value_t = u64::MAX, hide_default_value = true)]
        to: u64,
        /// Show the text of redacted messages.
        #[arg(long)]
        original: bool,
    },
    /// Tell what a session consists of.
    #[command(after_help = "Example:
  sessionlog info user-123 --json")]
    Info { session: String },
    /// List the sessions.
    #[command(after_help = "Example:
  sessionlog ls --json")]
    Ls,
    /// Import the standard layout of Strands Agents.
    ///
    /// FROM is a storage directory with session_* inside, one session_* directory, or either in a bucket, as
    /// `s3://BUCKET/PREFIX`. Damaged files are reported and skipped; the exit status is 1 then.
    #[command(after_help = "Examples:
  sessionlog import ./sessions
  sessionlog import ./sessions/session_user-123 --update
  sessionlog import s3://bucket/agents --endpoint https://s3.example.org")]
    Import(Import),
    /// Export sessions to the standard layout, byte for byte as they were imported.
    ///
    /// The layout keeps the originals of redacted messages, so they are exported too, unless --redacted.
    #[command(after_help = "Examples:
  sessionlog export user-123 --to ./out
  sessionlog export --all --to ./out --force --redacted
  sessionlog export user-123 --to s3://bucket/agents")]
    Export(Export),
    /// Delete a session.
    #[command(after_help = "Example:
  sessionlog delete user-123 --yes")]
    Delete {
        session: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Read everything, check everything, change nothing.
    #[command(after_help = "Examples:
  sessionlog verify user-123
  sessionlog verify --all --json")]
    Verify(Which),
    /// Make damaged sessions writable again: set damage aside, keep the rest, renumber nothing.
    #[command(after_help = "Examples:
  sessionlog repair user-123 --dry-run
  sessionlog repair user-123 --from /backup/store
  sessionlog repair user-123 --from s3://bucket/agents")]
    Repair(Repair),
    /// Mend a broken tool history: unanswered, late, double and orphan tool results.
    #[command(after_help = "Example:
  sessionlog repair-history user-123 --dry-run")]
    RepairHistory {
        session: String,
        #[arg(long, default_value = "default")]
        agent: String,
        /// Show the edits, and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// List the faults of a conversation's tool pairs.
    #[command(after_help = "Example:
  sessionlog validate user-123 --json")]
    Validate {
        session: String,
        #[arg(long, default_value = "default")]
        agent: String,
    },
    /// The whole story in one go, on a real session, with a real SIGKILL.
    #[command(after_help = "Examples:
  sessionlog tour
  sessionlog tour --from ./sessions --keep ./tour")]
    Tour {
        /// Start from a session of the standard layout.
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// Keep everything in this directory instead of a temporary one.
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    #[cfg(feature = "s3")]
    #[command(flatten)]
    Sync(crate::commands::sync::SyncCommand),
    /// What this disk gives: durable, grouped and buffered appends, opening, verifying.
    ///
    /// Measures in a temporary directory on the disk of the store, and removes it.
    #[command(after_help = "Examples:
  sessionlog bench
  sessionlog bench --quick --json
  sessionlog --store /mnt/data/store bench")]
    Bench {
        /// A second instead of several, and less exact.
        #[arg(long)]
        quick: bool,
    },
    /// Print completions for a shell.
    #[command(after_help = "Example:
  sessionlog completions bash > /etc/bash_completion.d/sessionlog")]
    Completions { shell: clap_complete::Shell },
}

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    pub(crate) session: String,
    #[arg(long, default_value = "default")]
    pub(crate) agent: String,
    /// The last N messages.
    #[arg(long, value_name = "N", conflicts_with_all = ["offset", "limit"])]
    pub(crate) last: Option<usize>,
    /// From this position on.
    #[arg(long, value_name = "O", default_value_t = 0)]
    pub(crate) offset: usize,
    /// At most so many.
    #[arg(long, value_name = "L")]
    pub(crate) limit: Option<usize>,
    /// As it was at this version.
    #[arg(long, value_name = "V")]
    pub(crate) at: Option<u64>,
    /// Show the originals of redacted messages.
    #[arg(long)]
    pub(crate) original: bool,
    /// What the model would see: redactions, repair and window applied.
    #[arg(long, conflicts_with_all = ["original", "last", "offset", "limit"])]
    pub(crate) effective: bool,
}

/// What to repair.
#[derive(Debug, clap::Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Another copy of the store, of the session's directory, or a remote, to take lost events from.
    #[arg(long, value_name = "COPY")]
    pub(crate) from: Option<PathBuf>,
    #[cfg(feature = "s3")]
    #[command(flatten)]
    pub(crate) server: crate::commands::bucket::ServerArgs,
}

/// What to import.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    #[arg(required = true, value_name = "FROM")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Bring existing sessions up to date instead of refusing them.
    #[arg(long)]
    pub(crate) update: bool,
    #[cfg(feature = "s3")]
    #[command(flatten)]
    pub(crate) server: crate::commands::bucket::ServerArgs,
}

/// What to export.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(crate) struct Export {
    #[arg(value_name = "SESSION", required_unless_present = "all")]
    pub(crate) sessions: Vec<String>,
    /// The directory that gets the `session_*` directories, or a bucket, as `s3://BUCKET/PREFIX`.
    #[arg(long, value_name = "TO")]
    pub(crate) to: PathBuf,
    #[cfg(feature = "s3")]
    #[command(flatten)]
    pub(crate) server: crate::commands::bucket::ServerArgs,
    /// As it was at this version.
    #[arg(long, value_name = "V")]
    pub(crate) at: Option<u64>,
    /// Every session.
    #[arg(long)]
    pub(crate) all: bool,
    /// Withhold the originals of redacted messages.
    #[arg(long)]
    pub(crate) redacted: bool,
    /// Replace what is there.
    #[arg(long)]
    pub(crate) force: bool,
    /// Export messages too whose redaction may be among lost events.
    #[arg(long)]
    pub(crate) include_unknown: bool,
}

/// Which sessions.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    #[arg(value_name = "SESSION", required_unless_present = "all")]
    pub(crate) sessions: Vec<String>,
    /// Every session.
    #[arg(long)]
    pub(crate) all: bool,
}

impl Which {
    /// The ids.
    pub(crate) fn ids(&self, store: &Store) -> Result<Vec<String>> {
        if self.all {
            store.list()
        } else {
            Ok(self.sessions.clone())
        }
    }
}

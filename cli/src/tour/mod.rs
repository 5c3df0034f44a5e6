//! `tour`: the main job in one go, on a real session, with a real SIGKILL.

mod crash;
mod script;
mod tree;

use std::path::{Path, PathBuf};
use std::time::Instant;

use sessionlog::layout::{ExportOptions, ImportOptions, export, find_sessions, import};
use sessionlog::{AgentSync, Session, Store, Version, View};

use crate::exit::{Failure, one_line};
use crate::output::{FAINT, GOOD, NAME, STRONG, line, size};

/// Runs the tour in a temporary directory, or in `keep`.
pub(crate) fn run(from: Option<&Path>, keep: Option<&Path>) -> Result<u8, Failure> {
    let temporary = match keep {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(|e| Failure::Stream("making a directory", e))?),
    };
    let dir = match (keep, &temporary) {
        (Some(keep), _) => {
            std::fs::create_dir_all(keep).map_err(sessionlog::Error::io("create", keep))?;
            keep.to_path_buf()
        }
        (None, Some(temporary)) => temporary.path().to_path_buf(),
        (None, None) => PathBuf::new(),
    };
    let tour = Tour {
        store: Store::open(dir.join("store"))?,
        dir,
    };
    let session = tour.begin(from)?;
    Tour::conversation(&session)?;
    Tour::redaction(&session)?;
    Tour::state(&session)?;
    tour.time_travel(&session)?;
    tour.second_writer(&session)?;
    session.close()?;
    tour.crash()?;
    tour.export()?;
    tour.end(keep)?;
    Ok(0)
}

struct Tour {
    store: Store,
    dir: PathBuf,
}

/// The session of the tour, and its agent.
const SESSION: &str = "tour";
const AGENT: &str = "default";

impl Tour {
    fn begin(&self, from: Option<&Path>) -> Result<Session, Failure> {
        line(format_args!(
            "{STRONG}sessionlog{STRONG:#}: a session store that does not lose what it acknowledged"
        ))?;
        line(format_args!(
            "{FAINT}the store: {}{FAINT:#}",
            self.store.path().display()
        ))?;
        if let Some(from) = from {
            step(1, "Import a session of the standard layout")?;
            let sessions = find_sessions(from)?;
            let first = &sessions[0];
            let mut source = first.clone();
            SESSION.clone_into(&mut source.session_id);
            let report = import(&self.store, &source, &ImportOptions::default(), &mut |_| {})?;
            say(format_args!(
                "{} came in as session {NAME}{SESSION}{NAME:#}: {} messages, version {}",
                one_line(&first.path.display().to_string()),
                report.messages,
                report.version
            ))?;
            for skipped in &report.skipped {
                say(format_args!(
                    "skipped {}: {}",
                    skipped.path.display(),
                    one_line(&skipped.error)
                ))?;
            }
        } else {
            step(1, "Create a session")?;
            say("it is a directory of its own; it appears with its first message")?;
        }
        Ok(self.store.session(SESSION)?)
    }

    fn conversation(session: &Session) -> Result<(), Failure> {
        step(
            2,
            "Append a conversation with tools; each message is on disk before the next line is printed",
        )?;
        for (what, message) in script::CONVERSATION {
            let start = Instant::now();
            let done = session.append_json(AGENT, message)?;
            let micros = start.elapsed().as_micros();
            say(format_args!(
                "version {NAME}{:<3}{NAME:#} message {:<3} {what:<32} {FAINT}{} bytes, {micros} us{FAINT:#}",
                done.version,
                done.message_id,
                message.len()
            ))?;
        }
        let version = session.version();
        let batch = script::BATCH
            .iter()
            .try_fold(session.batch(), |batch, message| {
                batch.append_json(AGENT, message)
            })?;
        let done = batch.expect_version(version).commit()?;
        say(format_args!(
            "version {NAME}{:<3}{NAME:#} two messages in one commit: after a crash both are there, or none",
            done.version
        ))
    }

    fn redaction(session: &Session) -> Result<(), Failure> {
        step(3, "Redact a message that should not have been said")?;
        let secret = session.read()?.messages(AGENT)?.last(2).next();
        let id = secret
            .ok_or_else(|| failed("there is no message to redact"))??
            .id();
        let done = session
            .batch()
            .redact_json(AGENT, id, script::REDACTED)?
            .commit()?;
        let shown = session.read()?.messages(AGENT)?.get(id)?;
        check(!shown.text().contains("4711"), "the redacted text is shown")?;
        say(format_args!(
            "version {NAME}{:<3}{NAME:#} message {id} now reads {}",
            done.version,
            shown.text()
        ))
    }

    fn state(session: &Session) -> Result<(), Failure> {
        step(4, "Sync the agent's state; only what changed is written")?;
        for state in [
            r#"{"city":"Lyon","turn":1}"#,
            r#"{"city":"Lyon","turn":2}"#,
            r#"{"city":"Lyon","turn":2}"#,
        ] {
            let sync = AgentSync {
                state: Some(state),
                ..AgentSync::default()
            };
            let done = session.sync_agent(AGENT, sync)?;
            let written = if done.changed {
                "written"
            } else {
                "unchanged: nothing written"
            };
            say(format_args!(
                "version {NAME}{:<3}{NAME:#} {state} {FAINT}{written}{FAINT:#}",
                done.version
            ))?;
        }
        Ok(())
    }

    fn time_travel(&self, session: &Session) -> Result<(), Failure> {
        step(5, "Go back in time: every version can be read")?;
        let view = self.store.read(SESSION)?;
        let last = session.version();
        check(
            view.version() == last,
            "a reader does not see the last version",
        )?;
        for version in [last.0 - 8, last.0 - 4, last.0] {
            let then = view.at(Version(version))?;
            say(format_args!(
                "at version {NAME}{version:<3}{NAME:#} {} messages; the last: {}",
                then.messages(AGENT)?.count(),
                last_text(&then)?
            ))?;
        }
        Ok(())
    }

    fn second_writer(&self, session: &Session) -> Result<(), Failure> {
        step(6, "Two writers cannot overwrite each other")?;
        let second = self.store.session(SESSION);
        check(
            matches!(second, Err(sessionlog::Error::Locked { .. })),
            "a second writer was let in",
        )?;
        say("another writer gets: locked")?;
        let stale = Version(session.version().0 - 1);
        let batch = session
            .batch()
            .append_json(AGENT, "{}")?
            .expect_version(stale)
            .commit();
        let conflict = matches!(batch, Err(sessionlog::Error::VersionConflict { .. }));
        check(conflict, "a stale expectation was accepted")?;
        say(format_args!(
            "an append that expects version {stale} gets: version conflict, nothing written"
        ))
    }

    fn crash(&self) -> Result<(), Failure> {
        step(
            7,
            "Kill a writer in the middle of its work (SIGKILL, in another process)",
        )?;
        let before = self.store.read(SESSION)?.version();
        let (acknowledged, torn) = crash::kill_a_writer(self.store.path(), SESSION)?;
        say(format_args!(
            "it had acknowledged {} messages when it died",
            acknowledged.len()
        ))?;
        let start = Instant::now();
        let session = self.store.session(SESSION)?;
        let micros = start.elapsed().as_micros();
        let cut = session
            .recovered()
            .map_or(torn, |(damage, _)| damage.length);
        say(format_args!(
            "opened again in {micros} us at version {}; {cut} torn bytes set aside",
            session.version()
        ))?;
        let view = session.read()?;
        for (version, id) in &acknowledged {
            let message = view.messages(AGENT)?.get(*id)?;
            check(
                message.version() == Version(*version),
                "an acknowledged message is not there",
            )?;
        }
        check(session.version() > before, "nothing was written")?;
        session.close()?;
        let report = self.store.verify(SESSION)?;
        check(report.is_ok(), "the log is damaged")?;
        say(format_args!(
            "{GOOD}every acknowledged message is there{GOOD:#}; {} events verified, {}",
            report.events,
            size(report.bytes)
        ))
    }

    fn export(&self) -> Result<(), Failure> {
        step(
            8,
            "Export to the standard layout, where a Strands agent can go on",
        )?;
        let out = self.dir.join("export");
        let options = ExportOptions {
            force: true,
            ..ExportOptions::default()
        };
        let report = export(&self.store, SESSION, &out, &options, &mut |_| {})?;
        say(format_args!(
            "{} files, {} original(s) of redacted messages among them",
            report.files, report.originals
        ))?;
        for entry in tree::outline(&report.path) {
            say(entry)?;
        }
        let agent = report.path.join(format!("agents/agent_{AGENT}/agent.json"));
        let text =
            std::fs::read_to_string(&agent).map_err(sessionlog::Error::io("read", &agent))?;
        line(format_args!("\n    {FAINT}agent.json{FAINT:#}"))?;
        for row in text.lines() {
            say(one_line(row))?;
        }
        Ok(())
    }

    fn end(&self, keep: Option<&Path>) -> Result<(), Failure> {
        line(format_args!(
            "\n{GOOD}Done.{GOOD:#} Three commands to try next:"
        ))?;
        let typed = std::env::args().next().unwrap_or_default();
        let by_cargo = std::env::var_os("CARGO").is_some();
        let program = if by_cargo {
            "cargo run --release --"
        } else {
            &typed
        };
        let store = keep.map_or_else(
            || "./my-store".to_owned(),
            |_| self.store.path().display().to_string(),
        );
        line(format_args!(
            "  echo '{{\"role\":\"user\",\"content\":[{{\"text\":\"hi\"}}]}}' | {program} --store {store} append first"
        ))?;
        line(format_args!("  {program} --store {store} show first"))?;
        line(format_args!("  {program} --store {store} log first"))
    }
}

fn last_text(view: &View) -> Result<String, Failure> {
    let message = view.messages(AGENT)?.last(1).next();
    let message = message.ok_or_else(|| failed("there is no message"))??;
    let text = one_line(&message.text());
    Ok(if text.chars().count() > 60 {
        format!("{} ...", text.chars().take(60).collect::<String>())
    } else {
        text
    })
}

fn step(number: u32, text: &str) -> Result<(), Failure> {
    line(format_args!("\n{STRONG}{number}. {text}{STRONG:#}"))
}

fn say(text: impl std::fmt::Display) -> Result<(), Failure> {
    line(format_args!("    {text}"))
}

fn failed(text: &str) -> Failure {
    Failure::Step(text.to_owned())
}

fn check(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(failed(otherwise))
    }
}

//! `delete`: a session goes.

use std::io::{self, BufRead, IsTerminal};

use crate::args::Args;
use crate::exit::{Failure, one_line};
use crate::output::{NAME, Object, json_line, line};

/// Deletes a session, after asking.
pub(crate) fn run(args: &Args, session: &str, yes: bool) -> Result<u8, Failure> {
    let store = args.open()?;
    let version = store.read(session)?.version();
    if !yes {
        if !io::stdin().is_terminal() {
            let text = format!(
                "delete {}: not asked on a terminal; add --yes to delete",
                one_line(session)
            );
            return Err(Failure::Input(text));
        }
        anstream::eprint!(
            "Delete session {} at version {version}? [y/N] ",
            one_line(session)
        );
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.map_err(|e| Failure::Stream("reading the answer", e))?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::Input("nothing was deleted".to_owned()));
        }
    }
    store.delete(session)?;
    if args.json {
        json_line(
            &Object::default()
                .text("session_id", session)
                .value("deleted", true)
                .finish(),
        )?;
    } else {
        line(format_args!(
            "{NAME}{}{NAME:#} is deleted",
            one_line(session)
        ))?;
    }
    Ok(0)
}

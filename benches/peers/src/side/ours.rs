//! Our log: one session, one agent.

use std::path::Path;

use sessionlog::{Durability, Session, Store};

use super::{Appends, OURS, Side, Texts};
use crate::fault::Result;

/// The session and the agent of every measurement.
pub(crate) const SESSION: &str = "s";
pub(crate) const AGENT: &str = "a";

pub(crate) struct Ours;

impl Side for Ours {
    fn name(&self) -> String {
        OURS.to_owned()
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Appends>> {
        Ok(Box::new(Store::open(dir)?.session(SESSION)?))
    }

    fn fill(&self, dir: &Path, texts: &mut Texts<'_>) -> Result<()> {
        let session = Store::open(dir)?.session(SESSION)?;
        for text in texts {
            buffered(&session, &text)?;
        }
        Ok(session.close()?)
    }

    fn read_last(&self, dir: &Path, n: usize) -> Result<usize> {
        let messages = Store::open(dir)?.read(SESSION)?.messages(AGENT)?;
        let mut bytes = 0;
        for message in messages.last(n) {
            bytes += message?.text().len();
        }
        Ok(bytes)
    }
}

impl Appends for Session {
    fn append(&self, text: &str) -> Result<()> {
        self.append_json(AGENT, text)?;
        Ok(())
    }
}

/// One buffered append.
pub(crate) fn buffered(session: &Session, text: &str) -> Result<()> {
    session
        .batch()
        .append_json(AGENT, text)?
        .durability(Durability::Buffered)
        .commit()?;
    Ok(())
}

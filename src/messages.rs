//! The messages of one agent, one by one.

use std::ops::Range;
use std::sync::Arc;

use crate::log::{LogReader, PayloadReader};
use crate::state::{Entry, Message};
use crate::view::{Content, Held, LookedBack, View};
use crate::{Error, Result};

/// The most messages that are looked for backwards; more are found through an index of all.
const RECENT: usize = 1024;

/// Messages of one agent, read one by one: memory is bounded by the largest, or by 16 MiB for those of a short log.
#[derive(Debug)]
pub struct Messages {
    payloads: PayloadReader,
    view: View,
    agent: Arc<str>,
    wanted: Wanted,
    found: Option<Found>,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    All,
    Last(usize),
    Window { offset: usize, limit: Option<usize> },
}

impl Wanted {
    /// Which of `len` messages, by position.
    fn range(self, len: usize) -> Range<usize> {
        match self {
            Self::All => 0..len,
            Self::Last(n) => len.saturating_sub(n)..len,
            Self::Window { offset, limit } => {
                let start = offset.min(len);
                start..limit.map_or(len, |n| start.saturating_add(n).min(len))
            }
        }
    }
}

#[derive(Debug)]
enum Found {
    /// Positions in an index that has the texts with it.
    Held(Range<usize>, Box<Held>),
    /// Positions in the index.
    Indexed(Range<usize>),
    /// The messages themselves.
    Read(std::vec::IntoIter<Message>),
}

impl Messages {
    pub(crate) fn new(view: View, reader: LogReader, agent: &str) -> Self {
        let payloads = PayloadReader::new(reader);
        Self {
            payloads,
            view,
            agent: agent.into(),
            wanted: Wanted::All,
            found: None,
        }
    }

    /// The last `n` of them, at a cost of `n`, however long the conversation.
    #[must_use]
    pub fn last(mut self, n: usize) -> Self {
        self.wanted = Wanted::Last(n);
        self
    }

    /// Those from position `offset` on, at most `limit`.
    #[must_use]
    pub fn window(mut self, offset: usize, limit: Option<usize>) -> Self {
        self.wanted = Wanted::Window { offset, limit };
        self
    }

    /// The message with this id.
    ///
    /// Errors: [`Error::NotFound`].
    pub fn get(mut self, id: u64) -> Result<Message> {
        let content = Arc::clone(self.view.content()?);
        let entries = content.index.agent(&self.agent);
        let missing = || Error::NotFound(format!("message {id} of agent {:?}", self.agent));
        let at = entries
            .binary_search_by_key(&id, |entry| entry.id)
            .map_err(|_| missing())?;
        let missing = missing();
        self.read(&content, &entries[at])?.ok_or(missing)
    }

    fn find(&mut self) -> Result<Found> {
        if let Wanted::Last(n @ 0..=RECENT) = self.wanted {
            match self.view.recent(&self.agent, n)? {
                LookedBack::Found(messages) => return Ok(Found::Read(messages.into_iter())),
                LookedBack::NoAgent => return Ok(Found::Read(Vec::new().into_iter())),
                LookedBack::Unsuited => {}
            }
        }
        if let Some(held) = self.view.held(&self.agent)? {
            let len = held.index.agent(&self.agent).len();
            return Ok(Found::Held(self.wanted.range(len), Box::new(held)));
        }
        let len = self.view.content()?.index.agent(&self.agent).len();
        Ok(Found::Indexed(self.wanted.range(len)))
    }

    fn step(&mut self) -> Result<Option<Message>> {
        loop {
            match &mut self.found {
                None => self.found = Some(self.find()?),
                Some(Found::Read(messages)) => return Ok(messages.next()),
                Some(Found::Held(range, held)) => {
                    let entry = range
                        .next()
                        .and_then(|at| held.index.agent(&self.agent).get(at));
                    let Some(entry) = entry else { return Ok(None) };
                    let text = |span: &Range<usize>| {
                        Ok(held.texts.get(span.clone()).unwrap_or_default().to_owned())
                    };
                    let redaction_unknown = held.index.redaction_unknown(entry);
                    if let Some(message) = Message::of(entry.read(text)?, redaction_unknown) {
                        return Ok(Some(message));
                    }
                }
                Some(Found::Indexed(range)) => {
                    let Some(at) = range.next() else {
                        return Ok(None);
                    };
                    let content = Arc::clone(self.view.content()?);
                    let entry = content.index.agent(&self.agent).get(at);
                    let Some(entry) = entry else { return Ok(None) };
                    if let Some(message) = self.read(&content, entry)? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    fn read(&mut self, content: &Content, entry: &Entry) -> Result<Option<Message>> {
        let read = entry.read(|place| self.payloads.read(*place))?;
        Ok(Message::of(read, content.index.redaction_unknown(entry)))
    }
}

/// Messages that were lost to damage are passed over: [`View::damage`] names them.
impl Iterator for Messages {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

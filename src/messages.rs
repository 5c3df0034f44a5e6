//! The messages of one agent, one by one.

use std::sync::Arc;

use crate::event::{Form, Place};
use crate::log::{LogReader, PayloadReader};
use crate::state::{Entry, Message};
use crate::view::{Content, LookedBack, View};
use crate::{Error, Result};

/// The most messages that are looked for backwards; more are found through an index of all.
const RECENT: usize = 1024;

/// Messages of one agent, read one by one: memory is bounded by the largest.
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

#[derive(Debug)]
enum Found {
    /// Positions in the index.
    Indexed(std::ops::Range<usize>),
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
        let len = self.view.content()?.index.agent(&self.agent).len();
        Ok(Found::Indexed(match self.wanted {
            Wanted::All => 0..len,
            Wanted::Last(n) => len.saturating_sub(n)..len,
            Wanted::Window { offset, limit } => {
                let start = offset.min(len);
                start..limit.map_or(len, |n| start.saturating_add(n).min(len))
            }
        }))
    }

    fn step(&mut self) -> Result<Option<Message>> {
        loop {
            match &mut self.found {
                None => self.found = Some(self.find()?),
                Some(Found::Read(messages)) => return Ok(messages.next()),
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
        let redaction = match entry.redaction.as_deref() {
            Some(redaction) => {
                let text = redaction
                    .place
                    .map(|place| self.payload(place))
                    .transpose()?;
                Some((redaction.time_us, text.unwrap_or_default()))
            }
            None => None,
        };
        let (payload, form) = match entry.place {
            Some(place) => (self.payload(place)?, entry.form),
            None if redaction.is_some() => ("null".to_owned(), Form::Plain),
            None => return Ok(None),
        };
        Ok(Some(Message {
            id: entry.id,
            version: entry.version,
            created_us: entry.created_us,
            form,
            payload,
            redaction,
            redaction_unknown: content.index.redaction_unknown(entry),
            name: entry.name.clone(),
        }))
    }

    fn payload(&mut self, place: Place) -> Result<String> {
        self.payloads.read(place)
    }
}

/// Messages that were lost to damage are passed over: [`View::damage`] names them.
impl Iterator for Messages {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

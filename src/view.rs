//! Reading a session: no lock, beside any writer, at any version.

use std::sync::Arc;

use crate::damage::Damage;
use crate::event::{Event, EventKind, Place};
use crate::log::{LogReader, PayloadReader, Replayed, Scanned};
use crate::state::{Entry, Index, Message, State};
use crate::{Error, Result, Version};

/// How often a reader looks again while what it sees still changes.
const LOOKS: usize = 5;

/// A session as it was when it was opened, or at an earlier version: it never changes.
#[derive(Clone, Debug)]
pub struct View {
    reader: LogReader,
    id: Arc<str>,
    content: Arc<Content>,
}

#[derive(Debug)]
struct Content {
    state: State,
    index: Index,
    scanned: Scanned,
}

impl View {
    pub(crate) fn open(reader: LogReader, id: &str) -> Result<Self> {
        let content = stable(&reader)?.filter(|content| {
            content.state.version() > Version::ZERO || !content.scanned.damage.is_empty()
        });
        let content = content.ok_or_else(|| Error::NotFound(format!("session {id:?}")))?;
        Ok(Self {
            reader,
            id: id.into(),
            content: Arc::new(content),
        })
    }

    /// The session's id.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.id
    }

    /// The version that this view shows.
    #[must_use]
    pub fn version(&self) -> Version {
        self.content.state.version()
    }

    /// The session's state: its records, its agents, what each has.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.content.state
    }

    /// Every damaged range of the log; what is good on both sides of each is in this view. Empty for a log
    /// without damage. A torn tail is not damage: a writer may be at it.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.content.scanned.damage
    }

    /// A torn tail that the next writer will set aside and cut: bytes that were never acknowledged.
    #[must_use]
    pub fn torn(&self) -> Option<&Damage> {
        self.content.scanned.torn.as_ref().map(|(damage, _)| damage)
    }

    /// What the log consists of.
    #[must_use]
    pub fn log(&self) -> LogInfo {
        let scanned = &self.content.scanned;
        LogInfo {
            log_id: scanned.log_id,
            segments: scanned.segments.len(),
            bytes: scanned.segments.iter().map(|s| s.len).sum(),
            events: scanned.events,
            durable_version: Version(scanned.durable),
            torn_bytes: scanned.torn.as_ref().map_or(0, |(_, torn)| torn.length),
        }
    }

    /// The session as it was at an earlier version.
    ///
    /// Errors: [`Error::NotFound`] if the session never was at this version.
    pub fn at(&self, version: Version) -> Result<Self> {
        if version == Version::ZERO || version > self.version() {
            let (id, last) = (&self.id, self.version());
            let what = format!("version {version} of session {id:?} (it is at version {last}): it");
            return Err(Error::NotFound(what));
        }
        let content = load(&self.reader, Some(version))?;
        let content = content.ok_or_else(|| Error::NotFound(format!("session {:?}", self.id)))?;
        Ok(Self {
            content: Arc::new(content),
            ..self.clone()
        })
    }

    /// The messages of an agent, in the order of their ids.
    ///
    /// Errors: [`Error::NotFound`] if there is no such agent.
    pub fn messages(&self, agent: &str) -> Result<Messages> {
        if self.content.state.agent(agent).is_none() {
            return Err(Error::NotFound(format!(
                "agent {agent:?} of session {:?}",
                self.id
            )));
        }
        let end = self.content.index.agent(agent).len();
        Ok(Messages {
            payloads: PayloadReader::new(self.reader.clone()),
            content: Arc::clone(&self.content),
            agent: agent.into(),
            range: 0..end,
        })
    }

    /// Hands out the events from `from` to `to`, both included, in order. Text that was redacted later is
    /// given as it was: see [`View::is_withheld`].
    pub fn for_each_event(
        &self,
        from: Version,
        to: Version,
        visit: &mut dyn FnMut(&Event<'_>) -> Result<()>,
    ) -> Result<()> {
        let to = to.min(self.version());
        self.reader.scan(&mut |item| match item {
            Replayed::Event(event) if event.version >= from && event.version <= to => visit(&event),
            _ => Ok(()),
        })?;
        Ok(())
    }

    /// Whether the event carries text of a message that this view shows redacted.
    #[must_use]
    pub fn is_withheld(&self, event: &Event<'_>) -> bool {
        let holds_text = matches!(
            event.kind,
            EventKind::MessageAdded | EventKind::MessageUpdated
        );
        let agent = self.content.state.agent(event.subject);
        holds_text && agent.is_some_and(|agent| agent.is_redacted(event.message_id))
    }
}

/// What a log consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogInfo {
    /// The log's id: random, the same on every device that has this history.
    pub log_id: [u8; 16],
    /// How many segment files there are.
    pub segments: usize,
    /// Their length in bytes, in all.
    pub bytes: u64,
    /// How many good events there are.
    pub events: u64,
    /// Every event up to here is known to be durable.
    pub durable_version: Version,
    /// The length of a torn tail that the next writer will set aside, in bytes.
    pub torn_bytes: u64,
}

/// Messages of one agent, read one by one: memory is bounded by the largest.
#[derive(Debug)]
pub struct Messages {
    payloads: PayloadReader,
    content: Arc<Content>,
    agent: Arc<str>,
    range: std::ops::Range<usize>,
}

impl Messages {
    /// The last `n` of them.
    #[must_use]
    pub fn last(mut self, n: usize) -> Self {
        self.range.start = self.range.start.max(self.range.end.saturating_sub(n));
        self
    }

    /// Those from position `offset` on, at most `limit`.
    #[must_use]
    pub fn window(mut self, offset: usize, limit: Option<usize>) -> Self {
        let start = self.range.start.saturating_add(offset).min(self.range.end);
        let end = limit.map_or(self.range.end, |n| {
            start.saturating_add(n).min(self.range.end)
        });
        self.range = start..end;
        self
    }

    /// The message with this id.
    ///
    /// Errors: [`Error::NotFound`].
    pub fn get(mut self, id: u64) -> Result<Message> {
        let entries = self.content.index.agent(&self.agent);
        let at = entries.binary_search_by_key(&id, |entry| entry.id);
        let missing = || Error::NotFound(format!("message {id} of agent {:?}", self.agent));
        let at = at.map_err(|_| missing())?;
        self.range = at..at + 1;
        let missing = missing();
        self.next().unwrap_or(Err(missing))
    }

    fn read(&mut self, entry: &Entry) -> Result<Option<Message>> {
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
            None if redaction.is_some() => ("null".to_owned(), crate::event::Form::Plain),
            None => return Ok(None),
        };
        Ok(Some(Message {
            id: entry.id,
            version: entry.version,
            created_us: entry.created_us,
            form,
            payload,
            redaction,
            redaction_unknown: self.content.index.redaction_unknown(entry),
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
        loop {
            let at = self.range.next()?;
            let content = Arc::clone(&self.content);
            let entry = content.index.agent(&self.agent).get(at)?;
            if let Some(message) = self.read(entry).transpose() {
                return Some(message);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.range.len()))
    }
}

/// Loads until two looks agree: a writer may be at the tail while we read it.
fn stable(reader: &LogReader) -> Result<Option<Content>> {
    let mut content = load(reader, None)?;
    for _ in 1..LOOKS {
        let is_calm = |c: &Content| c.scanned.damage.is_empty() && c.scanned.torn.is_none();
        if content.as_ref().is_none_or(is_calm) {
            break;
        }
        let again = load(reader, None)?;
        let same = match (&content, &again) {
            (Some(a), Some(b)) => {
                a.scanned.damage == b.scanned.damage
                    && a.scanned.torn == b.scanned.torn
                    && a.state.version() == b.state.version()
            }
            (a, b) => a.is_none() == b.is_none(),
        };
        content = again;
        if same {
            break;
        }
    }
    Ok(content)
}

fn load(reader: &LogReader, to: Option<Version>) -> Result<Option<Content>> {
    let (mut state, mut index) = (State::default(), Index::default());
    let scanned = reader.scan(&mut |item| {
        let version = match &item {
            Replayed::Event(event) | Replayed::PayloadLost(event) => event.version,
            Replayed::Lost { first, .. } => *first,
        };
        if to.is_none_or(|to| version <= to) {
            state.apply(&item);
            index.apply(&item);
        }
        Ok(())
    })?;
    Ok(scanned.map(|scanned| Content {
        state,
        index,
        scanned,
    }))
}

//! Reading a session: no lock, beside any writer, at any version.

use std::sync::{Arc, OnceLock};

use crate::damage::Damage;
use crate::event::{Event, EventKind, Place};
use crate::log::{
    Backward, Listing, LogReader, PayloadReader, Replayed, Scanned, SegmentFile, Stop, Tip,
};
use crate::state::{Entry, Index, Message, Recent, Seen, State};
use crate::storage::OpenMode;
use crate::{Error, Result, Version, snapshot};

/// How often a reader looks again while what it sees still changes.
const LOOKS: usize = 5;

/// The most messages that are looked for backwards; more are found through an index of all.
const RECENT: usize = 1024;

/// A session as it was when it was opened, or at an earlier version: it never changes.
///
/// Opening finds the end of the log and reads nothing else; the last messages are read backwards from there.
/// Only what needs all of the log replays it, once.
#[derive(Clone, Debug)]
pub struct View {
    reader: LogReader,
    id: Arc<str>,
    version: Version,
    time_us: u64,
    /// Whether the view shows the end of a log whose end is sound.
    is_tip: bool,
    content: OnceLock<Arc<Content>>,
}

#[derive(Debug)]
struct Content {
    state: State,
    index: Index,
    scanned: Scanned,
}

impl View {
    pub(crate) fn open(reader: LogReader, id: &str) -> Result<Self> {
        let tip = Tip::find(&reader)?.filter(|tip| tip.version > 0);
        if let Some(tip) = tip {
            let (version, time_us) = (Version(tip.version), tip.time_us);
            let content = OnceLock::new();
            return Ok(Self {
                reader,
                id: id.into(),
                version,
                time_us,
                is_tip: true,
                content,
            });
        }
        let content = stable(&reader)?.filter(|content| {
            content.state.version() > Version::ZERO || !content.scanned.damage.is_empty()
        });
        let content = content.ok_or_else(|| Error::NotFound(format!("session {id:?}")))?;
        Ok(Self::with(reader, id.into(), content))
    }

    fn with(reader: LogReader, id: Arc<str>, content: Content) -> Self {
        let (version, time_us) = (content.state.version(), content.state.time_us());
        let content = OnceLock::from(Arc::new(content));
        Self {
            reader,
            id,
            version,
            time_us,
            is_tip: false,
            content,
        }
    }

    /// The session's id.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.id
    }

    /// The version that this view shows.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// When the last commit was written, in microseconds since 1970.
    #[must_use]
    pub fn updated_us(&self) -> u64 {
        self.time_us
    }

    /// The length of the session's segment files as of now, in bytes.
    pub fn bytes(&self) -> Result<u64> {
        let listing = Listing::read(&*self.reader.storage, &self.reader.dir)?.unwrap_or_default();
        let open = |base: &u64| {
            let reader = &self.reader;
            SegmentFile::open(&*reader.storage, &reader.dir, *base, OpenMode::Read)
        };
        listing
            .segments
            .iter()
            .map(|base| Ok(open(base)?.len))
            .sum()
    }

    /// Files in the session's directory that are not the engine's. They are ignored.
    pub fn strays(&self) -> Result<Vec<String>> {
        let listing = Listing::read(&*self.reader.storage, &self.reader.dir)?;
        Ok(listing.unwrap_or_default().strays)
    }

    /// The session's state: its records, its agents, what each has. Replays the log, the first time.
    pub fn state(&self) -> Result<&State> {
        Ok(&self.content()?.state)
    }

    /// Every damaged range of the log; what is good on both sides of each is in this view. Empty for a log
    /// without damage. A torn tail is not damage: a writer may be at it. Replays the log, the first time.
    pub fn damage(&self) -> Result<&[Damage]> {
        Ok(&self.content()?.scanned.damage)
    }

    /// A torn tail that the next writer will set aside and cut: bytes that were never acknowledged.
    pub fn torn(&self) -> Result<Option<&Damage>> {
        Ok(self
            .content()?
            .scanned
            .torn
            .as_ref()
            .map(|(damage, _)| damage))
    }

    /// What the log consists of. Replays the log, the first time.
    pub fn log(&self) -> Result<LogInfo> {
        let scanned = &self.content()?.scanned;
        Ok(LogInfo {
            log_id: scanned.log_id,
            segments: scanned.segments.len(),
            bytes: scanned.segments.iter().map(|s| s.len).sum(),
            events: scanned.events,
            durable_version: Version(scanned.durable),
            torn_bytes: scanned.torn.as_ref().map_or(0, |(_, torn)| torn.length),
        })
    }

    fn content(&self) -> Result<&Arc<Content>> {
        if let Some(content) = self.content.get() {
            return Ok(content);
        }
        let to = self.version;
        let content = looked(&|| load(&self.reader, Some(to)))?;
        let content = content.ok_or_else(|| Error::NotFound(format!("session {:?}", self.id)))?;
        Ok(self.content.get_or_init(|| Arc::new(content)))
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
        let content = looked(&|| load(&self.reader, Some(version)))?;
        let content = content.ok_or_else(|| Error::NotFound(format!("session {:?}", self.id)))?;
        Ok(Self::with(
            self.reader.clone(),
            Arc::clone(&self.id),
            content,
        ))
    }

    /// The messages of an agent, in the order of their ids.
    ///
    /// Errors: [`Error::NotFound`] if there is no such agent.
    pub fn messages(&self, agent: &str) -> Result<Messages> {
        if self.is_tip && self.content.get().is_none() {
            if let Some(known) = self.recent(agent, 0)? {
                known.ok_or_else(|| self.no_agent(agent))?;
                return Ok(self.selection(agent));
            }
        }
        if self.state()?.agent(agent).is_none() {
            return Err(self.no_agent(agent));
        }
        Ok(self.selection(agent))
    }

    fn selection(&self, agent: &str) -> Messages {
        let payloads = PayloadReader::new(self.reader.clone());
        Messages {
            payloads,
            view: self.clone(),
            agent: agent.into(),
            wanted: Wanted::All,
            found: None,
        }
    }

    fn no_agent(&self, agent: &str) -> Error {
        Error::NotFound(format!("agent {agent:?} of session {:?}", self.id))
    }

    /// The last messages of an agent, read backwards: the inner `None` if there is no such agent, the outer if
    /// the log has to be replayed to tell.
    fn recent(&self, agent: &str, wanted: usize) -> Result<Option<Option<Vec<Message>>>> {
        let mut recent = Recent::new(agent, wanted);
        let Some(mut back) = Backward::start(&self.reader)? else {
            return Ok(None);
        };
        loop {
            let met = match back.back()? {
                Ok(met) => met,
                Err(Stop::Beginning) => return Ok(Some(recent.finish())),
                Err(Stop::Unsound) => return Ok(None),
            };
            for item in met
                .items()
                .rev()
                .filter(|item| item.version() <= self.version)
            {
                match recent.take(&item) {
                    Seen::More => {}
                    Seen::Enough => return Ok(Some(recent.finish())),
                    Seen::OutOfOrder => return Ok(None),
                }
            }
        }
    }

    /// Hands out the events from `from` to `to`, both included, in order. Text that was redacted later is
    /// given as it was: see [`View::is_withheld`].
    pub fn for_each_event(
        &self,
        from: Version,
        to: Version,
        visit: &mut dyn FnMut(&Event<'_>) -> Result<()>,
    ) -> Result<()> {
        let to = to.min(self.version);
        self.reader.scan(&mut |item| match item {
            Replayed::Event(event) if event.version >= from && event.version <= to => visit(&event),
            _ => Ok(()),
        })?;
        Ok(())
    }

    /// Whether the event carries text of a message that this view shows redacted.
    pub fn is_withheld(&self, event: &Event<'_>) -> Result<bool> {
        let holds_text = matches!(
            event.kind,
            EventKind::MessageAdded | EventKind::MessageUpdated
        );
        let agent = self.state()?.agent(event.subject);
        Ok(holds_text && agent.is_some_and(|agent| agent.is_redacted(event.message_id)))
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
        let is_tip = self.view.is_tip && self.view.content.get().is_none();
        if let Wanted::Last(n) = self.wanted {
            let recent = if is_tip && n <= RECENT {
                self.view.recent(&self.agent, n)?
            } else {
                None
            };
            if let Some(messages) = recent {
                return Ok(Found::Read(messages.unwrap_or_default().into_iter()));
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

fn stable(reader: &LogReader) -> Result<Option<Content>> {
    looked(&|| load(reader, None))
}

/// Loads until two looks agree: a writer may be at the tail while we read it.
fn looked(load: &dyn Fn() -> Result<Option<Content>>) -> Result<Option<Content>> {
    let mut content = load()?;
    for _ in 1..LOOKS {
        let is_calm = |c: &Content| c.scanned.damage.is_empty() && c.scanned.torn.is_none();
        if content.as_ref().is_none_or(is_calm) {
            break;
        }
        let again = load()?;
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
        if to.is_none_or(|to| item.version() <= to) {
            state.apply(&item);
            index.apply(&item);
        }
        Ok(())
    })?;
    Ok(scanned.map(|mut scanned| {
        let lost = snapshot::tail_lost(&*reader.storage, &reader.dir, &scanned);
        scanned.damage.extend(lost);
        Content {
            state,
            index,
            scanned,
        }
    }))
}

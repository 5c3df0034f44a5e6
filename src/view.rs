//! Reading a session: no lock, beside any writer, at any version.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::damage::Damage;
use crate::event::{Event, EventKind};
use crate::log::{Backward, Listing, LogReader, Replayed, Scanned, SegmentFile, Stop, Tip};
use crate::messages::Messages;
use crate::state::{Index, Message, Recent, Seen, State};
use crate::storage::OpenMode;
use crate::{Error, Result, Version, snapshot};

/// How often a reader looks again while what it sees still changes.
const LOOKS: usize = 5;

/// The longest log whose messages are held in memory at once, in bytes.
const HELD: u64 = 16 << 20;

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
    /// The way back from the end, if the view shows the end of a log whose end is sound.
    back: Option<Arc<Backward>>,
    content: OnceLock<Arc<Content>>,
}

#[derive(Debug)]
pub(crate) struct Content {
    state: State,
    pub(crate) index: Index,
    scanned: Scanned,
}

impl View {
    /// Opens the session as of now. `written` is the version up to which the caller, who is its writer, has written it.
    pub(crate) fn open(reader: LogReader, id: &str, written: Version) -> Result<Self> {
        let tip = Tip::find(&reader, written.0)?.filter(|tip| tip.version > 0);
        if let Some(tip) = tip {
            let (version, time_us) = (Version(tip.version), tip.time_us);
            let content = OnceLock::new();
            return Ok(Self {
                reader,
                id: id.into(),
                version,
                time_us,
                back: Some(Arc::new(tip.back)),
                content,
            });
        }
        let content = stable(&reader)?.filter(|content| {
            content.state.version() > Version::ZERO || !content.scanned.damage.is_empty()
        });
        let content = content
            .ok_or_else(|| Error::NotFound(format!("session {id:?} ({})", reader.dir.display())))?;
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
            back: None,
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

    pub(crate) fn content(&self) -> Result<&Arc<Content>> {
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
        let known = match self.recent(agent, 0)? {
            LookedBack::Found(_) => true,
            LookedBack::NoAgent => false,
            LookedBack::Unsuited => self.state()?.agent(agent).is_some(),
        };
        if !known {
            return Err(self.no_agent(agent));
        }
        Ok(Messages::new(self.clone(), self.reader.clone(), agent))
    }

    fn no_agent(&self, agent: &str) -> Error {
        Error::NotFound(format!("agent {agent:?} of session {:?}", self.id))
    }

    /// The last messages of an agent, read backwards.
    pub(crate) fn recent(&self, agent: &str, wanted: usize) -> Result<LookedBack> {
        let Some(back) = self.back.as_ref().filter(|_| self.content.get().is_none()) else {
            return Ok(LookedBack::Unsuited);
        };
        let (mut recent, mut back) = (Recent::new(agent, wanted), Backward::clone(back));
        loop {
            let met = match back.back()? {
                Ok(met) => met,
                Err(Stop::Beginning) => return Ok(recent.into()),
                Err(Stop::Unsound) => return Ok(LookedBack::Unsuited),
            };
            for item in met
                .items()
                .rev()
                .filter(|item| item.version() <= self.version)
            {
                match recent.take(&item) {
                    Seen::More => {}
                    Seen::Enough => return Ok(recent.into()),
                    Seen::OutOfOrder => return Ok(LookedBack::Unsuited),
                }
            }
        }
    }

    /// The texts of an agent's messages from one pass over a short log, which is quicker than to note where they are and
    /// to read them then. `None` if the log is longer, or was replayed already.
    pub(crate) fn held(&self, agent: &str) -> Result<Option<Held>> {
        let back = self.back.as_ref().filter(|back| back.is_within(HELD));
        let Some(back) = back.filter(|_| self.content.get().is_none()) else {
            return Ok(None);
        };
        looked(&|| Held::of(&self.reader, agent, self.version, back.bytes as usize))
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

/// What a look back from the end of the log gave.
#[derive(Debug)]
pub(crate) enum LookedBack {
    Found(Vec<Message>),
    /// There is no such agent.
    NoAgent,
    /// The log has to be replayed to tell.
    Unsuited,
}

impl From<Recent<'_>> for LookedBack {
    fn from(recent: Recent<'_>) -> Self {
        recent.finish().map_or(Self::NoAgent, Self::Found)
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

fn stable(reader: &LogReader) -> Result<Option<Content>> {
    looked(&|| load(reader, None))
}

/// What reading all of a log gave.
pub(crate) trait Look {
    /// The pass over the log.
    fn scanned(&self) -> &Scanned;
}

impl Look for Content {
    fn scanned(&self) -> &Scanned {
        &self.scanned
    }
}

/// Loads until two looks agree: a writer may be at the tail while we read it.
pub(crate) fn looked<L: Look>(load: &dyn Fn() -> Result<Option<L>>) -> Result<Option<L>> {
    let mut content = load()?;
    for _ in 1..LOOKS {
        let is_calm = |c: &L| c.scanned().damage.is_empty() && c.scanned().torn.is_none();
        if content.as_ref().is_none_or(is_calm) {
            break;
        }
        let again = load()?;
        let same = match (&content, &again) {
            (Some(a), Some(b)) => {
                let (a, b) = (a.scanned(), b.scanned());
                a.damage == b.damage && a.torn == b.torn && a.expect.version == b.expect.version
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

/// The texts of an agent's messages, one after the other, and which is where.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) index: Index<Range<usize>>,
    pub(crate) texts: String,
    scanned: Scanned,
}

impl Look for Held {
    fn scanned(&self) -> &Scanned {
        &self.scanned
    }
}

impl Held {
    fn of(reader: &LogReader, agent: &str, to: Version, bytes: usize) -> Result<Option<Self>> {
        // A version is one event; one that has a commit of its own has more bytes than this.
        let most = usize::try_from(to.0).unwrap_or(usize::MAX).min(bytes / 64);
        let (mut index, mut texts) = (Index::with_room(most), String::with_capacity(bytes));
        let scanned = reader.scan(&mut |item| {
            if item.version() <= to && item.subject().is_none_or(|of| of == agent) {
                index.apply(&item, |event| {
                    let start = texts.len();
                    texts.push_str(event.payload);
                    start..texts.len()
                });
            }
            Ok(())
        })?;
        Ok(scanned.map(|scanned| Self {
            index,
            texts,
            scanned,
        }))
    }
}

fn load(reader: &LogReader, to: Option<Version>) -> Result<Option<Content>> {
    let (mut state, mut index) = (State::default(), Index::default());
    let scanned = reader.scan(&mut |item| {
        if to.is_none_or(|to| item.version() <= to) {
            state.apply(&item);
            index.apply(&item, |event| event.place);
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

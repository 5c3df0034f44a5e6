//! The local side of a sync: what is durable here, and may be pushed.

use crate::format::{Point, first_link};
use crate::log::LogReader;
use crate::session::{Session, SessionHandle};
use crate::store::Store;
use crate::{Error, Result, Version, id};

use super::SyncError;

/// A session as it is durable in this store.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) id: String,
    pub(super) reader: LogReader,
    /// All zero if there is no log.
    pub(super) log_id: [u8; 16],
    /// Where its last durable commit ends; version 0 if there is none.
    pub(super) tip: Point,
}

impl Local {
    /// Reads the whole log and checks it. What a writer that is gone left unsynced is made durable first, and
    /// beside a writer that is at it only what its watermark vouches for counts: a power cut must not take back
    /// what other devices have.
    pub(super) fn read(store: &Store, session_id: &str) -> Result<Self, SyncError> {
        id::check("session id", session_id)?;
        store.inner.finish_replacement(session_id)?;
        Self::read_settled(store, session_id, || settle(store, session_id))
    }

    /// As [`Local::read`]; `settle` makes durable what no watermark vouches for, and says up to which version.
    pub(super) fn read_settled(
        store: &Store,
        session_id: &str,
        settle: impl FnOnce() -> Result<Option<Version>>,
    ) -> Result<Self, SyncError> {
        let reader = store.inner.log_reader(session_id);
        let Some(scanned) = reader.scan(&mut |_| Ok(()))? else {
            return Ok(Self::none(session_id, reader));
        };
        if !scanned.damage.is_empty() {
            return Err(Error::Damaged {
                path: reader.dir,
                report: scanned.damage,
            }
            .into());
        }
        let mut durable = scanned.durable;
        if durable + 1 < scanned.expect.version {
            durable = settle()?.map_or(durable, |version| version.0);
        }
        Self::at(session_id, reader, scanned.log_id, durable)
    }

    /// A session that is open in this process; everything that was appended is made durable.
    pub(super) fn of(session: &Session) -> Result<Self, SyncError> {
        match Self::of_handle(&session.handle())? {
            Some(local) => Ok(local),
            None => Ok(Self::none(session.id(), session.log_reader())),
        }
    }

    /// As [`Local::of`]; `None` if the session is not open any more.
    pub(super) fn of_handle(session: &SessionHandle) -> Result<Option<Self>, SyncError> {
        let Some(flushed) = session.flush()? else {
            return Ok(None);
        };
        let (id, reader) = (&*session.id, session.reader.clone());
        Ok(Some(match flushed.log_id {
            Some(log_id) => Self::at(id, reader, log_id, flushed.durable.0)?,
            None => Self::none(id, reader),
        }))
    }

    fn none(session_id: &str, reader: LogReader) -> Self {
        Self {
            id: session_id.to_owned(),
            reader,
            log_id: [0; 16],
            tip: Point::default(),
        }
    }

    fn at(
        session_id: &str,
        reader: LogReader,
        log_id: [u8; 16],
        durable: u64,
    ) -> Result<Self, SyncError> {
        let beginning = Point {
            link: first_link(&log_id),
            ..Point::default()
        };
        let tip = match reader.point(durable)? {
            Some(point) => point,
            None if durable == 0 => beginning,
            None => {
                return Err(SyncError::GivenUp {
                    session: session_id.to_owned(),
                    first: Version(durable),
                    last: Version(durable),
                });
            }
        };
        let id = session_id.to_owned();
        Ok(Self {
            id,
            reader,
            log_id,
            tip,
        })
    }

    /// Whether the log has a commit that ends at `point`.
    pub(super) fn has(&self, point: &Point) -> Result<bool> {
        let here = match point.version {
            0 => true,
            version if version > self.tip.version => false,
            version => self.reader.point(version)? == Some(*point),
        };
        Ok(here)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tip.version == 0
    }
}

/// Makes what a writer left durable, unless one is at it; up to which version it is then.
pub(super) fn settle(store: &Store, session_id: &str) -> Result<Option<Version>> {
    match store.session(session_id) {
        Ok(session) => {
            let durable = session.durable_version();
            session.close()?;
            Ok(Some(durable))
        }
        Err(Error::Locked { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

//! The local side of a sync: what is durable here, and may be pushed.

use crate::format::{Point, first_link};
use crate::log::LogReader;
use crate::session::Session;
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
        let reader = store.inner.log_reader(session_id);
        let Some(scanned) = reader.scan(&mut |_| Ok(()))? else {
            return Ok(Self::none(session_id, reader));
        };
        let mut durable = scanned.durable;
        if scanned.damage.is_empty() && durable + 1 < scanned.expect.version {
            match store.session(session_id) {
                Ok(session) => {
                    durable = session.durable_version().0;
                    session.close()?;
                }
                Err(Error::Locked { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        if !scanned.damage.is_empty() {
            return Err(Error::Damaged {
                path: reader.dir,
                report: scanned.damage,
            }
            .into());
        }
        Self::at(session_id, reader, scanned.log_id, durable)
    }

    /// A session that is open in this process; everything that was appended is made durable.
    pub(super) fn of(session: &Session) -> Result<Self, SyncError> {
        session.flush()?;
        let reader = session.log_reader();
        match session.log_id() {
            Some(log_id) => Self::at(session.id(), reader, log_id, session.durable_version().0),
            None => Ok(Self::none(session.id(), reader)),
        }
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

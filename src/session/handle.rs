//! A session that may be open in this process: to look at, without keeping it open.

use std::sync::{Arc, Weak};

use crate::log::{LogReader, LogWriter};
use crate::{Result, Version};

use super::{Group, Session};

/// Where a session is, for as long as somebody has it open.
#[derive(Clone, Debug)]
pub(crate) struct SessionHandle {
    pub(crate) id: Arc<str>,
    pub(crate) reader: LogReader,
    group: Weak<Group>,
}

/// What an open session has made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flushed {
    /// `None` for a session without a log.
    pub(crate) log_id: Option<[u8; 16]>,
    pub(crate) durable: Version,
}

impl Session {
    pub(crate) fn handle(&self) -> SessionHandle {
        SessionHandle {
            id: Arc::clone(&self.id),
            reader: self.log_reader(),
            group: Arc::downgrade(&self.group),
        }
    }
}

impl SessionHandle {
    /// The version of the last event; `None` once the session is closed.
    pub(crate) fn version(&self) -> Option<Version> {
        let group = self.group.upgrade()?;
        let inner = group.lock();
        (!inner.closed).then(|| inner.state.version())
    }

    /// Makes every event that was appended durable; `None` once the session is closed.
    pub(crate) fn flush(&self) -> Result<Option<Flushed>> {
        let Some(group) = self.group.upgrade() else {
            return Ok(None);
        };
        if group.lock().closed {
            return Ok(None);
        }
        group.flush()?;
        let inner = group.lock();
        let writer = inner.writer.as_ref();
        let flushed = Flushed {
            log_id: writer.map(LogWriter::log_id),
            durable: writer.map_or(Version::ZERO, LogWriter::durable),
        };
        Ok((!inner.closed).then_some(flushed))
    }
}

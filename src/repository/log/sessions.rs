//! The sessions that a repository has at hand: those it writes to, and the one it read last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::session::{Op, Session};
use crate::state::State;
use crate::store::Store;
use crate::view::View;
use crate::{Error, Result, Version, id};

/// A store's sessions, opened when they are needed.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) store: Store,
    /// The sessions that this process writes to.
    writers: Mutex<HashMap<String, Arc<Session>>>,
    /// What was read last: it is read again only when the session has another version.
    last_view: Mutex<Option<View>>,
}

impl Sessions {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            writers: Mutex::default(),
            last_view: Mutex::default(),
        }
    }

    /// The session, open for writing.
    pub(super) fn writer(&self, session_id: &str) -> Result<Arc<Session>> {
        let mut writers = guard(&self.writers);
        if let Some(session) = writers.get(session_id) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.store.session(session_id)?);
        writers.insert(session_id.to_owned(), Arc::clone(&session));
        Ok(session)
    }

    /// Gives a session up.
    pub(super) fn release(&self, session_id: &str) -> Result<()> {
        *guard(&self.last_view) = None;
        let session = guard(&self.writers).remove(session_id);
        // Whoever else uses it at the moment closes it.
        match session.and_then(Arc::into_inner) {
            Some(session) => session.close(),
            None => Ok(()),
        }
    }

    /// Does what `plan` says at the session's present state, in one commit; plans again if the session moved on.
    pub(super) fn commit(
        &self,
        session_id: &str,
        plan: &dyn Fn(&Session, &State) -> Result<Op>,
    ) -> Result<()> {
        let session = self.writer(session_id)?;
        let done = loop {
            let state = session.state();
            let op = plan(&session, &state);
            let commit = |op| {
                session
                    .batch()
                    .push(op)
                    .expect_version(state.version())
                    .commit()
            };
            match op.and_then(commit) {
                Err(Error::VersionConflict { .. }) => {}
                done => break done,
            }
        };
        let is_lost = matches!(
            done,
            Err(Error::OutcomeUnknown { .. } | Error::Poisoned { .. })
        );
        if is_lost || session.version() == Version::ZERO {
            guard(&self.writers).remove(session_id);
        }
        done.map(|_| ())
    }

    /// The session as of now; `None` if it does not exist.
    pub(super) fn view(&self, session_id: &str) -> Result<Option<View>> {
        let fresh = match self.store.read(session_id) {
            Err(Error::NotFound(_)) => return Ok(None),
            fresh => fresh?,
        };
        let same = |view: &&View| {
            view.session_id() == session_id
                && view.version() == fresh.version()
                && view.updated_us() == fresh.updated_us()
        };
        if let Some(view) = guard(&self.last_view).as_ref().filter(same) {
            return Ok(Some(view.clone()));
        }
        Ok(Some(fresh))
    }

    /// As [`Sessions::view`], with the whole log replayed, and remembered.
    pub(super) fn replayed(&self, session_id: &str) -> Result<Option<View>> {
        let view = self.view(session_id)?;
        if let Some(view) = &view {
            view.state()?;
            *guard(&self.last_view) = Some(view.clone());
        }
        Ok(view)
    }

    /// Looks at the session's state: the writer's own if this process writes to it.
    pub(super) fn look<T>(
        &self,
        session_id: &str,
        look: impl FnOnce(&State) -> T,
    ) -> Result<Option<T>> {
        id::check("session id", session_id)?;
        let open = guard(&self.writers).get(session_id).cloned();
        if let Some(state) = open.map(|session| session.state()) {
            if state.version() > Version::ZERO {
                return Ok(Some(look(&state)));
            }
        }
        match self.replayed(session_id)? {
            Some(view) => Ok(Some(look(view.state()?))),
            None => Ok(None),
        }
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both hold only what can be made again.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

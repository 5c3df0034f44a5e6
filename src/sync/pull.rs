//! Pulling: the remote's commits are appended to the local log, in large batches with one sync each.

use crate::Version;
use crate::session::Session;

use super::local::Local;
use super::{Fetched, Outcome, SyncError, Synced, Syncer};

impl Syncer {
    /// Appends what the remote has and `local` has not; the remote is known to go on where `local` ends.
    /// `open` is the session, if it is open in this process.
    pub(super) fn pull_local(
        &self,
        local: &Local,
        open: Option<&Session>,
        fetched: &Fetched,
    ) -> Result<Synced, SyncError> {
        let owned;
        let session = if let Some(session) = open {
            session
        } else {
            owned = self.store.session(&local.id)?;
            &owned
        };
        let (head, mut version) = (&fetched.head, local.tip.version);
        self.commits_after(&local.id, head, &fetched.tail, version, &mut |commits| {
            version = session.adopt(head.log_id, commits)?.0;
            Ok(())
        })?;
        Ok(Synced {
            session_id: local.id.clone(),
            outcome: Outcome::Pulled,
            local: Version(version),
            remote: Version(head.last.version),
        })
    }
}

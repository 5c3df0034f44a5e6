//! What a store has that its remotes have not, without asking them.

use crate::store::Store;
use crate::{Result, Version, View};

use super::memory::Memory;

/// What one remote has not yet, as far as this device knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpushed {
    /// The remote's name.
    pub remote: String,
    /// The version that the remote had when this device saw it last.
    pub remote_version: Version,
    /// The versions that are not pushed, first and last.
    pub versions: Option<(Version, Version)>,
    /// When the first of them was written, in microseconds since 1970; `None` if it is lost to damage.
    pub since_us: Option<u64>,
}

/// What each remote that the store was used with has not yet of a session, by name. Nothing is sent.
///
/// After a divergence that is not resolved the remote's versions may be others than ours.
pub fn unpushed(store: &Store, view: &View) -> Result<Vec<Unpushed>> {
    let mut remotes = Vec::new();
    for memory in Memory::all(&store.inner)? {
        let known = memory.read(&store.inner, view.session_id())?;
        let remote_version = known.map_or(Version::ZERO, |known| Version(known.head.last.version));
        let first = Version(remote_version.0 + 1);
        let versions = (first <= view.version()).then_some((first, view.version()));
        let mut since_us = None;
        if versions.is_some() {
            view.for_each_event(first, first, &mut |event| {
                since_us = Some(event.time_us);
                Ok(())
            })?;
        }
        remotes.push(Unpushed {
            remote: memory.name,
            remote_version,
            versions,
            since_us,
        });
    }
    remotes.sort_by(|a, b| a.remote.cmp(&b.remote));
    Ok(remotes)
}

//! Reading what a disk holds, branches that were set aside included.

use std::path::Path;
use std::sync::Arc;

use sessionlog::sim::SimDisk;
use sessionlog::storage::Storage;
use sessionlog::{EventKind, Store, Version};

/// One event, with all that devices must agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) version: u64,
    pub(crate) time_us: u64,
    pub(crate) kind: EventKind,
    pub(crate) message_id: u64,
    pub(crate) payload: String,
}

/// The events of a session; none if there is no such session.
pub(crate) fn events(store: &Store, id: &str) -> Result<Vec<Known>, String> {
    let mut found = Vec::new();
    if !store.contains(id).map_err(|e| format!("contains: {e}"))? {
        return Ok(found);
    }
    let view = store.read(id).map_err(|e| format!("read {id}: {e}"))?;
    if !view.damage().map_err(|e| e.to_string())?.is_empty() {
        return Err(format!("{id} is damaged: {:?}", view.damage()));
    }
    view.for_each_event(Version(1), Version(u64::MAX), &mut |event| {
        found.push(Known {
            version: event.version.0,
            time_us: event.time_us,
            kind: event.kind,
            message_id: event.message_id,
            payload: event.payload.to_owned(),
        });
        Ok(())
    })
    .map_err(|e| format!("events of {id}: {e}"))?;
    Ok(found)
}

/// Every event text on a disk: of every session, and of every branch in a quarantine.
pub(crate) fn texts(disk: &SimDisk, root: &Path, out: &mut Vec<String>) -> Result<(), String> {
    let store = Store::options().storage(Arc::new(disk.clone())).open(root);
    let store = store.map_err(|e| e.to_string())?;
    let ids = match store.list() {
        Err(sessionlog::Error::NotFound(_)) => return Ok(()),
        ids => ids.map_err(|e| e.to_string())?,
    };
    for id in ids {
        out.extend(events(&store, &id)?.into_iter().map(|event| event.payload));
    }
    let sessions = root.join("sessions");
    for dir in disk.list(&sessions).map_err(|e| e.to_string())? {
        let quarantine = sessions.join(&dir.name).join("quarantine");
        for branch in disk.list(&quarantine).unwrap_or_default() {
            if branch.name.starts_with("branch-") {
                texts(disk, &quarantine.join(&branch.name), out)?;
            }
        }
    }
    Ok(())
}

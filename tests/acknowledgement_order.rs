//! An append is acknowledged only after its bytes, and every new name that leads to them, are durable.

use std::path::Path;
use std::sync::Arc;

use sessionlog::Store;
use sessionlog::sim::{OpKind, SimDisk};

fn append(store: &Store, disk: &SimDisk, text: &str) {
    let session = store.session("s").unwrap();
    disk.clear_trace();
    let message = format!("{{\"role\":\"user\",\"text\":\"{text}\"}}");
    let done = session.append_json("a", &message).unwrap();
    disk.note("acknowledged", done.version.0);
    std::mem::forget(session); // what closing writes is not part of this
}

/// The places in the trace of the operations of a kind on a path.
fn places(disk: &SimDisk, kind: OpKind, path: &Path) -> Vec<usize> {
    let trace = disk.trace();
    (0..trace.len())
        .filter(|i| trace[*i].kind == kind && trace[*i].path == path)
        .collect()
}

#[test]
fn the_first_append_syncs_the_file_then_every_directory_then_writes_syncs_and_acknowledges() {
    let disk = SimDisk::new();
    let store = Store::options()
        .storage(Arc::new(disk.clone()))
        .open("/a/b/store")
        .unwrap();
    append(&store, &disk, "first");
    let trace = disk.trace();
    let acknowledged = trace
        .iter()
        .position(|op| matches!(op.kind, OpKind::Note(_)))
        .unwrap();
    let of = |kind: OpKind, path: &str| {
        let places = places(&disk, kind, Path::new(path));
        *places
            .last()
            .unwrap_or_else(|| panic!("no {kind:?} of {path}"))
    };
    let segment = "/a/b/store/sessions/s/00000000000000000001.seg";
    // A simulated file keeps the name that it was opened with.
    let temporary = format!("{segment}.tmp");
    let write = of(OpKind::Write, &temporary);
    let sync = of(OpKind::SyncData, &temporary);
    assert!(
        write < sync && sync < acknowledged,
        "write, then fdatasync, then the answer"
    );
    let header_sync = places(&disk, OpKind::SyncData, Path::new(&temporary))[0];
    let rename = of(OpKind::Rename, &temporary);
    assert!(header_sync < rename, "a segment appears whole");
    for dir in [
        "/a/b/store/sessions/s",
        "/a/b/store/sessions",
        "/a/b/store",
        "/a/b",
        "/a",
        "/",
    ] {
        let synced = places(&disk, OpKind::SyncDir, Path::new(dir));
        assert!(
            synced.iter().any(|at| *at < write),
            "{dir} is synced before the first event"
        );
    }
    let in_session = places(&disk, OpKind::SyncDir, Path::new("/a/b/store/sessions/s"));
    assert!(
        in_session.iter().any(|at| *at > rename),
        "the segment's name is made durable"
    );
}

#[test]
fn a_later_append_is_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let store = Store::options()
        .storage(Arc::new(disk.clone()))
        .open("/store")
        .unwrap();
    let session = store.session("s").unwrap();
    session.append_json("a", "{}").unwrap();
    disk.clear_trace();
    let done = session.append_json("a", "{}").unwrap();
    disk.note("acknowledged", done.version.0);
    let kinds: Vec<_> = disk.trace().iter().map(|op| op.kind).collect();
    assert!(
        matches!(
            kinds[..],
            [OpKind::Write, OpKind::SyncData, OpKind::Note(_)]
        ),
        "{kinds:?}"
    );
}

#[test]
fn a_buffered_append_is_not_synced_until_it_is_flushed() {
    let disk = SimDisk::new();
    let store = Store::options()
        .storage(Arc::new(disk.clone()))
        .open("/store")
        .unwrap();
    let session = store.session("s").unwrap();
    session.append_json("a", "{}").unwrap();
    let durable = session.durable_version();
    disk.clear_trace();
    let batch = session.batch().append_json("a", "{}").unwrap();
    batch
        .durability(sessionlog::Durability::Buffered)
        .commit()
        .unwrap();
    assert_eq!(session.durable_version(), durable);
    assert!(disk.trace().iter().all(|op| op.kind != OpKind::SyncData));
    session.flush().unwrap();
    assert_eq!(session.durable_version(), session.version());
    assert!(disk.trace().iter().any(|op| op.kind == OpKind::SyncData));
}

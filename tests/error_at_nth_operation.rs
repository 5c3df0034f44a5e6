//! An error of the disk at any operation: no panic, nothing is acknowledged after it, and what was is there.

use std::sync::Arc;

use sessionlog::sim::{Fault, FaultPlan, SimDisk};
use sessionlog::{AgentSync, Durability, Error, RepairOptions, Result, Store, Version};

fn store(disk: &SimDisk) -> Result<Store> {
    let options = Store::options().storage(Arc::new(disk.clone()));
    options
        .segment_len(4096)
        .allocate_above(1 << 10)
        .snapshot_after(4096)
        .open("/dir/store")
}

/// Every public operation that writes; the version of each acknowledgement goes to `acknowledged`.
fn everything(disk: &SimDisk, acknowledged: &mut u64) -> Result<()> {
    let store = store(disk)?;
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(900));
    for round in 0..3 {
        let session = store.session("s")?;
        for _ in 0..4 {
            *acknowledged = session.append_json("a", &long)?.version.0;
        }
        let batch = session
            .batch()
            .append_json("a", "{}")?
            .append_json("b", "{}")?;
        *acknowledged = batch.commit()?.version.0;
        *acknowledged = session
            .batch()
            .redact_json("a", 0, "{}")?
            .commit()?
            .version
            .0;
        let state = format!("{{\"round\":{round}}}");
        let sync = AgentSync {
            state: Some(&state),
            ..AgentSync::default()
        };
        *acknowledged = session.sync_agent("a", sync)?.version.0;
        let batch = session
            .batch()
            .append_json("a", "{}")?
            .durability(Durability::Buffered);
        let buffered = batch.commit()?.version.0;
        session.flush()?;
        *acknowledged = buffered;
        session.close()?;
    }
    store.repair("s", &RepairOptions::default())?;
    store.session("doomed")?.append_json("a", "{}")?;
    store.delete("doomed")?;
    Ok(())
}

fn check(disk: &SimDisk, acknowledged: u64, case: &str) {
    disk.set_faults(FaultPlan::none());
    let store = store(disk).unwrap();
    let session = store.session("s").unwrap_or_else(|e| panic!("{case}: {e}"));
    assert!(
        session.version() >= Version(acknowledged),
        "{case}: {acknowledged} was acknowledged"
    );
    let done = session
        .append_json("a", "{}")
        .unwrap_or_else(|e| panic!("{case}: {e}"));
    assert!(done.version > Version(acknowledged));
    drop(session);
    let report = store.verify("s").unwrap();
    assert!(report.is_ok(), "{case}: {report:?}");
}

fn sweep(fault: Fault, sticky: bool) {
    for at in 1.. {
        let (disk, mut acknowledged) = (SimDisk::new(), 0);
        let plan = FaultPlan::none();
        disk.set_faults(if sticky {
            plan.from(at, fault)
        } else {
            plan.once(at, fault)
        });
        let result = everything(&disk, &mut acknowledged);
        let struck = disk.faults_struck();
        let case = format!("{fault:?} at operation {at}, sticky {sticky}: {result:?}");
        let harmless = matches!(fault, Fault::Interrupted | Fault::Short);
        assert!(
            !harmless || sticky || result.is_ok(),
            "{case}: it must be tried again"
        );
        check(&disk, acknowledged, &case);
        if struck == 0 {
            assert!(result.is_ok(), "{case}");
            return;
        }
    }
}

#[test]
fn a_transient_error_at_any_operation_loses_nothing() {
    for fault in [
        Fault::Io,
        Fault::IoAfter,
        Fault::Full,
        Fault::Interrupted,
        Fault::Short,
    ] {
        sweep(fault, false);
    }
}

#[test]
fn an_error_that_stays_loses_nothing() {
    for fault in [Fault::Io, Fault::Full] {
        sweep(fault, true);
    }
}

#[test]
fn a_failed_sync_is_never_forgotten() {
    for fault in [Fault::SyncFailsClean, Fault::SyncFailsRevert] {
        sweep(fault, false);
        sweep(fault, true);
    }
}

#[test]
fn after_an_unknown_outcome_nothing_is_acknowledged_until_the_session_is_opened_again() {
    let disk = SimDisk::new();
    let store = store(&disk).unwrap();
    let session = store.session("s").unwrap();
    session.append_json("a", "{}").unwrap();
    disk.set_faults(FaultPlan::none().once(disk.operations() + 1, Fault::SyncFailsClean));
    let failed = session.append_json("a", "{}");
    assert!(
        matches!(failed, Err(Error::OutcomeUnknown { .. })),
        "{failed:?}"
    );
    for _ in 0..3 {
        let refused = session.append_json("a", "{}");
        assert!(
            matches!(refused, Err(Error::Poisoned { .. })),
            "{refused:?}"
        );
        assert!(session.flush().is_err());
    }
    drop(session);
    store.session("s").unwrap().append_json("a", "{}").unwrap();
}

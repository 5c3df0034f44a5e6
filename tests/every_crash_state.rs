//! Short histories in full: a power cut at every operation, and every state of the disk that it can leave.
//!
//! Where the random swarm could miss a state, this cannot; where this would take forever, the swarm goes on.

use sessionlog::sim::harness::Step::{Append, Batch, Buffered, Flush, Redact, Reopen, Sync};
use sessionlog::sim::harness::{Step, every_crash};
use sessionlog::sim::{Crash, Lengths, Policy};

fn check(steps: &[Step], crash: impl Into<Crash>, recovery: bool, least: usize) {
    let crash = crash.into();
    let summary = every_crash(steps, crash, recovery).unwrap_or_else(|e| panic!("{e}"));
    println!(
        "{} crash states, {} of them different, {} in a recovery: {steps:?}, {crash:?}",
        summary.power_cuts,
        summary.states.len(),
        summary.in_recovery
    );
    assert!(
        summary.states.len() >= least,
        "only {} different states",
        summary.states.len()
    );
}

#[test]
fn create_append_redact_and_close_with_any_garbage_in_what_was_not_synced() {
    let steps = [Append(0), Append(300), Redact, Sync, Reopen, Append(0)];
    let crash = Crash::from(Policy::Trashed).lengths(Lengths::Sectors);
    check(&steps, crash, false, 600);
}

#[test]
fn two_unsynced_commits_cut_at_any_byte() {
    let steps = [Append(0), Buffered(0), Buffered(200), Flush, Append(0)];
    check(&steps, Policy::AnySubset, false, 6000);
}

#[test]
fn a_roll_and_a_snapshot_with_any_subset_of_their_writes_and_names() {
    let steps = [Batch(600), Batch(600), Append(0), Batch(600), Reopen];
    let crash = Crash::from(Policy::AnySubset).lengths(Lengths::Moments);
    check(&steps, crash, false, 300);
}

#[test]
fn a_roll_with_an_unsynced_commit_before_it() {
    let steps = [Batch(600), Buffered(0), Batch(600), Append(0)];
    let crash = Crash::from(Policy::PageCache).lengths(Lengths::Moments);
    check(&steps, crash, false, 200);
}

#[test]
fn a_second_power_cut_at_every_operation_of_every_recovery() {
    let steps = [Append(0), Buffered(300), Append(0), Reopen, Append(0)];
    let crash = Crash::from(Policy::AnySubset).lengths(Lengths::Sectors);
    check(&steps, crash, true, 150);
    let steps = [Batch(600), Batch(600), Append(0)];
    let crash = Crash::from(Policy::PageCache).lengths(Lengths::Moments);
    check(&steps, crash, true, 150);
}

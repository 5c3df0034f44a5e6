//! A session that is deleted while the power goes is whole or gone.

use std::sync::Arc;

use sessionlog::sim::{FaultPlan, Policy, Seeded, SimDisk};
use sessionlog::{Error, Store};

fn store(disk: &SimDisk) -> Store {
    Store::options()
        .storage(Arc::new(disk.clone()))
        .segment_len(4096)
        .open("/store")
        .unwrap()
}

fn filled() -> SimDisk {
    let disk = SimDisk::new();
    let session = store(&disk).session("s").unwrap();
    for i in 0..40 {
        let message = format!("{{\"n\":{i},\"text\":\"{}\"}}", "x".repeat(200));
        session.append_json("a", &message).unwrap();
    }
    session.close().unwrap();
    disk
}

#[test]
fn a_power_cut_at_any_operation_of_a_delete_leaves_the_session_whole_or_gone() {
    let mut choice = Seeded::new(1);
    let (mut whole, mut gone) = (0, 0);
    for at in 1.. {
        let disk = filled();
        let before = store(&disk);
        disk.set_faults(FaultPlan::power_cut(disk.operations() + at));
        let deleted = before.delete("s");
        let finished = disk.faults_struck() == 0;
        for policy in [
            Policy::Nothing,
            Policy::Everything,
            Policy::AnySubset,
            Policy::Trashed,
        ] {
            let image = disk.crash(policy, &mut choice);
            let after = store(&image);
            match after.read("s") {
                Ok(view) => {
                    whole += 1;
                    assert!(
                        deleted.is_err(),
                        "operation {at}: a deleted session came back"
                    );
                    assert_eq!(view.damage().unwrap(), [], "operation {at}, {policy:?}");
                    assert_eq!(view.messages("a").unwrap().count(), 40, "operation {at}");
                    after.delete("s").unwrap();
                }
                Err(Error::NotFound(_)) => gone += 1,
                Err(e) => panic!("operation {at}: {e}"),
            }
            assert_eq!(after.list().unwrap(), [""; 0]);
            // The id is free again, and the old session does not shine through.
            after.session("s").unwrap().append_json("a", "{}").unwrap();
            assert_eq!(after.read("s").unwrap().messages("a").unwrap().count(), 1);
        }
        if finished {
            assert!(deleted.is_ok());
            break;
        }
    }
    assert!(
        whole > 4 && gone > 4,
        "both happen: {whole} whole, {gone} gone"
    );
}

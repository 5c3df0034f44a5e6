//! Two devices, one session: offline work, a divergence, and a rebase. Runs without a network, in a remote that is
//! in memory; with the feature `s3`, `sessionlog::sync::S3Remote` takes its place.
//!
//! `cargo run --example two_devices`

use std::sync::Arc;

use serde_json::json;
use sessionlog::Store;
use sessionlog::sync::{MemoryRemote, Outcome, Remote, Resolution, SyncError, Syncer};

fn main() -> Result<(), SyncError> {
    let bucket: Arc<dyn Remote> = Arc::new(MemoryRemote::new());
    let dir = std::env::temp_dir().join(format!("sessionlog-two-devices-{}", std::process::id()));
    let laptop = Store::open(dir.join("laptop"))?;
    let phone = Store::open(dir.join("phone"))?;
    let (on_laptop, on_phone) = (
        Syncer::new(&laptop, Arc::clone(&bucket))?,
        Syncer::new(&phone, bucket)?,
    );

    say(&laptop, "Plan a trip to Kyoto.")?;
    println!("laptop: {:?}", on_laptop.push("trip")?.outcome);
    println!("phone:  {:?}", on_phone.clone_session("trip")?.outcome);

    // Both work on without a network. Every append is durable where it was made.
    say(&laptop, "In April, please.")?;
    say(&phone, "Two people, by train.")?;

    println!("laptop: {:?}", on_laptop.sync("trip")?.outcome);
    let synced = on_phone.sync("trip")?;
    println!("phone:  {:?}, and nothing was written", synced.outcome);

    // One of three ways out. The branch as it was is kept, and readable.
    let synced = on_phone.resolve("trip", &Resolution::Rebase)?;
    if let Outcome::Rebased(report) = &synced.outcome {
        for moved in &report.moved {
            println!("phone:  message {} is {} now", moved.from, moved.to);
        }
        println!("phone:  the branch is kept in {}", report.branch.display());
    }
    println!("laptop: {:?}", on_laptop.sync("trip")?.outcome);

    for (name, store) in [("laptop", &laptop), ("phone", &phone)] {
        println!("{name}:");
        for message in store.read("trip")?.messages("default")? {
            println!("  {}", message?.text());
        }
    }
    // Nothing of the example stays.
    let _ = std::fs::remove_dir_all(dir);
    Ok(())
}

fn say(store: &Store, text: &str) -> Result<(), SyncError> {
    let message = json!({"role": "user", "content": [{"text": text}]});
    store.session("trip")?.append_message("default", &message)?;
    Ok(())
}

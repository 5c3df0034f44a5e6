//! Checks of [`Storage::try_lock`].

use std::io::ErrorKind;
use std::path::Path;

use super::{Outcome, check, ensure, fails, fails_with, get, names_in, put};
use crate::storage::{OpenMode, Storage};

check!(
    a_lock_creates_its_file,
    a_lock_keeps_the_contents_of_its_file,
    a_second_lock_is_none,
    a_lock_excludes_other_threads,
    a_dropped_lock_can_be_taken_again,
    locks_of_different_files_are_independent,
    a_file_can_be_opened_beside_its_lock,
    a_lock_outlives_the_removal_of_its_file_and_a_new_file_locks_anew,
    a_lock_on_a_replaced_file_does_not_hold_the_new_one,
    a_lock_in_a_missing_directory_is_not_found,
    a_directory_cannot_be_locked,
);

fn a_lock_creates_its_file(storage: &dyn Storage, root: &Path) -> Outcome {
    let lock = storage.try_lock(&root.join("LOCK"))?;
    ensure!(lock.is_some(), "nobody holds it");
    ensure!(
        names_in(storage, root)? == ["LOCK"],
        "there is no lock file"
    );
    Ok(())
}

fn a_lock_keeps_the_contents_of_its_file(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("LOCK");
    put(storage, &path, b"kept")?;
    drop(storage.try_lock(&path)?);
    ensure!(get(storage, &path)? == b"kept", "the file was changed");
    Ok(())
}

fn a_second_lock_is_none(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("LOCK");
    let first = storage.try_lock(&path)?;
    ensure!(first.is_some(), "nobody holds it");
    for _ in 0..3 {
        ensure!(storage.try_lock(&path)?.is_none(), "two hold it");
    }
    drop(first);
    Ok(())
}

fn a_lock_excludes_other_threads(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("LOCK");
    let first = storage.try_lock(&path)?;
    let second = std::thread::scope(|scope| scope.spawn(|| storage.try_lock(&path)).join());
    let second = second.map_err(|_| "the other thread panicked")??;
    ensure!(first.is_some() && second.is_none(), "two hold it");
    Ok(())
}

fn a_dropped_lock_can_be_taken_again(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("LOCK");
    for _ in 0..3 {
        ensure!(storage.try_lock(&path)?.is_some(), "nobody holds it");
    }
    Ok(())
}

fn locks_of_different_files_are_independent(storage: &dyn Storage, root: &Path) -> Outcome {
    let first = storage.try_lock(&root.join("a"))?;
    let second = storage.try_lock(&root.join("b"))?;
    ensure!(
        first.is_some() && second.is_some(),
        "one lock holds another file"
    );
    Ok(())
}

fn a_file_can_be_opened_beside_its_lock(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("LOCK");
    let lock = storage.try_lock(&path)?;
    storage.open(&path, OpenMode::Read)?;
    ensure!(lock.is_some(), "nobody holds it");
    Ok(())
}

fn a_lock_outlives_the_removal_of_its_file_and_a_new_file_locks_anew(
    storage: &dyn Storage,
    root: &Path,
) -> Outcome {
    // Windows refuses the removal.
    if cfg!(windows) {
        return Ok(());
    }
    let path = root.join("LOCK");
    let old = storage.try_lock(&path)?;
    storage.remove_file(&path)?;
    let new = storage.try_lock(&path)?;
    ensure!(
        old.is_some() && new.is_some(),
        "the lock of the removed file holds the new one"
    );
    ensure!(
        names_in(storage, root)? == ["LOCK"],
        "the lock is on a file without a name"
    );
    drop(old);
    ensure!(
        storage.try_lock(&path)?.is_none(),
        "the old lock gave the new one up"
    );
    Ok(())
}

fn a_lock_on_a_replaced_file_does_not_hold_the_new_one(
    storage: &dyn Storage,
    root: &Path,
) -> Outcome {
    // Windows refuses the replacement.
    if cfg!(windows) {
        return Ok(());
    }
    let path = root.join("LOCK");
    let old = storage.try_lock(&path)?;
    put(storage, &root.join("new"), b"")?;
    storage.rename(&root.join("new"), &path)?;
    let new = storage.try_lock(&path)?;
    ensure!(
        old.is_some() && new.is_some(),
        "the lock of the replaced file holds the new one"
    );
    ensure!(storage.try_lock(&path)?.is_none(), "two hold it");
    Ok(())
}

fn a_lock_in_a_missing_directory_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("missing").join("LOCK");
    fails_with(storage.try_lock(&path), ErrorKind::NotFound, "try_lock")
}

fn a_directory_cannot_be_locked(storage: &dyn Storage, root: &Path) -> Outcome {
    storage.create_dir(&root.join("d"))?;
    fails(storage.try_lock(&root.join("d")), "try_lock")
}

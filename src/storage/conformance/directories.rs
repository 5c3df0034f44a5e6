//! Checks of directories.

use std::io::ErrorKind;
use std::path::Path;

use super::{Outcome, check, contents, ensure, fails, fails_with, get, names_in, put};
use crate::storage::{Entry, EntryKind, OpenMode, Storage, write_all_at};

check!(
    create_dir_makes_one_empty_directory,
    create_dir_over_any_name_is_already_exists,
    create_dir_without_a_parent_is_not_found,
    listing_gives_each_entry_with_its_kind,
    listing_a_missing_directory_is_not_found,
    listing_a_file_is_refused,
    removing_an_empty_directory_takes_its_name,
    removing_a_directory_with_entries_is_refused,
    remove_dir_of_a_missing_name_is_not_found,
    remove_dir_refuses_a_file,
    renaming_a_directory_takes_its_entries_along,
    files_stay_open_when_their_directory_is_renamed,
    a_directory_cannot_move_into_itself,
    sync_dir_needs_a_directory,
);

fn create_dir_makes_one_empty_directory(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("d");
    storage.create_dir(&path)?;
    ensure!(
        storage.list(&path)?.is_empty(),
        "a new directory has entries"
    );
    ensure!(
        names_in(storage, root)? == ["d"],
        "the names are {:?}",
        names_in(storage, root)?
    );
    Ok(())
}

fn create_dir_over_any_name_is_already_exists(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("a"), b"kept")?;
    storage.create_dir(&root.join("d"))?;
    put(storage, &root.join("d").join("b"), b"kept")?;
    fails_with(
        storage.create_dir(&root.join("a")),
        ErrorKind::AlreadyExists,
        "over a file",
    )?;
    fails_with(
        storage.create_dir(&root.join("d")),
        ErrorKind::AlreadyExists,
        "over a directory",
    )?;
    ensure!(
        get(storage, &root.join("d").join("b"))? == b"kept",
        "the directory was changed"
    );
    Ok(())
}

fn create_dir_without_a_parent_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    fails_with(
        storage.create_dir(&root.join("d").join("e")),
        ErrorKind::NotFound,
        "create_dir",
    )?;
    ensure!(storage.list(root)?.is_empty(), "the parent was made");
    Ok(())
}

fn listing_gives_each_entry_with_its_kind(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("a"), b"")?;
    storage.create_dir(&root.join("d"))?;
    put(storage, &root.join("d").join("inside"), b"")?;
    let mut entries = storage.list(root)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let entry = |name: &str, kind| Entry {
        name: name.to_owned(),
        kind,
    };
    let expected = [
        entry("a", EntryKind::File),
        entry("d", EntryKind::Directory),
    ];
    ensure!(entries == expected, "the entries are {entries:?}");
    Ok(())
}

fn listing_a_missing_directory_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    fails_with(storage.list(&root.join("d")), ErrorKind::NotFound, "list")
}

fn listing_a_file_is_refused(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("a"), b"")?;
    fails(storage.list(&root.join("a")), "list")
}

fn removing_an_empty_directory_takes_its_name(storage: &dyn Storage, root: &Path) -> Outcome {
    storage.create_dir(&root.join("d"))?;
    storage.remove_dir(&root.join("d"))?;
    ensure!(storage.list(root)?.is_empty(), "the name is still there");
    Ok(())
}

fn removing_a_directory_with_entries_is_refused(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("d");
    storage.create_dir(&path)?;
    put(storage, &path.join("a"), b"kept")?;
    fails(storage.remove_dir(&path), "remove_dir")?;
    ensure!(
        get(storage, &path.join("a"))? == b"kept",
        "the entry was changed"
    );
    Ok(())
}

fn remove_dir_of_a_missing_name_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    fails_with(
        storage.remove_dir(&root.join("d")),
        ErrorKind::NotFound,
        "remove_dir",
    )
}

fn remove_dir_refuses_a_file(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("a"), b"kept")?;
    fails(storage.remove_dir(&root.join("a")), "remove_dir")?;
    ensure!(
        get(storage, &root.join("a"))? == b"kept",
        "the file was changed"
    );
    Ok(())
}

fn renaming_a_directory_takes_its_entries_along(storage: &dyn Storage, root: &Path) -> Outcome {
    let (from, to) = (root.join("d"), root.join("e"));
    storage.create_dir(&from)?;
    storage.create_dir(&from.join("sub"))?;
    put(storage, &from.join("sub").join("a"), b"moved")?;
    storage.rename(&from, &to)?;
    ensure!(
        names_in(storage, root)? == ["e"],
        "the names are {:?}",
        names_in(storage, root)?
    );
    ensure!(
        get(storage, &to.join("sub").join("a"))? == b"moved",
        "the bytes differ"
    );
    Ok(())
}

fn files_stay_open_when_their_directory_is_renamed(storage: &dyn Storage, root: &Path) -> Outcome {
    // Windows refuses the rename.
    if cfg!(windows) {
        return Ok(());
    }
    let (from, to) = (root.join("d"), root.join("e"));
    storage.create_dir(&from)?;
    let file = put(storage, &from.join("a"), b"one")?;
    storage.rename(&from, &to)?;
    write_all_at(file.as_ref(), b"two", 3)?;
    ensure!(
        contents(file.as_ref())? == b"onetwo",
        "the open file changed"
    );
    ensure!(
        get(storage, &to.join("a"))? == b"onetwo",
        "the write went elsewhere"
    );
    fails_with(
        storage.open(&from.join("a"), OpenMode::Read),
        ErrorKind::NotFound,
        "open by the old name",
    )
}

fn a_directory_cannot_move_into_itself(storage: &dyn Storage, root: &Path) -> Outcome {
    storage.create_dir(&root.join("d"))?;
    fails(
        storage.rename(&root.join("d"), &root.join("d").join("e")),
        "rename",
    )?;
    ensure!(names_in(storage, root)? == ["d"], "the directory is gone");
    Ok(())
}

fn sync_dir_needs_a_directory(storage: &dyn Storage, root: &Path) -> Outcome {
    storage.sync_dir(root)?;
    fails_with(
        storage.sync_dir(&root.join("d")),
        ErrorKind::NotFound,
        "sync_dir of a missing one",
    )?;
    put(storage, &root.join("a"), b"")?;
    fails(storage.sync_dir(&root.join("a")), "sync_dir of a file")
}

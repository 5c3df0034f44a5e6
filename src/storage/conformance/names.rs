//! Checks of renaming and removing files.

use std::io::ErrorKind;
use std::path::Path;

use super::{Outcome, check, contents, ensure, fails, fails_with, get, names_in, put};
use crate::storage::{OpenMode, Storage, write_all_at};

check!(
    renaming_moves_the_contents_to_the_new_name,
    renaming_replaces_a_file,
    renaming_a_missing_name_is_not_found,
    renaming_into_a_missing_directory_is_not_found,
    renaming_over_a_directory_is_already_exists,
    renaming_a_file_to_itself_keeps_it,
    renaming_moves_between_directories,
    an_open_file_survives_its_rename,
    an_open_file_survives_being_replaced,
    renaming_to_a_new_name_moves_the_contents,
    renaming_to_a_new_name_never_replaces,
    removing_a_file_takes_its_name,
    removing_a_missing_file_is_not_found,
    remove_file_refuses_a_directory,
    an_open_file_survives_its_removal,
);

fn renaming_moves_the_contents_to_the_new_name(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("a"), b"moved")?;
    storage.rename(&root.join("a"), &root.join("b"))?;
    ensure!(
        names_in(storage, root)? == ["b"],
        "the names are {:?}",
        names_in(storage, root)?
    );
    ensure!(
        get(storage, &root.join("b"))? == b"moved",
        "the bytes differ"
    );
    Ok(())
}

fn renaming_replaces_a_file(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("a"), b"new")?;
    put(storage, &root.join("b"), b"old, and longer")?;
    storage.rename(&root.join("a"), &root.join("b"))?;
    ensure!(
        names_in(storage, root)? == ["b"],
        "the names are {:?}",
        names_in(storage, root)?
    );
    ensure!(get(storage, &root.join("b"))? == b"new", "the bytes differ");
    Ok(())
}

fn renaming_a_missing_name_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("b"), b"kept")?;
    fails_with(
        storage.rename(&root.join("a"), &root.join("b")),
        ErrorKind::NotFound,
        "rename",
    )?;
    ensure!(
        get(storage, &root.join("b"))? == b"kept",
        "the target was changed"
    );
    Ok(())
}

fn renaming_into_a_missing_directory_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    put(storage, &root.join("a"), b"kept")?;
    let to = root.join("missing").join("a");
    fails_with(
        storage.rename(&root.join("a"), &to),
        ErrorKind::NotFound,
        "rename",
    )?;
    ensure!(
        get(storage, &root.join("a"))? == b"kept",
        "the file was changed"
    );
    Ok(())
}

fn renaming_over_a_directory_is_already_exists(storage: &dyn Storage, root: &Path) -> Outcome {
    let (file, first, second) = (root.join("a"), root.join("d"), root.join("e"));
    put(storage, &file, b"kept")?;
    storage.create_dir(&first)?;
    storage.create_dir(&second)?;
    fails_with(
        storage.rename(&file, &first),
        ErrorKind::AlreadyExists,
        "a file over a directory",
    )?;
    fails_with(
        storage.rename(&first, &second),
        ErrorKind::AlreadyExists,
        "a directory over an empty one",
    )?;
    fails(storage.rename(&first, &file), "a directory over a file")?;
    ensure!(
        names_in(storage, root)? == ["a", "d", "e"],
        "a name was lost"
    );
    ensure!(get(storage, &file)? == b"kept", "the file was changed");
    Ok(())
}

fn renaming_a_file_to_itself_keeps_it(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("a");
    put(storage, &path, b"kept")?;
    storage.rename(&path, &path)?;
    ensure!(get(storage, &path)? == b"kept", "the file was changed");
    Ok(())
}

fn renaming_moves_between_directories(storage: &dyn Storage, root: &Path) -> Outcome {
    let (first, second) = (root.join("d"), root.join("e"));
    storage.create_dir(&first)?;
    storage.create_dir(&second)?;
    put(storage, &first.join("a"), b"moved")?;
    storage.rename(&first.join("a"), &second.join("b"))?;
    ensure!(
        names_in(storage, &first)?.is_empty(),
        "the old name is still there"
    );
    ensure!(
        get(storage, &second.join("b"))? == b"moved",
        "the bytes differ"
    );
    Ok(())
}

fn an_open_file_survives_its_rename(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"one")?;
    storage.rename(&root.join("a"), &root.join("b"))?;
    write_all_at(file.as_ref(), b"two", 3)?;
    file.sync_data()?;
    ensure!(
        get(storage, &root.join("b"))? == b"onetwo",
        "the write went elsewhere"
    );
    Ok(())
}

fn an_open_file_survives_being_replaced(storage: &dyn Storage, root: &Path) -> Outcome {
    let old = put(storage, &root.join("b"), b"old")?;
    put(storage, &root.join("a"), b"new")?;
    storage.rename(&root.join("a"), &root.join("b"))?;
    ensure!(contents(old.as_ref())? == b"old", "the open file changed");
    write_all_at(old.as_ref(), b"lost", 0)?;
    ensure!(
        get(storage, &root.join("b"))? == b"new",
        "a write to the old file reached the new one"
    );
    Ok(())
}

fn renaming_to_a_new_name_moves_the_contents(storage: &dyn Storage, root: &Path) -> Outcome {
    let (from, to) = (root.join("a"), root.join("b"));
    put(storage, &from, b"moved")?;
    storage.rename_new(&from, &to)?;
    let names = names_in(storage, root)?;
    ensure!(names == ["b"], "the names are {names:?}");
    ensure!(get(storage, &to)? == b"moved", "the bytes differ");
    fails_with(
        storage.rename_new(&from, &root.join("c")),
        ErrorKind::NotFound,
        "rename_new of a missing name",
    )
}

fn renaming_to_a_new_name_never_replaces(storage: &dyn Storage, root: &Path) -> Outcome {
    let (from, file, dir) = (root.join("a"), root.join("b"), root.join("d"));
    put(storage, &from, b"new")?;
    put(storage, &file, b"kept")?;
    storage.create_dir(&dir)?;
    for to in [&file, &dir, &from] {
        fails_with(
            storage.rename_new(&from, to),
            ErrorKind::AlreadyExists,
            "rename_new to a name that is there",
        )?;
    }
    ensure!(get(storage, &from)? == b"new", "the source was changed");
    ensure!(get(storage, &file)? == b"kept", "the target was changed");
    Ok(())
}

fn removing_a_file_takes_its_name(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("a");
    put(storage, &path, b"gone")?;
    storage.remove_file(&path)?;
    ensure!(
        names_in(storage, root)?.is_empty(),
        "the name is still there"
    );
    fails_with(
        storage.open(&path, OpenMode::Read),
        ErrorKind::NotFound,
        "open",
    )?;
    let file = storage.open(&path, OpenMode::CreateNew)?;
    ensure!(
        file.is_empty()?,
        "a new file of the same name has the old bytes"
    );
    Ok(())
}

fn removing_a_missing_file_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    fails_with(
        storage.remove_file(&root.join("a")),
        ErrorKind::NotFound,
        "remove_file",
    )
}

fn remove_file_refuses_a_directory(storage: &dyn Storage, root: &Path) -> Outcome {
    storage.create_dir(&root.join("d"))?;
    fails(storage.remove_file(&root.join("d")), "remove_file")?;
    ensure!(names_in(storage, root)? == ["d"], "the directory is gone");
    Ok(())
}

fn an_open_file_survives_its_removal(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("a");
    let file = put(storage, &path, b"one")?;
    storage.remove_file(&path)?;
    put(storage, &path, b"another")?;
    write_all_at(file.as_ref(), b"two", 3)?;
    ensure!(
        contents(file.as_ref())? == b"onetwo",
        "the open file changed"
    );
    ensure!(
        get(storage, &path)? == b"another",
        "a write to the removed file reached the new one"
    );
    Ok(())
}

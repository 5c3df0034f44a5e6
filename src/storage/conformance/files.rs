//! Checks of [`StorageFile`](crate::storage::StorageFile) and of opening.

use std::io::ErrorKind;
use std::path::Path;

use super::{Outcome, check, contents, ensure, fails, fails_with, get, put};
use crate::storage::{OpenMode, Storage, read_full_at, write_all_at};

check!(
    opening_a_missing_file_is_not_found,
    creating_a_file_that_exists_is_already_exists_and_leaves_it,
    opening_a_directory_is_refused,
    a_new_file_is_empty_and_can_be_read_and_written,
    what_is_written_is_read_through_every_handle,
    a_read_handle_cannot_change_the_file,
    reading_stops_at_the_end,
    reading_far_beyond_the_end_is_the_end,
    writing_past_the_end_leaves_zeros_between,
    writing_inside_keeps_the_bytes_around_it_and_the_length,
    writing_beyond_the_largest_offset_is_an_error,
    cutting_drops_bytes_for_good,
    set_len_extends_with_zeros,
    allocate_extends_with_zeros,
    allocate_never_cuts,
    an_absurd_allocation_is_an_error,
    syncing_keeps_the_contents,
    a_large_file_keeps_every_byte,
);

fn opening_a_missing_file_is_not_found(storage: &dyn Storage, root: &Path) -> Outcome {
    for mode in [OpenMode::Read, OpenMode::Write] {
        fails_with(
            storage.open(&root.join("a"), mode),
            ErrorKind::NotFound,
            "open",
        )?;
    }
    let in_missing = root.join("missing").join("a");
    fails_with(
        storage.open(&in_missing, OpenMode::CreateNew),
        ErrorKind::NotFound,
        "create in a missing directory",
    )
}

fn creating_a_file_that_exists_is_already_exists_and_leaves_it(
    storage: &dyn Storage,
    root: &Path,
) -> Outcome {
    let path = root.join("a");
    put(storage, &path, b"kept")?;
    fails_with(
        storage.open(&path, OpenMode::CreateNew),
        ErrorKind::AlreadyExists,
        "create",
    )?;
    ensure!(get(storage, &path)? == b"kept", "the file was changed");
    let directory = root.join("d");
    storage.create_dir(&directory)?;
    fails_with(
        storage.open(&directory, OpenMode::CreateNew),
        ErrorKind::AlreadyExists,
        "create over a directory",
    )
}

fn opening_a_directory_is_refused(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("d");
    storage.create_dir(&path)?;
    fails(storage.open(&path, OpenMode::Read), "open to read")?;
    fails(storage.open(&path, OpenMode::Write), "open to write")
}

fn a_new_file_is_empty_and_can_be_read_and_written(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = storage.open(&root.join("a"), OpenMode::CreateNew)?;
    ensure!(file.is_empty()? && file.len()? == 0, "a new file has bytes");
    write_all_at(file.as_ref(), b"hello", 0)?;
    ensure!(contents(file.as_ref())? == b"hello", "the bytes differ");
    ensure!(!file.is_empty()?, "a file with bytes is empty");
    Ok(())
}

fn what_is_written_is_read_through_every_handle(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("a");
    let first = put(storage, &path, b"one")?;
    let reader = storage.open(&path, OpenMode::Read)?;
    let second = storage.open(&path, OpenMode::Write)?;
    write_all_at(second.as_ref(), b"two", 3)?;
    ensure!(
        contents(first.as_ref())? == b"onetwo",
        "the first handle does not see it"
    );
    ensure!(
        contents(reader.as_ref())? == b"onetwo",
        "the reading handle does not see it"
    );
    Ok(())
}

fn a_read_handle_cannot_change_the_file(storage: &dyn Storage, root: &Path) -> Outcome {
    let path = root.join("a");
    put(storage, &path, b"kept")?;
    let file = storage.open(&path, OpenMode::Read)?;
    fails(file.write_at(b"x", 0), "write")?;
    fails(file.set_len(0), "set_len")?;
    fails(file.allocate(100), "allocate")?;
    ensure!(get(storage, &path)? == b"kept", "the file was changed");
    Ok(())
}

fn reading_stops_at_the_end(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"0123456789")?;
    let mut buf = [0xAA; 8];
    ensure!(
        read_full_at(file.as_ref(), &mut buf, 6)? == 4,
        "4 bytes follow offset 6"
    );
    ensure!(&buf[..4] == b"6789", "the bytes differ");
    ensure!(buf[4..] == [0xAA; 4], "the rest of the buffer was changed");
    ensure!(
        file.read_at(&mut buf, 10)? == 0,
        "there is something at the end"
    );
    ensure!(file.read_at(&mut [], 0)? == 0, "an empty read reads");
    Ok(())
}

fn reading_far_beyond_the_end_is_the_end(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"x")?;
    for offset in [2, 1 << 40, i64::MAX as u64 - 1, i64::MAX as u64, u64::MAX] {
        ensure!(
            file.read_at(&mut [0; 8], offset)? == 0,
            "there is something at {offset}"
        );
    }
    Ok(())
}

fn writing_past_the_end_leaves_zeros_between(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"ab")?;
    write_all_at(file.as_ref(), b"z", 9_000)?;
    let bytes = contents(file.as_ref())?;
    ensure!(bytes.len() == 9_001, "the length is {}", bytes.len());
    ensure!(
        bytes.starts_with(b"ab") && bytes.ends_with(b"z"),
        "the written bytes differ"
    );
    ensure!(
        bytes[2..9_000].iter().all(|byte| *byte == 0),
        "the hole is not zero"
    );
    Ok(())
}

fn writing_inside_keeps_the_bytes_around_it_and_the_length(
    storage: &dyn Storage,
    root: &Path,
) -> Outcome {
    let file = put(storage, &root.join("a"), b"0123456789")?;
    write_all_at(file.as_ref(), b"xyz", 4)?;
    ensure!(
        contents(file.as_ref())? == b"0123xyz789",
        "the bytes differ"
    );
    Ok(())
}

fn writing_beyond_the_largest_offset_is_an_error(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"kept")?;
    for offset in [i64::MAX as u64, u64::MAX - 1, u64::MAX] {
        fails(file.write_at(b"xy", offset), "write")?;
    }
    fails(file.set_len(u64::MAX), "set_len")?;
    ensure!(contents(file.as_ref())? == b"kept", "the file was changed");
    Ok(())
}

fn cutting_drops_bytes_for_good(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), &[7; 10_000])?;
    file.set_len(5_000)?;
    ensure!(
        contents(file.as_ref())? == [7; 5_000],
        "the bytes before the cut differ"
    );
    write_all_at(file.as_ref(), b"z", 9_999)?;
    let bytes = contents(file.as_ref())?;
    ensure!(
        bytes[5_000..9_999].iter().all(|byte| *byte == 0),
        "bytes that were cut came back"
    );
    Ok(())
}

fn set_len_extends_with_zeros(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"ab")?;
    file.set_len(5)?;
    ensure!(contents(file.as_ref())? == b"ab\0\0\0", "the bytes differ");
    Ok(())
}

fn allocate_extends_with_zeros(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"ab")?;
    file.allocate(5_000)?;
    let bytes = contents(file.as_ref())?;
    ensure!(bytes.len() == 5_000, "the length is {}", bytes.len());
    ensure!(bytes.starts_with(b"ab"), "the bytes before differ");
    ensure!(
        bytes[2..].iter().all(|byte| *byte == 0),
        "the new bytes are not zero"
    );
    Ok(())
}

fn allocate_never_cuts(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"0123456789")?;
    for len in [0, 5, 10] {
        file.allocate(len)?;
        ensure!(
            contents(file.as_ref())? == b"0123456789",
            "allocate({len}) changed the file"
        );
    }
    Ok(())
}

fn an_absurd_allocation_is_an_error(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"kept")?;
    fails(file.allocate(u64::MAX), "allocate")?;
    ensure!(contents(file.as_ref())? == b"kept", "the file was changed");
    Ok(())
}

fn syncing_keeps_the_contents(storage: &dyn Storage, root: &Path) -> Outcome {
    let file = put(storage, &root.join("a"), b"kept")?;
    file.sync_data()?;
    ensure!(contents(file.as_ref())? == b"kept", "the file was changed");
    Ok(())
}

fn a_large_file_keeps_every_byte(storage: &dyn Storage, root: &Path) -> Outcome {
    let bytes: Vec<u8> = (0..100_003_u32).map(|n| (n % 251) as u8).collect();
    let file = put(storage, &root.join("a"), &bytes)?;
    ensure!(contents(file.as_ref())? == bytes, "the bytes differ");
    let mut part = [0; 777];
    ensure!(
        read_full_at(file.as_ref(), &mut part, 4_000)? == part.len(),
        "the read is short"
    );
    ensure!(part == bytes[4_000..4_777], "the part differs");
    Ok(())
}

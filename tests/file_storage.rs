//! What only the real disk shows: symbolic links, special files, permissions.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use sessionlog::storage::{EntryKind, FileStorage, OpenMode, Storage};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[test]
fn files_and_directories_are_private() {
    let root = directory();
    let storage = FileStorage::new();
    storage.create_dir(&root.path().join("d")).unwrap();
    storage
        .open(&root.path().join("a"), OpenMode::CreateNew)
        .unwrap();
    let _lock = storage
        .try_lock(&root.path().join("LOCK"))
        .unwrap()
        .unwrap();
    assert_eq!(mode(&root.path().join("d")), 0o700);
    assert_eq!(mode(&root.path().join("a")), 0o600);
    assert_eq!(mode(&root.path().join("LOCK")), 0o600);
}

#[test]
fn a_link_to_a_file_is_refused_and_its_target_untouched() {
    let root = directory();
    let storage = FileStorage::new();
    let (target, link) = (root.path().join("target"), root.path().join("link"));
    fs::write(&target, b"kept").unwrap();
    symlink(&target, &link).unwrap();
    for mode in [OpenMode::Read, OpenMode::Write] {
        let error = storage.open(&link, mode).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
    assert_eq!(
        storage.open(&link, OpenMode::CreateNew).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        storage.try_lock(&link).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(fs::read(&target).unwrap(), b"kept");
}

#[test]
fn a_dangling_link_makes_no_file() {
    let root = directory();
    let storage = FileStorage::new();
    let (target, link) = (root.path().join("target"), root.path().join("link"));
    symlink(&target, &link).unwrap();
    assert!(storage.try_lock(&link).is_err());
    assert!(storage.open(&link, OpenMode::CreateNew).is_err());
    assert!(storage.create_dir(&link).is_err());
    assert!(!target.exists());
}

#[test]
fn a_link_to_a_directory_is_refused() {
    let root = directory();
    let storage = FileStorage::new();
    let (target, link) = (root.path().join("target"), root.path().join("link"));
    fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();
    assert_eq!(
        storage.list(&link).unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    assert!(storage.sync_dir(&link).is_err());
    assert!(storage.remove_dir(&link).is_err());
    assert!(storage.open(&link, OpenMode::Read).is_err());
    assert!(target.exists());
}

#[test]
fn removing_a_link_leaves_its_target() {
    let root = directory();
    let (target, link) = (root.path().join("target"), root.path().join("link"));
    fs::write(&target, b"kept").unwrap();
    symlink(&target, &link).unwrap();
    FileStorage::new().remove_file(&link).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"kept");
}

#[test]
fn special_files_are_refused_without_waiting() {
    let root = directory();
    let storage = FileStorage::new();
    let fifo = root.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let socket = root.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in [&fifo, &socket] {
        assert!(
            storage.open(path, OpenMode::Read).is_err(),
            "{}",
            path.display()
        );
        assert!(
            storage.open(path, OpenMode::Write).is_err(),
            "{}",
            path.display()
        );
        assert!(storage.try_lock(path).is_err(), "{}", path.display());
    }
}

#[test]
fn a_listing_names_links_as_other_and_odd_names_lossily() {
    let root = directory();
    symlink("anywhere", root.path().join("link")).unwrap();
    let odd = std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xFF]);
    let odd: std::ffi::OsString = odd;
    File::create(root.path().join(odd)).unwrap();
    let mut entries = FileStorage::new().list(root.path()).unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(entries[0].name, "a\u{FFFD}");
    assert_eq!(
        (entries[1].name.as_str(), entries[1].kind),
        ("link", EntryKind::Other)
    );
}

#[test]
fn a_lock_of_another_process_is_seen() {
    let root = directory();
    let path = root.path().join("LOCK");
    // flock(1) takes the lock, says so, and holds it until its standard input closes.
    let spawned = Command::new("flock")
        .arg(&path)
        .args(["-c", "echo held; cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let Ok(mut holder) = spawned else {
        eprintln!("skipped: there is no flock(1)");
        return;
    };
    let mut line = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert!(FileStorage::new().try_lock(&path).unwrap().is_none());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(FileStorage::new().try_lock(&path).unwrap().is_some());
}

#[test]
fn racing_lockers_never_hold_one_path_twice() {
    let root = directory();
    let path = root.path().join("LOCK");
    let holders = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let storage = FileStorage::new();
                for _ in 0..300 {
                    // Busy tries are fine: the file is removed all the time.
                    if let Ok(Some(lock)) = storage.try_lock(&path) {
                        use std::sync::atomic::Ordering::SeqCst;
                        assert_eq!(holders.fetch_add(1, SeqCst), 0, "two hold the lock");
                        assert_eq!(holders.fetch_sub(1, SeqCst), 1);
                        storage.remove_file(&path).unwrap();
                        drop(lock);
                    }
                }
            });
        }
    });
}

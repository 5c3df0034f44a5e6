//! Directory trees: the fixtures, and comparing what is on disk.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The fixtures, unpacked with their empty directories.
pub(crate) struct Fixtures {
    dir: tempfile::TempDir,
}

/// Unpacks the sessions that the real package made.
pub(crate) fn fixtures() -> Fixtures {
    let dir = tempfile::tempdir().unwrap();
    let archive = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/standard-layout.tar.gz"
    );
    let status = Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(dir.path())
        .status();
    assert!(status.expect("the tests need `tar`").success());
    Fixtures { dir }
}

impl Fixtures {
    /// Name and storage directory of each.
    pub(crate) fn stores(&self) -> Vec<(String, PathBuf)> {
        let entries = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(Result::unwrap);
        let mut stores: Vec<_> = entries
            .map(|e| (e.file_name().into_string().unwrap(), e.path().join("store")))
            .collect();
        stores.sort();
        stores
    }

    /// One of them.
    pub(crate) fn store(&self, name: &str) -> PathBuf {
        self.dir.path().join(name).join("store")
    }
}

/// A directory tree: relative path to bytes, or to `None` for a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree(pub BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Tree {
    /// Reads a tree.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.add(root, root);
        tree
    }

    fn add(&mut self, root: &Path, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_path_buf();
            if path.is_dir() {
                self.0.insert(name, None);
                self.add(root, &path);
            } else {
                self.0.insert(name, Some(std::fs::read(&path).unwrap()));
            }
        }
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, path: &str, text: &str) {
        self.0.insert(path.into(), Some(text.as_bytes().to_vec()));
    }

    /// Writes the tree.
    pub(crate) fn write(&self, root: &Path) {
        for (path, bytes) in &self.0 {
            let path = root.join(path);
            match bytes {
                None => std::fs::create_dir_all(path).unwrap(),
                Some(bytes) => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, bytes).unwrap();
                }
            }
        }
    }
}

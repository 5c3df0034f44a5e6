//! The names of a file system in memory, as POSIX has them: directories of names, nodes that outlive their name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

use super::{Entry, EntryKind};

/// The directory that is always there.
pub(crate) const ROOT: u64 = 0;

/// The names in one directory.
pub(crate) type Names = BTreeMap<OsString, u64>;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) directory: u64,
    pub(crate) name: OsString,
}

/// A file or a directory.
#[derive(Clone, Debug)]
pub(crate) enum Node<F> {
    Directory(Names),
    File(F),
}

/// A tree of directories with files of type `F`. A node without a name stays until [`Tree::forget`].
#[derive(Clone, Debug)]
pub(crate) struct Tree<F> {
    nodes: BTreeMap<u64, Node<F>>,
    next: u64,
}

impl<F> Tree<F> {
    pub(crate) fn new() -> Self {
        let root = Node::Directory(Names::new());
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
        }
    }

    /// A tree of these nodes, of which the first is the root.
    #[cfg(feature = "sim")]
    pub(crate) fn from_nodes(nodes: BTreeMap<u64, Node<F>>) -> Self {
        let next = nodes.last_key_value().map_or(ROOT, |(last, _)| *last) + 1;
        Self { nodes, next }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut F> {
        self.nodes.values_mut().filter_map(|node| match node {
            Node::File(file) => Some(file),
            Node::Directory(_) => None,
        })
    }

    #[cfg(feature = "sim")]
    pub(crate) fn file_mut(&mut self, node: u64) -> io::Result<&mut F> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn file(&self, node: u64) -> Option<&F> {
        match self.nodes.get(&node) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(crate) fn names(&self, node: u64) -> io::Result<&Names> {
        match self.nodes.get(&node) {
            Some(Node::Directory(names)) => Ok(names),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn names_mut(&mut self, node: u64) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&node) {
            Some(Node::Directory(names)) => Ok(names),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn is_directory(&self, node: u64) -> bool {
        matches!(self.nodes.get(&node), Some(Node::Directory(_)))
    }

    /// The node that a path names.
    pub(crate) fn find(&self, path: &Path) -> io::Result<u64> {
        let mut node = ROOT;
        for name in names_of(path)? {
            node = *self.names(node)?.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    /// The file that a path names; directories are refused.
    pub(crate) fn find_file(&self, path: &Path) -> io::Result<u64> {
        let node = self.find(path)?;
        if self.is_directory(node) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(node)
    }

    /// The directory and the name that a path stands for, whether or not there is such a name.
    pub(crate) fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = names_of(path)?;
        let Some(last) = names.pop() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path names the root",
            ));
        };
        let directory = self.find(&names.iter().collect::<std::path::PathBuf>())?;
        self.names(directory)?;
        Ok(Place {
            directory,
            name: last.to_owned(),
        })
    }

    /// Adds a node under a new name.
    pub(crate) fn create(&mut self, path: &Path, node: Node<F>) -> io::Result<(Place, u64)> {
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let place = self.place(path)?;
        let id = self.next;
        self.names_mut(place.directory)?
            .insert(place.name.clone(), id);
        self.nodes.insert(id, node);
        self.next += 1;
        Ok((place, id))
    }

    /// Gives a file a second name.
    #[cfg(feature = "sim")]
    pub(crate) fn link(&mut self, from: &Path, to: &Path) -> io::Result<(Place, u64)> {
        let node = self.find_file(from)?;
        if self.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let place = self.place(to)?;
        self.names_mut(place.directory)?
            .insert(place.name.clone(), node);
        Ok((place, node))
    }

    pub(crate) fn remove_file(&mut self, path: &Path) -> io::Result<(Place, u64)> {
        let node = self.find_file(path)?;
        let place = self.place(path)?;
        self.names_mut(place.directory)?.remove(&place.name);
        Ok((place, node))
    }

    pub(crate) fn remove_dir(&mut self, path: &Path) -> io::Result<(Place, u64)> {
        let node = self.find(path)?;
        if !self.names(node)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let place = self.place(path)?;
        self.names_mut(place.directory)?.remove(&place.name);
        Ok((place, node))
    }

    /// Renames; returns the file that was replaced. Nothing happens if both paths are the same file.
    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<Option<u64>> {
        let node = self.find(from)?;
        let (old, new) = (self.place(from)?, self.place(to)?);
        let replaced = self.names(new.directory)?.get(&new.name).copied();
        if replaced.is_some_and(|there| self.is_directory(there)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.is_directory(node) {
            if replaced.is_some() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if names_of(to)?.starts_with(&names_of(from)?) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a directory cannot go into itself",
                ));
            }
        }
        if replaced == Some(node) {
            return Ok(None);
        }
        self.names_mut(old.directory)?.remove(&old.name);
        self.names_mut(new.directory)?.insert(new.name, node);
        Ok(replaced)
    }

    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let names = self.names(self.find(path)?)?;
        let entry = |(name, node): (&OsString, &u64)| Entry {
            name: name.to_string_lossy().into_owned(),
            kind: if self.is_directory(*node) {
                EntryKind::Directory
            } else {
                EntryKind::File
            },
        };
        Ok(names.iter().map(entry).collect())
    }

    /// Frees a node that has no name any more.
    pub(crate) fn forget(&mut self, node: u64) {
        self.nodes.remove(&node);
    }
}

/// The parts of a path below the root; relative paths start there too.
fn names_of(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a path in memory has no `..`",
                ));
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(names)
}

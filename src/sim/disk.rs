//! The simulated disk itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::choice::Choice;
use super::crash::{Crash, survivor};
use super::fault::{FaultPlan, Faults, How};
use super::file::{SimFile, SimLock};
use super::inode::Inode;
use super::names::{Change, NameLog};
use super::trace::{Op, OpKind};
use crate::storage::tree::{Names, Node, ROOT, Tree};
use crate::storage::{Entry, OpenMode, Storage, StorageFile, StorageLock};

/// A disk in memory that can lose its power and fail in other ways: see the [module](super).
///
/// A clone is the same disk. The root directory is always there and durable; a relative path starts at it.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<Disk>>,
}

/// What a disk holds.
#[derive(Debug)]
pub(super) struct Disk {
    /// What the operating system shows. Nodes stay when they lose their last name: it may come back in a crash.
    pub(super) tree: Tree<Inode>,
    pub(super) names: NameLog,
    faults: Faults,
    trace: Vec<Op>,
    operations: u64,
    bytes_read: u64,
    bytes_written: u64,
    /// The bytes that the operation at hand has moved.
    moved: u64,
}

impl Disk {
    fn new(tree: Tree<Inode>, names: NameLog) -> Self {
        Self {
            tree,
            names,
            faults: Faults::default(),
            trace: Vec::new(),
            operations: 0,
            bytes_read: 0,
            bytes_written: 0,
            moved: 0,
        }
    }

    pub(super) fn read(&mut self, node: u64, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.tree.file_mut(node)?.cached.read_at(buf, offset);
        self.bytes_read += count as u64;
        self.moved = count as u64;
        Ok(count)
    }

    pub(super) fn wrote(&mut self, count: usize) {
        self.bytes_written += count as u64;
        self.moved = count as u64;
    }

    fn create(&mut self, path: &Path, node: Node<Inode>) -> io::Result<u64> {
        let is_directory = matches!(node, Node::Directory(_));
        let (place, node) = self.tree.create(path, node)?;
        self.names.push(Change {
            node,
            is_directory,
            from: None,
            to: Some(place),
            above: Vec::new(),
        });
        Ok(node)
    }

    fn create_file(&mut self, path: &Path) -> io::Result<u64> {
        self.create(path, Node::File(Inode::default()))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.tree.find(from)?;
        let is_directory = self.tree.is_directory(node);
        let (old, new) = (self.tree.place(from)?, self.tree.place(to)?);
        let above = to
            .ancestors()
            .skip(1)
            .filter_map(|path| self.tree.find(path).ok())
            .collect();
        self.tree.rename(from, to)?;
        if old != new {
            self.names.push(Change {
                node,
                is_directory,
                from: Some(old),
                to: Some(new),
                above,
            });
        }
        Ok(())
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (place, node) = self.tree.link(from, to)?;
        self.names.push(Change {
            node,
            is_directory: false,
            from: None,
            to: Some(place),
            above: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path, is_directory: bool) -> io::Result<()> {
        let (place, node) = if is_directory {
            self.tree.remove_dir(path)?
        } else {
            self.tree.remove_file(path)?
        };
        self.names.push(Change {
            node,
            is_directory,
            from: Some(place),
            to: None,
            above: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let directory = self.tree.find(path)?;
        self.tree.names(directory)?;
        self.names.sync(directory);
        Ok(())
    }

    /// The node that was locked, if nobody else holds it.
    fn lock(&mut self, path: &Path) -> io::Result<Option<u64>> {
        let node = match self.tree.find_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.create_file(path)?,
            found => found?,
        };
        let inode = self.tree.file_mut(node)?;
        let was_free = !std::mem::replace(&mut inode.locked, true);
        Ok(was_free.then_some(node))
    }
}

impl SimDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::from_parts(Tree::new(), NameLog::default())
    }

    fn from_parts(tree: Tree<Inode>, names: NameLog) -> Self {
        Self {
            state: Arc::new(Mutex::new(Disk::new(tree, names))),
        }
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        // No code that holds the lock can panic half way through a change, so poison means nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one operation: counts it, lets faults strike it, writes it down.
    pub(super) fn operate<T>(
        &self,
        mut op: Op,
        run: impl FnOnce(&mut Disk, How) -> io::Result<T>,
    ) -> io::Result<T> {
        let disk = &mut *self.disk();
        disk.operations += 1;
        disk.moved = 0;
        let verdict = disk.faults.judge(disk.operations, op.kind, op.len);
        let done = verdict.done.map(|how| run(disk, how));
        let result = match (done, verdict.error) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(injected)) => Err(injected),
            (Some(done), None) => done,
            (None, None) => Err(io::ErrorKind::Other.into()),
        };
        op.number = disk.operations;
        op.moved = disk.moved;
        op.error = result.as_ref().err().map(io::Error::kind);
        disk.trace.push(op);
        result
    }

    /// Plans faults for the operations to come, instead of those planned before, and brings the power back.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.disk().faults = Faults::new(plan);
    }

    /// How many times faults of the present plan have struck: 0 is a clean pass.
    #[must_use]
    pub fn faults_struck(&self) -> u64 {
        self.disk().faults.struck()
    }

    /// How many operations were done or tried: the next one is the `operations() + 1`-th.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// How many bytes were read, over all files.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.disk().bytes_read
    }

    /// How many bytes were written, over all files.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.disk().bytes_written
    }

    /// All operations so far, in order.
    #[must_use]
    pub fn trace(&self) -> Vec<Op> {
        self.disk().trace.clone()
    }

    /// Forgets the operations so far; their count goes on.
    pub fn clear_trace(&self) {
        self.disk().trace.clear();
    }

    /// Writes a note among the operations, such as "acknowledged" with a version, so that their order shows.
    pub fn note(&self, what: &'static str, value: u64) {
        let mut disk = self.disk();
        let number = disk.operations;
        disk.trace.push(Op {
            number,
            ..Op::new(OpKind::Note(what), Path::new("")).at(0, value)
        });
    }

    /// The disk after a power cut at this moment: a new one, without locks, faults or a trace; this one goes on.
    #[must_use]
    pub fn crash(&self, crash: impl Into<Crash>, choice: &mut dyn Choice) -> Self {
        let crash = crash.into();
        let disk = self.disk();
        let durable = disk.names.survivors(crash.name_loss(), choice);
        let mut nodes: BTreeMap<u64, Node<Inode>> = BTreeMap::new();
        let mut names: BTreeMap<u64, Names> = BTreeMap::new();
        let mut directories = vec![ROOT];
        while let Some(directory) = directories.pop() {
            let here = durable.get(&directory).cloned().unwrap_or_default();
            for node in here.values() {
                match disk.tree.file(*node) {
                    // A file with two names is one file.
                    Some(_) if nodes.contains_key(node) => {}
                    Some(inode) => {
                        let settled = Inode::settled(survivor(inode, crash, choice));
                        nodes.insert(*node, Node::File(settled));
                    }
                    None => directories.push(*node),
                }
            }
            nodes.insert(directory, Node::Directory(here.clone()));
            names.insert(directory, here);
        }
        Self::from_parts(Tree::from_nodes(nodes), NameLog::settled(names))
    }

    /// The disk as the next process finds it after this one was killed: everything written is there, and what
    /// was not synced can still be lost to a power cut. A new disk, without locks; this one goes on.
    #[must_use]
    pub fn kill(&self) -> Self {
        let disk = self.disk();
        let mut tree = disk.tree.clone();
        for inode in tree.files_mut() {
            inode.locked = false;
        }
        Self::from_parts(tree, disk.names.clone())
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk")
            .field("operations", &self.operations())
            .finish_non_exhaustive()
    }
}

impl Storage for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        let kind = if mode == OpenMode::CreateNew {
            OpKind::Create
        } else {
            OpKind::Open
        };
        let node = self.operate(Op::new(kind, path), |disk, _| match mode {
            OpenMode::CreateNew => disk.create_file(path),
            OpenMode::Read | OpenMode::Write => disk.tree.find_file(path),
        })?;
        Ok(Box::new(SimFile::new(
            self.clone(),
            node,
            path,
            mode != OpenMode::Read,
        )))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op {
            to: Some(to.to_owned()),
            ..Op::new(OpKind::Rename, from)
        };
        self.operate(op, |disk, _| disk.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op {
            to: Some(to.to_owned()),
            ..Op::new(OpKind::Rename, from)
        };
        self.operate(op, |disk, _| {
            if disk.tree.find(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.rename(from, to)
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op {
            to: Some(to.to_owned()),
            ..Op::new(OpKind::Link, from)
        };
        self.operate(op, |disk, _| disk.link(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::new(OpKind::RemoveFile, path), |disk, _| {
            disk.remove(path, false)
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::new(OpKind::RemoveDir, path), |disk, _| {
            disk.remove(path, true)
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let directory = Node::Directory(Names::new());
        self.operate(Op::new(OpKind::CreateDir, path), |disk, _| {
            disk.create(path, directory)
        })
        .map(drop)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.operate(Op::new(OpKind::List, path), |disk, _| disk.tree.list(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.operate(Op::new(OpKind::SyncDir, path), |disk, _| {
            disk.sync_dir(path)
        })
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        let mut taken = None;
        let result = self.operate(Op::new(OpKind::Lock, path), |disk, _| {
            taken = disk.lock(path)?;
            Ok(())
        });
        // Made even if a fault hides it, so that it is given up again.
        let lock = taken.map(|node| SimLock::new(self.clone(), node));
        result?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn StorageLock>))
    }
}

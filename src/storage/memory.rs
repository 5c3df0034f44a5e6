//! [`Storage`] in memory: for tests, and for sessions that need not outlive the process.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pages::{Pages, end_of};
use super::tree::{Names, Node, Tree};
use super::{Entry, OpenMode, Storage, StorageFile, StorageLock};

/// A file system in memory that behaves as POSIX says: an open file survives its rename and its removal.
///
/// A clone is the same storage. The root directory is always there; a relative path starts at it. Syncing does
/// nothing, since nothing here outlives the process.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    tree: Arc<Mutex<Tree<Arc<MemoryInode>>>>,
}

#[derive(Debug, Default)]
struct MemoryInode {
    bytes: Mutex<Pages>,
    locked: AtomicBool,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tree: Arc::new(Mutex::new(Tree::new())),
        }
    }

    fn tree(&self) -> MutexGuard<'_, Tree<Arc<MemoryInode>>> {
        guard(&self.tree)
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

/// No code that holds one of these locks can panic half way through a change, so poison means nothing.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inode(tree: &Tree<Arc<MemoryInode>>, path: &Path) -> io::Result<Arc<MemoryInode>> {
    let node = tree.find_file(path)?;
    tree.file(node)
        .cloned()
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Storage for MemoryStorage {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        let mut tree = self.tree();
        let inode = if mode == OpenMode::CreateNew {
            let inode = Arc::<MemoryInode>::default();
            tree.create(path, Node::File(inode.clone()))?;
            inode
        } else {
            inode(&tree, path)?
        };
        Ok(Box::new(MemoryFile {
            inode,
            writable: mode != OpenMode::Read,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        if let Some(replaced) = tree.rename(from, to)? {
            tree.forget(replaced);
        }
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        if tree.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        tree.rename(from, to).map(drop)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        let (_, node) = tree.remove_file(path)?;
        tree.forget(node);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        let (_, node) = tree.remove_dir(path)?;
        tree.forget(node);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.tree()
            .create(path, Node::Directory(Names::new()))
            .map(drop)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.tree().list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let tree = self.tree();
        tree.names(tree.find(path)?).map(drop)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        let mut tree = self.tree();
        let inode = match inode(&tree, path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let inode = Arc::<MemoryInode>::default();
                tree.create(path, Node::File(inode.clone()))?;
                inode
            }
            found => found?,
        };
        if inode.locked.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        Ok(Some(Box::new(MemoryLock { inode })))
    }
}

#[derive(Debug)]
struct MemoryFile {
    inode: Arc<MemoryInode>,
    writable: bool,
}

impl MemoryFile {
    fn writable(&self) -> io::Result<MutexGuard<'_, Pages>> {
        if !self.writable {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the file is open to read",
            ));
        }
        Ok(guard(&self.inode.bytes))
    }
}

impl StorageFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(guard(&self.inode.bytes).len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(guard(&self.inode.bytes).read_at(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        end_of(offset, buf.len())?;
        self.writable()?.write_at(buf, offset);
        Ok(buf.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        end_of(len, 0)?;
        self.writable()?.set_len(len);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        end_of(len, 0)?;
        let mut bytes = self.writable()?;
        let longer = len.max(bytes.len());
        bytes.set_len(longer);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryLock {
    inode: Arc<MemoryInode>,
}

impl StorageLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.inode.locked.store(false, Ordering::Release);
    }
}

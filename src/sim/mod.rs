//! A simulated disk that loses its power, fails and rots: for the tests of this crate and of whoever embeds it.
//!
//! # The model
//!
//! **Files.** A file has durable bytes, and edits since: writes, new lengths, allocations. Reads show all edits.
//! [`sync_data`](crate::storage::StorageFile::sync_data) makes the bytes and the length durable, through
//! whichever handle the edits were made, and never the name. Closing a file makes nothing durable.
//!
//! **Names.** A directory has durable names, and changes since: a file or directory created, renamed or removed.
//! [`sync_dir`](crate::storage::Storage::sync_dir) makes the changes of that directory durable: not the
//! directory's own name in its parent, and no bytes. A rename between two directories is one change of both, and
//! a sync of either makes it durable. A directory whose own name is lost is lost with everything in it.
//!
//! **A power cut** ([`SimDisk::crash`]) gives a new disk. What is durable is there. Of the rest:
//!
//! - Bytes go by sectors of 512 bytes, each on its own; a [`Policy`] says what a sector may hold. A byte that no
//!   edit since the last sync covers is always as it was. Cutting a file is an edit of the bytes after the cut:
//!   they can come back, even behind bytes that were written later.
//! - The length is chosen apart from the bytes ([`Lengths`]), between the least and the greatest that the file
//!   had since the last sync. Bytes inside it that were never written are zeros.
//! - Changes of names survive or are undone ([`NameLoss`]), each as a whole. One that survives takes along what
//!   it needs: earlier changes of the same names; if it removes a directory, all earlier changes in it; if it
//!   moves a node, the creation of the directories above the new name; if it moves a directory, earlier moves of
//!   directories. So a file with a durable name that was only renamed is found under exactly one name.
//! - A file that was removed may be back, with its bytes; a file that was created may be gone, synced or not.
//! - Locks are gone.
//!
//! **A killed process** ([`SimDisk::kill`]) loses nothing but its locks; what it did not sync stays at risk.
//!
//! **In use**, a disk fails as a [`FaultPlan`] says. Every call that can fail counts as one operation. After a
//! sync that gave up on the written bytes ([`Fault::SyncFailsClean`], [`Fault::SyncLies`]) they stay readable, and
//! later syncs succeed without making them durable; lengths and names are not affected. Only writing those bytes
//! again makes them durable.
//!
//! **At rest**, bits flip and files vanish: [`SimDisk::flip_bit`] and its like; [`SimDisk::wreck`] chooses among
//! them.
//!
//! Every outcome that is not determined is asked of a [`Choice`]: random, exhaustive, or a fuzzer's.
//!
//! ```
//! use std::path::Path;
//! use sessionlog::sim::{Policy, Seeded, SimDisk};
//! use sessionlog::storage::{OpenMode, Storage, write_all_at};
//!
//! let disk = SimDisk::new();
//! let file = disk.open(Path::new("/a"), OpenMode::CreateNew)?;
//! write_all_at(file.as_ref(), b"durable", 0)?;
//! file.sync_data()?;
//! disk.sync_dir(Path::new("/"))?;
//! write_all_at(file.as_ref(), b", or not", 7)?;
//!
//! let after = disk.crash(Policy::Trashed, &mut Seeded::new(7));
//! assert!(after.peek(Path::new("/a"))?.starts_with(b"durable"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod choice;
mod crash;
mod disk;
mod fault;
mod file;
pub mod harness;
mod inode;
mod names;
mod rest;
mod trace;
mod wreck;

pub use choice::{Bytes, Choice, Chosen, Exhaustive, Seeded};
pub use crash::{Crash, Lengths, NameLoss, Policy, SECTOR};
pub use disk::SimDisk;
pub use fault::{Fault, FaultPlan, Injected};
pub use trace::{Op, OpKind};

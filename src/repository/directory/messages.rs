//! The files in a `messages` directory.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::state::{IdSet, is_message_file};

use super::disk::Disk;
use crate::repository::{MessageList, MessageRecord, Unreadable, slice};

/// The names in a `messages` directory.
#[derive(Debug)]
pub(super) struct Names {
    dir: PathBuf,
    /// Number in the name and name, in the order of the numbers.
    numbered: Vec<(u64, String)>,
    /// Names of message files without a number that can be an id.
    odd: Vec<String>,
}

impl Names {
    /// Lists the directory; a missing one has no messages. Temporary and foreign files are passed over.
    pub(super) fn list(disk: &Disk, dir: &Path) -> Result<Self> {
        let (mut numbered, mut odd) = (Vec::new(), Vec::new());
        for name in disk.files(dir)? {
            match number(&name) {
                Some(number) => numbered.push((number, name)),
                None if in_message_name(&name).is_some() => odd.push(name),
                None => {}
            }
        }
        numbered.sort();
        odd.sort();
        Ok(Self {
            dir: dir.to_path_buf(),
            numbered,
            odd,
        })
    }

    /// Reads the messages that a slice selects.
    pub(super) fn read(&self, disk: &Disk, limit: Option<i64>, offset: i64) -> MessageList {
        let wanted = slice(self.numbered.len(), limit, offset);
        let (mut list, mut seen) = (MessageList::default(), IdSet::default());
        for name in &self.odd {
            list.unreadable.push(Unreadable {
                position: None,
                id: None,
                what: self.dir.join(name).display().to_string(),
                error: "its name has no number that can be a message id".to_owned(),
            });
        }
        for position in wanted {
            let (number, name) = &self.numbered[position];
            let path = self.dir.join(name);
            let error = match read(disk, &path, *number) {
                // It was removed since the directory was listed.
                Ok(None) => continue,
                Ok(Some(message)) if seen.insert(message.id()) => {
                    list.messages.push(message);
                    continue;
                }
                Ok(Some(message)) => format!("a message with id {} came before it", message.id()),
                Err(e) => e.to_string(),
            };
            list.unreadable.push(Unreadable {
                position: Some(position as u64),
                id: Some(*number),
                what: path.display().to_string(),
                error,
            });
        }
        list.messages.sort_by_key(MessageRecord::id);
        list
    }

    /// The file that holds a message, by the id in its record, and the record.
    pub(super) fn find(&self, disk: &Disk, id: u64) -> Result<Option<(PathBuf, MessageRecord)>> {
        for (number, name) in &self.numbered {
            let path = self.dir.join(name);
            match read(disk, &path, *number) {
                Ok(Some(message)) if message.id() == id => return Ok(Some((path, message))),
                Err(e) if *number == id => return Err(e),
                // An unreadable file with another number is not the caller's.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The numbers of files that are named otherwise than `message_<number>.json`.
    pub(super) fn unusual(&self) -> impl Iterator<Item = u64> {
        let is_unusual = |(number, name): &&(u64, String)| *name != file_name(*number);
        self.numbered
            .iter()
            .filter(is_unusual)
            .map(|(number, _)| *number)
    }

    /// One more than the greatest id: of the names, and in the last record.
    pub(super) fn next_id(&self, disk: &Disk) -> u64 {
        let Some((number, name)) = self.numbered.last() else {
            return 0;
        };
        let last = read(disk, &self.dir.join(name), *number).ok().flatten();
        let id = last.map_or(*number, |message| message.id().max(*number));
        id.saturating_add(1)
    }
}

/// Reads one message file; `None` if it is missing.
pub(super) fn read(disk: &Disk, path: &Path, number: u64) -> Result<Option<MessageRecord>> {
    let Some(text) = disk.read(path)? else {
        return Ok(None);
    };
    MessageRecord::from_text(number, &text).map(Some)
}

/// The usual name of a message's file.
pub(super) fn file_name(id: u64) -> String {
    format!("message_{id}.json")
}

/// The number in a message file's name; `message_007.json` is 7.
fn number(name: &str) -> Option<u64> {
    let digits = in_message_name(name)?;
    is_message_file(name).then(|| digits.parse().ok()).flatten()
}

fn in_message_name(name: &str) -> Option<&str> {
    name.strip_prefix("message_")?.strip_suffix(".json")
}

//! The files in a `messages` directory, wherever it is.

use std::path::{Path, PathBuf};

use crate::json::{Json, JsonError, Kind};
use crate::state::{IdSet, is_message_file};
use crate::{Error, Result};

use super::{MessageList, MessageRecord, Unreadable, slice};

/// Where files of the standard layout are: a storage, or a bucket.
pub(super) trait Files {
    /// The names of the files in a directory; none if it is missing.
    fn names(&self, dir: &Path) -> Result<Vec<String>>;
    /// The text of a file, checked to be a JSON object; `None` if it is missing.
    fn text(&self, path: &Path) -> Result<Option<String>>;
    /// The texts of several files, in their order.
    fn texts(&self, paths: &[PathBuf]) -> Vec<Result<Option<String>>> {
        paths.iter().map(|path| self.text(path)).collect()
    }
    /// A path for people.
    fn show(&self, path: &Path) -> String {
        path.display().to_string()
    }
}

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
    pub(super) fn list(files: &dyn Files, dir: &Path) -> Result<Self> {
        let (mut numbered, mut odd) = (Vec::new(), Vec::new());
        for name in files.names(dir)? {
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

    /// Whether there is nothing at all.
    #[cfg(feature = "s3")]
    pub(super) fn is_empty(&self) -> bool {
        self.numbered.is_empty() && self.odd.is_empty()
    }

    /// Reads the messages that a slice selects.
    pub(super) fn read(
        &self,
        files: &dyn Files,
        limit: Option<i64>,
        offset: i64,
    ) -> Result<MessageList> {
        let wanted = slice(self.numbered.len(), limit, offset);
        let (mut list, mut seen) = (MessageList::default(), IdSet::default());
        for name in &self.odd {
            list.unreadable.push(Unreadable {
                position: None,
                id: None,
                what: files.show(&self.dir.join(name)),
                error: "its name has no number that can be a message id".to_owned(),
            });
        }
        let paths: Vec<_> = self.numbered[wanted.clone()]
            .iter()
            .map(|(_, name)| self.dir.join(name))
            .collect();
        let texts = files.texts(&paths).into_iter();
        for ((position, path), text) in wanted.zip(paths).zip(texts) {
            let number = self.numbered[position].0;
            let error = match parsed(text, number) {
                // It was removed since the directory was listed.
                Ok(None) => continue,
                Ok(Some(message)) if seen.insert(message.id()) => {
                    list.messages.push(message);
                    continue;
                }
                Ok(Some(message)) => format!("a message with id {} came before it", message.id()),
                // The place is out of reach, and not this message damaged.
                Err(e @ Error::Remote { .. }) => return Err(e),
                Err(e) => e.to_string(),
            };
            list.unreadable.push(Unreadable {
                position: Some(position as u64),
                id: Some(number),
                what: files.show(&path),
                error,
            });
        }
        list.messages.sort_by_key(MessageRecord::id);
        Ok(list)
    }

    /// The file that holds a message, by the id in its record, and the record.
    pub(super) fn find(
        &self,
        files: &dyn Files,
        id: u64,
    ) -> Result<Option<(PathBuf, MessageRecord)>> {
        for (number, name) in &self.numbered {
            let path = self.dir.join(name);
            match read(files, &path, *number) {
                Ok(Some(message)) if message.id() == id => return Ok(Some((path, message))),
                Err(e @ Error::Remote { .. }) => return Err(e),
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
    pub(super) fn next_id(&self, files: &dyn Files) -> Result<u64> {
        let Some((number, name)) = self.numbered.last() else {
            return Ok(0);
        };
        let id = match read(files, &self.dir.join(name), *number) {
            Ok(Some(message)) => message.id().max(*number),
            Err(e @ Error::Remote { .. }) => return Err(e),
            Ok(None) | Err(_) => *number,
        };
        Ok(id.saturating_add(1))
    }
}

/// Reads one message file; `None` if it is missing.
pub(super) fn read(files: &dyn Files, path: &Path, number: u64) -> Result<Option<MessageRecord>> {
    parsed(files.text(path), number)
}

fn parsed(text: Result<Option<String>>, number: u64) -> Result<Option<MessageRecord>> {
    let text = text?;
    text.map(|text| MessageRecord::from_text(number, &text))
        .transpose()
}

/// The bytes of a file as text, checked to be a JSON object; `what` names it in errors.
pub(super) fn object_text(bytes: Vec<u8>, what: impl FnOnce() -> String) -> Result<String> {
    let invalid = |what, source| Error::InvalidJson { what, source };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let source = JsonError {
                offset: e.utf8_error().valid_up_to(),
                reason: "the text is not UTF-8",
            };
            return Err(invalid(what(), source));
        }
    };
    match Json::parse(&text).map(Json::kind) {
        Ok(Kind::Object) => Ok(text),
        Ok(_) => Err(Error::InvalidInput {
            what: what(),
            reason: "it is not a JSON object".to_owned(),
        }),
        Err(source) => Err(invalid(what(), source)),
    }
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

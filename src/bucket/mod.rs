//! Buckets: objects by key, in an S3-compatible store.

mod connection;
mod failure;
mod parallel;

use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::{Attribute, Attributes, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use crate::sync::RemoteError;
use crate::{Error, Result};

pub(crate) use connection::Connection;
pub use connection::S3Options;
pub(crate) use parallel::each;

/// How often a write that ended in doubt is settled by reading and tried again.
const ATTEMPTS: usize = 4;
const JSON: &str = "application/json";

/// A bucket, or the part of it below a prefix. Cheap to clone; clones are the same bucket.
///
/// Keys are below the prefix and use `/`. Objects that are written have the content type `application/json`.
#[derive(Clone, Debug)]
pub struct Bucket {
    connection: Arc<Connection>,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The key, below the bucket's prefix.
    pub key: String,
    /// The length in bytes.
    pub len: u64,
}

/// What is in an object, and in which state it was read.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    state: UpdateVersion,
}

impl Bucket {
    /// The bucket at `s3://BUCKET/PREFIX`. Nothing is sent.
    ///
    /// Errors: [`RemoteError::Configuration`].
    pub fn open(url: &str, options: &S3Options) -> Result<Self, RemoteError> {
        let connection = Arc::new(Connection::s3(url, options)?);
        Ok(Self { connection })
    }

    /// An empty bucket that ends with the process: for tests.
    ///
    /// Errors: [`RemoteError::Configuration`] if no thread can be started.
    pub fn in_memory() -> Result<Self, RemoteError> {
        let connection = Arc::new(Connection::in_memory()?);
        Ok(Self { connection })
    }

    /// The URL of a key.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        let url = format!("{}/{key}", self.connection.url);
        url.trim_end_matches('/').to_owned()
    }

    /// The objects below `directory`, in the order of their keys; all of them if it is empty.
    pub fn list(&self, directory: &str) -> Result<Vec<Object>> {
        let place = |e| self.error(directory, e);
        let connection = &self.connection;
        let path = connection.path(directory).map_err(place)?;
        let store = Arc::clone(&connection.reads);
        let listed = connection.run(async move {
            let found: Vec<_> = store.list(Some(&path)).try_collect().await?;
            Ok(found)
        });
        let listed = listed.map_err(|failed| self.reading(directory, &failed))?;
        let mut objects: Vec<Object> = listed
            .into_iter()
            .filter_map(|meta| {
                let key = meta.location.as_ref().strip_prefix(&connection.prefix)?;
                Some(Object {
                    key: key.to_owned(),
                    len: meta.size,
                })
            })
            .collect();
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// The names directly below the prefix that other keys go on from, as directories are.
    pub(crate) fn directories(&self) -> Result<Vec<String>> {
        let connection = &self.connection;
        let path = connection.path("").map_err(|e| self.error("", e))?;
        let store = Arc::clone(&connection.reads);
        let listed = connection.run(async move { store.list_with_delimiter(Some(&path)).await });
        let listed = listed.map_err(|failed| self.reading("", &failed))?;
        let names = listed.common_prefixes.iter().filter_map(|path| {
            let name = path.as_ref().strip_prefix(&connection.prefix)?;
            Some(name.to_owned())
        });
        Ok(names.collect())
    }

    /// The bytes of an object; `None` if there is none.
    ///
    /// Errors: [`Error::TooLarge`] above `limit` bytes.
    pub fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.read(key, limit)?.map(|content| content.bytes))
    }

    pub(crate) fn read(&self, key: &str, limit: u64) -> Result<Option<Content>> {
        let connection = &self.connection;
        let path = connection.path(key).map_err(|e| self.error(key, e))?;
        let store = Arc::clone(&connection.reads);
        let quoted = connection.quoted_tags;
        let got = connection.run(async move {
            let found = store.get(&path).await?;
            let (len, state) = (found.meta.size, state(found.meta.e_tag.clone(), quoted));
            if len > limit {
                return Ok(Err(len));
            }
            let bytes = found.bytes().await?.to_vec();
            Ok(Ok(Content { bytes, state }))
        });
        match got {
            Ok(Ok(content)) => Ok(Some(content)),
            Ok(Err(size)) => Err(Error::TooLarge {
                what: self.url(key),
                size,
                limit,
            }),
            Err(failed) if failed.is_missing_key() => Ok(None),
            Err(failed) => Err(self.reading(key, &failed)),
        }
    }

    /// Whether there is an object.
    pub(crate) fn has(&self, key: &str) -> Result<bool> {
        let connection = &self.connection;
        let path = connection.path(key).map_err(|e| self.error(key, e))?;
        let store = Arc::clone(&connection.reads);
        match connection.run(async move { store.head(&path).await }) {
            Ok(_) => Ok(true),
            Err(failed) if failed.is_missing_key() => Ok(false),
            Err(failed) => Err(self.reading(key, &failed)),
        }
    }

    /// Writes an object, whatever is there.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let connection = &self.connection;
        let written = self.write(
            key,
            bytes,
            PutMode::Overwrite,
            Arc::clone(&connection.reads),
        );
        written.map_err(|e| self.error(key, e))
    }

    /// Writes an object that is not there yet: `false` if it is. In doubt, it reads what came of it.
    pub fn create(&self, key: &str, bytes: &[u8]) -> Result<bool> {
        self.settle(key, bytes, &PutMode::Create)
    }

    /// Replaces an object that is still as it was read: `false` if it is not.
    pub(crate) fn replace(&self, key: &str, bytes: &[u8], old: &Content) -> Result<bool> {
        self.settle(key, bytes, &PutMode::Update(old.state.clone()))
    }

    /// Removes an object; one that is not there is removed already.
    pub fn delete(&self, key: &str) -> Result<()> {
        let connection = &self.connection;
        let path = connection.path(key).map_err(|e| self.error(key, e))?;
        let store = Arc::clone(&connection.reads);
        match connection.run(async move { store.delete(&path).await }) {
            Err(failed) if !failed.is_missing_key() => {
                Err(self.error(key, connection.failed(&failed)))
            }
            _ => Ok(()),
        }
    }

    /// A conditional write. After an answer in doubt the object says whether it took effect; if it did not, the
    /// same condition is tried again, so that only one of both attempts can.
    fn settle(&self, key: &str, bytes: &[u8], mode: &PutMode) -> Result<bool> {
        let mut in_doubt = None;
        for attempt in 0..ATTEMPTS {
            let writes = Arc::clone(&self.connection.writes);
            match self.write(key, bytes, mode.clone(), writes) {
                Ok(()) => return Ok(true),
                Err(RemoteError::Precondition) if in_doubt.is_none() => return Ok(false),
                Err(e @ (RemoteError::Precondition | RemoteError::Ambiguous(_))) => {
                    let stored = self.read(key, bytes.len() as u64);
                    match stored {
                        Ok(Some(content)) if content.bytes == bytes => return Ok(true),
                        Ok(_) | Err(Error::TooLarge { .. }) if e == RemoteError::Precondition => {
                            return Ok(false);
                        }
                        _ => in_doubt = Some(e),
                    }
                }
                Err(e) => return Err(self.error(key, in_doubt.unwrap_or(e))),
            }
            std::thread::sleep(std::time::Duration::from_millis(50 << attempt));
        }
        let e = in_doubt.unwrap_or(RemoteError::Precondition);
        Err(self.error(key, e))
    }

    fn write(
        &self,
        key: &str,
        bytes: &[u8],
        mode: PutMode,
        store: Arc<dyn object_store::ObjectStore>,
    ) -> Result<(), RemoteError> {
        let connection = &self.connection;
        let (path, bytes) = (connection.path(key)?, bytes.to_vec());
        let options = PutOptions {
            mode,
            attributes: Attributes::from_iter([(Attribute::ContentType, JSON)]),
            ..PutOptions::default()
        };
        let put = connection.run(async move { store.put_opts(&path, bytes.into(), options).await });
        match put {
            Ok(_) => Ok(()),
            // Servers differ in what they say where there is no object to be unchanged.
            Err(failed) if failed.is_missing_key() => Err(RemoteError::Precondition),
            Err(failed) => Err(connection.failed(&failed)),
        }
    }

    /// The error of a request that changes nothing: it is not in doubt.
    fn reading(&self, key: &str, failed: &failure::Failed) -> Error {
        self.error(key, self.connection.failed(failed).not_in_doubt())
    }

    fn error(&self, key: &str, source: RemoteError) -> Error {
        let place = self.url(key);
        Error::Remote { place, source }
    }
}

/// A state by its tag.
fn state(e_tag: Option<String>, quoted: bool) -> UpdateVersion {
    let bare = |tag: String| tag.trim_matches('"').to_owned();
    UpdateVersion {
        e_tag: if quoted { e_tag } else { e_tag.map(bare) },
        version: None,
    }
}

//! A [`Remote`] in an S3-compatible bucket, over the `object_store` crate.

use std::fmt;
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::{ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use super::{Condition, Listed, Remote, RemoteError, Tag};
use crate::bucket::{Connection, S3Options};

/// A tag that no object has.
const NO_TAG: &str = "00000000000000000000000000000000";

/// A [`Remote`] in a bucket.
///
/// Credentials come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity, a container's or a
/// machine's role. They are in no error, no log and no `Debug`. It has a thread of its own for the network, so it
/// can be used from any thread and inside any async runtime.
pub struct S3Remote {
    connection: Connection,
}

impl S3Remote {
    /// The remote at `s3://BUCKET/PREFIX`. Nothing is sent.
    ///
    /// Errors: [`RemoteError::Configuration`].
    pub fn open(url: &str, options: &S3Options) -> Result<Self, RemoteError> {
        let connection = Connection::s3(url, options)?;
        Ok(Self { connection })
    }
}

impl Remote for S3Remote {
    fn name(&self) -> String {
        self.connection.name.clone()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError> {
        let (store, path) = (
            Arc::clone(&self.connection.reads),
            self.connection.path(key)?,
        );
        let got = self.connection.run(async move {
            let found = store.get(&path).await?;
            let tag = tag(found.meta.e_tag.as_deref());
            if found.meta.size > limit {
                return Ok(None);
            }
            Ok(Some((found.bytes().await?.to_vec(), tag)))
        });
        match got {
            Ok(None) => Err(RemoteError::TooLarge(limit)),
            Ok(found) => Ok(found),
            Err(failed) if failed.is_missing_key() => Ok(None),
            Err(failed) => Err(self.connection.failed(&failed)),
        }
    }

    fn put(&self, key: &str, bytes: &[u8], condition: &Condition) -> Result<Tag, RemoteError> {
        let (store, path, bytes) = (
            Arc::clone(&self.connection.writes),
            self.connection.path(key)?,
            bytes.to_vec(),
        );
        let mode = match condition {
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(Tag(tag)) => PutMode::Update(UpdateVersion {
                e_tag: Some(tag.clone()),
                version: None,
            }),
        };
        let options = PutOptions::from(mode);
        let put = self
            .connection
            .run(async move { store.put_opts(&path, bytes.into(), options).await });
        match put {
            Ok(done) => Ok(tag(done.e_tag.as_deref())),
            // Servers differ in what they say where there is no object to be unchanged.
            Err(failed) if failed.is_missing_key() => Err(RemoteError::Precondition),
            Err(failed) => Err(self.connection.failed(&failed)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, RemoteError> {
        let (store, path) = (
            Arc::clone(&self.connection.reads),
            self.connection.path(prefix)?,
        );
        let listed = self.connection.run(async move {
            let found: Vec<_> = store.list(Some(&path)).try_collect().await?;
            Ok(found)
        });
        let listed = listed.map_err(|failed| self.connection.failed(&failed))?;
        let mut listed: Vec<Listed> = listed
            .into_iter()
            .filter_map(|meta| {
                let key = meta
                    .location
                    .as_ref()
                    .strip_prefix(&self.connection.prefix)?;
                Some(Listed {
                    key: key.to_owned(),
                    len: meta.size,
                    modified_us: u64::try_from(meta.last_modified.timestamp_micros()).unwrap_or(0),
                })
            })
            .collect();
        listed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    fn delete(&self, key: &str) -> Result<(), RemoteError> {
        let (store, path) = (
            Arc::clone(&self.connection.reads),
            self.connection.path(key)?,
        );
        match self
            .connection
            .run(async move { store.delete(&path).await })
        {
            Err(failed) if !failed.is_missing_key() => Err(self.connection.failed(&failed)),
            _ => Ok(()),
        }
    }

    fn probe(&self) -> Result<(), RemoteError> {
        let random = std::collections::hash_map::RandomState::new();
        let random = std::hash::BuildHasher::hash_one(&random, std::process::id());
        let key = format!("sessionlog/v1/.probe-{random:016x}");
        let refuses = |bytes: &[u8], condition| match self.put(&key, bytes, &condition) {
            Err(RemoteError::Precondition) => Ok(()),
            Ok(_) => Err(RemoteError::Unconditional),
            Err(e) => Err(e),
        };
        let tag = self.put(&key, b"1", &Condition::Absent)?;
        let honoured = refuses(b"2", Condition::Absent)
            .and_then(|()| refuses(b"3", Condition::Unchanged(Tag(NO_TAG.to_owned()))))
            .and_then(|()| self.put(&key, b"4", &Condition::Unchanged(tag)));
        // What stays behind is one byte that nobody reads.
        let _ = self.delete(&key);
        match honoured {
            Ok(_) => Ok(()),
            Err(RemoteError::Precondition) => Err(RemoteError::Unconditional),
            Err(e) => Err(e),
        }
    }
}

impl fmt::Debug for S3Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3Remote")
            .field(&self.connection.name)
            .finish()
    }
}

/// The tag without quotes: some servers refuse them in `If-Match`, and none needs them.
fn tag(e_tag: Option<&str>) -> Tag {
    Tag(e_tag.unwrap_or_default().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str, endpoint: Option<&str>) -> Result<S3Remote, RemoteError> {
        let options = S3Options {
            endpoint: endpoint.map(str::to_owned),
            region: Some("us-east-1".to_owned()),
            ..S3Options::default()
        };
        S3Remote::open(url, &options)
    }

    #[test]
    fn a_url_is_a_bucket_and_a_prefix_and_nothing_else() {
        for wrong in [
            "",
            "http://x/y",
            "s3://",
            "s3:///x",
            "s3://key:secret@bucket/x",
            "s3://b/a//b",
        ] {
            assert!(
                matches!(open(wrong, None), Err(RemoteError::Configuration(_))),
                "{wrong}"
            );
        }
        assert_eq!(open("s3://b/a/", None).unwrap().name(), "s3://b/a");
    }

    #[test]
    fn http_must_be_asked_for() {
        let refused = open("s3://b", Some("http://127.0.0.1:1"));
        assert!(
            matches!(refused, Err(RemoteError::Configuration(text)) if text.contains("allow http"))
        );
    }
}

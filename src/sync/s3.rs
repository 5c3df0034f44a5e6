//! A [`Remote`] in an S3-compatible bucket, over the `object_store` crate.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig,
    UpdateVersion,
};
use tokio::runtime::Runtime;

use super::failure::Failed;
use super::{Condition, Listed, Remote, RemoteError, Tag};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(120);
/// How often a request that changes nothing is repeated.
const READ_RETRIES: usize = 3;
/// A tag that no object has.
const NO_TAG: &str = "00000000000000000000000000000000";

/// How a bucket is reached; what is not set here comes from the usual `AWS_*` variables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// The server's URL, if it is not Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Whether `http` is allowed: requests and answers can be read and changed on their way then.
    pub allow_http: bool,
    /// The access key's id and its secret.
    pub keys: Option<(String, String)>,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Options")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

/// A [`Remote`] in a bucket.
///
/// Credentials come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity, a container's or a
/// machine's role. They are in no error, no log and no `Debug`. It has a thread of its own for the network, so it
/// can be used from any thread and inside any async runtime.
pub struct S3Remote {
    name: String,
    prefix: String,
    /// Repeats requests by itself: for those that change nothing.
    reads: Arc<AmazonS3>,
    /// Never repeats a request by itself: its repetition could not be told from another device's.
    writes: Arc<AmazonS3>,
    has_keys: bool,
    runtime: Option<Runtime>,
}

impl S3Remote {
    /// The remote at `s3://BUCKET/PREFIX`. Nothing is sent.
    ///
    /// Errors: [`RemoteError::Configuration`].
    pub fn open(url: &str, options: &S3Options) -> Result<Self, RemoteError> {
        let wrong = |why: &str| {
            RemoteError::Configuration(format!(
                "{url:?} cannot be used: {why}; give s3://BUCKET/PREFIX"
            ))
        };
        let rest = url
            .strip_prefix("s3://")
            .ok_or_else(|| wrong("it is not an S3 URL"))?;
        if rest.contains(['@', '?', '#']) {
            return Err(wrong("it has more than a bucket and a prefix"));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        if bucket.is_empty() || Path::parse(prefix).is_err() {
            return Err(wrong("the bucket or the prefix is not a name"));
        }
        let endpoint = options.endpoint.as_deref();
        if endpoint.is_some_and(|e| e.starts_with("http://")) && !options.allow_http {
            return Err(RemoteError::Configuration(
                "the endpoint is http, so everything could be read and changed on its way: allow http if you mean it"
                    .to_owned(),
            ));
        }
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(TIMEOUT)
            .with_allow_http(options.allow_http);
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(client);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        if let Some(region) = &options.region {
            builder = builder.with_region(region);
        }
        if let Some((id, secret)) = &options.keys {
            builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret);
        }
        let has_keys = builder
            .get_config_value(&AmazonS3ConfigKey::AccessKeyId)
            .is_some();
        let build = |retries| {
            let retry = RetryConfig {
                max_retries: retries,
                retry_timeout: TIMEOUT,
                ..RetryConfig::default()
            };
            let built = builder.clone().with_retry(retry).build();
            built.map(Arc::new).map_err(|e| wrong(&e.to_string()))
        };
        let (reads, writes) = (build(READ_RETRIES)?, build(0)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sessionlog-s3")
            .enable_all()
            .build()
            .map_err(|e| RemoteError::Configuration(format!("no thread for the network: {e}")))?;
        let at = endpoint.map_or(String::new(), |endpoint| format!(" at {endpoint}"));
        Ok(Self {
            name: format!("s3://{bucket}/{prefix}{at}"),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            },
            reads,
            writes,
            has_keys,
            runtime: Some(runtime),
        })
    }

    fn path(&self, key: &str) -> Result<Path, RemoteError> {
        let key = format!("{}{key}", self.prefix);
        Path::parse(key.trim_end_matches('/'))
            .map_err(|e| RemoteError::Configuration(e.to_string()))
    }

    /// Runs a request on the remote's own thread, so that the caller may be in a runtime too.
    fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Failed> {
        let (done, answer) = sync_channel(1);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                // The receiver waits until we answer.
                let _ = done.send(request.await);
            });
        }
        match answer.recv() {
            Ok(result) => result.map_err(|e| Failed::of(&e)),
            Err(_) => Err(Failed::default()),
        }
    }

    fn failed(&self, failed: &Failed) -> RemoteError {
        let code = failed.code.as_deref().unwrap_or_default();
        let mut text = failed.text();
        match (failed.status, code) {
            (_, "NoSuchBucket") => return RemoteError::NoBucket(self.name.clone()),
            (Some(401 | 403), _) => return RemoteError::Denied(text),
            (Some(412), _) => return RemoteError::Precondition,
            (Some(status @ 300..=499), _) if ![408, 409, 429].contains(&status) => {
                return RemoteError::Configuration(text);
            }
            _ => {}
        }
        if failed.not_sent {
            if !self.has_keys {
                text.push_str("; AWS_ACCESS_KEY_ID is not set, so credentials were asked of the machine's role");
            }
            return RemoteError::Unreachable(text);
        }
        RemoteError::Ambiguous(text)
    }
}

impl Remote for S3Remote {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, Tag)>, RemoteError> {
        let (store, path) = (Arc::clone(&self.reads), self.path(key)?);
        let got = self.run(async move {
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
            Err(failed) => Err(self.failed(&failed)),
        }
    }

    fn put(&self, key: &str, bytes: &[u8], condition: &Condition) -> Result<Tag, RemoteError> {
        let (store, path, bytes) = (Arc::clone(&self.writes), self.path(key)?, bytes.to_vec());
        let mode = match condition {
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(Tag(tag)) => PutMode::Update(UpdateVersion {
                e_tag: Some(tag.clone()),
                version: None,
            }),
        };
        let options = PutOptions::from(mode);
        let put = self.run(async move { store.put_opts(&path, bytes.into(), options).await });
        match put {
            Ok(done) => Ok(tag(done.e_tag.as_deref())),
            // Servers differ in what they say where there is no object to be unchanged.
            Err(failed) if failed.is_missing_key() => Err(RemoteError::Precondition),
            Err(failed) => Err(self.failed(&failed)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, RemoteError> {
        let (store, path) = (Arc::clone(&self.reads), self.path(prefix)?);
        let listed = self.run(async move {
            let found: Vec<_> = store.list(Some(&path)).try_collect().await?;
            Ok(found)
        });
        let listed = listed.map_err(|failed| self.failed(&failed))?;
        let mut listed: Vec<Listed> = listed
            .into_iter()
            .filter_map(|meta| {
                let key = meta.location.as_ref().strip_prefix(&self.prefix)?;
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
        let (store, path) = (Arc::clone(&self.reads), self.path(key)?);
        match self.run(async move { store.delete(&path).await }) {
            Err(failed) if !failed.is_missing_key() => Err(self.failed(&failed)),
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
        f.debug_tuple("S3Remote").field(&self.name).finish()
    }
}

impl Drop for S3Remote {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for it would panic inside another runtime.
            runtime.shutdown_background();
        }
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

    #[test]
    fn an_error_shows_a_status_and_a_code_and_nothing_of_the_body() {
        let body = "status code: 403 Forbidden: <Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId>";
        let error = Error::Generic {
            store: "S3",
            source: body.into(),
        };
        let failed = Failed::of(&error);
        assert_eq!(failed.text(), "403 InvalidAccessKeyId");
        assert!(!format!("{failed:?}").contains("AKIA"));
    }
}

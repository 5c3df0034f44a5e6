//! The way to a bucket: credentials, a thread for the network, and what its errors mean.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, RetryConfig};
use tokio::runtime::Runtime;

use super::failure::Failed;
use crate::sync::RemoteError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(120);
/// How often a request that may be repeated is repeated.
const RETRIES: usize = 3;

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

/// A bucket, or the part of it below a prefix. It has a thread of its own for the network, so it can be used from
/// any thread and inside any async runtime.
pub(crate) struct Connection {
    /// The URL, and the endpoint if it is not Amazon's: for people, and for telling buckets apart.
    pub(crate) name: String,
    /// The URL alone.
    pub(crate) url: String,
    /// Empty, or it ends in a slash.
    pub(crate) prefix: String,
    /// Repeats requests by itself: for those where a repetition does no harm.
    pub(crate) reads: Arc<dyn ObjectStore>,
    /// Never repeats a request by itself: its repetition could not be told from another device's.
    pub(crate) writes: Arc<dyn ObjectStore>,
    /// Whether conditions take tags with their quotes. Some S3 servers refuse them, and none needs them.
    pub(crate) quoted_tags: bool,
    has_keys: bool,
    runtime: Option<Runtime>,
}

impl Connection {
    /// To `s3://BUCKET/PREFIX`. Nothing is sent.
    ///
    /// Errors: [`RemoteError::Configuration`].
    pub(crate) fn s3(url: &str, options: &S3Options) -> Result<Self, RemoteError> {
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
            built
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
                .map_err(|e| {
                    let text = format!("{url:?} cannot be used: {e}; look at the AWS_* variables");
                    RemoteError::Configuration(text)
                })
        };
        let (reads, writes) = (build(RETRIES)?, build(0)?);
        let at = endpoint.map_or(String::new(), |endpoint| format!(" at {endpoint}"));
        Ok(Self {
            name: format!("s3://{bucket}/{prefix}{at}"),
            url: format!("s3://{bucket}/{prefix}")
                .trim_end_matches('/')
                .to_owned(),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            },
            reads,
            writes,
            quoted_tags: false,
            has_keys,
            runtime: Some(runtime()?),
        })
    }

    /// To an empty bucket in memory.
    pub(crate) fn in_memory() -> Result<Self, RemoteError> {
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        Ok(Self {
            name: "memory:".to_owned(),
            url: "memory:".to_owned(),
            prefix: String::new(),
            reads: Arc::clone(&store),
            writes: store,
            quoted_tags: true,
            has_keys: true,
            runtime: Some(runtime()?),
        })
    }

    /// The path of a key, or of a prefix.
    pub(crate) fn path(&self, key: &str) -> Result<Path, RemoteError> {
        let key = format!("{}{key}", self.prefix);
        Path::parse(key.trim_end_matches('/'))
            .map_err(|e| RemoteError::Configuration(e.to_string()))
    }

    /// Runs a request on the remote's own thread, so that the caller may be in a runtime too.
    pub(crate) fn run<T: Send + 'static>(
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

    /// What a failed request means.
    pub(crate) fn failed(&self, failed: &Failed) -> RemoteError {
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

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.name).finish()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for it would panic inside another runtime.
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Result<Runtime, RemoteError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name("sessionlog-s3");
    let built = builder.enable_all().build();
    built.map_err(|e| RemoteError::Configuration(format!("no thread for the network: {e}")))
}
